"""Every image of a set against every other, where all that can be had once per image is had once."""

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

from jaxssim import (
    arguments,
    averaging,
    conventions,
    fields,
    formulas,
    inputs,
    multiscale,
    resampling,
    statistics,
    wavelet,
)
from jaxssim.conventions import Convention
from jaxssim.inputs import Layout
from jaxssim.multiscale import MS_SSIM_WEIGHTS
from jaxssim.resampling import Field
from jaxssim.statistics import Local
from jaxssim.summation import channel_mean

BLOCK = 2**22  # pixels that are compared at once: what bounds the memory
Features = Any
Functions = tuple[Callable[[jax.Array, jax.Array], Features], Callable[[Features, Features, jax.Array], jax.Array]]


def pairwise(
    images: ArrayLike, *, metric: str = "ssim", channel_axis: int | None = inputs.LAST, **options: Any
) -> jax.Array:
    """How alike each two of n images are.

    Args:
        images: (n, height, width, channels), of any type that `jaxssim.ssim` takes.
        metric: "mse", "ssim", "ms_ssim" or "cw_ssim".
        channel_axis: None where there are no channels, or the axis that holds them, counted from the end.
        options: of "ssim" `data_range`, one number, and `convention`; of "ms_ssim" these and `weights`; of "cw_ssim"
            `levels`, `orientations`, `guard` and `k`: as the function of that name takes them.

    Returns:
        (n, n), symmetric: what the function named by `metric` gives for images i and j; near 1 it is rounded, as a loss
        is not. Of "mse" that is an error, in the square of the images' units.

    Raises:
        ValueError: as that function, for another metric, and for images without an axis in front.
        TypeError: for an option that the metric does not take.
    """
    if not (isinstance(metric, str) and metric in METRICS):
        raise ValueError(f"metric must be one of {', '.join(map(repr, METRICS))}, got {metric!r}")
    layout = Layout(2, channel_axis)
    stack = inputs.check_image("images", images, layout)
    if len(inputs.split(stack.shape, layout)[0]) != 1 or len(stack) == 0:
        raise ValueError(
            "images must be (n, height, width, channels) with n at least 1, or (n, height, width) with "
            f"channel_axis=None, got the shape {stack.shape} with channel_axis={channel_axis}"
        )
    if channel_axis is not None:
        stack, layout = jnp.moveaxis(stack, channel_axis, -1), Layout(2, -1)
    allowed = list(inspect.signature(METRICS[metric]).parameters)[2:]
    if not options.keys() <= set(allowed):
        raise TypeError(f"metric={metric!r} takes the options {allowed}, got {sorted(options)}")
    functions, parameter = METRICS[metric](stack, layout, **options)
    return _matrix(functions, stack, parameter, layout)


@functools.partial(jax.jit, static_argnums=(0, 3))
def _matrix(functions: Functions, images: jax.Array, parameter: jax.Array, layout: Layout) -> jax.Array:
    """Features of every image, then the metric of every pair; `parameter` is a number that both may use."""
    features_of, compare = functions
    images = inputs.canonical(images, layout).astype(inputs.statistics_type(images, images))
    size = max(1, BLOCK // math.prod(images.shape[1:]))
    features = _in_blocks(lambda image: features_of(image, parameter), images, size)

    def value(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
        x, y = (jax.tree.map(operator.itemgetter(index), features) for index in pair)
        return compare(x, y, parameter)

    pairs = tuple(map(jnp.asarray, np.triu_indices(len(images))))
    values = _in_blocks(value, pairs, size)
    return jnp.zeros((len(images),) * 2, values.dtype).at[pairs].set(values).at[pairs[::-1]].set(values)


def _in_blocks(function: Callable[[Any], Any], arrays: Any, size: int) -> Any:
    """`function` of every entry, at most `size` at once, in blocks of one size: another would compile it again."""
    count = len(jax.tree.leaves(arrays)[0])
    size = -(-count // -(-count // size))
    entries = np.minimum(np.arange(-(-count // size) * size), count - 1)
    mapped = lax.map(lambda i: function(jax.tree.map(operator.itemgetter(i), arrays)), entries, batch_size=size)
    return jax.tree.map(lambda a: a[:count], mapped)


def _mse(images: jax.Array, layout: Layout) -> tuple[Functions, Any]:
    return (_image, _squared_error), 1.0


def _image(image: jax.Array, _: jax.Array) -> jax.Array:
    return image


def _squared_error(x: jax.Array, y: jax.Array, _: jax.Array) -> jax.Array:
    return jnp.square(x - y).mean()


def _ssim(
    images: jax.Array, layout: Layout, *, data_range: Any = None, convention: Convention = conventions.WANG2004
) -> tuple[Functions, Any]:
    pair = arguments.check(images[0], images[0], data_range, None, convention, layout)
    return _structural(None, convention), pair.data_range


def _ms_ssim(
    images: jax.Array,
    layout: Layout,
    *,
    data_range: Any = None,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    convention: Convention = conventions.WANG2004,
) -> tuple[Functions, Any]:
    pair, weights, convention, _ = multiscale.check(images[0], images[0], data_range, None, weights, convention, layout)
    return _structural(weights, convention), pair.data_range


class Scale(NamedTuple):
    """An image at one scale, with the moments of its windows."""

    field: Field
    mean: jax.Array
    var: jax.Array


@functools.cache
def _structural(weights: tuple[float, ...] | None, convention: Convention) -> Functions:
    """MS-SSIM, or SSIM where there are no weights.

    Of the sum and the difference of two images only the difference is new to a pair: its moments and the images' own
    say all.
    """
    taps = convention.window.taps(2)
    pad = functools.partial(resampling.pad, widths=statistics.radii(taps), padding=convention.padding)
    of_scales = multiscale.scale_formulas(1 if weights is None else len(weights))

    def scales(image: jax.Array, data_range: jax.Array) -> list[Scale]:
        scale = 1 / inputs.canonical_range(data_range, image, Layout(2, -1))
        (level,) = fields.levels([image], None, 2)
        field = Field((image - level) * scale, level * scale)
        field = resampling.downsample(field, convention.downsample, 2)
        found = []
        for coarser in range(len(of_scales)):
            if coarser:
                field = resampling.shrink(field, 2, 0, 2)
            framed = pad(field) if convention.average == "all" else field
            mean, var, _ = statistics.moments(framed, taps)
            found.append(Scale(framed, mean, var))
        return found

    def shortfall(x: Scale, y: Scale, formula: formulas.Formula) -> jax.Array:
        v = Field(x.field.about - y.field.about, x.field.level - y.field.level)
        mean_v, var_v, _ = statistics.moments(v, taps)
        var_u = jnp.maximum(2 * (x.var + y.var) - var_v, 0)
        local = Local(x.mean + y.mean, mean_v, var_u, var_v)
        found = formula(local, convention, taps)
        return averaging.average(found, averaging.centres(None, taps, found.ndim), v.about.shape[-1], 2)

    def similarity(x: list[Scale], y: list[Scale], _: jax.Array) -> jax.Array:
        shortfalls = [shortfall(a, b, formula) for a, b, formula in zip(x, y, of_scales, strict=True)]
        return 1 - channel_mean(shortfalls[0] if weights is None else multiscale.weighted_product(shortfalls, weights))

    return scales, similarity


def _cw_ssim(
    images: jax.Array, layout: Layout, *, levels: int = 4, orientations: int = 8, guard: int = 0, k: float = 0.0
) -> tuple[Functions, Any]:
    one = images[0]
    *_, checked, setting = wavelet.check(one, one, levels, orientations, guard, k, layout.channel_axis)
    return _wavelet(setting), checked


@functools.cache
def _wavelet(setting: wavelet.Setting) -> Functions:
    """CW-SSIM: the pyramid is had once per image."""

    def bands(image: jax.Array, _: jax.Array) -> wavelet.Bands:
        return wavelet.bands(jnp.moveaxis(image, -1, 0), setting)

    def similarity(x: wavelet.Bands, y: wavelet.Bands, k: jax.Array) -> jax.Array:
        return 1 - wavelet.dissimilarity(x, y, k)

    return bands, similarity


METRICS = {"mse": _mse, "ssim": _ssim, "ms_ssim": _ms_ssim, "cw_ssim": _cw_ssim}
