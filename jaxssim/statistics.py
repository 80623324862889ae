"""Local means and variances: the law of total variance, one axis at a time.

Windows are separable, and so is the law: with the means m and variances V of the windows that span the axes done so
far, one further axis of weights w gives

    m' = Σ w m        V' = Σ w V + Σ w (m - m')²

and no step subtracts two large numbers, as E[x²] - E[x]² does.

A mask is the same law with a third quantity carried along the axes, the weight W of the windows so far:

    W' = Σ w W        m' = Σ w W m / W'        V' = Σ w W (V + (m - m')²) / W'
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import lax

from jaxssim.fields import along_row, fold
from jaxssim.filtering import axes, paired_sum, separate, shifts, sum_along, weighted_sum
from jaxssim.resampling import Field
from jaxssim.windows import Taps, Windows

Pass = Callable[..., tuple[jax.Array, jax.Array]]


class Local(NamedTuple):
    """Statistics of the sum u and the difference v of two images over each window, in units of the data range.

    Channels are folded into the last spatial axis: the inner loop is long.
    """

    mean_u: jax.Array
    mean_v: jax.Array
    var_u: jax.Array
    var_v: jax.Array
    weight: jax.Array | None = None  # of each window's pixels under a mask: 0 where it holds none that count


def local(u: Field, v: Field, taps: Windows) -> Local:
    """The statistics of every window that lies inside the images."""
    mean_u, var_u, weight = moments(u, taps)
    mean_v, var_v, _ = moments(v, taps)
    return Local(mean_u, mean_v, var_u, var_v, weight)


def moments(field: Field, taps: Windows) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Mean, variance and weight of each window, channels folded."""
    weight = None if field.weight is None else fold(field.weight)
    mean, variance, weight = _moments(fold(field.about), weight, taps, field.about.shape[-1])
    return mean + along_row(field.level, mean), variance, weight


def radii(taps: Windows) -> tuple[int, ...]:
    """Pixels from a window's centre to its edge, along each axis."""
    return tuple(len(weights) // 2 for weights in taps)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _moments(
    image: jax.Array, weight: jax.Array | None, taps: Windows, channels: int
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Mean and variance of a folded image over each window; 0 and 0 where a mask leaves nothing, and what it leaves."""
    return _passes(image, weight, taps, channels, last=_total_variance)  # which may fuse with what is made of it


def _passes(
    image: jax.Array, weight: jax.Array | None, taps: Windows, channels: int, last: Pass
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """The law along an axis after the other; `last` is its form along the last one."""
    mean, variance = image, cast(jax.Array, None)  # a pixel alone does not vary
    for axis, weights, step in axes(taps, channels):
        along = dict(taps=weights, axis=axis, step=step)
        if weight is None:
            mean, variance = (last if axis == -1 else _total_variance_apart)(mean, variance, **along)
        else:
            total = sum_along(weight, **along)
            mean, variance = _masked_total_variance(mean, variance, weight, total, **along)
            weight = total
    return mean, variance, weight


@_moments.defjvp
def _moments_jvp(taps, channels, primals, tangents):  # type: ignore[no-untyped-def]
    """dm = F dx and dV = 2 F (x dx) - 2 m dm, with F the mean over a window, which is linear."""
    (image, weight), (dimage, _) = primals, tangents
    mean, variance, total = _passes(image, weight, taps, channels, last=_total_variance_apart)

    def window_mean(values: jax.Array) -> jax.Array:
        if weight is None or total is None:
            return weighted_sum(values, taps, channels=channels)
        return weighted_sum(weight * values, taps, channels=channels) / jnp.where(total == 0, 1, total)

    dmean = window_mean(dimage)
    dvariance = 2 * (window_mean(image * dimage) - mean * dmean)
    return (mean, variance, total), (dmean, dvariance, None if total is None else jnp.zeros_like(total))


def _total_variance(
    mean: jax.Array, variance: jax.Array | None, *, taps: Taps, axis: int, step: int
) -> tuple[jax.Array, jax.Array]:
    """The law of total variance along one more axis, about the window's central value m_c.

    With d = m - m_c: m' = m_c + Σ w d and V' = Σ w (V + d²) - (Σ w d)². The central d is 0, so by Cauchy and Schwarz
    (Σ w d)² is at most 1 - w_c of Σ w d²: little cancels, and V' is never negative.
    """
    m = shifts(mean, len(taps), axis=axis, step=step)
    centre = m[len(taps) // 2]
    d = [lax.sub(part, centre) for part in m]
    offset = paired_sum(d, taps)
    squares = [lax.square(part) for part in d]
    if variance is not None:
        squares = list(map(lax.add, squares, shifts(variance, len(taps), axis=axis, step=step)))
    return centre + offset, paired_sum(squares, taps) - offset**2


_total_variance_apart = separate(_total_variance)


@separate
def _masked_total_variance(
    mean: jax.Array,
    variance: jax.Array | None,
    weight: jax.Array,
    total: jax.Array,
    *,
    taps: Taps,
    axis: int,
    step: int,
) -> tuple[jax.Array, jax.Array]:
    """The same law by weight, whose sum is `total`; 0 and 0 where a window has none."""
    variance = jnp.zeros_like(mean) if variance is None else variance
    m, v, w = (shifts(array, len(taps), axis=axis, step=step) for array in (mean, variance, weight))
    total = jnp.where(total == 0, 1, total)
    w = [tap * part for tap, part in zip(taps, w, strict=True)]
    nothing = jnp.zeros_like(m[0])
    rough = sum((a * b for a, b in zip(w, m, strict=True)), nothing) / total
    # Shares do not quite add up to 1: once more about that mean, and what is constant stays so.
    centre = rough + sum((a * (b - rough) for a, b in zip(w, m, strict=True)), nothing) / total
    spread = (a * (c + (b - centre) ** 2) for a, b, c in zip(w, m, v, strict=True))
    return centre, sum(spread, nothing) / total
