"""The similarity of all pairs of a set of images. What depends on one image alone is computed once for each image."""

import functools
import inspect
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxssim import conventions
from jaxssim._core import resampling
from jaxssim._core.averaging import centre_weights, mean_of_values
from jaxssim._core.formulas import Formula
from jaxssim._core.images import CentredImage, offsets
from jaxssim._core.numerics import channel_mean
from jaxssim._core.statistics import WindowStatistics, moments_of_image
from jaxssim._cw_ssim import Bands, Setting, bands, one_minus_cw_ssim_of_bands, prepare_cw_ssim
from jaxssim._inputs import (
    LAST,
    Layout,
    canonical_data_range,
    canonical_image,
    check_image,
    prepare,
    split_shape,
    statistics_dtype,
)
from jaxssim._ms_ssim import MS_SSIM_WEIGHTS, formulas_of_scales, one_minus_weighted_product, prepare_ms_ssim
from jaxssim.conventions import Convention

BLOCK = 2**22
"""The most values of an image that are compared at once, which bounds the memory."""


class Comparison(NamedTuple):
    """A metric as a function of the features of each image. Static."""

    features: Callable[[jax.Array, jax.Array], Any]  # of an image and a parameter
    compare: Callable[[Any, Any, jax.Array], jax.Array]  # of the features of two images and the parameter


def pairwise(images: ArrayLike, *, metric: str = "ssim", channel_axis: int | None = LAST, **options: Any) -> jax.Array:
    """Returns the matrix of a metric between all pairs of n images.

    Args:
        images: (n, height, width, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        metric: "mse", "ssim", "ms_ssim" or "cw_ssim".
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.
        options: Arguments of the metric: none for "mse"; for "ssim" `data_range` (a number) and `convention`; for
            "ms_ssim" both and `weights`; for "cw_ssim" `levels`, `orientations`, `guard` and `k`.

    Returns:
        (n, n), symmetric: what the function that `metric` names gives for images i and j.

    Raises:
        ValueError: As that function; also for another metric, or if `images` has no leading axis.
        TypeError: If the metric does not take an option.

    Example:
        >>> images = jax.random.uniform(jax.random.key(0), (4, 32, 32, 3))
        >>> jaxssim.pairwise(images, metric="ssim", data_range=1.0).shape
        (4, 4)
    """
    if not (isinstance(metric, str) and metric in METRICS):
        raise ValueError(f"metric must be one of {', '.join(map(repr, METRICS))}, got {metric!r}")
    layout = Layout(2, channel_axis)
    stack = check_image("images", images, layout)
    if len(split_shape(stack.shape, layout)[0]) != 1 or len(stack) == 0:
        raise ValueError(
            "images must be (n, height, width, channels) with n at least 1, or (n, height, width) with "
            f"channel_axis=None, got the shape {stack.shape} with channel_axis={channel_axis}"
        )
    if channel_axis is not None:
        stack, layout = jnp.moveaxis(stack, channel_axis, -1), Layout(2, -1)
    allowed = list(inspect.signature(METRICS[metric]).parameters)[2:]
    if not options.keys() <= set(allowed):
        raise TypeError(f"metric={metric!r} takes the options {allowed}, got {sorted(options)}")
    comparison, parameter = METRICS[metric](stack, layout, **options)
    return _matrix(comparison, stack, parameter, layout)


@functools.partial(jax.jit, static_argnums=(0, 3))
def _matrix(comparison: Comparison, images: jax.Array, parameter: jax.Array, layout: Layout) -> jax.Array:
    images = canonical_image(images, layout).astype(statistics_dtype(images, images))
    size = max(1, BLOCK // math.prod(images.shape[1:]))
    features = _map_in_blocks(lambda image: comparison.features(image, parameter), images, size)

    def compare(indices: tuple[jax.Array, jax.Array]) -> jax.Array:
        x, y = (jax.tree.map(operator.itemgetter(index), features) for index in indices)
        return comparison.compare(x, y, parameter)

    pairs = tuple(map(jnp.asarray, np.triu_indices(len(images))))
    values = _map_in_blocks(compare, pairs, size)
    return jnp.zeros((len(images),) * 2, values.dtype).at[pairs].set(values).at[pairs[::-1]].set(values)


def _map_in_blocks(function: Callable[[Any], Any], arrays: Any, size: int) -> Any:
    """Returns `function` of every entry, in equal blocks of at most `size`, so that one program serves all blocks."""
    count = len(jax.tree.leaves(arrays)[0])
    size = -(-count // -(-count // size))
    entries = np.minimum(np.arange(-(-count // size) * size), count - 1)
    mapped = lax.map(lambda i: function(jax.tree.map(operator.itemgetter(i), arrays)), entries, batch_size=size)
    return jax.tree.map(lambda array: array[:count], mapped)


def _compare_mse(images: jax.Array, layout: Layout) -> tuple[Comparison, Any]:
    return Comparison(_image, _squared_error), 1.0


def _image(image: jax.Array, _: jax.Array) -> jax.Array:
    return image


def _squared_error(x: jax.Array, y: jax.Array, _: jax.Array) -> jax.Array:
    return jnp.square(x - y).mean()


def _compare_ssim(
    images: jax.Array, layout: Layout, *, data_range: Any = None, convention: Convention = conventions.WANG2004
) -> tuple[Comparison, Any]:
    checked = prepare(images[0], images[0], data_range, None, convention, layout)
    return _structural_comparison(None, convention), checked.data_range


def _compare_ms_ssim(
    images: jax.Array,
    layout: Layout,
    *,
    data_range: Any = None,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    convention: Convention = conventions.WANG2004,
) -> tuple[Comparison, Any]:
    one = images[0]
    checked, weights, convention, _ = prepare_ms_ssim(one, one, data_range, None, weights, convention, layout)
    return _structural_comparison(weights, convention), checked.data_range


class Scale(NamedTuple):
    """An image at one scale, with the moments of its windows."""

    image: CentredImage
    mean: jax.Array
    var: jax.Array


@functools.cache
def _structural_comparison(weights: tuple[float, ...] | None, convention: Convention) -> Comparison:
    """Returns the comparison of MS-SSIM, or of SSIM if `weights` is None.

    Only the moments of the difference depend on both images; the sum's follow from the difference's and each image's.
    Cached, so that `jax.jit` gets the same static argument again.
    """
    taps = convention.window.taps(2)
    formulas = formulas_of_scales(1 if weights is None else len(weights))

    def scales(image: jax.Array, data_range: jax.Array) -> list[Scale]:
        scale = 1 / canonical_data_range(data_range, image, Layout(2, -1))
        (offset,) = offsets([image], None, 2)
        centred = CentredImage((image - offset) * scale, offset * scale)
        centred = resampling.downsample(centred, convention.downsample, 2)
        at_scales = []
        for coarser in range(len(formulas)):
            if coarser:
                centred = resampling.halve(centred, 2)
            padded = resampling.pad(centred, taps, convention.padding) if convention.average == "all" else centred
            mean, var, _ = moments_of_image(padded, taps)
            at_scales.append(Scale(padded, mean, var))
        return at_scales

    def one_minus(x: Scale, y: Scale, formula: Formula) -> jax.Array:
        v = CentredImage(x.image.centred - y.image.centred, x.image.offset - y.image.offset)
        mean_v, var_v, _ = moments_of_image(v, taps)
        var_u = jnp.maximum(2 * (x.var + y.var) - var_v, 0)
        values = formula(WindowStatistics(x.mean + y.mean, mean_v, var_u, var_v), convention, taps)
        return mean_of_values(values, centre_weights(None, taps, values.ndim), v.centred.shape[-1], 2)

    def similarity(x: list[Scale], y: list[Scale], _: jax.Array) -> jax.Array:
        ds = [one_minus(a, b, formula) for a, b, formula in zip(x, y, formulas, strict=True)]
        return 1 - channel_mean(ds[0] if weights is None else one_minus_weighted_product(ds, weights))

    return Comparison(scales, similarity)


def _compare_cw_ssim(
    images: jax.Array, layout: Layout, *, levels: int = 4, orientations: int = 8, guard: int = 0, k: float = 0.0
) -> tuple[Comparison, Any]:
    one = images[0]
    *_, k_array, setting = prepare_cw_ssim(one, one, levels, orientations, guard, k, layout.channel_axis)
    return _wavelet_comparison(setting), k_array


@functools.cache
def _wavelet_comparison(setting: Setting) -> Comparison:
    """Returns the comparison of CW-SSIM, whose features are the pyramid. Cached as above."""

    def bands_of(image: jax.Array, _: jax.Array) -> Bands:
        return bands(jnp.moveaxis(image, -1, 0), setting)

    def similarity(x: Bands, y: Bands, k: jax.Array) -> jax.Array:
        return 1 - one_minus_cw_ssim_of_bands(x, y, k)

    return Comparison(bands_of, similarity)


METRICS = {"mse": _compare_mse, "ssim": _compare_ssim, "ms_ssim": _compare_ms_ssim, "cw_ssim": _compare_cw_ssim}
