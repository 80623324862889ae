"""The complex steerable pyramid: an image by scale and orientation, with phase (Portilla & Simoncelli 2000).

Let r be the frequency in units of Nyquist and t its direction. A filter is the product of two factors:
- Radially, each level passes one octave to either side of r = 2^-level. It rises as a sine of log2 r and falls as a
  cosine, so that rise² + fall² = 1.
- Around the circle, orientation k of K passes cos^(K - 1) (t - πk / K), times a constant that makes the K squares sum
  to 1.
So the squares of all filters sum to 1 at every frequency, and the pyramid keeps the image's energy.

A complex coefficient is the analytic signal of a filter's output. Its real part is that output. Its imaginary part is
the output with the phase of every wave shifted by a quarter period. So the coefficient holds the frequencies of one
half plane, with twice the amplitude.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxssim._inputs import check_image, check_static, is_integer
from jaxssim._layout import LAST, Layout, split_shape, statistics_dtype


class Pyramid(NamedTuple):
    """The coefficients of an image, or the frequency masks that give the coefficients."""

    highpass: Any
    bands: tuple[Any, ...]  # finest level first
    lowpass: Any


def steerable_pyramid(
    x: ArrayLike, *, levels: int = 4, orientations: int = 8, channel_axis: int | None = LAST
) -> Pyramid:
    """Returns the complex steerable pyramid of each image, as `buildSCFpyr` of matlabPyrTools computes it.

    Images are periodic. Each level has half as many pixels a side as the level before, rounded up. The image's sum of
    squares equals the sum over all bands of the squared magnitudes of the coefficients · band pixels / image pixels,
    halved for complex bands.

    Args:
        x: Images (*batch, height, width, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        levels: Levels of the pyramid, one octave each; at least 1.
        orientations: Orientations of the pyramid; at least 1.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        A `Pyramid`; the channels come last, or are left out if `channel_axis` is None.

        - highpass: (*batch, height, width, channels), real.
        - bands: for each level, finest first, (*batch, orientations, height / 2^(level - 1), width / 2^(level - 1),
          channels), complex. Orientation k responds to waves whose direction is πk / orientations, counted from the
          axis of the width towards the axis of the height.
        - lowpass: (*batch, height / 2^levels, width / 2^levels, channels), real.

    Raises:
        ValueError: If a type is not listed, axes are missing, or images are too small for `levels`.

    Example:
        >>> pyramid = jaxssim.steerable_pyramid(jnp.ones((64, 64, 3)), levels=2, orientations=4)
        >>> [band.shape for band in pyramid.bands]
        [(4, 64, 64, 3), (4, 32, 32, 3)]
    """
    layout = Layout(2, channel_axis)
    image = check_image("x", x, layout)
    check_pyramid(levels, orientations)
    _, spatial = split_shape(image.shape, layout)
    if min(spatial) < 2 ** (levels + 1):
        fitting = min(spatial).bit_length() - 2
        raise ValueError(
            f"x has spatial shape {spatial}, too small for levels={levels}, which take {2 ** (levels + 1)} pixels a "
            f"side; pass larger images{f', or levels of at most {fitting}' if fitting > 0 else ''}"
        )
    return _steerable_pyramid(image, levels, orientations, channel_axis)


def frequency_masks(height: int, width: int, *, levels: int = 4, orientations: int = 8) -> Pyramid:
    """Returns the filters of the steerable pyramid (Portilla & Simoncelli 2000) in the frequency domain.

    Their squares sum to 1 at every frequency. The spectrum of a complex band is the image's spectrum times
    twice the mask on the half plane of frequencies that faces the orientation, 0 on the other half plane, and times the
    phase (-i)^(orientations - 1).

    Args:
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        levels: Levels of the pyramid, one octave each; at least 1.
        orientations: Orientations of the pyramid; at least 1.

    Returns:
        A `Pyramid` of NumPy arrays in float64, frequencies in the order of `np.fft.fftfreq`: highpass (height, width),
        bands of each level (orientations, height, width), lowpass (height, width).

    Raises:
        ValueError: If an argument is not an integer of at least 1.

    Example:
        >>> masks = jaxssim.frequency_masks(32, 32, levels=2)
        >>> squares = masks.highpass**2 + masks.lowpass**2 + sum((band**2).sum(0) for band in masks.bands)
        >>> bool(abs(squares - 1).max() < 1e-12)
        True
    """
    check_pyramid(levels, orientations)
    for name, pixels in (("height", height), ("width", width)):
        if not (is_integer(pixels) and pixels >= 1):
            raise ValueError(f"{name} must be a number of pixels, an integer of at least 1, got {pixels!r}")
    log_radius, direction = _polar(2 * np.fft.fftfreq(height), 2 * np.fft.fftfreq(width))
    lobes = np.abs(_lobes(direction, orientations))
    bands = tuple(_octave(log_radius, level) * lobes for level in range(1, levels + 1))
    return Pyramid(_rise(log_radius, 0), bands, _fall(log_radius, -levels))


def analytic_bands(image: jax.Array, level: int, orientations: int) -> jax.Array:
    """Returns the coefficients of one level: one transform of the image, cut to the frequencies of that level.

    Args:
        image: floating, (..., height, width).
        level: 1 for the finest.
        orientations: orientations of the pyramid.

    Returns:
        (..., orientations, 2, height / 2^(level - 1), width / 2^(level - 1)), real and imaginary parts.
    """
    height, width = image.shape[-2:]
    size = level_size(height, level), level_size(width, level)
    return _filtered(_spectrum(image, *size), _analytic_masks(height, width, level, orientations), *size)


def level_size(pixels: int, level: int) -> int:
    """Returns the pixels along one axis at a level: level 1 has all, each further level half of them, rounded up."""
    return -(-pixels // 2 ** (level - 1))


def check_pyramid(levels: Any, orientations: Any) -> None:
    """Raises a ValueError unless both are integers of at least 1."""
    check_static(levels=levels, orientations=orientations)
    for name, count, default in (("levels", levels, 4), ("orientations", orientations, 8)):
        if not (is_integer(count) and count >= 1):
            raise ValueError(f"{name} must be an integer of at least 1, got {count!r}; the default is {default}")


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _steerable_pyramid(x: jax.Array, levels: int, orientations: int, channel_axis: int | None) -> Pyramid:
    x = channels_first(x, channel_axis)
    height, width = x.shape[-2:]
    # Only the lowpass contains the mean, which would cost the other bands digits.
    mean = lax.stop_gradient(x.mean((-2, -1), keepdims=True))
    spectrum = _spectrum(x - mean, height, width)

    def real(mask: np.ndarray, h: int, w: int) -> jax.Array:
        return _filtered(_cut(spectrum, h, w), mask, h, w)

    def channels_last(image: jax.Array) -> jax.Array:
        return image[..., 0, :, :] if channel_axis is None else jnp.moveaxis(image, -3, -1)

    bands = []
    for level in range(1, levels + 1):
        size = level_size(height, level), level_size(width, level)
        parts = real(_analytic_masks(height, width, level, orientations), *size)
        bands.append(channels_last(jnp.moveaxis(lax.complex(parts[..., 0, :, :], parts[..., 1, :, :]), -3, -4)))
    size = level_size(height, levels + 1), level_size(width, levels + 1)
    highpass = real(_rise(_low_frequencies(height, width, 1)[0], 0), height, width)
    lowpass = real(_fall(_low_frequencies(height, width, levels + 1)[0], -levels), *size)
    return Pyramid(
        channels_last(highpass), tuple(bands), channels_last(lowpass + mean * (height * width / math.prod(size)))
    )


def channels_first(image: jax.Array, channel_axis: int | None) -> jax.Array:
    """Returns an image as (*batch, channels, height, width), floating: Fourier transforms act on the last axes."""
    image = image.astype(statistics_dtype(image, image))
    return image[..., None, :, :] if channel_axis is None else jnp.moveaxis(image, channel_axis, -3)


def _spectrum(image: jax.Array, height: int, width: int) -> jax.Array:
    """Returns the low frequencies that fit an image of height x width: (..., height, width // 2 + 1), complex."""
    # The width goes first: its negative and its high frequencies need no second transform.
    return _cut(jnp.fft.fft(jnp.fft.rfft(image)[..., : width // 2 + 1], axis=-2), height, width)


def _cut(spectrum: jax.Array, height: int, width: int) -> jax.Array:
    """Returns the part of a spectrum that fits an image of height x width."""
    rows = spectrum.shape[-2]
    low = spectrum[..., : width // 2 + 1]
    return jnp.concatenate([low[..., : (height + 1) // 2, :], low[..., rows - height // 2 :, :]], axis=-2)


def _filtered(spectrum: jax.Array, masks: np.ndarray, height: int, width: int) -> jax.Array:
    """Returns the real images (*batch, *extra, height, width) that masks (*extra, height, width // 2 + 1) pass."""
    batch, extra = spectrum.ndim - 2, masks.ndim - 2
    spectrum = jnp.expand_dims(spectrum, range(batch, batch + extra))
    return jnp.fft.irfft2(spectrum * jnp.asarray(masks[(None,) * batch], spectrum.dtype), s=(height, width))


@functools.lru_cache(maxsize=16)
def _analytic_masks(height: int, width: int, level: int, orientations: int) -> np.ndarray:
    """Returns the masks of real and imaginary part of each orientation: (orientations, 2, h, w // 2 + 1), complex."""
    log_radius, direction = _low_frequencies(height, width, level)
    real = (-1j) ** (orientations - 1) * _octave(log_radius, level) * _lobes(direction, orientations)
    facing = _cosines(direction, orientations)
    # Of two opposite frequencies at a right angle to the orientation, the one of positive direction faces it.
    facing = np.where(np.abs(facing) < 1e-12, direction, facing)
    return np.stack([real, -1j * np.sign(facing) * real], axis=1)


def _low_frequencies(height: int, width: int, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns log2 radius and direction of the frequencies of a level, in the order of `_spectrum`."""
    rows, columns = level_size(height, level), level_size(width, level)
    return _polar(np.fft.fftfreq(rows) * rows * 2 / height, np.arange(columns // 2 + 1) * 2 / width)


def _polar(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns log2 of the radius and the direction of every pair of frequencies, which are in units of Nyquist."""
    y, x = np.meshgrid(y, x, indexing="ij")
    with np.errstate(divide="ignore"):  # the frequency 0 has log2 radius -inf
        return np.log2(np.hypot(y, x)), np.arctan2(y, x)


def _rise(log_radius: np.ndarray, top: int) -> np.ndarray:
    """Returns a quarter wave from 0, an octave below 2^top, to 1, at 2^top and above."""
    return np.sin(np.pi / 2 * np.clip(1 + log_radius - top, 0, 1))


def _fall(log_radius: np.ndarray, top: int) -> np.ndarray:
    """Returns a quarter wave from 1, an octave below 2^top, to 0, at 2^top and above: rise² + fall² = 1."""
    return np.sin(np.pi / 2 * np.clip(top - log_radius, 0, 1))


def _octave(log_radius: np.ndarray, level: int) -> np.ndarray:
    """Returns the radial factor of a level."""
    return _fall(log_radius, 1 - level) * _rise(log_radius, -level)


def _cosines(direction: np.ndarray, orientations: int) -> np.ndarray:
    """Returns the cosine of the angle between each direction and each orientation: (orientations, ...)."""
    return np.cos(direction - np.pi / orientations * np.arange(orientations)[:, None, None])


def _lobes(direction: np.ndarray, orientations: int) -> np.ndarray:
    """Returns the angular factor of each orientation, (orientations, ...), whose squares sum to 1."""
    order = orientations - 1
    gain = 4**order * math.factorial(order) ** 2 / (orientations * math.factorial(2 * order))
    return math.sqrt(gain) * _cosines(direction, orientations) ** order
