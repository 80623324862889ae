"""Means over all windows of two images together with the images at half their size, for MS-SSIM.

On CPU one loop computes both, tile by tile: the next scale reads sum and difference from the cache, and not the images
from memory.
"""

import functools

import jax
from jax import lax

from jaxssim._core import averaging, jvp, tiling, xla
from jaxssim._core.averaging import WindowFunction
from jaxssim._core.formulas import Formula
from jaxssim._core.images import Pair, SumDifference, dtype_of_statistics, stored_sum_and_difference
from jaxssim._core.resampling import halve_pair, halving_factors
from jaxssim._core.tiling import Tiles
from jaxssim._core.windows import with_stride
from jaxssim.conventions import Convention, Taps

Halves = tuple[jax.Array, ...]  # sum and difference, halved
Result = tuple[jax.Array, Halves]
SHARE_OF_TILE = 0.5
"""Of a usual tile: with the halves, the arrays then fit into memory that the C library keeps from call to call."""


def mean_and_half(
    formula: Formula, convention: Convention, pair: Pair, spatial_ndim: int
) -> tuple[jax.Array, SumDifference]:
    """Returns the mean of `formula` over the windows that the convention averages, (*batch, channels), and the half.

    They are those of `mean_of_formula` and `halve_pair`.
    """
    taps = convention.window.taps(spatial_ndim)
    tiles = tiling.choose_tiles(pair, taps, share=SHARE_OF_TILE)
    if convention.average == "all" or pair.weight is not None or not _tiles_halve(pair, taps, tiles):
        return averaging.mean_of_formula(formula, convention, pair, spatial_ndim), halve_pair(pair, taps)
    function = averaging.function_of_windows(formula, convention, taps)
    mean, halves = _mean_and_half(function, taps, tiles, with_stride(pair, taps, convention.stride))
    return mean, SumDifference(halves, None, pair.offsets_of_both(), pair.constants)


def _tiles_halve(pair: Pair, taps: Taps, tiles: Tiles) -> bool:
    """Returns whether a loop over tiles can halve the images: whether all bands can begin at a multiple of 2 rows."""
    height, factor = pair.arrays[0].shape[-1 - len(taps)], halving_factors(taps)[0]
    return tiles.bands == 1 < tiles.groups or (tiles.bands > 1 and height % factor == (len(taps[0]) - 1) % factor == 0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _mean_and_half(function: WindowFunction, taps: Taps, tiles: Tiles, pair: Pair) -> Result:
    return averaging.tiled_on_cpu(tiles, _by_tiles, _apart, function, taps, pair)


@functools.partial(_mean_and_half.defjvp, symbolic_zeros=True)
def _mean_and_half_jvp(function, taps, tiles, primals, tangents):  # type: ignore[no-untyped-def]
    """Differentiates mean and half apart: the tiles of the mean's gradient are others."""
    (pair,), (tangent,) = primals, tangents
    return jvp.jvp_along(functools.partial(_apart, function, taps), pair, jvp.nonzero_tangents(tangent))


def _apart(function: WindowFunction, taps: Taps, pair: Pair) -> Result:
    return averaging.mean_over_windows(function, taps, pair), halve_pair(pair, taps).arrays


def _by_tiles(function: WindowFunction, taps: Taps, tiles: Tiles, pair: Pair) -> Result:
    factors, dtype = halving_factors(taps), dtype_of_statistics(pair)

    def tile_step(halves: Halves, tile: Pair, group: jax.Array, first: jax.Array) -> tuple[Halves, Halves]:
        u, v = stored_sum_and_difference(tile)
        stored = SumDifference((u.centred, v.centred), None, (u.offset, v.offset), tile.constants, tile.counting)
        halves = tuple(
            tiling.update_tile(half, part, tiles, taps, group, first // factors[0])
            for half, part in zip(halves, halve_pair(stored, taps).arrays, strict=True)
        )
        return halves, (function(stored),)

    image = pair.arrays[0]
    for axis, factor in enumerate(factors, start=image.ndim - 1 - len(taps)):
        image = lax.slice_in_dim(image, 0, -(-image.shape[axis] // factor), axis=axis)
    zeros = xla.zeros_like(image).astype(dtype)
    halves, (mean,) = averaging.scan_windows(tile_step, (zeros, zeros), taps, tiles, pair, multiple=factors[0])
    return mean, halves
