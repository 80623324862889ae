"""The complex steerable pyramid and CW-SSIM in float64 by NumPy, as their papers define them; see `reference`."""

import math

import numpy as np


def steerable_pyramid(image, levels, orientations):
    """Returns highpass, bands and lowpass of (height, width), by the recursion of Portilla & Simoncelli 2000.

    Each level filters the spectrum, then keeps its centre.
    """
    log_radius, angle = polar_frequencies(image.shape)
    spectrum = np.fft.fftshift(np.fft.fft2(image))
    highpass = inverse(spectrum * high(log_radius, 0)).real
    spectrum = spectrum * low(log_radius, 0)
    bands = []
    for level in range(1, levels + 1):
        lobes = (spectrum * high(log_radius, -level) * lobe(angle, k, orientations) for k in range(orientations))
        bands.append(np.stack([inverse((-1j) ** (orientations - 1) * band) for band in lobes]))
        starts_stops = ((n // 2 - (n + 1) // 2 // 2, (n + 1) // 2) for n in angle.shape)
        centre = tuple(slice(start, start + length) for start, length in starts_stops)
        spectrum, log_radius, angle = spectrum[centre], log_radius[centre], angle[centre]
        spectrum = spectrum * low(log_radius, -level)
    return highpass, bands, inverse(spectrum).real


def polar_frequencies(shape):
    """Returns log2 of the radius, 0 at the Nyquist frequency, and the angle, of a centred spectrum."""
    y, x = np.meshgrid(*((np.arange(n) - n // 2) / (n / 2) for n in shape), indexing="ij")
    radius = np.hypot(x, y)
    return np.log2(np.where(radius == 0, 1e-9, radius)), np.arctan2(y, x)


def low(log_radius, edge):
    """Returns a lowpass that falls from 1 to 0 over the octave below 2**edge."""
    return np.sqrt(0.5 * (1 + np.cos(np.pi * np.clip(log_radius - edge + 1, 0, 1))))


def high(log_radius, edge):
    """Returns the highpass whose square and that of `low` sum to 1."""
    return np.sqrt(1 - low(log_radius, edge) ** 2)


def lobe(angle, k, orientations):
    """Returns the angular mask of orientation k: one half plane of a power of a cosine."""
    order = orientations - 1
    scale = 2 ** (2 * order) * math.factorial(order) ** 2 / (orientations * math.factorial(2 * order))
    turn = np.angle(np.exp(1j * (angle - np.pi * k / orientations)))
    on_the_edge = np.abs(np.abs(turn) - np.pi / 2) < 1e-9
    facing = np.where(on_the_edge, angle > 0, np.abs(turn) < np.pi / 2)
    return 2 * np.sqrt(scale) * np.cos(turn) ** order * facing


def inverse(spectrum):
    """Returns the image of a spectrum whose lowest frequency is in the middle."""
    return np.fft.ifft2(np.fft.ifftshift(spectrum))


def cw_ssim(x, y, levels, orientations, guard=0, k=0.0, mask=None):
    """Returns CW-SSIM of images (height, width), as Sampat et al. 2009: the coarsest bands, window by window.

    A mask of the images' size weights each window by the pixel at its centre.
    """

    def means(field):
        return np.lib.stride_tricks.sliding_window_view(field, (7, 7), (-2, -1)).mean((-2, -1))

    rim = guard // 2 ** (levels - 1)
    a, b = (steerable_pyramid(np.float64(image), levels, orientations)[1][-1] for image in (x, y))
    a, b = (band[:, rim : band.shape[1] - rim, rim : band.shape[2] - rim] for band in (a, b))
    similarity = (2 * np.abs(means(a * b.conj())) + k) / (means(np.abs(a) ** 2 + np.abs(b) ** 2) + k)
    v, u = (np.arange(n) - (n - 1) / 2 for n in similarity.shape[1:])
    weights = np.exp(-(v[:, None] ** 2 + u**2) / (2 * (a.shape[1] / 4) ** 2))
    if mask is not None:
        step = 2 ** (levels - 1)
        rows, columns = ((np.arange(n) + rim + 3) * step for n in similarity.shape[1:])
        weights = weights * mask[np.ix_(rows, columns)]
    return (similarity * weights).sum((1, 2)).mean() / weights.sum()
