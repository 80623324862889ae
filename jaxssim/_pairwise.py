"""The similarity of all pairs of a set of images."""

import functools
import inspect
import math
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxssim._arrays import as_array
from jaxssim._comparisons import COMPARISONS, Comparison, name_of_metric
from jaxssim._inputs import check_image, default_of, hashable
from jaxssim._layout import LAST, Layout, canonical_image, split_shape, statistics_dtype

BLOCK = 2**20
"""The most values in a block of images that are compared at once, which bounds the memory."""


def pairwise(
    images: ArrayLike,
    *,
    metric: str | Callable[..., jax.Array] = "ssim",
    mask: ArrayLike | None = None,
    channel_axis: int | None = LAST,
    **options: Any,
) -> jax.Array:
    """Returns the matrix of a metric between all pairs of n images.

    What depends on one image alone is computed once for each image, for the first six metrics below. All other
    functions are called for each of the n² ordered pairs, in blocks under `jax.vmap`, with images (height, width,
    channels) or (height, width). IW-SSIM and SSIMULACRA 2 need that: they are not symmetric.

    Args:
        images: (n, height, width, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        metric: "mse", "mae", "psnr", "ssim", "ms_ssim", "cw_ssim", "iw_ssim" or "ssimulacra2", the function of that
            name, another function of jaxssim, or one of your own, `metric(x, y, **options)`, that returns a scalar.
        mask: Weights of the pixels of every image, bool or at least 0: (height, width) or the shape of one image.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.
        options: Arguments of the metric: none for "mse" and "mae"; for "psnr" `data_range` (a number); for "ssim"
            `data_range`, `convention`, `k1` and `k2`; for "ms_ssim" these and `weights`; for "cw_ssim" `levels`,
            `orientations`, `guard` and `k`; for the others those of the function. Those of a function of your own are
            arrays, or hashable and static.

    Returns:
        (n, n): what the metric gives for images i and j. Symmetric, except for IW-SSIM and SSIMULACRA 2.

    Raises:
        ValueError: If the metric is unknown, does not take an option or a mask, or raises a ValueError; if an option is
            not hashable, or `images` has no leading axis.

    Example:
        >>> images = jax.random.uniform(jax.random.key(0), (4, 32, 32, 3))
        >>> jaxssim.pairwise(images, metric="ssim", data_range=1.0).shape
        (4, 4)
    """
    name = name_of_metric(metric)
    layout = Layout(2, channel_axis)
    stack = check_image("images", images, layout)
    if len(split_shape(stack.shape, layout)[0]) != 1 or len(stack) == 0:
        raise ValueError(
            "images must be (n, height, width, channels) with n at least 1, or (n, height, width) with "
            f"channel_axis=None, got the shape {stack.shape} with channel_axis={channel_axis}"
        )
    if mask is not None:
        options["mask"] = as_array("mask", mask)
    if channel_axis is not None:
        stack, layout = jnp.moveaxis(stack, channel_axis, -1), Layout(2, -1)
        if mask is not None and options["mask"].ndim == 3 and channel_axis >= -3:
            options["mask"] = jnp.moveaxis(options["mask"], channel_axis, -1)
    if not isinstance(name, str):
        return _matrix_of_function(name, stack, _options_of_function(name, options, layout))
    _check_options(name, list(inspect.signature(COMPARISONS[name]).parameters)[2:], options)
    comparison, shared = COMPARISONS[name](stack[0], layout, **options)
    return _matrix(comparison, stack, shared, layout)


@functools.partial(jax.jit, static_argnums=(0, 3))
def _matrix(comparison: Comparison, images: jax.Array, shared: Any, layout: Layout) -> jax.Array:
    images = canonical_image(images, layout).astype(statistics_dtype(images, images))
    size = max(1, BLOCK // math.prod(images.shape[1:]))
    features = _map_in_blocks(lambda image: comparison.features(image, shared), images, size)

    def compare(indices: tuple[jax.Array, jax.Array]) -> jax.Array:
        x, y = (jax.tree.map(operator.itemgetter(index), features) for index in indices)
        return comparison.compare(x, y, shared)

    pairs = tuple(map(jnp.asarray, np.triu_indices(len(images))))
    values = _map_in_blocks(compare, pairs, size)
    return jnp.zeros((len(images),) * 2, values.dtype).at[pairs].set(values).at[pairs[::-1]].set(values)


def _options_of_function(function: Callable[..., jax.Array], options: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """Returns the options of a function; those of a function of jaxssim are checked, and hold its channel axis."""
    if default_of(function, "channel_axis") is not LAST:
        return options
    _check_options(getattr(function, "__name__", function), list(inspect.signature(function).parameters)[2:], options)
    return options | {"channel_axis": layout.channel_axis}


def _check_options(metric: Any, allowed: list[str], options: dict[str, Any]) -> None:
    if unknown := sorted(options.keys() - set(allowed)):
        raise ValueError(f"metric={metric!r} takes the options {allowed}, got {unknown}; leave {unknown} out")


def _matrix_of_function(function: Callable[..., jax.Array], images: jax.Array, options: dict[str, Any]) -> jax.Array:
    arrays = {name: value for name, value in options.items() if isinstance(value, np.ndarray | jax.Array)}
    static = tuple((name, hashable(name, value)) for name, value in options.items() if name not in arrays)
    return _traced_matrix_of_function(function, static, images, arrays)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _traced_matrix_of_function(
    function: Callable[..., jax.Array],
    static: tuple[tuple[str, Any], ...],
    images: jax.Array,
    arrays: dict[str, jax.Array],
) -> jax.Array:
    def of_pair(indices: tuple[jax.Array, jax.Array]) -> jax.Array:
        i, j = indices
        value = jnp.asarray(function(images[i], images[j], **dict(static), **arrays))
        if value.shape != ():
            raise ValueError(f"metric must return a scalar for two images, got an array of shape {value.shape}")
        return value

    n = len(images)
    i, j = jnp.arange(n * n) // n, jnp.arange(n * n) % n
    return _map_in_blocks(of_pair, (i, j), max(1, BLOCK // math.prod(images.shape[1:]))).reshape(n, n)


def _map_in_blocks(function: Callable[[Any], Any], arrays: Any, size: int) -> Any:
    """Returns `function` of every entry, in equal blocks of at most `size`, so that one program serves all blocks."""
    count = len(jax.tree.leaves(arrays)[0])
    size = -(-count // -(-count // size))
    entries = np.minimum(np.arange(-(-count // size) * size), count - 1)
    mapped = lax.map(lambda i: function(jax.tree.map(operator.itemgetter(i), arrays)), entries, batch_size=size)
    return jax.tree.map(lambda array: array[:count], mapped)
