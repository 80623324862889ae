"""From sRGB to linear light, and from linear light to XYB, the colours in which JPEG XL compares images.

Colours are planes: the first axis holds red, green and blue, or X, Y and B. Every step has finite derivatives.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxssim._core import xla

# How the cones for long, medium and short waves absorb red, green and blue, and the light that they always see.
ABSORBANCE = (
    (0.30, 0.622, 0.078),
    (0.23, 0.692, 0.078),
    (0.24342268924547819, 0.20476744424496821, 0.5518098665095536),
)
BIAS = 0.0037930732552754493


@xla.no_fuse
def linear_light(srgb: jax.Array) -> jax.Array:
    """Returns the light of sRGB values by IEC 61966-2-1; values outside [0, 1] count as the nearest inside."""
    # Functions of lax, since XLA on CPU would not fuse `jnp.where`, a jitted function, here. Unlike `jnp.clip`, the
    # selections keep the whole derivative at 0 and 1.
    zero, one = jnp.zeros_like(srgb), jnp.ones_like(srgb)
    value = lax.select(srgb < 0, zero, lax.select(srgb > 1, one, srgb))
    dark = value <= 0.04045
    return lax.select(dark, value / 12.92, _power(lax.select(dark, one, (value + 0.055) / 1.055), 2.4))


def positive_xyb(light: jax.Array) -> jax.Array:
    """Returns 14 X + 0.42, Y + 0.01 and B - Y + 0.55 of linear light, which lie within [0, 1] as SSIM needs them."""
    long, medium, short = _responses(light)
    y = (long + medium) / 2
    return jnp.stack([7 * (long - medium) + 0.42, y + 0.01, short - y + 0.55])


@xla.no_fuse
def _responses(light: jax.Array) -> jax.Array:
    """Returns the responses of the cones, cube roots of the light that they absorb, 0 for black."""
    red, green, blue = light
    absorbed = jnp.stack([r * red + g * green + b * blue for r, g, b in ABSORBANCE])
    return _power(absorbed + BIAS, 1 / 3) - BIAS ** (1 / 3)


def _power(base: jax.Array, exponent: float) -> jax.Array:
    """Returns the power of a positive base by functions that XLA vectorises: `jnp.cbrt` takes ten times as long."""
    return jnp.exp(exponent * jnp.log(base))
