"""Padding of images to sizes that devices can share evenly."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxssim._arrays import as_array
from jaxssim._inputs import check_channel_axis, is_integer
from jaxssim._layout import LAST, Layout, spatial_axes


def pad(
    image: ArrayLike,
    devices: Sequence[int],
    *,
    scales: int = 1,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> Any:
    """Returns images or masks with zeros after each spatial axis, so that devices can share the axis evenly.

    Pass the sizes before padding as `valid_size` to the functions of this module, for which padding has no influence.

    Args:
        image: Images (*batch, *spatial, channels), or masks of that shape. Those of NumPy stay on the host.
        devices: How many devices share each spatial axis, for instance (4, 1).
        scales: The number of scales of MS-SSIM, which is that of its weights.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        An array of the type of `image`. An axis that several devices share is the next multiple of
        `devices * 2 ** (scales - 1)` long; other axes stay as they are.

    Raises:
        ValueError: If `devices` are not one positive integer for each spatial axis, or `scales` is not positive.

    Example:
        >>> jaxssim.sharded.pad(jnp.ones((30, 20, 3)), (4, 1), scales=2).shape
        (32, 20, 3)
    """
    array, layout = as_array("image", image), Layout(spatial_ndim, channel_axis)
    check_channel_axis("image", array.shape, spatial_ndim, channel_axis)
    if not is_integer(scales) or scales < 1:
        raise ValueError(f"scales must be a positive integer, the number of weights of MS-SSIM, got {scales!r}")
    numbers = tuple(devices) if isinstance(devices, list | tuple) else ()
    if len(numbers) != spatial_ndim or not all(is_integer(number) and number > 0 for number in numbers):
        raise ValueError(
            f"devices must hold how many devices share each of the {spatial_ndim} spatial axes, for instance "
            f"{(4, 1, 1)[:spatial_ndim]}, got {devices!r}"
        )
    widths = [(0, 0)] * array.ndim
    for axis, number in zip(spatial_axes(array.ndim, layout), numbers, strict=True):
        widths[axis] = (0, -array.shape[axis] % (number * 2 ** (scales - 1) if number > 1 else 1))
    return (jnp if isinstance(array, jax.Array) else np).pad(array, widths)
