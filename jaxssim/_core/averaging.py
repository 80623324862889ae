"""The mean of a formula over all windows of two images, and the gradient of that mean.

On CPU mean and gradient are computed tile by tile, which keeps all intermediate arrays in the cache. On other
platforms, and in derivatives of the gradient, the images are one tile.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jaxssim._core import jvp, platforms, tiling, xla
from jaxssim._core.formulas import Formula
from jaxssim._core.images import Pair, dtype_of_statistics
from jaxssim._core.means import Means, mean_along, mean_by_share, mean_of_columns, mean_of_values
from jaxssim._core.resampling import pad_pair
from jaxssim._core.statistics import window_statistics
from jaxssim._core.tiling import Tiles
from jaxssim._core.windows import weight_of_windows, window_weights, with_stride
from jaxssim.conventions import Convention, Taps

WindowFunction = Callable[[Any], jax.Array]  # maps a pair to one value per window, channels folded into the last axis
WindowFunctions = Callable[[Any], tuple[jax.Array, ...]]  # several values per window
TileStep = Callable[[Any, Any, jax.Array, jax.Array], tuple[Any, tuple[jax.Array, ...]]]
Gradients = tuple[jax.Array, ...]
MIN_ROWS_PER_HALO = 8
"""A band of a gradient has at least this many times as many rows as its halo, whose rows two bands compute."""
MIN_TILES = 3
"""A gradient is cut into this many tiles where MIN_ROWS_PER_HALO allows it: in a single tile, the gradient of one image
takes nine times the memory of the image.
"""
SHARED_MIN_ROWS_PER_HALO, SHARED_MIN_TILES = 2, 5
"""The same where devices share an image: each device holds fewer rows, and needs its share of the memory of one.
Strided windows take these too.
"""


def mean_of_formula(formula: Formula, convention: Convention, pair: Pair, spatial_ndim: int) -> jax.Array:
    """Returns the mean of `formula` over the windows that the convention averages: (*batch, channels)."""
    taps = convention.window.taps(spatial_ndim)
    if convention.average == "all":
        pair = pad_pair(pair, taps, convention.padding)
    function = function_of_windows(formula, convention, taps)
    return mean_over_windows(function, taps, with_stride(pair, taps, convention.stride))


def function_of_windows(formula: Formula, convention: Convention, taps: Taps) -> WindowFunction:
    """Returns the function that maps a pair to the value of a formula at each window."""
    return lambda pair: formula(window_statistics(pair, taps), convention, taps)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def mean_over_windows(function: WindowFunction, taps: Taps, pair: Pair) -> jax.Array:
    """Returns the mean of `function` over all windows that lie inside the images: (*batch, channels).

    Each window has the weight of the pixel at its centre; where all weights are 0, the mean is 0.
    """
    return tiled_means(lambda part: (function(part),), taps, pair)[0]


@functools.partial(mean_over_windows.defjvp, symbolic_zeros=True)
def _mean_over_windows_jvp(function, taps, primals, tangents):  # type: ignore[no-untyped-def]
    """Multiplies the tangent by the gradient, since the transpose of a product costs nothing.

    The gradient is that of a sum; the mean's division comes last, where it costs no pass over the image.
    """
    (pair,), (tangent,) = primals, tangents
    if jvp.nonzero_tangents(tangent._replace(arrays=(), weight=None)):  # the data range, k1 or k2 has a tangent

        def whole_mean(pair: Pair) -> jax.Array:
            return _whole_means(lambda part: (function(part),), taps, pair)[0]

        return jvp.jvp_along(whole_mean, pair, jvp.nonzero_tangents(tangent))
    argnums = tuple(i for i, image in enumerate(tangent.arrays) if not isinstance(image, SymbolicZero))
    value, gradients = _value_and_gradients(function, taps, argnums, pair)
    products = [
        gradient * tangent.arrays[i].astype(gradient.dtype) for i, gradient in zip(argnums, gradients, strict=True)
    ]
    dsum = sum(products[1:], products[0]).sum(tuple(range(-1 - len(taps), -1)))
    total = lax.stop_gradient(weight_of_windows(pair, taps))
    return value, dsum / jnp.where(total == 0, 1, total)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _value_and_gradients(
    function: WindowFunction, taps: Taps, argnums: tuple[int, ...], pair: Pair
) -> tuple[jax.Array, Gradients]:
    """Returns the mean, and each channel's gradient of the sum with respect to the images `argnums`.

    The sum is weighted. Gradients have the statistics' type.
    """
    shared = SHARED_MIN_ROWS_PER_HALO, SHARED_MIN_TILES
    per_halo, min_tiles = shared if pair.counting else (MIN_ROWS_PER_HALO, MIN_TILES)
    tiles = tiling.choose_tiles(pair, taps, per_halo * (len(taps[0]) - 1), min_tiles)
    tiled, whole = (functools.partial(gradients, argnums) for gradients in (_tiled_gradients, _whole_gradients))
    return tiled_on_cpu(tiles, tiled, whole, function, taps, pair)


@functools.partial(_value_and_gradients.defjvp, symbolic_zeros=True)
def _value_and_gradients_jvp(function, taps, argnums, primals, tangents):  # type: ignore[no-untyped-def]
    (pair,), (tangent,) = primals, tangents
    whole = functools.partial(_whole_gradients, argnums, function, taps)
    return jvp.jvp_along(whole, pair, jvp.nonzero_tangents(tangent))


def tiled_means(functions: WindowFunctions, taps: Taps, pair: Pair) -> tuple[jax.Array, ...]:
    """Returns the means of several values per window, each (*batch, channels), without a derivative rule."""
    tiles = tiling.choose_tiles(pair, taps)
    return tiled_on_cpu(tiles, _tiled_means, _whole_means, functions, taps, pair)


def tiled_on_cpu(
    tiles: Tiles,
    tiled: Callable[..., Any],
    whole: Callable[..., Any],
    function: Callable[[Any], Any],
    taps: Taps,
    pair: Pair,
) -> Any:
    as_one_tile = functools.partial(whole, function, taps)
    if tiles == (1, 1):
        return jax.jit(as_one_tile)(pair)  # one equation to differentiate: fewer to trace
    return platforms.on_cpu(functools.partial(tiled, function, taps, tiles), as_one_tile, pair)


def _whole_means(functions: WindowFunctions, taps: Taps, pair: Pair) -> tuple[jax.Array, ...]:
    weight, channels = window_weights(pair, taps), pair.arrays[0].shape[-1]
    return tuple(mean_of_values(values, weight, channels, len(taps)) for values in functions(pair))


def _tiled_means(functions: WindowFunctions, taps: Taps, tiles: Tiles, pair: Pair) -> tuple[jax.Array, ...]:
    return scan_windows(lambda _, tile, *place: (None, functions(tile)), None, taps, tiles, pair)[1]


def scan_windows(
    step: TileStep, init: Any, taps: Taps, tiles: Tiles, pair: Pair, multiple: int = 1
) -> tuple[Any, tuple[jax.Array, ...]]:
    """Returns the last carry, and the means of several values per window, from one loop over the tiles.

    `step(carry, tile, group, first)` returns a new carry and the values of a tile, which holds rows of a group's images
    from `first` on. Every band but the last one begins at a multiple of `multiple` rows.
    """
    halo = len(taps[0]) - 1
    windows = pair.arrays[0].shape[-1 - len(taps)] - halo
    rows = min(windows, -(-windows // (tiles.bands * multiple)) * multiple)
    cut = tiling.tile_cutter(pair, tiles.groups, taps)
    counted = tiling.counted_rows(np.minimum(np.arange(tiles.bands) * rows, windows - rows), rows, rows)

    def tile_step(carry: Any, group: jax.Array, band: jax.Array) -> tuple[Any, tuple[Means, ...]]:
        first = jnp.minimum(band * rows, windows - rows)
        tile = cut(group, first, rows + halo)
        weight = window_weights(tile, taps)
        carry, several = step(carry, tile, group, first)
        return carry, tuple(_means_of_tile(values, weight, counted, band, len(taps)) for values in several)

    carry, columns = tiling.scan_tiles(tile_step, init, tiles)
    channels = pair.arrays[0].shape[-1]
    return carry, tuple(_mean_of_tiles(each, tiles, counted, channels, len(taps)) for each in columns)


def _whole_gradients(
    argnums: tuple[int, ...], function: WindowFunction, taps: Taps, pair: Pair
) -> tuple[jax.Array, Gradients]:
    values, weight, gradients = _values_and_vjp(argnums, function, taps, pair)
    return mean_of_values(xla.materialize_on_gpu(values), weight, pair.arrays[0].shape[-1], len(taps)), gradients


def _tiled_gradients(
    argnums: tuple[int, ...], function: WindowFunction, taps: Taps, tiles: Tiles, pair: Pair
) -> tuple[jax.Array, Gradients]:
    """Computes some rows of the gradient at a time, from all windows that contain a pixel of these rows."""
    height, halo, axis = pair.arrays[0].shape[-1 - len(taps)], len(taps[0]) - 1, -1 - len(taps)
    rows = -(-height // tiles.bands)
    rows_read = min(height, rows + 2 * halo)
    cut = tiling.tile_cutter(pair, tiles.groups, taps)

    def tile_step(gradients: Gradients, group: jax.Array, band: jax.Array) -> tuple[Gradients, Means]:
        start = jnp.minimum(band * rows, height - rows)
        first = jnp.clip(start - halo, 0, height - rows_read)
        tile = cut(group, first, rows_read)
        values, weight, with_halo = _values_and_vjp(argnums, function, taps, tile)
        parts = (lax.dynamic_slice_in_dim(part, start - first, rows, axis) for part in with_halo)
        gradients = tuple(
            tiling.update_tile(gradient, part, tiles, taps, group, start)
            for gradient, part in zip(gradients, parts, strict=True)
        )
        return gradients, _means_of_tile(values, weight, counted, band, len(taps))

    firsts = np.clip(np.minimum(np.arange(tiles.bands) * rows, height - rows) - halo, 0, height - rows_read)
    counted = tiling.counted_rows(firsts, rows_read - halo, rows)
    dtype = dtype_of_statistics(pair)
    zeros = tuple(xla.zeros_like(pair.arrays[i]).astype(dtype) for i in argnums)
    gradients, columns = tiling.scan_tiles(tile_step, zeros, tiles)
    return _mean_of_tiles(columns, tiles, counted, pair.arrays[0].shape[-1], len(taps)), gradients


def _values_and_vjp(
    argnums: tuple[int, ...], function: WindowFunction, taps: Taps, pair: Any
) -> tuple[jax.Array, jax.Array | None, Gradients]:
    """Returns the windows' values and weights, and the gradients of the weighted sum of values."""
    dtype = dtype_of_statistics(pair)

    def function_of_chosen(*some: jax.Array) -> jax.Array:
        images = dict(enumerate(pair.arrays)) | dict(zip(argnums, some, strict=True))
        return function(pair._replace(arrays=tuple(images.values())))

    values, vjp = jax.vjp(function_of_chosen, *(pair.arrays[i].astype(dtype) for i in argnums))
    weight = window_weights(pair, taps)
    return values, weight, vjp(jnp.ones_like(values) if weight is None else jnp.ones_like(values) * weight)


def _means_of_tile(
    values: jax.Array, weight: jax.Array | None, counted: np.ndarray, band: jax.Array, spatial_ndim: int
) -> Means:
    """Returns the mean of each column over the rows that the tile's band counts, and the column's total weight."""

    def of_rows(table: np.ndarray) -> jax.Array:
        return jnp.asarray(table, values.dtype)[band].reshape(-1, *(1,) * (spatial_ndim - 1))

    if weight is not None:
        return mean_along(values, weight * of_rows(counted), -spatial_ndim)
    share = None if counted.all() else of_rows(counted / np.maximum(1, counted.sum(1, keepdims=True)))
    return mean_by_share(values, share, -spatial_ndim), None


def _mean_of_tiles(columns: Means, tiles: Tiles, counted: np.ndarray, channels: int, spatial_ndim: int) -> jax.Array:
    """Returns the mean over all tiles of each channel: (*batch, channels)."""
    means, weight = jax.tree.map(lambda array: array.reshape(*tiles, *array.shape[1:]), columns)
    if weight is None:
        share = jnp.asarray(counted.sum(1) / counted.sum(), means.dtype)
        means = mean_by_share(means, share.reshape(-1, *(1,) * (means.ndim - 2)), 1)
    else:
        means, weight = mean_along(means, weight, 1)
    by_group = mean_of_columns((means, weight), channels, spatial_ndim)
    if tiles.groups == 1:
        return by_group[0]
    *batch, images, channels = by_group.shape[1:]
    return jnp.moveaxis(by_group, 0, -2).reshape(*batch, images * tiles.groups, channels)
