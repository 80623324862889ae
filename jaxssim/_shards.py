"""Means over the windows of images that several devices hold, inside `jax.shard_map`.

Each device computes the mean over its own windows. Its share is the weight of its windows divided by that of all. The
sum of mean times share over the devices is the mean over the image.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxssim._core import halos
from jaxssim._core.averaging import function_of_windows, mean_over_windows
from jaxssim._core.formulas import Formula
from jaxssim._core.halos import Block, MeshAxis
from jaxssim._core.images import CentredImage, Pair, dtype_of_statistics, map_images
from jaxssim._core.resampling import Shape, halve, halving_factors
from jaxssim._core.windows import weight_of_windows
from jaxssim._layout import CheckedInputs, Layout, split_shape
from jaxssim.conventions import Convention, Padding, Taps


class Shards(NamedTuple):
    """How an image is sharded along each spatial axis. Static."""

    mesh_axes: tuple[MeshAxis | None, ...]
    valid_size: Shape  # the pixels along each axis that are no padding

    def blocks(self, spatial: Shape, layout: Layout) -> tuple[Block, ...]:
        """Returns the part of each axis that a device holds; `spatial` is the shape of the part."""
        border, ndim = layout.crop_border, layout.spatial_ndim
        return tuple(
            Block(axis, mesh_axis, length, border, size - border)
            for axis, mesh_axis, length, size in zip(
                range(-1 - ndim, -1), self.mesh_axes, spatial, self.valid_size, strict=True
            )
        )

    def sum(self, arrays: Any) -> Any:
        """Returns the sums of arrays over all devices that share an image."""
        return lax.psum(arrays, halos.names_of(self.mesh_axes))


def pair_of_shards(checked: CheckedInputs, layout: Layout, shards: Shards) -> tuple[Pair, tuple[Block, ...]]:
    """Returns the pixels that the device holds of a pair of images, without halo, and the part that they are."""
    blocks = shards.blocks(split_shape(checked.x.shape, layout.uncropped)[1], layout)
    return checked.image_pair(layout.uncropped, blocks), blocks


def mean_of_shards(
    formula: Formula, convention: Convention, checked: CheckedInputs, layout: Layout, shards: Shards
) -> jax.Array:
    """Returns the mean of `formula` over all windows of all devices: (*batch, channels)."""
    pair, blocks = pair_of_shards(checked, layout, shards)
    return shards.sum(_own_part_of_mean(formula, convention, pair, blocks, shards))


def means_of_shards_by_scale(
    formulas: Sequence[Formula], convention: Convention, checked: CheckedInputs, layout: Layout, shards: Shards
) -> list[jax.Array]:
    """Returns the mean of each formula at its scale, each scale half as large as the one before: (*batch, channels)."""
    pair, blocks = pair_of_shards(checked, layout, shards)
    taps, parts = convention.window.taps(layout.spatial_ndim), []
    for scale, formula in enumerate(formulas):
        if scale:
            pair, blocks = _halved(pair, blocks, taps)
        parts.append(_own_part_of_mean(formula, convention, pair, blocks, shards))
    return shards.sum(parts)


def with_halo(pair: Pair, blocks: tuple[Block, ...], taps: Taps, padding: Padding) -> Pair:
    """Returns the pair with the neighbours' pixels, and the windows that count.

    Windows begin in the block where `padding` is "valid"; otherwise each pixel of the block has a window around it.
    """

    def extended(array: jax.Array, outside: int = 0) -> jax.Array:
        if padding == "valid":
            return halos.with_halo_after(array, blocks, taps)
        return halos.with_padded_halo(array, blocks, taps, padding, outside)

    counting: tuple[jax.Array, ...] = ()
    if padding == "valid":
        counting = halos.counting_windows(blocks, taps, pair.arrays[0].ndim, dtype_of_statistics(pair))
    weight = None if pair.weight is None else extended(pair.weight, 1)
    return pair._replace(arrays=tuple(map(extended, pair.arrays)), weight=weight, counting=counting)


def _own_part_of_mean(
    formula: Formula, convention: Convention, pair: Pair, blocks: tuple[Block, ...], shards: Shards
) -> jax.Array:
    """Returns the mean over the windows of this device, times the device's share of the weight."""
    taps, padding = convention.window.taps(len(blocks)), padding_of_mean(convention)
    pieces = halos.pieces(blocks, taps) if padding == "valid" else [blocks]
    pairs = [with_halo(pair, piece, taps, padding) for piece in pieces]
    weights = [lax.stop_gradient(weight_of_windows(piece, taps)) for piece in pairs]
    total: Any = _number_of_windows(blocks, taps, padding)
    if pair.weight is not None:
        total = shards.sum(functools.reduce(jnp.add, weights))
        total = jnp.where(total == 0, 1, total)
    means = (mean_over_windows(function_of_windows(formula, convention, taps), taps, piece) for piece in pairs)
    return functools.reduce(jnp.add, (mean * (weight / total) for mean, weight in zip(means, weights, strict=True)))


def _number_of_windows(blocks: tuple[Block, ...], taps: Taps, padding: Padding) -> float:
    """Returns how many windows of the whole image count."""
    lost = [len(axis_taps) - 1 if padding == "valid" else 0 for axis_taps in taps]
    return float(math.prod(block.end - block.first - n for block, n in zip(blocks, lost, strict=True)))


def padding_of_mean(convention: Convention) -> Padding:
    """Returns how an image is continued for its mean, "valid" if not at all."""
    return convention.padding if convention.average == "all" else "valid"


def _halved(pair: Pair, blocks: tuple[Block, ...], taps: Taps) -> tuple[Pair, tuple[Block, ...]]:
    """Returns means of 2 pixels along each axis that the window spans; the last pixel of an odd side counts twice."""
    factors = halving_factors(taps)

    def halved(image: CentredImage) -> CentredImage:
        for block, factor in zip(blocks, factors, strict=True):
            if factor == 2 and block.end % 2 and block.end < block.length * halos.devices_along(block.mesh_axis):
                weight = None if image.weight is None else _last_twice(image.weight, block)
                image = image._replace(centred=_last_twice(image.centred, block), weight=weight)
        return halve(image, taps)

    coarser = (
        block._replace(length=-(-block.length // factor), end=-(-block.end // factor))
        for block, factor in zip(blocks, factors, strict=True)
    )
    return map_images(halved, pair), tuple(coarser)


def _last_twice(array: jax.Array, block: Block) -> jax.Array:
    """Returns an array with the last pixel that counts repeated after it; one device holds both places."""
    before = jnp.roll(array, 1, block.axis)
    return jnp.where(halos.positions(block, array.ndim, 0, block.length) == block.end, before, array)
