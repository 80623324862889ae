"""The metrics that `pairwise` offers, each split into what depends on one image alone and what depends on two."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxssim import conventions
from jaxssim._core import resampling
from jaxssim._core.formulas import Formula
from jaxssim._core.images import CentredImage, Constants, centre, offsets
from jaxssim._core.means import mean_of_values
from jaxssim._core.numerics import absolute, channel_mean
from jaxssim._core.statistics import WindowStatistics, moments_of_image
from jaxssim._core.windows import centre_weights, strided
from jaxssim._cw_ssim import Bands, Setting, bands, cw_ssim, one_minus_cw_ssim_of_bands, prepare_cw_ssim
from jaxssim._inputs import check_data_range, check_mask, prepare
from jaxssim._iw_ssim import iw_ssim
from jaxssim._layout import (
    CheckedInputs,
    Layout,
    canonical_data_range,
    canonical_image,
    canonical_mask,
    statistics_dtype,
)
from jaxssim._ms_ssim import MS_SSIM_WEIGHTS, formulas_of_scales, ms_ssim, one_minus_weighted_product, prepare_ms_ssim
from jaxssim._pointwise import mae, mse, pixel_mean, psnr, psnr_of_pair
from jaxssim._ssim import ssim
from jaxssim._ssimulacra2 import ssimulacra2
from jaxssim.conventions import Convention


class Shared(NamedTuple):
    """What all images have in common."""

    data_range: Any = None  # a scalar
    weight: jax.Array | None = None  # of a mask: (height, width, channels), within [0, 1]
    constants: Constants | None = None


class Comparison(NamedTuple):
    """A metric as a function of the features of each image. Static."""

    features: Callable[[jax.Array, Any], Any]  # of an image and what all images share
    compare: Callable[[Any, Any, Any], jax.Array]  # of the features of two images and what all images share


def _compare_mse(one: jax.Array, layout: Layout, *, mask: Any = None) -> tuple[Comparison, Shared]:
    return Comparison(_counting_pixels, _mean_squared_error), _shared_mask(mask, one, layout)


def _compare_mae(one: jax.Array, layout: Layout, *, mask: Any = None) -> tuple[Comparison, Shared]:
    return Comparison(_counting_pixels, _mean_absolute_error), _shared_mask(mask, one, layout)


def _compare_psnr(
    one: jax.Array, layout: Layout, *, data_range: Any = None, mask: Any = None
) -> tuple[Comparison, Shared]:
    shared = _shared_mask(mask, one, layout)
    return Comparison(_counting_pixels, _psnr), shared._replace(data_range=check_data_range(data_range, one, one, ()))


def _counting_pixels(image: jax.Array, shared: Shared) -> jax.Array:
    return image if shared.weight is None else jnp.where(shared.weight > 0, image, 0)


def _mean_squared_error(x: jax.Array, y: jax.Array, shared: Shared) -> jax.Array:
    return pixel_mean(jnp.square(x - y), shared.weight, 2)


def _mean_absolute_error(x: jax.Array, y: jax.Array, shared: Shared) -> jax.Array:
    return pixel_mean(absolute(x - y), shared.weight, 2)


def _psnr(x: jax.Array, y: jax.Array, shared: Shared) -> jax.Array:
    return psnr_of_pair(x, y, shared.weight, shared.data_range, Layout(2, -1))


def _shared_mask(mask: Any, one: jax.Array, layout: Layout) -> Shared:
    return Shared(weight=_weight_of_mask(check_mask(mask, one.shape, layout), one, layout))


def _weight_of_mask(mask: Any, one: jax.Array, layout: Layout) -> jax.Array | None:
    """Returns the weights of the pixels of one image, (height, width, channels), for a checked mask; None for None."""
    if mask is None:
        return None
    return canonical_mask(mask, canonical_image(one, layout).astype(statistics_dtype(one, one)), one.shape, layout)


def _compare_ssim(
    one: jax.Array,
    layout: Layout,
    *,
    data_range: Any = None,
    convention: Convention = conventions.WANG2004,
    k1: Any = None,
    k2: Any = None,
    mask: Any = None,
) -> tuple[Comparison, Shared]:
    checked = prepare(one, one, data_range, mask, convention, layout, k1, k2)
    return _structural_comparison(None, convention), _shared(checked, layout)


def _compare_ms_ssim(
    one: jax.Array,
    layout: Layout,
    *,
    data_range: Any = None,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    convention: Convention = conventions.WANG2004,
    k1: Any = None,
    k2: Any = None,
    mask: Any = None,
) -> tuple[Comparison, Shared]:
    checked, weights, convention, _ = prepare_ms_ssim(one, one, data_range, mask, weights, convention, layout, k1, k2)
    return _structural_comparison(weights, convention), _shared(checked, layout)


def _shared(checked: CheckedInputs, layout: Layout) -> Shared:
    return Shared(checked.data_range, _weight_of_mask(checked.mask, checked.x, layout), checked.constants)


class Scale(NamedTuple):
    """An image at one scale, with the moments of its windows."""

    image: CentredImage
    mean: jax.Array
    var: jax.Array


@functools.cache
def _structural_comparison(weights: tuple[float, ...] | None, convention: Convention) -> Comparison:
    """Returns the comparison of MS-SSIM, or of SSIM if `weights` is None.

    Only the moments of the difference depend on both images. Those of the sum follow from them and from each image's.
    Cached, so that `jax.jit` gets the same static argument again.
    """
    taps = convention.window.taps(2)
    formulas = formulas_of_scales(1 if weights is None else len(weights))

    def scales(image: jax.Array, shared: Shared) -> list[Scale]:
        scale = 1 / canonical_data_range(shared.data_range, image, Layout(2, -1))
        (offset,) = offsets([image], shared.weight, 2)
        centred = centre(image, offset, scale, shared.weight)
        centred = resampling.downsample(centred, convention.downsample, 2)
        at_scales = []
        for coarser in range(len(formulas)):
            if coarser:
                centred = resampling.halve(centred, taps)
            padded = resampling.pad(centred, taps, convention.padding) if convention.average == "all" else centred
            mean, var, _ = moments_of_image(padded, taps)
            at_scales.append(Scale(padded, mean, var))
        return at_scales

    def one_minus(x: Scale, y: Scale, formula: Formula, constants: Constants | None) -> jax.Array:
        v = CentredImage(x.image.centred - y.image.centred, x.image.offset - y.image.offset, x.image.weight)
        mean_v, var_v, _ = moments_of_image(v, taps)
        var_u = jnp.maximum(2 * (x.var + y.var) - var_v, 0)
        values = formula(WindowStatistics(x.mean + y.mean, mean_v, var_u, var_v, None, constants), convention, taps)
        weight, channels = centre_weights(v.weight, taps), v.centred.shape[-1]
        values, weight = strided((values, weight), convention.stride, channels, 2)
        return mean_of_values(values, weight, channels, 2)

    def similarity(x: list[Scale], y: list[Scale], shared: Shared) -> jax.Array:
        ds = [one_minus(a, b, formula, shared.constants) for a, b, formula in zip(x, y, formulas, strict=True)]
        return 1 - channel_mean(ds[0] if weights is None else one_minus_weighted_product(ds, weights))

    return Comparison(scales, similarity)


def _compare_cw_ssim(
    one: jax.Array,
    layout: Layout,
    *,
    levels: int = 4,
    orientations: int = 8,
    guard: int = 0,
    k: float = 0.0,
    mask: Any = None,
) -> tuple[Comparison, Any]:
    *_, k_array, weight, setting = prepare_cw_ssim(one, one, levels, orientations, guard, k, mask, layout)
    return _wavelet_comparison(setting), (k_array, weight)


@functools.cache
def _wavelet_comparison(setting: Setting) -> Comparison:
    """Returns the comparison of CW-SSIM, whose features are the pyramid. Cached as `_structural_comparison` is."""

    def bands_of(image: jax.Array, _: jax.Array) -> Bands:
        return bands(jnp.moveaxis(image, -1, 0), setting)

    def similarity(x: Bands, y: Bands, shared: tuple[jax.Array, jax.Array | None]) -> jax.Array:
        return 1 - one_minus_cw_ssim_of_bands(x, y, *shared)

    return Comparison(bands_of, similarity)


def name_of_metric(metric: Any) -> str | Callable[..., jax.Array]:
    """Returns the name of a metric of jaxssim, given by name or as a function, or the function itself if it is not."""
    if isinstance(metric, str) and metric in FUNCTIONS:
        return metric if metric in COMPARISONS else FUNCTIONS[metric]
    if callable(metric):
        return next((name for name in COMPARISONS if FUNCTIONS[name] is metric), metric)
    raise ValueError(f"metric must be one of {', '.join(map(repr, FUNCTIONS))} or a function, got {metric!r}")


COMPARISONS: dict[str, Callable[..., tuple[Comparison, Any]]] = {
    "mse": _compare_mse,
    "mae": _compare_mae,
    "psnr": _compare_psnr,
    "ssim": _compare_ssim,
    "ms_ssim": _compare_ms_ssim,
    "cw_ssim": _compare_cw_ssim,
}
FUNCTIONS: dict[str, Callable[..., jax.Array]] = {
    function.__name__: function for function in (mse, mae, psnr, ssim, ms_ssim, cw_ssim, iw_ssim, ssimulacra2)
}
