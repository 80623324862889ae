"""The complex steerable pyramid: an image by scale and orientation, with phase (Portilla & Simoncelli 2000).

With r the frequency in units of Nyquist and t its direction, the filters are products of two factors. Radially, each
level passes one octave to either side of r = 2^-level; the flanks are quarter waves in log2 r, rise² + fall² = 1.
Around the circle, orientation k of K is cos^(K - 1) (t - πk / K), times a constant by which the K squares sum to 1.
So the squares of all filters sum to 1 at every frequency: nothing is lost, nothing is counted twice.

A complex coefficient is the analytic signal of such a filter's output: its real part is that output, its imaginary part
the same with each wave a quarter period later. It has the waves of one half plane of frequencies, twice as high.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxssim import inputs
from jaxssim.inputs import Layout


class Pyramid(NamedTuple):
    """Coefficients of an image, or the frequency masks that they come from."""

    highpass: Any
    bands: tuple[Any, ...]  # finest level first
    lowpass: Any


def steerable_pyramid(
    x: ArrayLike, *, levels: int = 4, orientations: int = 8, channel_axis: int | None = inputs.LAST
) -> Pyramid:
    """The complex steerable pyramid of each image, as `buildSCFpyr` of matlabPyrTools gives it.

    Images count as periodic. Each level has half the pixels a side of the one before, rounded up. Sums of squares add
    up to the image's, when each is multiplied by its number of pixels over the image's, and those of the complex bands
    by 1/2.

    Args:
        x: (*batch, height, width, channels), of any type that `jaxssim.ssim` takes.
        levels: how many octaves; at least 1.
        orientations: how many directions; at least 1.
        channel_axis: None where there are no channels, or the axis that holds them, counted from the end. By default it
            is the last, and an error where that is longer than 4.

    Returns:
        A `Pyramid`, channels last wherever they came, or without them where `channel_axis` is None:
        highpass: (*batch, height, width, channels), real.
        bands: of each level, finest first, (*batch, orientations, height / 2^(level - 1), width / 2^(level - 1),
            channels), complex. Orientation k answers to waves whose direction is πk / orientations, from the axis of
            width towards that of height.
        lowpass: (*batch, height / 2^levels, width / 2^levels, channels), real.

    Raises:
        ValueError: for types that are not listed, missing axes, and images too small for the levels.
    """
    layout = Layout(2, channel_axis)
    image = inputs.check_image("x", x, layout)
    check_counts(levels, orientations)
    _, spatial = inputs.split(image.shape, layout)
    if min(spatial) < 2 ** (levels + 1):
        raise ValueError(
            f"x has spatial shape {spatial}, too small for levels={levels}, which take {2 ** (levels + 1)} pixels a "
            f"side; pass larger images, or levels of at most {min(spatial).bit_length() - 2}"
        )
    return _steerable_pyramid(image, levels, orientations, channel_axis)


def frequency_masks(height: int, width: int, *, levels: int = 4, orientations: int = 8) -> Pyramid:
    """The filters of the pyramid for images of one size, by frequency; their squares sum to 1 at each.

    A complex band of the pyramid has twice its mask on the half plane of frequencies that face its orientation and 0 on
    the other, times the phase (-i)^(orientations - 1).

    Args:
        height: of the images.
        width: of the images.
        levels: how many octaves.
        orientations: how many directions.

    Returns:
        A `Pyramid` of NumPy arrays in float64: highpass (height, width), bands of each level (orientations, height,
        width), lowpass (height, width); frequencies in the order of `np.fft.fftfreq`.
    """
    check_counts(levels, orientations)
    log_radius, direction = _polar(2 * np.fft.fftfreq(height), 2 * np.fft.fftfreq(width))
    lobes = np.abs(_lobes(direction, orientations))
    bands = tuple(_octave(log_radius, level) * lobes for level in range(1, levels + 1))
    return Pyramid(_rise(log_radius, 0), bands, _fall(log_radius, -levels))


def analytic_bands(image: jax.Array, level: int, orientations: int) -> jax.Array:
    """The coefficients of one level alone: one transform of the image, cut to the few frequencies that reach there.

    Args:
        image: floating, (..., height, width).
        level: 1 for the finest.
        orientations: how many directions.

    Returns:
        (..., orientations, 2, height / 2^(level - 1), width / 2^(level - 1)), real and imaginary parts.
    """
    height, width = image.shape[-2:]
    size = level_size(height, level), level_size(width, level)
    return _filtered(_spectrum(image, *size), _analytic_masks(height, width, level, orientations), *size)


def level_size(pixels: int, level: int) -> int:
    """Pixels along one axis at a level: halved, rounding up, at each one after the first."""
    return -(-pixels // 2 ** (level - 1))


def check_counts(levels: Any, orientations: Any) -> None:
    """A ValueError for numbers of levels or orientations that are none."""
    for name, count, default in (("levels", levels, 4), ("orientations", orientations, 8)):
        if not (inputs.is_integer(count) and count >= 1):
            raise ValueError(f"{name} must be an integer of at least 1, got {count!r}; the default is {default}")


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _steerable_pyramid(x: jax.Array, levels: int, orientations: int, channel_axis: int | None) -> Pyramid:
    x = channels_first(x, channel_axis)
    height, width = x.shape[-2:]
    # Only the lowpass sees the mean, which would cost the others digits.
    mean = lax.stop_gradient(x.mean((-2, -1), keepdims=True))
    spectrum = _spectrum(x - mean, height, width)

    def real(mask: np.ndarray, h: int, w: int) -> jax.Array:
        return _filtered(_cut(spectrum, h, w), mask, h, w)

    def last(image: jax.Array) -> jax.Array:
        return image[..., 0, :, :] if channel_axis is None else jnp.moveaxis(image, -3, -1)

    bands = []
    for level in range(1, levels + 1):
        size = level_size(height, level), level_size(width, level)
        parts = real(_analytic_masks(height, width, level, orientations), *size)
        bands.append(last(jnp.moveaxis(lax.complex(parts[..., 0, :, :], parts[..., 1, :, :]), -3, -4)))
    size = level_size(height, levels + 1), level_size(width, levels + 1)
    highpass = real(_rise(_low_frequencies(height, width, 1)[0], 0), height, width)
    lowpass = real(_fall(_low_frequencies(height, width, levels + 1)[0], -levels), *size)
    return Pyramid(last(highpass), tuple(bands), last(lowpass + mean * (height * width / math.prod(size))))


def channels_first(image: jax.Array, channel_axis: int | None) -> jax.Array:
    """An image as (*batch, channels, height, width), in the statistics' type: transforms want their axes last."""
    image = image.astype(inputs.statistics_type(image, image))
    return image[..., None, :, :] if channel_axis is None else jnp.moveaxis(image, channel_axis, -3)


def _spectrum(image: jax.Array, height: int, width: int) -> jax.Array:
    """The lowest frequencies, those an image of height x width has: (..., height, width // 2 + 1), complex."""
    # The axis of width goes first, since its negative frequencies and its high ones need no second transform.
    return _cut(jnp.fft.fft(jnp.fft.rfft(image)[..., : width // 2 + 1], axis=-2), height, width)


def _cut(spectrum: jax.Array, height: int, width: int) -> jax.Array:
    rows = spectrum.shape[-2]
    low = spectrum[..., : width // 2 + 1]
    return jnp.concatenate([low[..., : (height + 1) // 2, :], low[..., rows - height // 2 :, :]], axis=-2)


def _filtered(spectrum: jax.Array, masks: np.ndarray, height: int, width: int) -> jax.Array:
    """The real images (*batch, *extra, height, width) that masks (*extra, height, width // 2 + 1) let through."""
    batch, extra = spectrum.ndim - 2, masks.ndim - 2
    spectrum = jnp.expand_dims(spectrum, range(batch, batch + extra))
    return jnp.fft.irfft2(spectrum * jnp.asarray(masks[(None,) * batch], spectrum.dtype), s=(height, width))


@functools.lru_cache(maxsize=16)
def _analytic_masks(height: int, width: int, level: int, orientations: int) -> np.ndarray:
    """The masks whose outputs are the two parts of each orientation: (orientations, 2, h, w // 2 + 1), complex."""
    log_radius, direction = _low_frequencies(height, width, level)
    real = (-1j) ** (orientations - 1) * _octave(log_radius, level) * _lobes(direction, orientations)
    facing = _cosines(direction, orientations)
    # Where a frequency lies at a right angle, it faces if it points up: of two opposite ones, one does.
    facing = np.where(np.abs(facing) < 1e-12, direction, facing)
    return np.stack([real, -1j * np.sign(facing) * real], axis=1)


def _low_frequencies(height: int, width: int, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Those that a level holds, as `_spectrum` orders them."""
    rows, columns = level_size(height, level), level_size(width, level)
    return _polar(np.fft.fftfreq(rows) * rows * 2 / height, np.arange(columns // 2 + 1) * 2 / width)


def _polar(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log2 of the radius, and the direction, of each two frequencies, which are in units of Nyquist."""
    y, x = np.meshgrid(y, x, indexing="ij")
    with np.errstate(divide="ignore"):  # the mean has radius 0
        return np.log2(np.hypot(y, x)), np.arctan2(y, x)


def _rise(log_radius: np.ndarray, top: int) -> np.ndarray:
    """0 up to an octave below 2^top, 1 from there on."""
    return np.sin(np.pi / 2 * np.clip(1 + log_radius - top, 0, 1))


def _fall(log_radius: np.ndarray, top: int) -> np.ndarray:
    """What `_rise` leaves: the squares of both sum to 1."""
    return np.sin(np.pi / 2 * np.clip(top - log_radius, 0, 1))


def _octave(log_radius: np.ndarray, level: int) -> np.ndarray:
    return _fall(log_radius, 1 - level) * _rise(log_radius, -level)


def _cosines(direction: np.ndarray, orientations: int) -> np.ndarray:
    return np.cos(direction - np.pi / orientations * np.arange(orientations)[:, None, None])


def _lobes(direction: np.ndarray, orientations: int) -> np.ndarray:
    """The directional factor of each orientation, (orientations, ...): the squares sum to 1."""
    order = orientations - 1
    gain = 4**order * math.factorial(order) ** 2 / (orientations * math.factorial(2 * order))
    return math.sqrt(gain) * _cosines(direction, orientations) ** order
