"""SSIM, its loss and its map, of images that devices share."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.typing import ArrayLike

from jaxssim import conventions
from jaxssim._core.halos import MeshAxis
from jaxssim._inputs import Reduction, check_convention, prepare, reduce_batch
from jaxssim._layout import LAST, CheckedInputs, Layout
from jaxssim._maps import similarity_map
from jaxssim._shard_inputs import prepare_shards
from jaxssim._shards import Shards, padding_of_mean
from jaxssim._ssim import mean_one_minus_ssim
from jaxssim.conventions import Convention, Padding

AxisNames = str | Sequence[MeshAxis | None]


def ssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    axis_names: AxisNames,
    valid_size: Sequence[int] | None = None,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    k1: ArrayLike | None = None,
    k2: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the structural similarity of each pair of images, whose parts the devices hold, as `jaxssim.ssim` does.

    Each device receives the next `window.size - 1` rows of both images, and its gradient sends as many back. A device
    needs the temporary memory of a value of its part. Values are within 2e-7 of `jaxssim.ssim` of the whole images.

    Args:
        x: This device's part of the images: (*batch, *spatial, channels), equally large on every device.
        y: This device's part of the other images, of the shape of `x`; of its type too, unless both are floating.
        axis_names: The axis of the mesh that shards each spatial axis, or None, as ("rows", None); or the first alone.
        valid_size: Pixels along each spatial axis of the whole images, at their start, that are no padding; None: all.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        k1: Replaces the convention's k1, which stabilises luminance: a scalar, whose new values do not recompile.
        k2: Replaces the convention's k2, which stabilises contrast and structure: a scalar, as k1.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        (*batch,), within [-1, 1], the same on all devices that share an image.

    Raises:
        ValueError: If `axis_names` are no axes over which `x` varies inside `jax.shard_map` with `check_vma=True`,
            the convention shrinks images, the convention continues images that a border or padding surrounds or of
            which a device holds too little, the convention has a stride, or for what `jaxssim.ssim` raises.

    Example:
        >>> mesh, rows = jax.sharding.Mesh(jax.devices(), "rows"), jax.sharding.PartitionSpec("rows")
        >>> part = lambda x, y: jaxssim.sharded.ssim(x, y, axis_names="rows", data_range=1.0, channel_axis=None)
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> whole = jax.jit(jax.shard_map(part, mesh=mesh, in_specs=rows, out_specs=jax.sharding.PartitionSpec()))
        >>> print(f"{whole(x, x**2):.4f}")
        0.7792
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return 1 - _one_minus_ssim(x, y, data_range, mask, convention, layout, k1, k2, axis_names, valid_size)


def ssim_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    axis_names: AxisNames,
    valid_size: Sequence[int] | None = None,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    k1: ArrayLike | None = None,
    k2: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reduction: Reduction = "mean",
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the mean over the batch of 1 - SSIM of images whose parts the devices hold, as `jaxssim.ssim_loss` does.

    Everything else is as in `ssim`. Where devices share the batch too, the mean is over the images of each device.

    Args:
        x: This device's part of the images: (*batch, *spatial, channels), equally large on every device.
        y: This device's part of the other images, of the shape of `x`; of its type too, unless both are floating.
        axis_names: The axis of the mesh that shards each spatial axis, or None, as ("rows", None); or the first alone.
        valid_size: Pixels along each spatial axis of the whole images, at their start, that are no padding; None: all.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        k1: Replaces the convention's k1, which stabilises luminance: a scalar, whose new values do not recompile.
        k2: Replaces the convention's k2, which stabilises contrast and structure: a scalar, as k1.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        reduction: "mean" for the mean over the batch, "none" for one value per image.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        A scalar, or (*batch,), within [0, 2], the same on all devices that share an image.

    Raises:
        ValueError: If `axis_names` are no axes over which `x` varies inside `jax.shard_map` with `check_vma=True`,
            the convention shrinks images, the convention continues images that a border or padding surrounds or of
            which a device holds too little, the convention has a stride, or for what `jaxssim.ssim_loss` raises.

    Example:
        >>> mesh, rows = jax.sharding.Mesh(jax.devices(), "rows"), jax.sharding.PartitionSpec("rows")
        >>> part = lambda x, y: jaxssim.sharded.ssim_loss(x, y, axis_names="rows", data_range=1.0, channel_axis=None)
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> whole = jax.jit(jax.shard_map(part, mesh=mesh, in_specs=rows, out_specs=jax.sharding.PartitionSpec()))
        >>> jax.grad(whole)(x, x**2).shape
        (16, 16)
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return reduce_batch(
        _one_minus_ssim(x, y, data_range, mask, convention, layout, k1, k2, axis_names, valid_size), reduction
    )


def ssim_map(
    x: ArrayLike,
    y: ArrayLike,
    *,
    axis_names: AxisNames,
    valid_size: Sequence[int] | None = None,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    k1: ArrayLike | None = None,
    k2: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns this device's part of the map of SSIM at every window and channel, as `jaxssim.ssim_map` does.

    A sharded axis of the map is as long as that of the images. Row i of the map is row i of `jaxssim.ssim_map` of the
    whole images; the rows after its last one are NaN, as are windows that reach into `crop_border`.

    Args:
        x: This device's part of the images: (*batch, *spatial, channels), equally large on every device.
        y: This device's part of the other images, of the shape of `x`; of its type too, unless both are floating.
        axis_names: The axis of the mesh that shards each spatial axis, or None, as ("rows", None); or the first alone.
        valid_size: Pixels along each spatial axis of the whole images, at their start, that are no padding; None: all.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        k1: Replaces the convention's k1, which stabilises luminance: a scalar, whose new values do not recompile.
        k2: Replaces the convention's k2, which stabilises contrast and structure: a scalar, as k1.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        (*batch, *spatial_out, channels), or (*batch, *spatial_out) if `channel_axis` is None; within [-1, 1], or NaN
        where a window reaches beyond the pixels that count. An axis that is not sharded is `window.size - 1` pixels
        shorter if the convention's padding is "valid".

    Raises:
        ValueError: If `axis_names` are no axes over which `x` varies inside `jax.shard_map` with `check_vma=True`,
            the convention shrinks images, the convention continues images that a border or padding surrounds or of
            which a device holds too little, the convention has a stride, or for what `jaxssim.ssim_map` raises.

    Example:
        >>> mesh, rows = jax.sharding.Mesh(jax.devices(), "rows"), jax.sharding.PartitionSpec("rows")
        >>> part = lambda x, y: jaxssim.sharded.ssim_map(x, y, axis_names="rows", data_range=1.0, channel_axis=None)
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> whole = jax.jit(jax.shard_map(part, mesh=mesh, in_specs=rows, out_specs=rows))
        >>> similarity = whole(x, x**2)
        >>> similarity.shape, int((~jnp.isnan(similarity[:, 0])).sum())
        ((16, 6), 6)
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    check_convention(convention)
    padding = convention.padding
    checked, shards = _prepare(x, y, data_range, mask, convention, layout, k1, k2, axis_names, valid_size, padding)
    return similarity_map(checked, convention, layout, shards)


def _one_minus_ssim(
    x: Any,
    y: Any,
    data_range: Any,
    mask: Any,
    convention: Convention,
    layout: Layout,
    k1: Any,
    k2: Any,
    axis_names: Any,
    valid_size: Any,
) -> jax.Array:
    """Returns 1 - SSIM of each pair of images."""
    check_convention(convention)
    padding = padding_of_mean(convention)
    checked, shards = _prepare(x, y, data_range, mask, convention, layout, k1, k2, axis_names, valid_size, padding)
    return mean_one_minus_ssim(checked, convention, layout, shards)


def _prepare(
    x: Any,
    y: Any,
    data_range: Any,
    mask: Any,
    convention: Convention,
    layout: Layout,
    k1: Any,
    k2: Any,
    axis_names: Any,
    valid_size: Any,
    padding: Padding,
) -> tuple[CheckedInputs, Shards]:
    """Returns the images that passed all checks, with their border, and how devices share them."""
    images = {"x": x, "y": y, "mask": mask}
    shards, whole = prepare_shards(images, convention, layout, axis_names, valid_size, padding)
    return prepare(x, y, data_range, mask, convention, layout.uncropped, k1, k2, whole), shards
