"""Mean and variance of every window of an image, and of the sum and difference of two images, with derivatives.

With F the mean over a window, which is linear:

    dm = F dx        dV = 2 F (x dx) - 2 m dm
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxssim._core import derivatives, images, xla
from jaxssim._core.filtering import WindowMoments, weighted_sum, window_moments
from jaxssim._core.images import CentredImage, ImagePair, SumDifference
from jaxssim.conventions import Taps


class WindowStatistics(NamedTuple):
    """Statistics of the sum u and the difference v of two images over each window, in units of the data range.

    Channels are folded into the last spatial axis, which makes the inner loop long.
    """

    mean_u: jax.Array
    mean_v: jax.Array
    var_u: jax.Array
    var_v: jax.Array
    weight: jax.Array | None = None  # the sum of the mask under each window, 0 where the window holds no pixel of it


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def window_statistics(pair: ImagePair | SumDifference, taps: Taps) -> WindowStatistics:
    """Returns the statistics of every window that lies inside two images."""
    return _statistics_of_pair(taps, pair)


def _statistics_of_pair(taps: Taps, pair: ImagePair | SumDifference) -> WindowStatistics:
    return statistics_of(*pair.sum_and_difference(), taps)


@functools.partial(window_statistics.defjvp, symbolic_zeros=True)
def _window_statistics_jvp(taps, primals, tangents):  # type: ignore[no-untyped-def]
    """Where one image alone has a tangent dx, du = dx and dv = ±dx: F dx serves both, one filter less."""
    (pair,), (tangent,) = primals, tangents
    nonzero = derivatives.nonzero_tangents(tangent)
    if not isinstance(pair, ImagePair) or set(nonzero) not in ({0}, {1}):
        return derivatives.jvp_along(functools.partial(_statistics_of_pair, taps), pair, nonzero)
    ((which, tangent),) = nonzero.items()
    dimage, sign = pair.scaled_tangent(tangent), (1, -1)[which]
    u, v = pair.sum_and_difference()
    weight, channels = _folded_weight(u), u.centred.shape[-1]
    moments_u, moments_v = (
        window_moments(images.fold(image.centred), weight, taps, channels, fuse_last=False) for image in (u, v)
    )
    dmean, dvar_u = _moments_tangent(images.fold(u.centred), dimage, weight, moments_u, taps, channels)
    _, dvar_v = _moments_tangent(images.fold(v.centred), dimage, weight, moments_v, taps, channels, dmean)
    statistics = _joined(_add_offset(u.offset, moments_u), _add_offset(v.offset, moments_v))
    return statistics, WindowStatistics(dmean, sign * dmean, dvar_u, sign * dvar_v, _zero_tangent(statistics.weight))


def statistics_of(u: CentredImage, v: CentredImage, taps: Taps) -> WindowStatistics:
    """Returns the statistics of every window that lies inside the sum u and the difference v of two images."""
    return _joined(moments(u, taps), moments(v, taps))


def moments(image: CentredImage, taps: Taps) -> WindowMoments:
    """Returns mean, variance and weight of every window that lies inside an image."""
    folded, channels = images.fold(image.centred), image.centred.shape[-1]
    return _add_offset(image.offset, _moments(folded, _folded_weight(image), taps, channels))


def _joined(moments_u: WindowMoments, moments_v: WindowMoments) -> WindowStatistics:
    (mean_u, var_u, weight), (mean_v, var_v, _) = moments_u, moments_v
    return WindowStatistics(mean_u, mean_v, var_u, var_v, weight)


def _folded_weight(image: CentredImage) -> jax.Array | None:
    return None if image.weight is None else images.fold(image.weight)


def _add_offset(offset: jax.Array, moments: WindowMoments) -> WindowMoments:
    mean, variance, weight = moments
    return mean + xla.repeat_along_row(offset, mean), variance, weight


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _moments(image: jax.Array, weight: jax.Array | None, taps: Taps, channels: int) -> WindowMoments:
    """Returns the moments of a folded image; mean and variance are 0 where a window holds no pixel of the mask."""
    return window_moments(image, weight, taps, channels, fuse_last=True)


@_moments.defjvp
def _moments_jvp(taps, channels, primals, tangents):  # type: ignore[no-untyped-def]
    (image, weight), (dimage, _) = primals, tangents
    moments = window_moments(image, weight, taps, channels, fuse_last=False)
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


def _zero_tangent(weight: jax.Array | None) -> jax.Array | None:
    return None if weight is None else jnp.zeros_like(weight)
