"""The mean over all windows of what a function of two images says at each, and the gradient of that mean.

On CPU the images are gone through in tiles, which stay in the cache: a few images, or some rows of one, with as many
rows more as its windows reach. Elsewhere, and in derivatives of the gradient, they are taken whole.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jaxssim import derivatives, tiling
from jaxssim.fields import Source, along_row, fold, unfold
from jaxssim.filtering import separate, zeros
from jaxssim.statistics import radii
from jaxssim.summation import tree_sum, weighted_mean
from jaxssim.tiling import Tiles
from jaxssim.windows import Windows

Values = Callable[[Any], jax.Array]  # of a source: one a window, channels folded
Gradients = tuple[jax.Array, ...]
Columns = tuple[jax.Array, jax.Array]  # the mean of each column of windows, and its weight
REACH = 8  # times the rows that its windows reach beyond it, at least, where gradients have all of these done twice
BANDS = 3  # at least, of an image alone, if they can be so high: its gradient whole takes the memory of nine images


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def mean(values: Values, taps: Windows, source: Source) -> jax.Array:
    """The mean of `values` over all windows that lie inside the images: (*batch, channels).

    A window counts by the weight of the pixel at its centre; where none does, the mean is 0.
    """
    return _by_platform(tiling.cover(source, taps, 1), _tiled, _whole, values, taps, source)


@functools.partial(mean.defjvp, symbolic_zeros=True)
def _mean_jvp(values, taps, primals, tangents):  # type: ignore[no-untyped-def]
    """The gradient's product with the tangent, which costs nothing to transpose."""
    (source,), (along,) = primals, tangents
    if not all(isinstance(tangent, SymbolicZero) for tangent in jax.tree.leaves(along.constants)):
        return derivatives.along(functools.partial(_whole, values, taps), source, derivatives.moves(along))
    wanted = tuple(i for i, tangent in enumerate(along.images) if not isinstance(tangent, SymbolicZero))
    value, gradients = _value_and_gradients(values, taps, wanted, source)
    products = [
        gradient * along.images[i].astype(gradient.dtype) for i, gradient in zip(wanted, gradients, strict=True)
    ]
    return value, sum(products[1:], products[0]).sum(tuple(range(-1 - len(taps), -1)))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _value_and_gradients(
    values: Values, taps: Windows, wanted: tuple[int, ...], source: Source
) -> tuple[jax.Array, Gradients]:
    """The mean, and the gradients of each channel's by its image, in the type of the statistics."""
    tiles = tiling.cover(source, taps, REACH * (len(taps[0]) - 1), BANDS)
    tiled, whole = (functools.partial(function, wanted) for function in (_tiled_gradients, _whole_gradients))
    return _by_platform(tiles, tiled, whole, values, taps, source)


@functools.partial(_value_and_gradients.defjvp, symbolic_zeros=True)
def _value_and_gradients_jvp(values, taps, wanted, primals, tangents):  # type: ignore[no-untyped-def]
    (source,), (along,) = primals, tangents
    whole = functools.partial(_whole_gradients, wanted, values, taps)
    return derivatives.along(whole, source, derivatives.moves(along))


def average(values: jax.Array, weight: jax.Array, channels: int, spatial_ndim: int) -> jax.Array:
    """The mean of folded values (*batch, *windows), each of which counts by a weight: (*batch, channels)."""
    return _over_columns(_over_rows(values, weight, spatial_ndim), channels, spatial_ndim)


def centres(weight: jax.Array | None, taps: Windows, ndim: int) -> jax.Array:
    """The weight of each window: that of the pixel at its centre, folded, or 1 with so many axes."""
    if weight is None:
        return jnp.ones((1,) * ndim, jnp.float32)
    return fold(weight[(..., *(slice(radius, -radius or None) for radius in radii(taps)), slice(None))])


def _by_platform(
    tiles: Tiles, tiled: Callable[..., Any], whole: Callable[..., Any], values: Values, taps: Windows, source: Source
) -> Any:
    """What is said of a source whole, or on CPU in tiles."""
    all_of_it = functools.partial(whole, values, taps)
    if tiles == (1, 1):
        return all_of_it(source)
    return lax.platform_dependent(source, cpu=functools.partial(tiled, values, taps, tiles), default=all_of_it)


def _whole(values: Values, taps: Windows, source: Source) -> jax.Array:
    found = values(source)
    return average(found, centres(source.weight, taps, found.ndim), source.images[0].shape[-1], len(taps))


def _tiled(values: Values, taps: Windows, tiles: Tiles, source: Source) -> jax.Array:
    reach = len(taps[0]) - 1
    windows = source.images[0].shape[-1 - len(taps)] - reach
    rows = -(-windows // tiles.bands)
    grouped = tiling.grouped(source, tiles.groups, taps)

    def of_tile(_: None, group: jax.Array, band: jax.Array) -> tuple[None, Columns]:
        first = jnp.minimum(band * rows, windows - rows)
        tile = tiling.cut(grouped, taps, group, first, rows + reach)
        found = values(tile)
        weight = centres(tile.weight, taps, found.ndim)
        return None, _over_rows(found, tiling.own(band, rows, first, weight, found, -len(taps)), len(taps))

    _, columns = tiling.in_turn(of_tile, None, tiles)
    return _over_tiles(columns, tiles, source.images[0].shape[-1], len(taps))


def _whole_gradients(
    wanted: tuple[int, ...], values: Values, taps: Windows, source: Source
) -> tuple[jax.Array, Gradients]:
    found, weight, gradients = _pulled(wanted, values, taps, source, _total(source, taps))
    return average(found, weight, source.images[0].shape[-1], len(taps)), gradients


def _tiled_gradients(
    wanted: tuple[int, ...], values: Values, taps: Windows, tiles: Tiles, source: Source
) -> tuple[jax.Array, Gradients]:
    """Rows of the gradient at a time, from all the windows that these are in."""
    height, reach, axis = source.images[0].shape[-1 - len(taps)], len(taps[0]) - 1, -1 - len(taps)
    rows = -(-height // tiles.bands)
    read = min(height, rows + 2 * reach)
    grouped = tiling.grouped((source, _total(source, taps)), tiles.groups, taps)

    def of_tile(gradients: Gradients, group: jax.Array, band: jax.Array) -> tuple[Gradients, Columns]:
        start = jnp.minimum(band * rows, height - rows)
        first = jnp.clip(start - reach, 0, height - read)
        tile, total = tiling.cut(grouped, taps, group, first, read)
        found, weight, rims = _pulled(wanted, values, taps, tile, total)
        parts = (lax.dynamic_slice_in_dim(rim, start - first, rows, axis) for rim in rims)
        gradients = tuple(
            tiling.put(gradient, part, tiles, taps, group, start)
            for gradient, part in zip(gradients, parts, strict=True)
        )
        return gradients, _over_rows(found, tiling.own(band, rows, first, weight, found, -len(taps)), len(taps))

    nothing = tuple(zeros(source.images[i]).astype(grouped[1].dtype) for i in wanted)
    gradients, columns = tiling.in_turn(of_tile, nothing, tiles)
    return _over_tiles(columns, tiles, source.images[0].shape[-1], len(taps)), gradients


def _pulled(
    wanted: tuple[int, ...], values: Values, taps: Windows, source: Any, total: jax.Array
) -> tuple[jax.Array, jax.Array, Gradients]:
    """Of a source, the values, the weights of their windows, and the gradients of their sum by weight over `total`."""

    def of_wanted(*some: jax.Array) -> jax.Array:
        images = dict(enumerate(source.images)) | dict(zip(wanted, some, strict=True))
        return values(source._replace(images=tuple(images.values())))

    found, pullback = jax.vjp(of_wanted, *(source.images[i].astype(total.dtype) for i in wanted))
    weight = centres(source.weight, taps, found.ndim)
    return found, weight, pullback(jnp.ones_like(found) * (weight / along_row(total, found)))


def _over_rows(values: jax.Array, weight: jax.Array, spatial_ndim: int) -> Columns:
    """The mean of each column, about a first mean as in `weighted_mean`, and its weight. A signal is one row.

    XLA's own sum over all rows takes as long as a filter: they are added eight at a time before.
    """
    weight = weight.astype(values.dtype)
    if spatial_ndim == 1:
        return values, jnp.broadcast_to(weight, values.shape)
    axis, rows = -spatial_ndim, values.shape[-spatial_ndim]
    weight = jnp.broadcast_to(weight, [*weight.shape[:axis], rows, *weight.shape[axis + 1 :]])
    total = weight.sum(axis, keepdims=True)
    share = weight / jnp.where(total == 0, 1, total)

    def about(pilot: jax.Array) -> jax.Array:
        return pilot + _eight_by_eight(values, pilot, share, axis=axis).sum(axis, keepdims=True)

    first = about(jnp.zeros_like(lax.slice_in_dim(values, 0, 1, axis=axis)))
    means = jnp.where(total == 0, 0, about(first)).squeeze(axis)
    return means, jnp.broadcast_to(total.squeeze(axis), means.shape)


@separate
def _eight_by_eight(values: jax.Array, pilot: jax.Array, share: jax.Array, *, axis: int) -> jax.Array:
    """Sums of eight rows, or fewer, of what each has over a pilot mean, by its share."""
    rows = values.shape[axis]
    step, parts = -(-rows // 8), []
    for start in range(0, rows, step):
        first = min(start, rows - step)  # all are of one length, and what two share counts once
        value, part = (lax.slice_in_dim(array, first, first + step, axis=axis) for array in (values, share))
        if first < start:
            row = lax.broadcasted_iota(jnp.int32, part.shape, part.ndim + axis)
            part = lax.select(row < start - first, jnp.zeros_like(part), part)
        parts.append(lax.mul(lax.sub(value, pilot), part))
    return tree_sum(parts)


def _over_tiles(columns: Columns, tiles: Tiles, channels: int, spatial_ndim: int) -> jax.Array:
    """The mean over the bands and all columns of a channel: (*batch, channels)."""
    means, weight = (array.reshape(*tiles, *array.shape[1:]) for array in columns)
    of_groups = _over_columns((means, weight), channels, spatial_ndim, 1)
    if tiles.groups == 1:
        return of_groups[0]
    *batch, images, channels = of_groups.shape[1:]
    return jnp.moveaxis(of_groups, 0, -2).reshape(*batch, images * tiles.groups, channels)


def _over_columns(columns: Columns, channels: int, spatial_ndim: int, *axes: int) -> jax.Array:
    """The mean over all columns of a channel, and over some axes more: (*batch, channels)."""
    means, weight = (unfold(array, channels) for array in columns)
    return weighted_mean(means, weight, (*axes, *range(-max(2, spatial_ndim), -1)))


def _total(source: Source, taps: Windows) -> jax.Array:
    """The weight of all windows, 1 if it is none: (*batch or 1s, 1, .., 1, channels)."""
    image = source.images[0]
    if source.weight is None:
        windows = (n - 2 * radius for n, radius in zip(image.shape[-1 - len(taps) : -1], radii(taps), strict=True))
        return jnp.full((*(1,) * (image.ndim - 1), image.shape[-1]), math.prod(windows), source.constants[0].dtype)
    weight = unfold(centres(source.weight, taps, image.ndim - 1), image.shape[-1])
    total = weight.sum(tuple(range(-1 - len(taps), -1)), keepdims=True)
    return jnp.where(total == 0, 1, total)
