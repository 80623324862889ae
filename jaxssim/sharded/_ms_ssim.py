"""MS-SSIM and its loss, of images that devices share."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
from jax.typing import ArrayLike

from jaxssim import conventions
from jaxssim._inputs import Reduction, check_convention, reduce_batch
from jaxssim._layout import LAST, Layout
from jaxssim._ms_ssim import MS_SSIM_WEIGHTS, check_weights, one_minus_ms_ssim, prepare_ms_ssim
from jaxssim._shard_inputs import prepare_shards
from jaxssim._shards import padding_of_mean
from jaxssim.conventions import Convention
from jaxssim.sharded._ssim import AxisNames


def ms_ssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    axis_names: AxisNames,
    valid_size: Sequence[int] | None = None,
    data_range: ArrayLike | None = None,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    convention: Convention = conventions.WANG2004,
    k1: ArrayLike | None = None,
    k2: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the multi-scale structural similarity of each pair of images, whose parts the devices hold.

    It is that of `jaxssim.ms_ssim`. At each scale a device receives the next `window.size - 1` rows of both images from
    the devices that hold them. The number of pixels of a device along a sharded axis must halve at each scale without a
    remainder: pad the images by `pad` with `scales=len(weights)`.

    Args:
        x: This device's part of the images: (*batch, *spatial, channels), equally large on every device.
        y: This device's part of the other images, of the shape of `x`; of its type too, unless both are floating.
        axis_names: The axis of the mesh that shards each spatial axis, or None, as ("rows", None); or the first alone.
        valid_size: Pixels along each spatial axis of the whole images, at their start, that are no padding; None: all.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        weights: One positive exponent for each scale, finest scale first.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        k1: Replaces the convention's k1, which stabilises luminance: a scalar, whose new values do not recompile.
        k2: Replaces the convention's k2, which stabilises contrast and structure: a scalar, as k1.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        (*batch,), within [0, 1], the same on all devices that share an image.

    Raises:
        ValueError: If `axis_names` are no axes over which `x` varies inside `jax.shard_map` with `check_vma=True`,
            the scales cannot halve the pixels of a device, `crop_border` is not 0, the convention continues images that
            padding surrounds or of which a device holds too little, or for what `jaxssim.ms_ssim` raises.

    Example:
        >>> mesh, rows = jax.sharding.Mesh(jax.devices(), "rows"), jax.sharding.PartitionSpec("rows")
        >>> part = lambda x, y: jaxssim.sharded.ms_ssim(x, y, axis_names="rows", data_range=1.0, weights=(0.3, 0.7))
        >>> x = jnp.linspace(0, 1, 1024).reshape(32, 32, 1)
        >>> whole = jax.jit(jax.shard_map(part, mesh=mesh, in_specs=rows, out_specs=jax.sharding.PartitionSpec()))
        >>> bool(whole(x, x) == 1)
        True
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return 1 - _one_minus_ms_ssim(x, y, data_range, mask, weights, convention, layout, k1, k2, axis_names, valid_size)


def ms_ssim_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    axis_names: AxisNames,
    valid_size: Sequence[int] | None = None,
    data_range: ArrayLike | None = None,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    convention: Convention = conventions.WANG2004,
    k1: ArrayLike | None = None,
    k2: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reduction: Reduction = "mean",
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the mean over the batch of 1 - MS-SSIM of images whose parts the devices hold.

    Everything else is as in `ms_ssim`. Where devices share the batch too, the mean is over the images of each device.

    Args:
        x: This device's part of the images: (*batch, *spatial, channels), equally large on every device.
        y: This device's part of the other images, of the shape of `x`; of its type too, unless both are floating.
        axis_names: The axis of the mesh that shards each spatial axis, or None, as ("rows", None); or the first alone.
        valid_size: Pixels along each spatial axis of the whole images, at their start, that are no padding; None: all.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        weights: One positive exponent for each scale, finest scale first.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        k1: Replaces the convention's k1, which stabilises luminance: a scalar, whose new values do not recompile.
        k2: Replaces the convention's k2, which stabilises contrast and structure: a scalar, as k1.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        reduction: "mean" for the mean over the batch, "none" for one value per image.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        A scalar, or (*batch,), within [0, 1], the same on all devices that share an image.

    Raises:
        ValueError: If `axis_names` are no axes over which `x` varies inside `jax.shard_map` with `check_vma=True`,
            the scales cannot halve the pixels of a device, `crop_border` is not 0, the convention continues images that
            padding surrounds or of which a device holds too little, or for what `jaxssim.ms_ssim_loss` raises.

    Example:
        >>> mesh, rows = jax.sharding.Mesh(jax.devices(), "rows"), jax.sharding.PartitionSpec("rows")
        >>> part = lambda x, y: jaxssim.sharded.ms_ssim_loss(x, y, axis_names="rows", data_range=1.0, weights=(1, 1))
        >>> x = jnp.linspace(0, 1, 1024).reshape(32, 32, 1)
        >>> whole = jax.jit(jax.shard_map(part, mesh=mesh, in_specs=rows, out_specs=jax.sharding.PartitionSpec()))
        >>> jax.grad(whole)(x, x**2).shape
        (32, 32, 1)
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return reduce_batch(
        _one_minus_ms_ssim(x, y, data_range, mask, weights, convention, layout, k1, k2, axis_names, valid_size),
        reduction,
    )


def _one_minus_ms_ssim(
    x: Any,
    y: Any,
    data_range: Any,
    mask: Any,
    weights: Any,
    convention: Convention,
    layout: Layout,
    k1: Any,
    k2: Any,
    axis_names: Any,
    valid_size: Any,
) -> jax.Array:
    """Returns 1 - MS-SSIM of each pair of images."""
    check_convention(convention)
    convention = dataclasses.replace(convention, downsample=None)
    scales = len(check_weights(weights))
    shards, whole = prepare_shards(
        {"x": x, "y": y, "mask": mask}, convention, layout, axis_names, valid_size, padding_of_mean(convention), scales
    )
    checked, weights, *_ = prepare_ms_ssim(x, y, data_range, mask, weights, convention, layout.uncropped, k1, k2, whole)
    return one_minus_ms_ssim(checked, weights, convention, layout, shards)
