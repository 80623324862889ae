"""Local means and variances of two images, and a pointwise formula of these mapped or averaged over all windows.

The statistics are those of the sum u = x + y and of the difference v = x - y. They say all that SSIM asks, since
var x + var y = (var u + var v) / 2 and cov(x, y) = (var u - var v) / 4, and the difference of two images that are
nearly the same is known to every digit, where 1 minus a similarity near 1 is not.

Windows are separable, and so is the law of total variance: with the means m and variances V of the windows that span
the axes done so far, one further axis of weights w gives

    m' = Σ w m        V' = Σ w V + Σ w (m - m')²

and no step subtracts two large numbers, as E[x²] - E[x]² does.

A mask is the same law with a third quantity carried along the axes, the weight W of the windows so far:

    W' = Σ w W        m' = Σ w W m / W'        V' = Σ w W (V + (m - m')²) / W'
"""

import functools
import math
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import lax

from jaxssim import inputs, masks
from jaxssim.arguments import Pair
from jaxssim.filtering import separate, shifts, weighted_sum
from jaxssim.inputs import Layout
from jaxssim.resampling import Field, crop
from jaxssim.windows import Taps

Windows = tuple[Taps, ...]  # along every spatial axis


class Local(NamedTuple):
    """Statistics of the sum u and the difference v of two images over each window, in units of the data range.

    Channels are folded into the last spatial axis: the inner loop is long.
    """

    mean_u: jax.Array
    mean_v: jax.Array
    var_u: jax.Array
    var_v: jax.Array
    weight: jax.Array | None = None  # of each window's pixels under a mask: 0 where it holds none that count


def sum_and_difference(pair: Pair, layout: Layout) -> tuple[Field, Field]:
    """x + y and x - y in units of the data range."""
    dtype, spatial_ndim = inputs.statistics_type(pair.x, pair.y), layout.spatial_ndim
    x, y = (inputs.canonical(image, layout, dtype) for image in (pair.x, pair.y))
    scale = 1 / inputs.canonical_range(pair.data_range, x, layout)
    mask = masks.canonical(pair.mask, x, pair.x.shape, layout)
    if mask is not None:
        x, y = (jnp.where(mask > 0, image, 0) for image in (x, y))
    channels = x.shape[-1]
    levels = tuple(level(image, mask, spatial_ndim) for image in (x, y, x - y))
    level_x, level_y, level_v = levels
    row_x, row_y, row_v = (jnp.tile(constant[..., 0, :], x.shape[-2]) for constant in levels)
    # Before any product, the levels go: x - level is exact where it matters, and x - y is where x and y are close.
    x, y, folded = fold(x), fold(y), scale[..., 0]
    u = ((x - row_x) + (y - row_y)) * folded
    v = ((x - y) - row_v) * folded
    u, v = lax.optimization_barrier((u, v))
    if mask is not None:
        u, v = (jnp.where(fold(mask) > 0, image, 0) for image in (u, v))
    return (
        Field(unfold(u, channels), (level_x + level_y) * scale, mask),
        Field(unfold(v, channels), level_v * scale, mask),
    )


def local(u: Field, v: Field, taps: Windows) -> Local:
    """The statistics of every window that lies inside the images."""
    mean_u, var_u, weight = moments(u, taps)
    mean_v, var_v, _ = moments(v, taps)
    return Local(mean_u, mean_v, var_u, var_v, weight)


def moments(field: Field, taps: Windows) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Mean, variance and weight of each window, channels folded."""
    channels = field.about.shape[-1]
    mean, variance = fold(field.about), cast(jax.Array, None)  # a pixel alone does not vary
    weight = None if field.weight is None else fold(field.weight)
    for axis, weights in enumerate(taps, start=-len(taps)):
        step = channels if axis == -1 else 1
        if weight is None:
            mean, variance = _total_variance(mean, variance, weights, axis, step)
        else:
            variance = jnp.zeros_like(mean) if variance is None else variance
            total = weighted_sum(weight, weights, axis=axis, step=step)
            mean, variance = _masked_total_variance(mean, variance, weight, total, weights, axis, step)
            weight = total
    return mean + jnp.tile(field.level[..., 0, :], mean.shape[-1] // channels), variance, weight


def average(values: jax.Array, field: Field, taps: Windows) -> jax.Array:
    """The mean of folded values over the windows of a field, one a channel: (*batch, channels).

    A window counts by the weight of the pixel at its centre; where none does, the mean is 0. A sum of millions rounds;
    that of what is left when a first mean is taken off hardly does.
    """
    spatial_ndim, channels = len(taps), field.about.shape[-1]
    axes = tuple(range(-1 - spatial_ndim, -1))
    weight = crop(field, tuple((radius, radius) for radius in radii(taps))).weight
    if weight is None:
        folded = tuple(range(-spatial_ndim, 0))
        pilot = lax.stop_gradient(values.mean(folded, keepdims=True))
        columns = (values - pilot).mean(folded[:-1])
        return pilot.squeeze(folded)[..., None] + unfold(columns, channels).mean(-2)
    values = unfold(values, channels)
    total = weight.sum(axes, keepdims=True)
    share = weight / jnp.where(total == 0, 1, total)
    pilot = lax.stop_gradient((values * share).sum(axes, keepdims=True))
    return (pilot * (total != 0) + ((values - pilot) * share).sum(axes, keepdims=True)).squeeze(axes)


def level(x: jax.Array, mask: jax.Array | None, spatial_ndim: int) -> jax.Array:
    """The value nearest 0 among all but the extreme pixels of a channel: (*batch, 1, .., 1, channels).

    Taking it off keeps the digits of images far from 0, and leaves those of dark regions to others as they are; a few
    dead pixels do not move it. A sparse grid tells it well enough. As it is put back later, it is a constant to
    derivatives.
    """
    steps = (max(1, n // round(64 ** (1 / spatial_ndim))) for n in x.shape[-1 - spatial_ndim : -1])
    grid = (..., *(slice(None, None, step) for step in steps), slice(None))
    sample = x[grid] if mask is None else jnp.where(mask[grid] > 0, x[grid], jnp.nan)
    *batch, channels = sample.shape[: -1 - spatial_ndim] + sample.shape[-1:]
    pixels = math.prod(sample.shape[-1 - spatial_ndim : -1])
    ordered = jnp.sort(sample.reshape(*batch, pixels, channels), -2)  # NaN comes last
    rank = lax.broadcasted_iota(x.dtype, ordered.shape, len(batch))
    last = (~jnp.isnan(ordered)).sum(-2, keepdims=True) - 1
    low, high = (
        jnp.where(rank == jnp.round(share * last), ordered, 0).sum(-2, keepdims=True) for share in (0.05, 0.95)
    )
    if mask is not None:  # of which the grid may have met nothing
        axes = tuple(range(-1 - spatial_ndim, -1))
        low = jnp.where(last < 0, jnp.where(mask > 0, x, jnp.inf).min(axes)[..., None, :], low)
        high = jnp.where(last < 0, jnp.where(mask > 0, x, -jnp.inf).max(axes)[..., None, :], high)
    nearest = jnp.clip(jnp.zeros_like(low), low, high)
    constant = lax.stop_gradient(jnp.where(jnp.isfinite(nearest), nearest, 0))
    # The barrier keeps XLA from choosing the level anew at every pixel.
    return lax.optimization_barrier(constant.reshape(*batch, *(1,) * spatial_ndim, channels))


def radii(taps: Windows) -> tuple[int, ...]:
    """Pixels from a window's centre to its edge, along each axis."""
    return tuple(len(weights) // 2 for weights in taps)


def fold(image: jax.Array) -> jax.Array:
    """(.., width, channels) as (.., width * channels)."""
    return image.reshape(*image.shape[:-2], image.shape[-2] * image.shape[-1])


def unfold(image: jax.Array, channels: int) -> jax.Array:
    """The inverse of `fold`."""
    return image.reshape(*image.shape[:-1], image.shape[-1] // channels, channels)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4))
def _total_variance(
    mean: jax.Array, variance: jax.Array | None, taps: Taps, axis: int, step: int
) -> tuple[jax.Array, jax.Array]:
    """The law of total variance along one more axis, about the window's central value m_c.

    With d = m - m_c: m' = m_c + Σ w d and V' = Σ w (V + d²) - (Σ w d)². The central d is 0, so by Cauchy and Schwarz
    (Σ w d)² is at most 1 - w_c of Σ w d²: little cancels, and V' is never negative. Taps go in pairs from the rim
    inwards, small weights first, since that rounds least.
    """
    radius = len(taps) // 2

    def law(mean: jax.Array, variance: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        m = shifts(mean, len(taps), axis=axis, step=step)
        v = shifts(jnp.zeros_like(mean) if variance is None else variance, len(taps), axis=axis, step=step)
        offset, square = (jnp.zeros_like(m[radius]) for _ in range(2))
        for k in range(radius):
            left, right = m[k] - m[radius], m[-1 - k] - m[radius]
            offset += taps[k] * (left + right)
            square += taps[k] * (left**2 + right**2 + (v[k] + v[-1 - k]))
        return m[radius] + offset, square + taps[radius] * v[radius] - offset**2

    return separate(law)(mean, variance)


@_total_variance.defjvp
def _total_variance_jvp(taps, axis, step, primals, tangents):  # type: ignore[no-untyped-def]
    """dm' = F dm and dV' = F (dV + 2 m dm) - 2 m' dm', with F the weighted sum, which is linear."""
    (mean, variance), (dmean, dvariance) = primals, tangents
    out_mean, out_variance = _total_variance(mean, variance, taps, axis, step)
    along = functools.partial(weighted_sum, taps=taps, axis=axis, step=step)
    dsquare = 2 * mean * dmean if variance is None else dvariance + 2 * mean * dmean
    out_dmean = along(dmean)
    return (out_mean, out_variance), (out_dmean, along(dsquare) - 2 * out_mean * out_dmean)


@functools.partial(jax.custom_jvp, nondiff_argnums=(4, 5, 6))
def _masked_total_variance(
    mean: jax.Array, variance: jax.Array, weight: jax.Array, total: jax.Array, taps: Taps, axis: int, step: int
) -> tuple[jax.Array, jax.Array]:
    """The same law by weight; 0 and 0 where a window has none. `total` is the weighted sum of `weight`."""

    def law(mean: jax.Array, variance: jax.Array, weight: jax.Array, total: jax.Array) -> tuple[jax.Array, jax.Array]:
        m, v, w = (shifts(array, len(taps), axis=axis, step=step) for array in (mean, variance, weight))
        total = jnp.where(total == 0, 1, total)
        w = [tap * part for tap, part in zip(taps, w, strict=True)]
        nothing = jnp.zeros_like(m[0])
        rough = sum((a * b for a, b in zip(w, m, strict=True)), nothing) / total
        # Shares do not quite add up to 1: once more about that mean, and what is constant stays so.
        centre = rough + sum((a * (b - rough) for a, b in zip(w, m, strict=True)), nothing) / total
        spread = (a * (c + (b - centre) ** 2) for a, b, c in zip(w, m, v, strict=True))
        return centre, sum(spread, nothing) / total

    return separate(law)(mean, variance, weight, total)


@_masked_total_variance.defjvp
def _masked_total_variance_jvp(taps, axis, step, primals, tangents):  # type: ignore[no-untyped-def]
    (mean, _, weight, total), (dmean, dvariance, _, _) = primals, tangents
    out_mean, out_variance = _masked_total_variance(*primals, taps, axis, step)

    def along(image: jax.Array) -> jax.Array:
        return weighted_sum(weight * image, taps, axis=axis, step=step) / jnp.where(total == 0, 1, total)

    out_dmean = along(dmean)
    return (out_mean, out_variance), (out_dmean, along(dvariance + 2 * mean * dmean) - 2 * out_mean * out_dmean)
