"""What the functions for images that several devices hold accept, and the errors that say what to pass instead."""

from typing import Any

import jax
from jax import lax

from jaxssim._arrays import as_array
from jaxssim._core import halos
from jaxssim._core.halos import Block, MeshAxis
from jaxssim._core.resampling import Shape, downsampled_shape, radii
from jaxssim._inputs import check_crop_border, check_image, check_static, is_integer
from jaxssim._layout import Layout, split_shape
from jaxssim._shards import Shards
from jaxssim.conventions import Convention, Padding


def prepare_shards(
    images: dict[str, Any],
    convention: Convention,
    layout: Layout,
    axis_names: Any,
    valid_size: Any,
    padding: Padding,
    scales: int = 1,
) -> tuple[Shards, Shape]:
    """Returns the shards and the spatial shape of the whole image, or raises a ValueError that says what to pass.

    `images` are x, y and the mask by their names, `padding` is that of the values or of the map.
    """
    check_static(axis_names=axis_names, valid_size=valid_size)
    _, spatial = split_shape(check_image("x", images["x"], layout.uncropped).shape, layout.uncropped)
    mesh_axes = _check_axis_names(axis_names, len(spatial))
    for name, image in images.items():
        if image is not None:
            _check_varies(name, as_array(name, image), mesh_axes)
    whole = tuple(n * halos.devices_along(axis) for n, axis in zip(spatial, mesh_axes, strict=True))
    size = _check_valid_size(valid_size, whole)
    check_crop_border(layout.crop_border, size)
    if scales > 1 and layout.crop_border:
        raise ValueError(
            f"crop_border={layout.crop_border} moves the pixels that scales of MS-SSIM average; crop the images before "
            "devices share them, and leave out crop_border"
        )
    inside = tuple(n - 2 * layout.crop_border for n in size)
    if downsampled_shape(inside, convention.downsample) != inside:
        raise ValueError(
            f"convention has downsample={convention.downsample!r}, which shrinks images of {inside} pixels across the "
            "borders of devices; shrink the images first, and pass dataclasses.replace(convention, downsample=None)"
        )
    if convention.stride > 1:
        raise ValueError(
            f"convention has stride={convention.stride}, but devices that share images compute all windows; pass "
            "dataclasses.replace(convention, stride=1), or images that no devices share"
        )
    shards = Shards(mesh_axes, size)
    _check_lengths(shards.blocks(spatial, layout), convention, padding, scales)
    return shards, inside


def _check_axis_names(axis_names: Any, spatial_ndim: int) -> tuple[MeshAxis | None, ...]:
    """Returns the axis of the mesh for each spatial axis; a name alone stands for the first spatial axis."""
    names = (axis_names, *[None] * (spatial_ndim - 1)) if isinstance(axis_names, str) else axis_names
    names = tuple(names) if isinstance(names, list | tuple) else ()
    if len(names) != spatial_ndim or not any(names):
        raise ValueError(
            f"axis_names must hold an axis of the mesh or None for each of the {spatial_ndim} spatial axes, as "
            f"{('rows', None, None)[:spatial_ndim]}, got {axis_names!r}"
        )
    if len(set(halos.names_of(names))) < len(halos.names_of(names)):
        raise ValueError(f"axis_names must hold an axis of the mesh at most once, got {axis_names!r}")
    return names


def _check_varies(image_name: str, image: Any, mesh_axes: tuple[MeshAxis | None, ...]) -> None:
    """Raises a ValueError where devices along an axis of the mesh hold the same image in place of parts."""
    for name in halos.names_of(mesh_axes):
        try:
            checked = name in jax.typeof(lax.axis_index(name)).mat.varying
        except NameError:
            raise ValueError(
                f"axis_names has {name!r}, which is no axis here; call this inside jax.shard_map"
            ) from None
        if not checked:
            raise ValueError(
                f"axis_names has {name!r}, whose use JAX does not check here, so that gradients may be wrong; call "
                "this inside jax.shard_map with check_vma=True, its default"
            )
        if name not in jax.typeof(image).mat.varying:
            raise ValueError(
                f"axis_names has {name!r}, but all devices along it hold the same {image_name}; pass it as an argument "
                f"of the function under jax.shard_map, whose in_specs have {name!r} at its spatial axis"
            )


def _check_valid_size(valid_size: Any, whole: Shape) -> Shape:
    """Returns the number of pixels along each axis that are no padding: all of them for None."""
    if valid_size is None:
        return whole
    sizes = tuple(valid_size) if isinstance(valid_size, list | tuple) else ()
    if len(sizes) != len(whole) or not all(
        is_integer(size) and 0 < size <= n for size, n in zip(sizes, whole, strict=False)
    ):
        raise ValueError(
            f"valid_size must hold the size before padding along each spatial axis, at most {whole}, got {valid_size!r}"
        )
    return tuple(map(int, sizes))


def _check_lengths(blocks: tuple[Block, ...], convention: Convention, padding: Padding, scales: int) -> None:
    """Raises a ValueError where a device holds too few pixels, or where edges do not count."""
    for block, radius in zip(blocks, radii(convention.window.taps(len(blocks))), strict=True):
        if block.mesh_axis is None or radius == 0:
            continue
        if block.length % 2 ** (scales - 1):
            raise ValueError(
                f"each device holds {block.length} pixels along {block.mesh_axis!r}, which {scales} scales cannot "
                f"halve; pad the images by jaxssim.sharded.pad(..., scales={scales}), and pass their size without the "
                "padding as valid_size to jaxssim.sharded.ms_ssim or ms_ssim_loss inside jax.shard_map"
            )
        if padding == "valid":
            continue
        if block.is_partial:
            raise ValueError(
                f"the convention's padding={padding!r} continues images beyond their edges, which needs images "
                "that fill the devices; leave out valid_size and crop_border, or pass "
                'dataclasses.replace(convention, padding="valid")'
            )
        least = (radius + 1) * 2 ** (scales - 1)
        if block.length < least:
            raise ValueError(
                f"each device holds {block.length} pixels along {block.mesh_axis!r}, but the convention's "
                f"padding={padding!r} needs {least}; use fewer devices"
            )
