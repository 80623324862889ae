"""Images cut into tiles that stay in the cache: groups of small images, or bands of rows of large ones."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxssim._core import xla
from jaxssim._core.images import Pair, fold, unfold
from jaxssim.conventions import Taps

MAX_TILE = 2**19
"""About the most values of x, or of y, in a tile."""
MIN_TILE = 2**16
"""Below this many values the overhead of the loop exceeds the work of a tile."""


class Tiles(NamedTuple):
    """How a batch of images is cut: a tile is one band of rows of every image of one group."""

    groups: int
    bands: int


def choose_tiles(pair: Pair, taps: Taps, min_rows: int = 1, min_tiles: int = 1, share: float = 1) -> Tiles:
    """Returns how to cut the images: into about `min_tiles` tiles or more, of about `min_rows` rows or more.

    A tile has at most about `share * MAX_TILE` values of x, unless `min_rows` rows have more. The last band may overlap
    the band before it.
    """
    if len(taps) == 1:
        return Tiles(1, 1)
    *batch, height = (n if isinstance(n, int) else 1 for n in pair.arrays[0].shape[: -len(taps)])
    row = math.prod(pair.arrays[0].shape[-len(taps) :])
    *leading, images = batch or [1]
    per_group = _images_per_group(images, math.prod(leading) * height * row)
    groups = max(1, images // max(1, per_group))
    fitting_rows = int(share * MAX_TILE) // max(1, math.prod(leading) * per_group * row)
    rows = max(min_rows, min(height // -(-min_tiles // groups), fitting_rows))
    bands = round(height / rows)
    if pair.counting:  # devices share the image; its tiles must not be larger than those of the whole image
        bands = max(bands, -(-height // max(1, fitting_rows)))
    return Tiles(groups, max(1, bands))


def _images_per_group(images: int, size: int) -> int:
    """Returns how many images of `size` values make up a group.

    The number divides `images`. It is a multiple of the number of devices if that number divides `images` too, so that
    a sharded batch stays sharded. A group has at most a quarter of MAX_TILE values if possible. All images are one
    group if a group would have fewer than MIN_TILE values.
    """
    least = jax.device_count() if images % jax.device_count() == 0 else 1
    most = max(MAX_TILE // 4, least * size)  # small groups keep the working memory of a training step small
    fitting = [n for n in range(least, images + 1, least) if images % n == 0 and n * size <= most]
    return fitting[-1] if fitting and fitting[-1] * size >= MIN_TILE else images


def tile_cutter(pair: Any, groups: int, taps: Taps) -> Callable[[jax.Array, jax.Array, int], Any]:
    """Returns a function that maps a group, a first row and a number of rows to these rows of the group's images.

    An axis of length 1 is kept whole.
    """
    # Folded: XLA up to JAX 0.10 copies images of one channel into another order of axes before a loop that cuts them.
    split = jax.tree.map(lambda array: _split_batch(fold(array), groups, array.ndim - 2 - len(taps)), pair)

    def cut(group: jax.Array, first: jax.Array, rows: int) -> Any:
        def rows_of(array: jax.Array, whole: jax.Array) -> jax.Array:
            axis = array.ndim - len(taps)
            band = lax.dynamic_slice_in_dim(array, first, min(rows, array.shape[axis]), axis)
            return unfold(lax.dynamic_index_in_dim(band, group, axis - 1, keepdims=False), whole.shape[-1])

        return jax.tree.map(rows_of, split, pair)

    return cut


def update_tile(
    array: jax.Array, tile: jax.Array, tiles: Tiles, taps: Taps, group: jax.Array, first: jax.Array
) -> jax.Array:
    """Returns `array` with some rows of one group's images replaced by `tile`."""
    axis = array.ndim - len(taps)
    split = _split_batch(array, tiles.groups, axis - 2)
    start = [jnp.zeros_like(group)] * split.ndim
    start[axis - 1 : axis + 1] = group, first
    return lax.dynamic_update_slice(split, jnp.expand_dims(tile, axis - 1), start).reshape(array.shape)


def _split_batch(array: jax.Array, groups: int, axis: int) -> jax.Array:
    """Returns an array with a batch axis split into (images of a group, groups); a length of 1 into (1, 1)."""
    if groups == 1:
        return jnp.expand_dims(array, axis + 1)
    shape = array.shape
    return array.reshape(*shape[:axis], -1, min(groups, shape[axis]), *shape[axis + 1 :])


def counted_rows(first: np.ndarray, length: int, rows: int) -> np.ndarray:
    """Returns which rows of windows each band counts, so that every window counts once: (bands, length).

    A band computes `length` rows from `first` on, some of which its neighbours count; `rows` are the band's own.
    """
    row = first[:, None] + np.arange(length)
    return row // rows == np.arange(len(first))[:, None]


def scan_tiles(function: Callable[[Any, jax.Array, jax.Array], tuple[Any, Any]], init: Any, tiles: Tiles) -> Any:
    """Returns `lax.scan` of `function(carry, group, band)` over all tiles."""

    def tile_step(carry: Any, i: Any) -> tuple[Any, Any]:
        i = xla.on_all_cores(i)
        return function(carry, i // tiles.bands, i % tiles.bands)

    return lax.scan(tile_step, init, np.arange(tiles.groups * tiles.bands, dtype=np.int32))
