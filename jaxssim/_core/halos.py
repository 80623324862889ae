"""Blocks of an image that several devices hold: rows of the neighbours, and which pixels and windows count.

For code inside `jax.shard_map`. A device holds a block of the image, equally long on every device. Before a filter the
device receives a halo: the rows by which its windows reach into the blocks of its neighbours. Two sharded axes exchange
one after the other, so that the second exchange brings the corners along.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxssim._core.resampling import PAD_MODES
from jaxssim.conventions import AxisTaps, Padding, Taps

MeshAxis = str | tuple[str, ...]
"""The axis of a mesh over which an axis of an image is sharded, or several."""
MIN_LENGTH_PER_HALO = 8
"""A block of at least this many times the length of its halo is computed in two pieces, of which one needs the halo."""


class Block(NamedTuple):
    """One spatial axis of an image, and the part of it that a device holds. Static."""

    axis: int  # counted from the end, channels last
    mesh_axis: MeshAxis | None  # None: each device holds the whole axis
    length: int  # pixels that a device holds
    first: int  # the first pixel of the image that counts
    end: int  # the pixel after the last one that counts
    start: int = 0  # of the device's pixels, the first one to read
    has_halo: bool = True  # whether to read pixels of the next devices too

    @property
    def is_partial(self) -> bool:
        """Whether pixels do not count: those of padding or of a border."""
        return self.first > 0 or self.end < self.length * devices_along(self.mesh_axis)


def devices_along(mesh_axis: MeshAxis | None) -> int:
    """Returns the number of devices that share an axis of an image."""
    return 1 if mesh_axis is None else lax.axis_size(mesh_axis)


def names_of(mesh_axes: Iterable[MeshAxis | None]) -> tuple[str, ...]:
    """Returns the names of all axes of the mesh among `mesh_axes`."""
    found = (axis for axis in mesh_axes if axis is not None)
    return tuple(name for axis in found for name in ((axis,) if isinstance(axis, str) else axis))


def positions(block: Block, ndim: int, start: int, length: int) -> jax.Array:
    """Returns the place in the whole image of `length` pixels, of which the first lies `start` pixels into the block.

    An array with `ndim` axes of length 1, but for the block's own.
    """
    shape = [1] * ndim
    shape[block.axis] = length
    first = 0 if block.mesh_axis is None else lax.axis_index(block.mesh_axis) * block.length
    return first + start + lax.broadcasted_iota(jnp.int32, shape, ndim + block.axis)


def counting_pixels(blocks: Sequence[Block], ndim: int) -> jax.Array | None:
    """Returns which pixels of the block count, with axes of length 1 where all do; None if all pixels count."""
    counting = None
    for block in blocks:
        if block.is_partial:
            place = positions(block, ndim, 0, block.length)
            along = (place >= block.first) & (place < block.end)
            counting = along if counting is None else counting & along
    return counting


def counting_windows(blocks: Sequence[Block], taps: Taps, ndim: int, dtype: np.dtype) -> tuple[jax.Array, ...]:
    """Returns 1 at the centre of each window that lies inside the pixels that count, else 0.

    The pixels are those of a block with the halo after it, which the last device lacks. Each array is as long as these
    pixels along one axis, and 1 long along the others; an axis whose windows all count has no array. There is at least
    one array.
    """
    weights = []
    for block, axis_taps in zip(blocks, taps, strict=True):
        halo, radius = halo_after(block, axis_taps), len(axis_taps) // 2
        if block.is_partial or halo:
            centre = positions(block, ndim, block.start, block.length - block.start + halo)
            after = len(axis_taps) - 1 - radius
            inside = (centre >= block.first + radius) & (centre < block.end - after)
            weights.append(inside.astype(dtype))
    return tuple(weights) or (jnp.ones((1,) * ndim, dtype),)


def halo_after(block: Block, axis_taps: AxisTaps) -> int:
    """Returns how many pixels after the block belong to windows that begin in it."""
    return len(axis_taps) - 1 if block.mesh_axis is not None and block.has_halo else 0


def pieces(blocks: Sequence[Block], taps: Taps) -> list[tuple[Block, ...]]:
    """Returns blocks of which one holds each window: a strip with a halo for each sharded axis, and the rest without.

    So only a strip is copied to append the halo, and the devices need not wait for the halo to compute the rest. Blocks
    that are small beside their halos stay whole, which compiles faster.
    """
    strips, rest = [], list(blocks)
    for i, (block, axis_taps) in enumerate(zip(blocks, taps, strict=True)):
        halo = halo_after(block, axis_taps)
        if 0 < MIN_LENGTH_PER_HALO * halo <= block.length:
            strips.append((*rest[:i], block._replace(start=block.length - halo), *rest[i + 1 :]))
            rest[i] = block._replace(has_halo=False)
    return [*strips, tuple(rest)]


def with_halo_after(array: jax.Array, blocks: Sequence[Block], taps: Taps) -> jax.Array:
    """Returns the block with the pixels after it that belong to windows that begin in it; 0 after the last device."""
    for block, axis_taps in zip(blocks, taps, strict=True):
        own = _slice(array, block, block.start, block.length) if block.start else array
        array = _concatenate([own, *_pixels_after(array, block, halo_after(block, axis_taps))], block)
    return array


def with_padded_halo(
    array: jax.Array, blocks: Sequence[Block], taps: Taps, padding: Padding, outside: float
) -> jax.Array:
    """Returns the block with the pixels of a window around each of its pixels.

    The whole image is continued beyond its edges, by `outside` where the padding is "zero".
    """
    for block, axis_taps in zip(blocks, taps, strict=True):
        radius = len(axis_taps) // 2
        if block.mesh_axis is None:
            array = _padded(array, block, (radius, radius), padding, outside)
        elif radius:
            array = _concatenate(_padded_parts(array, block, radius, padding, outside), block)
    return array


def _padded_parts(array: jax.Array, block: Block, radius: int, padding: Padding, outside: float) -> list[jax.Array]:
    device, devices = lax.axis_index(block.mesh_axis), devices_along(block.mesh_axis)
    needed = radius + 1  # pixels, of which "reflect" leaves out the first
    head = _padded(_slice(array, block, 0, needed), block, (radius, 0), padding, outside)
    tail = _padded(_slice(array, block, block.length - needed, block.length), block, (0, radius), padding, outside)
    (before,), (after,) = _pixels_before(array, block, radius), _pixels_after(array, block, radius)
    return [
        jnp.where(device == 0, _slice(head, block, 0, radius), before),
        array,
        jnp.where(device == devices - 1, _slice(tail, block, needed, needed + radius), after),
    ]


def _padded(array: jax.Array, block: Block, width: tuple[int, int], padding: Padding, outside: float) -> jax.Array:
    widths = [(0, 0)] * array.ndim
    widths[block.axis] = width
    options = {"constant_values": outside} if padding == "zero" else {}
    return jnp.pad(array, widths, PAD_MODES[padding], **options)


def _pixels_after(array: jax.Array, block: Block, count: int) -> list[jax.Array]:
    """Returns the next `count` pixels in parts, one for each device that holds some of them."""
    lengths = [min(block.length, count - done) for done in range(0, count, block.length)]
    return [_from_device(_slice(array, block, 0, n), block, hop) for hop, n in enumerate(lengths, start=1)]


def _pixels_before(array: jax.Array, block: Block, count: int) -> list[jax.Array]:
    """Returns the `count` pixels before the block, at most a block, in a part."""
    return [_from_device(_slice(array, block, block.length - count, block.length), block, -1)]


def _from_device(array: jax.Array, block: Block, distance: int) -> jax.Array:
    """Returns the array of the device `distance` further along the mesh; 0 where there is none."""
    devices = devices_along(block.mesh_axis)
    pairs = [(i + distance, i) for i in range(devices) if 0 <= i + distance < devices]
    return lax.ppermute(array, block.mesh_axis, pairs) if pairs else jnp.zeros_like(array)


def _slice(array: jax.Array, block: Block, start: int, end: int) -> jax.Array:
    return lax.slice_in_dim(array, start, end, axis=array.ndim + block.axis)


def _concatenate(parts: Sequence[Any], block: Block) -> jax.Array:
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, block.axis)
