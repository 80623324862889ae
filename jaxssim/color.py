"""The luma of colour images, as papers on super-resolution compare it."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim import inputs
from jaxssim.inputs import Layout

# ITU-R BT.601 in thousandths of the way from black to white, of red, green and blue.
STUDIO = (65481, 128553, 24966)  # of 255 in 1000; from 16 to 235
FULL = (76245, 149685, 29070)  # 0.299, 0.587 and 0.114 of it; from 0 to 255


def luma(
    rgb: ArrayLike, *, data_range: float | None = None, full_range: bool = False, channel_axis: int = -1
) -> jax.Array:
    """Luma of gamma-corrected RGB by ITU-R BT.601, as the first channel of MATLAB's `rgb2ycbcr`.

    The protocol of papers on super-resolution, with the border of `scale` pixels left out, is then

        x, y = jaxssim.luma(image), jaxssim.luma(upscaled)
        psnr, ssim = (f(x, y, channel_axis=None, crop_border=scale) for f in (jaxssim.psnr, jaxssim.ssim))

    Args:
        rgb: (..., 3), red, green and blue from 0 to `data_range`; uint8, uint16, float16, bfloat16, float32 or float64.
        data_range: of floats, what white is; 1.0 or 255.0, say. Integers bring theirs with them.
        full_range: False scales to the studio range, which is MATLAB's: black is 16 / 255 of the data range and white
            235 / 255. True keeps 0 and `data_range`.
        channel_axis: the axis of length 3, counted from the end.

    Returns:
        `rgb`'s shape without `channel_axis`, in its type; integers are rounded to the nearest, halves up, as in MATLAB.

    Raises:
        ValueError: for an axis that does not hold three channels, types that are not listed, and a data range that is
            missing or not positive.
    """
    image = inputs.check_image("rgb", rgb, Layout(1, channel_axis))
    if channel_axis is None or image.shape[channel_axis] != 3:
        raise ValueError(
            f"rgb must hold red, green and blue along channel_axis, got the shape {image.shape} with "
            f"channel_axis={channel_axis}"
        )
    limit = inputs.INTEGER_RANGES.get(str(image.dtype), data_range)
    if data_range not in (None, limit):
        raise ValueError(
            f"data_range of {image.dtype} images is {limit}, got {data_range}; convert them to float32 for another"
        )
    return _luma(image, inputs.check_data_range(limit, image, image, ()), bool(full_range), channel_axis)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _luma(rgb: jax.Array, data_range: jax.Array, full_range: bool, channel_axis: int) -> jax.Array:
    red, green, blue = jnp.moveaxis(rgb, channel_axis, 0)
    weights, black = (FULL, 0) if full_range else (STUDIO, 16)
    if jnp.issubdtype(rgb.dtype, jnp.integer):
        # Exact in 32 bits: every value v is 256 h + l, and weights sum to less than 2^18.
        parts = [[c.astype(jnp.uint32) >> 8, c.astype(jnp.uint32) & 255] for c in (red, green, blue)]
        high, low = (sum(w * part[i] for w, part in zip(weights, parts, strict=True)) for i in (0, 1))
        rounded = 256 * (high // 255000) + (256 * (high % 255000) + low + 127500) // 255000
        return (rounded + black * jnp.iinfo(rgb.dtype).max // 255).astype(rgb.dtype)
    dtype = inputs.statistics_type(rgb, rgb)
    scaled = sum(w / 255000 * c.astype(dtype) for w, c in zip(weights, (red, green, blue), strict=True))
    return (scaled + black / 255 * data_range).astype(rgb.dtype)
