"""Local means and variances of two images, and a pointwise formula of these mapped or averaged over all windows.

The statistics are those of the sum u = x + y and of the difference v = x - y. They say all that SSIM asks, since
var x + var y = (var u + var v) / 2 and cov(x, y) = (var u - var v) / 4, and the difference of two images that are
nearly the same is known to every digit, where 1 minus a similarity near 1 is not.

Windows are separable, and so is the law of total variance: with the means m and variances V of the windows that span
the axes done so far, one further axis of weights w gives

    m' = Σ w m        V' = Σ w V + Σ w (m - m')²

and no step subtracts two large numbers, as E[x²] - E[x]² does.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import lax

from jaxssim.filtering import separate, shifts, weighted_sum

Taps = tuple[float, ...]  # along one axis
Windows = tuple[Taps, ...]  # along every spatial axis


class Local(NamedTuple):
    """Statistics of the sum u and the difference v of two images over each window, in units of the data range."""

    mean_u: jax.Array
    mean_v: jax.Array
    var_u: jax.Array
    var_v: jax.Array


Formula = Callable[[Local], jax.Array]


def local_map(formula: Formula, x: jax.Array, y: jax.Array, data_range: jax.Array, taps: Windows) -> jax.Array:
    """`formula` at every window that lies inside the images.

    Args:
        formula: pointwise.
        x: floating, (*batch, *spatial, channels).
        y: as `x`.
        data_range: (*batch,).
        taps: weights along each spatial axis.

    Returns:
        (*batch, *spatial_out, channels).
    """
    folded = formula(_local(x, y, data_range, taps))
    return folded.reshape(*folded.shape[:-1], folded.shape[-1] // x.shape[-1], x.shape[-1])


def local_mean(formula: Formula, x: jax.Array, y: jax.Array, data_range: jax.Array, taps: Windows) -> jax.Array:
    """The mean of `local_map` over windows and channels, one value an image: (*batch,)."""
    values = formula(_local(x, y, data_range, taps))
    axes = tuple(range(-len(taps), 0))
    # A sum of millions rounds; that of what is left when a first mean is taken off hardly does.
    pilot = lax.stop_gradient(values.mean(axes, keepdims=True))
    return (pilot + (values - pilot).mean(axes, keepdims=True)).squeeze(axes)


def _local(x: jax.Array, y: jax.Array, data_range: jax.Array, taps: Windows) -> Local:
    """Statistics at every window, channels folded into the last spatial axis: the inner loop is long."""
    spatial_ndim, channels = len(taps), x.shape[-1]
    level_x, level_y = lax.optimization_barrier((_level(x, spatial_ndim), _level(y, spatial_ndim)))
    x, y = (image.reshape(*image.shape[:-2], image.shape[-2] * channels) for image in (x, y))
    scale = (1 / data_range)[(..., *(None,) * spatial_ndim)]
    # Before any product, the levels go: x - level is exact where it matters, and x - y is where x and y are close.
    u = ((x - level_x) + (y - level_y)) * scale
    v = ((x - y) - (level_x - level_y)) * scale
    u, v = lax.optimization_barrier((u, v))
    mean_u, var_u = _moments(u, taps, channels)
    mean_v, var_v = _moments(v, taps, channels)
    level_x, level_y = (level[..., : mean_u.shape[-1]] for level in (level_x, level_y))
    return Local(mean_u + (level_x + level_y) * scale, mean_v + (level_x - level_y) * scale, var_u, var_v)


def _level(x: jax.Array, spatial_ndim: int) -> jax.Array:
    """The value nearest 0 among all but the extreme pixels of a channel, as a row: (*batch, 1, .., width * channels).

    Taking it off keeps the digits of images far from 0, and leaves those of dark regions to others as they are; a few
    dead pixels do not move it. A sparse grid tells it well enough. As it is put back later, it is a constant to
    derivatives.
    """
    grid = tuple(slice(None, None, max(1, n // 8)) for n in x.shape[-1 - spatial_ndim : -1])
    axes = tuple(range(-1 - spatial_ndim, -1))
    extremes = jnp.asarray([0.05, 0.95], x.dtype)
    low, high = jnp.quantile(x[(..., *grid, slice(None))], extremes, axes, method="nearest", keepdims=True)
    level = jnp.clip(jnp.zeros_like(low), low, high)[..., 0, :]
    return lax.stop_gradient(jnp.tile(jnp.where(jnp.isfinite(level), level, 0), x.shape[-2]))


def _moments(image: jax.Array, taps: Windows, channels: int) -> tuple[jax.Array, jax.Array]:
    """Mean and variance over each window."""
    mean, variance = image, cast(jax.Array, None)  # a pixel alone does not vary
    for axis, weights in enumerate(taps, start=-len(taps)):
        mean, variance = _total_variance(mean, variance, weights, axis, channels if axis == -1 else 1)
    return mean, variance


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4))
def _total_variance(
    mean: jax.Array, variance: jax.Array | None, taps: Taps, axis: int, step: int
) -> tuple[jax.Array, jax.Array]:
    """The law of total variance along one more axis, about the window's central value m_c.

    With d = m - m_c: m' = Σ w m and V' = Σ w (V + d²) - (Σ w d)². The central d is 0, so by Cauchy and Schwarz (Σ w d)²
    is at most 1 - w_c of Σ w d²: little cancels, and V' is never negative. Taps go in pairs from the rim inwards, small
    weights first, since that rounds least.
    """
    radius = len(taps) // 2

    def law(mean: jax.Array, variance: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        m = shifts(mean, len(taps), axis=axis, step=step)
        v = shifts(jnp.zeros_like(mean) if variance is None else variance, len(taps), axis=axis, step=step)
        total, offset, square = (jnp.zeros_like(m[radius]) for _ in range(3))
        for k in range(radius):
            left, right = m[k] - m[radius], m[-1 - k] - m[radius]
            total += taps[k] * (m[k] + m[-1 - k])
            offset += taps[k] * (left + right)
            square += taps[k] * (left**2 + right**2 + (v[k] + v[-1 - k]))
        return total + taps[radius] * m[radius], square + taps[radius] * v[radius] - offset**2

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


def pixels(taps: Windows) -> int:
    """Pixels in a window."""
    return math.prod(len(weights) for weights in taps)
