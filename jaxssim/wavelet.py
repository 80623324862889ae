"""CW-SSIM: phases compared in the bands of a complex wavelet (Wang & Simoncelli 2005; Sampat, Wang, Gupta, Bovik &
Markey 2009), which a small shift or rotation turns all alike, and a change of structure does not.

Over a window, with the sum s = c_x + c_y and the difference d = c_x - c_y of the coefficients, and the three real means

    D = mean |d|²        S = mean |s|²        J = mean Im(d conj(s))        T = D + S

the index is v = 2 |mean c_x conj(c_y)| / mean(|c_x|² + |c_y|²) = √((S - D)² + 4 J²) / T, and what it lacks of 1 is

    1 - v = 4 (D S - J²) / (T² (1 + v))

which for images that are nearly the same, or nearly opposite, is known to every digit, as one minus v is not.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxssim import formulas, inputs
from jaxssim.filtering import weighted_sum
from jaxssim.inputs import Layout
from jaxssim.pyramid import analytic_bands, channels_first, check_counts
from jaxssim.summation import two_sum, weighted_mean

WINDOW = 7


class Setting(NamedTuple):
    """Which coefficients are compared. Static."""

    levels: int = 4
    orientations: int = 8
    guard: int = 0


class Bands(NamedTuple):
    """What CW-SSIM asks of an image, however many it is compared with."""

    coefficients: jax.Array  # (*batch, channels, orientations, 2, height, width), as multiples of `unit`
    unit: jax.Array  # (*batch, channels), powers of 2


def cw_ssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    levels: int = 4,
    orientations: int = 8,
    guard: int = 0,
    k: float = 0.0,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """Complex-wavelet structural similarity of each pair of images: hardly moved by small shifts and rotations.

    The coarsest level of a complex steerable pyramid is compared, over windows of 7x7 coefficients weighted towards the
    centre of the image, and averaged over orientations and channels. The mean of an image does not matter, nor its
    sign. Where neither image has anything but rounding noise, as where both are constant, they count as the same.
    Values up to 1e15 give finite derivatives, also where images are identical or flat.

    Args:
        x: (*batch, height, width, channels), of uint8, uint16, float16, bfloat16, float32 or float64. The transform is
            in float32, or float64 where an image is.
        y: of the same shape; two float types promote, anything else must be of `x`'s type.
        levels: of the pyramid. More look at larger structures, and forgive larger shifts; images must have more than
            6 * 2^(levels - 1) pixels a side.
        orientations: of the pyramid.
        guard: pixels of the image's rim to leave out, rounded down to a multiple of 2^(levels - 1).
        k: at least 0, in the square of the coefficients' units, which grow with the images' and by 4 a level: it hides
            differences between bands that hold less than it.
        channel_axis: None where there are no channels, or the axis that holds them, counted from the end. By default it
            is the last, and an error where that is longer than 4: pass it to say that these are channels.

    Returns:
        (*batch,), within [0, 1]: 1 for identical images.

    Raises:
        ValueError: for shapes that differ or are too small for the levels and the guard, types that are not listed or
            do not go together, and any argument out of its range.
    """
    checked = check(x, y, levels, orientations, guard, k, channel_axis)
    return 1 - of_images(*checked, channel_axis)


def check(
    x: Any, y: Any, levels: Any, orientations: Any, guard: Any, k: Any, channel_axis: int | None
) -> tuple[Any, Any, np.ndarray, Setting]:
    """The two images, k in the type of the statistics and the setting, or a ValueError that says what to pass."""
    layout = Layout(2, channel_axis)
    x, y = inputs.check_images(x, y, layout)
    check_counts(levels, orientations)
    if not (inputs.is_integer(guard) and guard >= 0):
        raise ValueError(f"guard must be a number of pixels, an integer of at least 0, got {guard!r}")
    if isinstance(k, bool) or not (isinstance(k, float | int | np.floating | np.integer) and 0 <= k < math.inf):
        raise ValueError(f"k must be a finite number of at least 0, got {k!r}; 0 is the paper's")
    _, spatial = inputs.split(x.shape, layout)
    fitting = [n for n in range(1, levels + 1) if min(spatial) >= _smallest(n, guard)]
    if levels not in fitting:
        raise ValueError(
            f"x and y have spatial shape {spatial}, too small for levels={levels} and guard={guard}: a window of "
            f"{WINDOW}x{WINDOW} coefficients must be left; pass images of at least {_smallest(levels, guard)} pixels a "
            f"side, or {f'levels of at most {max(fitting)}' if fitting else 'a smaller guard'}"
        )
    # One type, whatever kind of number came: a new value must not compile anew.
    k = np.asarray(min(k, float(jnp.finfo(np.float32).max)), inputs.statistics_type(x, y))
    return x, y, k, Setting(int(levels), int(orientations), int(guard))


def bands(image: jax.Array, setting: Setting) -> Bands:
    """The coefficients of the coarsest level of images (*batch, channels, height, width), floating."""
    unit = _unit(image, setting)
    image = image / unit[..., None, None]
    return Bands(_coefficients(_centred_sum(image, jnp.zeros_like(image)), setting), unit)


def dissimilarity(x: Bands, y: Bands, k: jax.Array) -> jax.Array:
    """1 - CW-SSIM of each pair of images whose bands are at hand: (*batch,)."""
    unit = jnp.maximum(x.unit, y.unit)
    # Units are powers of 2: nothing is rounded here.
    a, b = (z.coefficients * (z.unit / unit)[..., None, None, None, None] for z in (x, y))
    return _dissimilarity(a + b, a - b, k, unit)


@functools.partial(jax.jit, static_argnums=(3, 4))
def of_images(x: jax.Array, y: jax.Array, k: jax.Array, setting: Setting, channel_axis: int | None) -> jax.Array:
    """1 - CW-SSIM of each pair, from the bands of sum and difference: those of a small difference keep its digits."""
    dtype = inputs.statistics_type(x, y)
    x, y = (channels_first(image.astype(dtype), channel_axis) for image in (x, y))
    unit = jnp.maximum(_unit(x, setting), _unit(y, setting))
    x, y = (image / unit[..., None, None] for image in (x, y))
    s, d = _coefficients(jnp.stack([_centred_sum(x, y), _centred_sum(x, -y)]), setting)
    return _dissimilarity(s, d, k, unit)


def _dissimilarity(s: jax.Array, d: jax.Array, k: jax.Array, unit: jax.Array) -> jax.Array:
    """The mean over windows, orientations and channels of 1 - v, as above, times T / (T + 2 k)."""
    (s_re, s_im), (d_re, d_im) = (jnp.moveaxis(z, -3, 0) for z in (s, d))
    products = jnp.stack([d_re**2 + d_im**2, s_re**2 + s_im**2, d_im * s_re - d_re * s_im])
    products = weighted_sum(products, ((1 / WINDOW,) * WINDOW,) * 2)
    total = products[:1] + products[1:2]
    # A window that holds less than the last digit of the image's values holds rounding, whose likeness says nothing.
    silent = total <= jnp.finfo(s.dtype).eps ** 2
    total = jnp.where(silent, 1, total)
    lack = _lack(*formulas.quotient(jnp.where(silent, 0, products), total))
    # A k of 2^100 units² hides whatever there is, and can be squared.
    root = jnp.minimum(jnp.sqrt(k) / unit, 2.0**50)[..., None, None, None]
    return _average(lack * formulas.quotient(total[0], total[0] + 2 * root**2), s.shape[-2] / 4)


def _average(lack: jax.Array, sigma: float) -> jax.Array:
    """The mean of (*batch, channels, orientations, height, width), windows weighted by a Gaussian: (*batch,)."""
    height, width = lack.shape[-2:]
    weights = jnp.expand_dims(jnp.asarray(_gaussian(height, width, sigma), lack.dtype), range(lack.ndim - 2))
    mean = weighted_mean(lack, weights, (-2, -1)).mean((-2, -1))
    return jnp.where(mean > 1, 1, mean)


def _lack(d: jax.Array, s: jax.Array, j: jax.Array) -> jax.Array:
    """1 - v from D, S and J as shares of T."""
    # Below the digits of the shares v's slope has no direction; so near 0 it has none.
    v = jnp.sqrt(jnp.maximum((s - d) ** 2 + 4 * j**2, jnp.finfo(d.dtype).eps ** 2))
    determinant = d * s - j**2
    return 4 * jnp.where(determinant < 0, 0, determinant) / (1 + v)


def _unit(image: jax.Array, setting: Setting) -> jax.Array:
    """A power of 2 that no coefficient of an image much exceeds, for each channel; a constant to derivatives."""
    largest = lax.stop_gradient(jnp.abs(image).max((-2, -1)))
    # What is black to the last digit keeps the unit 1, whose inverse has powers.
    _, exponent = jnp.frexp(jnp.where(largest < jnp.finfo(image.dtype).tiny, 1, largest))
    return jnp.ldexp(jnp.ones_like(largest), exponent + 2 * (setting.levels - 1))


def _centred_sum(x: jax.Array, y: jax.Array) -> jax.Array:
    """x + y less its mean, which the bands do not see and their digits would: right to its own last digit."""
    # What the sum's rounding lost is the most of it, where the mean is all but the whole.
    total, lost = two_sum(x, y)
    return (total - lax.stop_gradient(total.mean((-2, -1), keepdims=True))) + lax.stop_gradient(lost)


def _coefficients(image: jax.Array, setting: Setting) -> jax.Array:
    """Of the coarsest level, less the guard: (..., orientations, 2, height, width)."""
    coefficients = analytic_bands(image, setting.levels, setting.orientations)
    rim = setting.guard // 2 ** (setting.levels - 1)
    height, width = coefficients.shape[-2:]
    return coefficients[..., rim : height - rim, rim : width - rim]


def _gaussian(height: int, width: int, sigma: float) -> np.ndarray:
    """A Gaussian about the centre, of sum 1: (height, width)."""
    y, x = (np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / sigma) ** 2) for n in (height, width))
    return np.outer(y / y.sum(), x / x.sum())


def _smallest(levels: int, guard: int | np.integer) -> int:
    """Pixels a side that leave a window at the coarsest level."""
    step = 2 ** (levels - 1)
    return (WINDOW - 1 + 2 * (int(guard) // step)) * step + 1
