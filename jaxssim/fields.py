"""Two images, and the sum u = x + y and the difference v = x - y that all is computed from.

They say all that SSIM asks, since var x + var y = (var u + var v) / 2 and cov(x, y) = (var u - var v) / 4, and the
difference of two images that are nearly the same is known to every digit, where 1 minus a similarity near 1 is not.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxssim import inputs, masks
from jaxssim.arguments import Pair
from jaxssim.filtering import separate
from jaxssim.inputs import Layout
from jaxssim.resampling import Field


class Images(NamedTuple):
    """Two images, from which each row of sum and difference is had where it is needed."""

    images: tuple[jax.Array, ...]  # both, (*batch, *spatial, channels), of any type
    weight: jax.Array | None  # (*batch or 1s, *spatial, channels), of a mask
    constants: tuple[jax.Array, ...]  # levels (3, *batch, 1, .., channels) of x, y and x - y, and 1 / data range

    def fields(self) -> tuple[Field, Field]:
        """x + y and x - y in units of the data range."""
        levels, scale = self.constants
        x, y = (fold(image.astype(scale.dtype)) for image in self.images)
        row_x, row_y, row_v = along_row(levels, x)
        # Before any product, the levels go: x - level is exact where it matters, and x - y is where x and y are close.
        u = ((x - row_x) + (y - row_y)) * scale[..., 0]
        v = ((x - y) - row_v) * scale[..., 0]
        u, v = lax.optimization_barrier((u, v))
        if self.weight is not None:
            u, v = (jnp.where(fold(self.weight) > 0, image, 0) for image in (u, v))
        channels = levels.shape[-1]
        return (
            Field(unfold(u, channels), (levels[0] + levels[1]) * scale, self.weight),
            Field(unfold(v, channels), levels[2] * scale, self.weight),
        )

    def moved(self, tangent: jax.Array) -> jax.Array:
        """How far a tangent of x moves x + y and x - y, folded; one of y moves x - y by minus as much."""
        scale = self.constants[1]
        folded = fold(tangent.astype(scale.dtype)) * scale[..., 0]
        return folded if self.weight is None else jnp.where(fold(self.weight) > 0, folded, 0)


class Fields(NamedTuple):
    """Two images whose sum and difference are at hand."""

    images: tuple[jax.Array, ...]  # both of these, about their levels
    weight: jax.Array | None
    constants: tuple[jax.Array, ...]  # the levels

    def fields(self) -> tuple[Field, Field]:
        """Sum and difference."""
        (u, v), (level_u, level_v) = self.images, self.constants
        return Field(u, level_u, self.weight), Field(v, level_v, self.weight)


Source = Images | Fields


def images(pair: Pair, layout: Layout) -> Images:
    """The two images, in the order of axes that all is computed in."""
    x, y = (inputs.canonical(image, layout) for image in (pair.x, pair.y))
    dtype = inputs.statistics_type(x, y)
    scale = 1 / inputs.canonical_range(pair.data_range, x.astype(dtype), layout)
    mask = masks.canonical(pair.mask, x.astype(dtype), pair.x.shape, layout)
    a, b = x.astype(dtype), y.astype(dtype)
    return Images((x, y), mask, (levels((a, b, a - b), mask, layout.spatial_ndim), scale))


def mapped(function: Callable[..., Field], source: Source, *arguments: Any) -> Fields:
    """What a linear function of a field makes of sum and difference."""
    u, v = (function(field, *arguments) for field in source.fields())
    return Fields((u.about, v.about), u.weight, (u.level, v.level))


def levels(images: Sequence[jax.Array], mask: jax.Array | None, spatial_ndim: int) -> jax.Array:
    """The value nearest 0 within the range of each of a few sparse grids: (images, *batch, 1, .., 1, channels).

    Taking it off keeps the digits of images far from 0, and leaves those of dark regions to others as they are; dead
    pixels and rows do not move it, since one grid or another misses them. As it is put back later, it is a constant to
    derivatives.
    """
    axes = tuple(range(-1 - spatial_ndim, -1))
    along_grids = tuple(range(-1 - 2 * spatial_ndim, -1, 2))
    sample = lax.stop_gradient(jnp.stack([_grids(image, spatial_ndim) for image in images]))
    inside = True if mask is None else _grids(mask, spatial_ndim) > 0
    least = jnp.where(inside, sample, jnp.inf).min(along_grids)
    most = jnp.where(inside, sample, -jnp.inf).max(along_grids)
    low = jnp.where(least == jnp.inf, -jnp.inf, least).max(axes)
    high = jnp.where(most == -jnp.inf, jnp.inf, most).min(axes)
    if mask is not None:  # of which the grids may have met nothing
        least = jnp.stack([jnp.where(mask > 0, image, jnp.inf).min(axes) for image in images])
        most = jnp.stack([jnp.where(mask > 0, image, -jnp.inf).max(axes) for image in images])
        low, high = jnp.where(low == -jnp.inf, least, low), jnp.where(high == jnp.inf, most, high)
    nearest = jnp.clip(jnp.zeros_like(low), low, high)
    constant = lax.stop_gradient(jnp.where(jnp.isfinite(nearest), nearest, 0))
    # The barrier keeps XLA from choosing the level anew at every pixel.
    return lax.optimization_barrier(jnp.expand_dims(constant, axes))


def _grids(image: jax.Array, spatial_ndim: int) -> jax.Array:
    """64 pixels or so, of each spatial axis' in turn one for each of a few grids: (.., pixels, grids, .., channels)."""
    per_axis, grids = (round(count ** (1 / spatial_ndim)) for count in (64, 4))
    last = image.ndim - 2
    for axis in range(last, last - spatial_ndim, -1):  # one reshape each, or it would need to be told its sharding
        n = image.shape[axis]
        step = max(1, n // per_axis)
        apart = min(grids, -(-n // step))
        count = -(-n // step) // apart
        image = lax.slice_in_dim(image, 0, (count * apart - 1) * step + 1, step, axis)
        image = image.reshape(*image.shape[:axis], count, apart, *image.shape[axis + 1 :])
    return image


def fold(image: jax.Array) -> jax.Array:
    """(.., width, channels) as (.., width * channels)."""
    return image.reshape(*image.shape[:-2], image.shape[-2] * image.shape[-1])


def unfold(image: jax.Array, channels: int) -> jax.Array:
    """The inverse of `fold`."""
    return image.reshape(*image.shape[:-1], image.shape[-1] // channels, channels)


def along_row(level: jax.Array, folded: jax.Array) -> jax.Array:
    """A level (*batch, 1, .., 1, channels) at every column of a folded image."""
    return _tiled(level[..., 0, :], count=folded.shape[-1] // level.shape[-1])


@separate
def _tiled(level: jax.Array, *, count: int) -> jax.Array:
    return jnp.tile(level, count)  # apart, or every row would look it up by column
