"""Images in tiles that stay in the cache: a few images, or a band of rows of one."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxssim.fields import Source
from jaxssim.windows import Windows

TILE = 2**19  # values of the images that a tile is to have at most
LEAST = 2**16  # or it would take longer to begin with than to do


class Tiles(NamedTuple):
    """How images are cut: a tile is a band of rows of each image of a group."""

    groups: int
    bands: int


def cover(source: Source, taps: Windows, least: int, fewest: int = 1) -> Tiles:
    """Tiles of one size that cover the images, `fewest` or more where these have `least` rows or more."""
    if len(taps) == 1:
        return Tiles(1, 1)
    *batch, height = (n if isinstance(n, int) else 1 for n in source.images[0].shape[: -len(taps)])
    row = math.prod(source.images[0].shape[-len(taps) :])
    *others, images = batch or [1]
    together = _together(images, math.prod(others) * height * row)
    groups = max(1, images // max(1, together))
    rows = max(least, min(height // -(-fewest // groups), TILE // max(1, math.prod(others) * together * row)))
    return Tiles(groups, max(1, height // rows))


def _together(images: int, size: int) -> int:
    """How many images of a batch, each of so many values, go into a tile: a divisor, and a quarter of a tile at most.

    It is a multiple of the number of devices, if that is one, for a batch that is spread over these to stay so.
    """
    least = jax.device_count() if images % jax.device_count() == 0 else 1
    most = max(TILE // 4, least * size)  # of a batch in training a few are at hand at once, not all
    fitting = [n for n in range(least, images + 1, least) if images % n == 0 and n * size <= most]
    return fitting[-1] if fitting and fitting[-1] * size >= LEAST else images


def grouped(arrays: Any, groups: int, taps: Windows) -> Any:
    """The last batch axis as (.., images of a group, groups); of an array that is the same for all as (.., 1, 1)."""
    axis = -2 - len(taps)

    def split(array: jax.Array) -> jax.Array:
        if groups == 1:
            return jnp.expand_dims(array, axis)
        return array.reshape(*array.shape[:axis], -1, min(groups, array.shape[axis]), *array.shape[axis + 1 :])

    return jax.tree.map(split, arrays)


def cut(grouped: Any, taps: Windows, group: jax.Array, first: jax.Array, rows: int) -> Any:
    """Some rows of the images of a group, and of all that goes with them; an axis of one is for every place alike."""

    def part(array: jax.Array) -> jax.Array:
        axis = array.ndim - 1 - len(taps)
        band = lax.dynamic_slice_in_dim(array, first, min(rows, array.shape[axis]), axis)
        return lax.dynamic_index_in_dim(band, group, axis - 1, keepdims=False)

    return jax.tree.map(part, grouped)


def put(
    whole: jax.Array, part: jax.Array, tiles: Tiles, taps: Windows, group: jax.Array, first: jax.Array
) -> jax.Array:
    """The inverse: `whole` with some rows of a group's images in their place."""
    split = grouped(whole, tiles.groups, taps)
    axis = split.ndim - 1 - len(taps)
    start = [jnp.zeros_like(group)] * split.ndim
    start[axis - 1 : axis + 1] = group, first
    return lax.dynamic_update_slice(split, jnp.expand_dims(part, axis - 1), start).reshape(whole.shape)


def own(band: jax.Array, rows: int, first: jax.Array, weight: jax.Array, values: jax.Array, axis: int) -> jax.Array:
    """The weight of those of a tile's windows that are its band's own: each window of an image is one band's."""
    shape = [1] * values.ndim
    shape[axis] = values.shape[axis]
    row = first + lax.broadcasted_iota(jnp.int32, shape, values.ndim + axis)
    return jnp.where((band * rows <= row) & (row < (band + 1) * rows), weight, 0).astype(values.dtype)


def in_turn(function: Callable[[Any, jax.Array, jax.Array], tuple[Any, Any]], carried: Any, tiles: Tiles) -> Any:
    """`lax.scan` of a function of what is carried, a group and a band."""

    def of_tile(carried: Any, i: jax.Array) -> tuple[Any, Any]:
        # XLA (from JAX 0.12 on) takes a loop for a small one, and has one core do it all, unless there is a sort in it.
        tile = lax.sort(jnp.stack([i, i + 1]))[0]
        return function(carried, tile // tiles.bands, tile % tiles.bands)

    return lax.scan(of_tile, carried, jnp.arange(tiles.groups * tiles.bands))
