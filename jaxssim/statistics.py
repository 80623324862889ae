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

from jaxssim import derivatives
from jaxssim.fields import Images, Source, along_row, fold
from jaxssim.filtering import axes, paired_sum, separate, shifts, sum_along, weighted_sum
from jaxssim.resampling import Field
from jaxssim.windows import Taps, Windows

Pass = Callable[..., tuple[jax.Array, jax.Array]]
Moments = tuple[jax.Array, jax.Array, jax.Array | None]  # mean, variance and weight of each window, channels folded


class Local(NamedTuple):
    """Statistics of the sum u and the difference v of two images over each window, in units of the data range.

    Channels are folded into the last spatial axis: the inner loop is long.
    """

    mean_u: jax.Array
    mean_v: jax.Array
    var_u: jax.Array
    var_v: jax.Array
    weight: jax.Array | None = None  # of each window's pixels under a mask: 0 where it holds none that count


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def of(source: Source, taps: Windows) -> Local:
    """The statistics of every window that lies inside two images."""
    return _of_both(taps, source)


def _of_both(taps: Windows, source: Source) -> Local:
    return local(*source.fields(), taps)


@functools.partial(of.defjvp, symbolic_zeros=True)
def _of_jvp(taps, primals, tangents):  # type: ignore[no-untyped-def]
    """An image that moves alone moves u and v alike, but for a sign: F dx serves both, a filter less than for two."""
    (source,), (along,) = primals, tangents
    moving = derivatives.moves(along)
    if not isinstance(source, Images) or set(moving) not in ({0}, {1}):
        return derivatives.along(functools.partial(_of_both, taps), source, moving)
    ((which, tangent),) = moving.items()
    dimage, sign = source.moved(tangent), (1, -1)[which]
    u, v = source.fields()
    weight, channels = _weight(u), u.about.shape[-1]
    of_u, of_v = (_passes(fold(field.about), weight, taps, channels, last=_total_variance_apart) for field in (u, v))
    dmean, dvar_u = _differential(fold(u.about), dimage, weight, of_u, taps, channels)
    _, dvar_v = _differential(fold(v.about), dimage, weight, of_v, taps, channels, dmean)
    found = _local(_about(u.level, of_u), _about(v.level, of_v))
    return found, Local(dmean, sign * dmean, dvar_u, sign * dvar_v, _unmoved(found.weight))


def local(u: Field, v: Field, taps: Windows) -> Local:
    """The statistics of every window that lies inside two images, of their sum and difference."""
    return _local(moments(u, taps), moments(v, taps))


def _local(of_u: Moments, of_v: Moments) -> Local:
    (mean_u, var_u, weight), (mean_v, var_v, _) = of_u, of_v
    return Local(mean_u, mean_v, var_u, var_v, weight)


def moments(field: Field, taps: Windows) -> Moments:
    """Those of every window that lies inside an image."""
    return _about(field.level, _moments(fold(field.about), _weight(field), taps, field.about.shape[-1]))


def _weight(field: Field) -> jax.Array | None:
    return None if field.weight is None else fold(field.weight)


def _about(level: jax.Array, moments: Moments) -> Moments:
    mean, variance, weight = moments
    return mean + along_row(level, mean), variance, weight


def radii(taps: Windows) -> tuple[int, ...]:
    """Pixels from a window's centre to its edge, along each axis."""
    return tuple(len(weights) // 2 for weights in taps)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _moments(image: jax.Array, weight: jax.Array | None, taps: Windows, channels: int) -> Moments:
    """Mean and variance of a folded image over each window; 0 and 0 where a mask leaves nothing, and what it leaves."""
    return _passes(image, weight, taps, channels, last=_total_variance)  # which may fuse with what is made of it


def _passes(image: jax.Array, weight: jax.Array | None, taps: Windows, channels: int, last: Pass) -> Moments:
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
    (image, weight), (dimage, _) = primals, tangents
    found = _passes(image, weight, taps, channels, last=_total_variance_apart)
    return found, (*_differential(image, dimage, weight, found, taps, channels), _unmoved(found[2]))


def _unmoved(weight: jax.Array | None) -> jax.Array | None:
    return None if weight is None else jnp.zeros_like(weight)


def _differential(
    image: jax.Array,
    dimage: jax.Array,
    weight: jax.Array | None,
    found: Moments,
    taps: Windows,
    channels: int,
    dmean: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """dm = F dx and dV = 2 F (x dx) - 2 m dm, with F the mean over a window, which is linear."""
    mean, _, total = found

    def window_mean(values: jax.Array) -> jax.Array:
        if weight is None or total is None:
            return weighted_sum(values, taps, channels=channels)
        return weighted_sum(weight * values, taps, channels=channels) / jnp.where(total == 0, 1, total)

    dmean = window_mean(dimage) if dmean is None else dmean
    return dmean, 2 * (window_mean(image * dimage) - mean * dmean)


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
