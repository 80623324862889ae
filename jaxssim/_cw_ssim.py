"""CW-SSIM: phases compared in the bands of a complex wavelet transform (Wang & Simoncelli 2005; Sampat, Wang, Gupta,
Bovik & Markey 2009). A small shift or rotation shifts all phases of a band equally; a change of structure does not.

Over a window, with the sum s = c_x + c_y and the difference d = c_x - c_y of the coefficients, let

    D = mean |d|²        S = mean |s|²        J = mean Im(d conj(s))        T = D + S

CW-SSIM is v = 2 |mean c_x conj(c_y)| / mean(|c_x|² + |c_y|²) = √((S - D)² + 4 J²) / T, so that

    1 - v = 4 (D S - J²) / (T² (1 + v))

which keeps every digit for images that are nearly equal or nearly opposite; subtracting v from 1 loses these digits.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxssim._arrays import as_real
from jaxssim._core.filtering import weighted_sum
from jaxssim._core.formulas import quotient
from jaxssim._core.numerics import two_sum, weighted_mean
from jaxssim._inputs import Reduction, check_images, check_mask, check_static, is_integer, reduce_batch
from jaxssim._layout import LAST, Layout, canonical_image, canonical_mask, cropped, split_shape, statistics_dtype
from jaxssim._pyramid import analytic_bands, channels_first, check_pyramid, level_size

WINDOW = 7


class Setting(NamedTuple):
    """Which coefficients are compared. Static."""

    levels: int = 4
    orientations: int = 8
    guard: int = 0


class Bands(NamedTuple):
    """The coefficients of one image that CW-SSIM compares."""

    coefficients: jax.Array  # (*batch, channels, orientations, 2, height, width), in units of `unit`
    unit: jax.Array  # (*batch, channels), powers of 2


def cw_ssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    levels: int = 4,
    orientations: int = 8,
    guard: int = 0,
    k: float = 0.0,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the complex-wavelet structural similarity of each pair of images (Sampat et al. 2009).

    Small shifts and rotations hardly change CW-SSIM. It compares the coarsest level of a complex steerable pyramid over
    windows of 7x7 coefficients, weights the windows by a Gaussian around the image's centre, and averages orientations
    and channels. Adding a constant to an image or negating the image changes nothing. Two windows that hold nothing but
    rounding errors, as those of constant images do, count as equal. Derivatives are finite for values up to 1e15, also
    for identical or flat images. The transform is in float32, or in float64 where an image is. Images need
    more than 6 * 2^(levels - 1) pixels a side.

    A mask multiplies the weight of each window by that of the pixel at its centre. Unlike in `ssim`, pixels outside the
    mask still have influence, since every coefficient depends on all pixels: fill them with something harmless, the
    same in both images. If no window counts, the value is 1.

    Args:
        x: Images (*batch, height, width, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        levels: Levels of the pyramid, one octave each; at least 1. More levels tolerate larger shifts.
        orientations: Orientations of the pyramid; at least 1.
        guard: Pixels of the image's border to leave out, rounded down to a multiple of 2^(levels - 1).
        k: Stabilises windows of little energy: added to means of squared coefficients. At least 0.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        crop_border: Pixels to leave out along each side.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        (*batch,), within [0, 1]; 1 for identical images.

    Raises:
        ValueError: If shapes or types differ, images are too small for `levels` and `guard`, or another argument is out
            of its range.

    Example:
        >>> x = jax.random.uniform(jax.random.key(0), (64, 64))
        >>> print(f"{jaxssim.cw_ssim(x, jnp.roll(x, 1, axis=1), levels=3, channel_axis=None):.2f}")
        0.99
    """
    layout = Layout(2, channel_axis, crop_border)
    return 1 - one_minus_cw_ssim(*prepare_cw_ssim(x, y, levels, orientations, guard, k, mask, layout), channel_axis)


def cw_ssim_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    levels: int = 4,
    orientations: int = 8,
    guard: int = 0,
    k: float = 0.0,
    mask: ArrayLike | None = None,
    reduction: Reduction = "mean",
    crop_border: int = 0,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the mean over the batch of 1 - CW-SSIM, a loss to minimise, precise however close to 0.

    Everything else is as in `cw_ssim`.

    Args:
        x: Images (*batch, height, width, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        levels: Levels of the pyramid, one octave each; at least 1. More levels tolerate larger shifts.
        orientations: Orientations of the pyramid; at least 1.
        guard: Pixels of the image's border to leave out, rounded down to a multiple of 2^(levels - 1).
        k: Stabilises windows of little energy: added to means of squared coefficients. At least 0.
        mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all channels.
        reduction: "mean" for the mean over the batch, "none" for one value per image.
        crop_border: Pixels to leave out along each side.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        A scalar, or (*batch,), within [0, 1]; 0 for identical images.

    Raises:
        ValueError: If shapes or types differ, images are too small for `levels` and `guard`, or another argument is out
            of its range.

    Example:
        >>> x = jax.random.uniform(jax.random.key(0), (64, 64))
        >>> loss = lambda y: jaxssim.cw_ssim_loss(x, y, levels=3, channel_axis=None)
        >>> jax.grad(loss)(x**2).shape
        (64, 64)
    """
    checked = prepare_cw_ssim(x, y, levels, orientations, guard, k, mask, Layout(2, channel_axis, crop_border))
    return reduce_batch(one_minus_cw_ssim(*checked, channel_axis), reduction)


def prepare_cw_ssim(
    x: Any, y: Any, levels: Any, orientations: Any, guard: Any, k: Any, mask: Any, layout: Layout
) -> tuple[Any, Any, np.ndarray, jax.Array | None, Setting]:
    """Returns both images, k in the type of the statistics, the windows' weights and the setting; or a ValueError."""
    x, y = check_images(x, y, layout)
    mask, shape = check_mask(mask, x.shape, layout), x.shape
    x, y = (cropped(image, layout) for image in (x, y))
    check_pyramid(levels, orientations)
    check_static(guard=guard, k=k)
    if not (is_integer(guard) and guard >= 0):
        raise ValueError(f"guard must be a number of pixels, an integer of at least 0, got {guard!r}")
    must_be = "a finite number of at least 0"
    number = as_real("k", k, must_be)
    if number.shape != () or not 0 <= float(number) < math.inf:
        raise ValueError(f"k must be {must_be}, got {k!r}; the paper uses 0")
    _, spatial = split_shape(x.shape, layout.uncropped)
    fitting = [n for n in range(1, levels + 1) if min(spatial) >= _smallest_side(n, guard)]
    if levels not in fitting:
        raise ValueError(
            f"x and y have spatial shape {spatial}, too small for levels={levels} and guard={guard}: a window of "
            f"{WINDOW}x{WINDOW} coefficients must be left; pass images of at least {_smallest_side(levels, guard)} "
            f"pixels a side, or {f'levels of at most {max(fitting)}' if fitting else 'a smaller guard'}"
        )
    # Converts every kind of number to one type, so that a new value does not recompile.
    k = np.asarray(min(float(number), float(jnp.finfo(np.float32).max)), statistics_dtype(x, y))
    setting = Setting(int(levels), int(orientations), int(guard))
    if mask is not None:
        image = canonical_image(x, layout.uncropped).astype(statistics_dtype(x, y))
        mask = _weights_of_windows(canonical_mask(mask, image, shape, layout), setting)
    return x, y, k, mask, setting


def _weights_of_windows(mask: jax.Array, setting: Setting) -> jax.Array:
    """Returns the weight of the pixel at each window's centre, (*batch or 1s, channels, 1, rows, columns)."""
    step = 2 ** (setting.levels - 1)
    first = setting.guard // step + WINDOW // 2
    height, width = (level_size(n, setting.levels) - first for n in mask.shape[-3:-1])
    centres = mask[..., first * step : height * step : step, first * step : width * step : step, :]
    return jnp.moveaxis(centres, -1, -3)[..., None, :, :]


@functools.partial(jax.jit, static_argnums=(4, 5))
def one_minus_cw_ssim(
    x: jax.Array, y: jax.Array, k: jax.Array, weight: jax.Array | None, setting: Setting, channel_axis: int | None
) -> jax.Array:
    """Returns 1 - CW-SSIM from the bands of sum and difference: the bands of a small difference keep their digits."""
    dtype = statistics_dtype(x, y)
    x, y = (channels_first(image.astype(dtype), channel_axis) for image in (x, y))
    unit = jnp.maximum(_unit(x, setting), _unit(y, setting))
    x, y = (image / unit[..., None, None] for image in (x, y))
    s, d = _coefficients(jnp.stack([_centred_sum(x, y), _centred_sum(x, -y)]), setting)
    return _one_minus_similarity(s, d, k, weight, unit)


def bands(image: jax.Array, setting: Setting) -> Bands:
    """Returns the coefficients of floating images (*batch, channels, height, width) that CW-SSIM compares."""
    unit = _unit(image, setting)
    image = image / unit[..., None, None]
    return Bands(_coefficients(_centred_sum(image, jnp.zeros_like(image)), setting), unit)


def one_minus_cw_ssim_of_bands(x: Bands, y: Bands, k: jax.Array, weight: jax.Array | None) -> jax.Array:
    """Returns 1 - CW-SSIM of each pair of images from the bands of each image: (*batch,)."""
    unit = jnp.maximum(x.unit, y.unit)
    # Units are powers of 2, so that these products are exact.
    a, b = (z.coefficients * (z.unit / unit)[..., None, None, None, None] for z in (x, y))
    return _one_minus_similarity(a + b, a - b, k, weight, unit)


def _one_minus_similarity(
    s: jax.Array, d: jax.Array, k: jax.Array, weight: jax.Array | None, unit: jax.Array
) -> jax.Array:
    """Returns the mean over windows, orientations and channels of (1 - v) T / (T + 2 k)."""
    (s_re, s_im), (d_re, d_im) = (jnp.moveaxis(z, -3, 0) for z in (s, d))
    products = jnp.stack([d_re**2 + d_im**2, s_re**2 + s_im**2, d_im * s_re - d_re * s_im])
    products = weighted_sum(products, ((1 / WINDOW,) * WINDOW,) * 2)
    total = products[:1] + products[1:2]
    # A window with less energy than the last digit of the image holds rounding errors alone: its similarity is 1.
    silent = total <= jnp.finfo(s.dtype).eps ** 2
    total = jnp.where(silent, 1, total)
    one_minus_v = _one_minus_v(*quotient(jnp.where(silent, 0, products), total))
    # A k of 2^100 units² outweighs any energy, and its square does not overflow.
    root = jnp.minimum(jnp.sqrt(k) / unit, 2.0**50)[..., None, None, None]
    return _mean_of_windows(one_minus_v * quotient(total[0], total[0] + 2 * root**2), weight, s.shape[-2] / 4)


def _one_minus_v(d: jax.Array, s: jax.Array, j: jax.Array) -> jax.Array:
    """Returns 1 - v from D, S and J in units of T."""
    eps = jnp.finfo(d.dtype).eps
    square = jnp.maximum((s - d) ** 2 + 4 * j**2, eps**2)
    # The derivative of the root is infinite at 0. Where rounding errors alone make up the square, as for a flat image,
    # it is 0.
    v = jnp.sqrt(jnp.where(square > (64 * eps) ** 2, square, lax.stop_gradient(square)))
    determinant = d * s - j**2
    return 4 * jnp.where(determinant < 0, 0, determinant) / (1 + v)


def _mean_of_windows(values: jax.Array, weight: jax.Array | None, sigma: float) -> jax.Array:
    """Returns the mean of (*batch, channels, orientations, height, width), weighted by a Gaussian and the mask."""
    height, width = values.shape[-2:]
    weights = jnp.expand_dims(jnp.asarray(_gaussian(height, width, sigma), values.dtype), range(values.ndim - 2))
    if weight is not None:
        weights = jnp.broadcast_to(weights * weight, values.shape)
    mean = weighted_mean(values, weights, (-2, -1)).mean((-2, -1))
    return jnp.where(mean > 1, 1, mean)


def _unit(image: jax.Array, setting: Setting) -> jax.Array:
    """Returns for each channel a power of 2 near the largest possible coefficient; constant to derivatives."""
    largest = lax.stop_gradient(jnp.abs(image).max((-2, -1)))
    # Images without a normal number keep the unit 1, since the inverse of a subnormal unit overflows.
    _, exponent = jnp.frexp(jnp.where(largest < jnp.finfo(image.dtype).tiny, 1, largest))
    return jnp.ldexp(jnp.ones_like(largest), exponent + 2 * (setting.levels - 1))


def _centred_sum(x: jax.Array, y: jax.Array) -> jax.Array:
    """Returns x + y less its mean, exact to the last digit of the result; the bands do not see the mean."""
    # Where the mean is far larger than the rest, the rounding error of the sum is as large as the rest.
    total, rounding = two_sum(x, y)
    return (total - lax.stop_gradient(total.mean((-2, -1), keepdims=True))) + lax.stop_gradient(rounding)


def _coefficients(image: jax.Array, setting: Setting) -> jax.Array:
    """Returns the coarsest level without the guard: (..., orientations, 2, height, width)."""
    coefficients = analytic_bands(image, setting.levels, setting.orientations)
    border = setting.guard // 2 ** (setting.levels - 1)
    height, width = coefficients.shape[-2:]
    return coefficients[..., border : height - border, border : width - border]


def _gaussian(height: int, width: int, sigma: float) -> np.ndarray:
    """Returns a Gaussian around the centre, of sum 1: (height, width)."""
    y, x = (np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / sigma) ** 2) for n in (height, width))
    return np.outer(y / y.sum(), x / x.sum())


def _smallest_side(levels: int, guard: int | np.integer) -> int:
    """Returns how many pixels a side leave one window at the coarsest level."""
    step = 2 ** (levels - 1)
    return (WINDOW - 1 + 2 * (int(guard) // step)) * step + 1
