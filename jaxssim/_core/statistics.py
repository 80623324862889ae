"""Mean and variance of every window of an image, and of the sum and difference of two images, with derivatives.

With F the mean over a window, which is linear:

    dm = F dx        dV = 2 F (x dx) - 2 m dm
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxssim._core import images, jvp, xla
from jaxssim._core.filtering import WindowMoments, moments_by_passes, weighted_sum
from jaxssim._core.gpu import moments_of_both
from jaxssim._core.images import CentredImage, Constants, ImagePair, Pair
from jaxssim.conventions import Taps


class WindowStatistics(NamedTuple):
    """Statistics over each window of sum u and difference v of two images, folded, in units of the data range."""

    mean_u: jax.Array
    mean_v: jax.Array
    var_u: jax.Array
    var_v: jax.Array
    weight: jax.Array | None = None  # of the mask under each window; 0 where no pixel of the window counts
    constants: Constants | None = None


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def window_statistics(pair: Pair, taps: Taps) -> WindowStatistics:
    """Returns the statistics of every window that lies inside two images."""
    u, v = images.stored_sum_and_difference(pair)
    return _statistics_of_pair(pair, u, v, *_moments_of_pair(pair, u, v, taps, fuse_last=True))


def _statistics_of(taps: Taps, pair: Pair) -> WindowStatistics:
    return statistics_of_sum_difference(*images.stored_sum_and_difference(pair), taps, pair.constants)


@functools.partial(window_statistics.defjvp, symbolic_zeros=True)
def _window_statistics_jvp(taps, primals, tangents):  # type: ignore[no-untyped-def]
    """Computes F dx once for u and v where only one image has a tangent: du = dx and dv = ±dx."""
    (pair,), (tangent,) = primals, tangents
    nonzero = jvp.nonzero_tangents(tangent)
    if not isinstance(pair, ImagePair) or set(nonzero) not in ({0}, {1}):
        return jvp.jvp_along(functools.partial(_statistics_of, taps), pair, nonzero)
    ((which, dx),) = nonzero.items()
    dimage, sign = pair.scaled_tangent(dx), (1, -1)[which]
    u, v = images.stored_sum_and_difference(pair)
    weight, channels = _folded_weight(u), u.centred.shape[-1]
    moments_u, moments_v = _moments_of_pair(pair, u, v, taps, fuse_last=False)
    dmean, dvar_u = _moments_tangent(images.fold(u.centred), dimage, weight, moments_u, taps, channels)
    _, dvar_v = _moments_tangent(images.fold(v.centred), dimage, weight, moments_v, taps, channels, dmean)
    statistics = _statistics_of_pair(pair, u, v, moments_u, moments_v)
    zeros = _zero_tangent(statistics[4:])  # of the weight and of the constants
    return statistics, WindowStatistics(dmean, sign * dmean, dvar_u, sign * dvar_v, *zeros)


def _statistics_of_pair(
    pair: Pair, u: CentredImage, v: CentredImage, moments_u: WindowMoments, moments_v: WindowMoments
) -> WindowStatistics:
    return _statistics_from_moments(_add_offset(u.offset, moments_u), _add_offset(v.offset, moments_v), pair.constants)


def _moments_of_pair(
    pair: Pair, u: CentredImage, v: CentredImage, taps: Taps, *, fuse_last: bool
) -> tuple[WindowMoments, WindowMoments]:
    """Returns the moments of every window of a pair's sum `u` and difference `v`, less their offsets."""

    def of_each(_: Pair, u: CentredImage, v: CentredImage) -> tuple[WindowMoments, WindowMoments]:
        weight, channels = _folded_weight(u), u.centred.shape[-1]
        moments_u, moments_v = (
            moments_by_passes(images.fold(image.centred), weight, taps, channels, fuse_last=fuse_last)
            for image in (u, v)
        )
        return moments_u, moments_v

    if pair.weight is not None:
        return of_each(pair, u, v)
    return xla.on_gpu(lambda pair, u, v: moments_of_both(taps, pair), of_each, pair, u, v)


def statistics_of_sum_difference(
    u: CentredImage, v: CentredImage, taps: Taps, constants: Constants | None
) -> WindowStatistics:
    """Returns the statistics of every window that lies inside the sum u and the difference v of two images."""
    return _statistics_from_moments(moments_of_image(u, taps), moments_of_image(v, taps), constants)


def moments_of_image(image: CentredImage, taps: Taps) -> WindowMoments:
    """Returns mean, variance and weight of every window that lies inside an image."""
    folded, channels = images.fold(image.centred), image.centred.shape[-1]
    return _add_offset(image.offset, _moments_of_folded(folded, _folded_weight(image), taps, channels))


def _statistics_from_moments(
    moments_u: WindowMoments, moments_v: WindowMoments, constants: Constants | None
) -> WindowStatistics:
    (mean_u, var_u, weight), (mean_v, var_v, _) = moments_u, moments_v
    return WindowStatistics(mean_u, mean_v, var_u, var_v, weight, jax.tree.map(images.fold, constants))


def _folded_weight(image: CentredImage) -> jax.Array | None:
    return None if image.weight is None else images.fold(image.weight)


def _add_offset(offset: jax.Array, moments: WindowMoments) -> WindowMoments:
    mean, variance, weight = moments
    return mean + xla.repeat_along_row(offset, mean), variance, weight


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _moments_of_folded(image: jax.Array, weight: jax.Array | None, taps: Taps, channels: int) -> WindowMoments:
    """Returns the moments of every window of a folded image, with derivatives."""
    return moments_by_passes(image, weight, taps, channels, fuse_last=True)


@_moments_of_folded.defjvp
def _moments_of_folded_jvp(taps, channels, primals, tangents):  # type: ignore[no-untyped-def]
    (image, weight), (dimage, _) = primals, tangents
    moments = moments_by_passes(image, weight, taps, channels, fuse_last=False)
    return moments, (*_moments_tangent(image, dimage, weight, moments, taps, channels), _zero_tangent(moments[2]))


def _moments_tangent(
    image: jax.Array,
    dimage: jax.Array,
    weight: jax.Array | None,
    moments: WindowMoments,
    taps: Taps,
    channels: int,
    dmean: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Returns dm = F dx, unless `dmean` is given, and dV = 2 F (x dx) - 2 m dm."""
    mean, _, total = moments

    def window_mean(values: jax.Array) -> jax.Array:
        if weight is None or total is None:
            return weighted_sum(values, taps, channels=channels)
        return weighted_sum(weight * values, taps, channels=channels) / jnp.where(total == 0, 1, total)

    dmean = window_mean(dimage) if dmean is None else dmean
    return dmean, 2 * (window_mean(image * dimage) - mean * dmean)


def _zero_tangent(arrays: Any) -> Any:
    return jax.tree.map(jnp.zeros_like, arrays)
