"""Padding, cropping and shrinking of images. Offsets do not change: all but zero padding keeps constant images."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxssim._core import xla
from jaxssim._core.images import CentredImage, Pair, SumDifference, map_images
from jaxssim.conventions import Downsample, Padding, Taps

Shape = tuple[int, ...]
PAD_MODES: dict[str, Any] = {"symmetric": "symmetric", "reflect": "reflect", "replicate": "edge", "zero": "constant"}
"""The mode of `numpy.pad` for each padding of a convention but "valid"."""


def downsampled_shape(spatial: Shape, rule: Downsample | None) -> Shape:
    """Returns the spatial shape of an image after `downsample`."""
    factor = downsample_factor(spatial, rule)
    return tuple(n // factor if rule == "pool" else -(-n // factor) for n in spatial)


def downsample_pair(pair: Pair, rule: Downsample | None, spatial_ndim: int) -> Pair:
    """Returns a pair shrunk by the rule of a convention."""
    spatial = pair.arrays[0].shape[-1 - spatial_ndim : -1]
    if rule is None or downsampled_shape(spatial, rule) == spatial:
        return pair
    return map_images(downsample, pair, rule, spatial_ndim)


def downsample(image: CentredImage, rule: Downsample | None, spatial_ndim: int) -> CentredImage:
    """Returns an image shrunk to about 256 pixels on its shorter side, by the rule of a convention."""
    spatial = image.centred.shape[-1 - spatial_ndim : -1]
    factor = downsample_factor(spatial, rule)
    if rule == "pool":
        return block_mean(crop(image, tuple((0, n % factor) for n in spatial)), (factor,) * spatial_ndim, 0)
    return block_mean(image, (factor,) * spatial_ndim, (factor - 1) // 2)


def halve_pair(pair: Pair, taps: Taps) -> SumDifference:
    """Returns the sum and difference of two images, halved by `halve`, from one loop over the images."""
    arrays, weight = _halved_arrays(pair, taps=taps)
    # The offsets stay outside of that loop, behind whose barrier they would have tangents.
    return SumDifference(arrays, weight, pair.offsets_of_both(), pair.constants)


@xla.no_fuse
def _halved_arrays(pair: Pair, *, taps: Taps) -> tuple[tuple[jax.Array, ...], jax.Array | None]:
    halved = map_images(halve, pair, taps)
    return halved.arrays, halved.weight


def halve(image: CentredImage, taps: Taps) -> CentredImage:
    """Returns means of 2 pixels along each axis that the window spans; the last pixel of an odd side counts twice."""
    return block_mean(image, halving_factors(taps), 0)


def halving_factors(taps: Taps) -> tuple[int, ...]:
    """Returns by which factor each axis is shortened: 2, or 1 where the window is one pixel long."""
    return tuple(2 if len(axis_taps) > 1 else 1 for axis_taps in taps)


def block_mean(image: CentredImage, factors: tuple[int, ...], before: int) -> CentredImage:
    """Returns means of blocks of `factors` pixels, one factor for each axis, weighted by the mask, if any.

    The first block starts `before` pixels before the image; the image is mirrored at its edges.
    """
    if set(factors) == {1}:
        return image
    if image.weight is None:
        return image._replace(centred=_block_means(image.centred, factors, before))
    weight = _block_means(image.weight, factors, before)
    weighted = _block_means(image.centred * image.weight, factors, before)
    return image._replace(centred=weighted / jnp.where(weight == 0, 1, weight), weight=weight)


def pad_pair(pair: Pair, taps: Taps, padding: Padding) -> Pair:
    """Returns a pair continued beyond its edges, so that every pixel has a window, or the pair itself for "valid"."""
    return pair if padding == "valid" else map_images(pad, pair, taps, padding)


def pad(image: CentredImage, taps: Taps, padding: Padding) -> CentredImage:
    """Returns an image continued beyond its edges, so that every pixel has a window, or the image for "valid"."""
    if padding == "valid":
        return image

    def padded(array: jax.Array, outside: ArrayLike) -> jax.Array:
        batch = [(0, 0)] * (array.ndim - len(taps) - 1)
        widths = [*batch, *((radius, radius) for radius in radii(taps)), (0, 0)]
        continued = jnp.pad(array, widths, PAD_MODES[padding])
        if padding != "zero":
            return continued
        inside = np.pad(np.ones(array.shape[len(batch) : -1], bool), widths[len(batch) : -1])
        return jnp.where(inside[..., None], continued, outside)

    weight = None if image.weight is None else padded(image.weight, 1)
    return image._replace(centred=padded(image.centred, -image.offset[..., :1, :]), weight=weight)


def crop(image: CentredImage, widths: tuple[tuple[int, int], ...]) -> CentredImage:
    """Returns an image without some pixels before and after along each spatial axis."""
    inside = (..., *(slice(before, -after or None) for before, after in widths), slice(None))
    weight = None if image.weight is None else image.weight[inside]
    return image._replace(centred=image.centred[inside], weight=weight)


def radii(taps: Taps) -> tuple[int, ...]:
    """Returns the number of pixels from a window's centre to its edge along each axis."""
    return tuple(len(axis_taps) // 2 for axis_taps in taps)


def downsample_factor(spatial: Shape, rule: Downsample | None) -> int:
    """Returns shorter side / 256, rounded half to even ("pool") or half up ("wang"); at least 1."""
    if rule is None:
        return 1
    return max(1, round(min(spatial) / 256) if rule == "pool" else (2 * min(spatial) + 256) // 512)


def _block_means(image: jax.Array, factors: tuple[int, ...], before: int) -> jax.Array:
    for axis, factor in enumerate(factors, start=image.ndim - 1 - len(factors)):
        if factor == 1:
            continue
        length = image.shape[axis]
        needed = -(-length // factor) * factor
        after = max(0, needed - length - before)
        if before or after:
            widths = [(0, 0)] * image.ndim
            widths[axis] = (before, after)
            image = jnp.pad(image, widths, mode="symmetric")
        image = _means_along(lax.slice_in_dim(image, 0, needed, axis=axis), axis, factor)
    return image


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _means_along(image: jax.Array, axis: int, factor: int) -> jax.Array:
    """Returns the means of `factor` neighbouring pixels along an axis, whose length `factor` divides."""
    blocks = _split_into_blocks(image, axis, factor)
    pixels = (lax.index_in_dim(blocks, i, axis + 1, keepdims=False) for i in range(factor))
    return functools.reduce(lax.add, pixels) / factor  # XLA on CPU sums so short an axis 7 to 25 times as slowly


@_means_along.defjvp
def _means_along_jvp(axis, factor, primals, tangents):  # type: ignore[no-untyped-def]
    (image,), (tangent,) = primals, tangents
    # The transpose of a sum repeats the cotangent, those of slices pad it.
    return _means_along(image, axis, factor), _split_into_blocks(tangent, axis, factor).sum(axis + 1) / factor


def _split_into_blocks(image: jax.Array, axis: int, factor: int) -> jax.Array:
    return image.reshape(*image.shape[:axis], -1, factor, *image.shape[axis + 1 :])
