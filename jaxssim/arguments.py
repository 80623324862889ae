"""What SSIM and its kin take: two images, what belongs to them, and a convention that fits them."""

from typing import Any, NamedTuple

import jax

from jaxssim import inputs, masks
from jaxssim.conventions import Convention
from jaxssim.inputs import Layout, Shape
from jaxssim.resampling import downsampled


class Pair(NamedTuple):
    """Two images and what belongs to them, as they came but for the checks."""

    x: jax.Array
    y: jax.Array
    data_range: jax.Array
    mask: jax.Array | None


def check(x: Any, y: Any, data_range: Any, mask: Any, convention: Convention, layout: Layout) -> Pair:
    """The two images, their data range and mask as arrays, or a ValueError that says what to pass."""
    check_convention(convention)
    x, y = inputs.check_images(x, y, layout)
    batch, spatial = inputs.split(x.shape, layout)
    check_size(downsampled(spatial, convention.downsample), convention)
    if mask is not None and convention.covariance == "sample":
        raise ValueError(
            "mask cannot be had under a convention with sample covariance, since windows then hold no set number of "
            'pixels; pass dataclasses.replace(convention, covariance="population")'
        )
    return Pair(x, y, inputs.check_data_range(data_range, x, y, batch), masks.check(mask, x.shape, layout))


def check_convention(convention: Any) -> None:
    """A ValueError for anything that is none."""
    if not isinstance(convention, Convention):
        raise ValueError(
            f"convention must be a jaxssim.Convention, got {convention!r}; pass one, as jaxssim.conventions.SKIMAGE"
        )


def check_size(spatial: Shape, convention: Convention) -> None:
    """A ValueError where the window is longer than the image along some axis."""
    sizes = tuple(map(len, convention.window.taps(len(spatial))))
    if any(n < size for n, size in zip(spatial, sizes, strict=True)):
        raise ValueError(
            f"x and y have spatial shape {spatial}, smaller than the window of {'x'.join(map(str, sizes))} pixels; "
            "pass larger images, or a convention with a smaller window: dataclasses.replace(convention, window=...)"
        )
