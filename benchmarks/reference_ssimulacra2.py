"""SSIMULACRA 2.1 in float64 by NumPy and SciPy, as the authors' program defines it; see `reference`.

The program works in float32. It approximates the curve of sRGB and the cube root, and blurs by a recursion; these three
steps are exact here. Images are (height, width, 3), from 0 to 1.
"""

import numpy as np
from scipy.ndimage import correlate1d

from jaxssim._ssimulacra2 import WEIGHTS  # 108 numbers, which tests compare with those of the program

SCALES = 6
MIX = np.asarray(
    [
        [0.30, 0.622, 0.078],
        [0.23, 0.692, 0.078],
        [0.24342268924547819, 0.20476744424496821, 0.5518098665095536],
    ]
)
BIAS = 0.0037930732552754493


def to_linear(image):
    """Returns linear light, by the curve of sRGB (IEC 61966-2-1)."""
    image = np.asarray(image, np.float64)
    return np.where(image <= 0.04045, image / 12.92, (np.maximum(image, 0.04045) / 1.055 + 0.055 / 1.055) ** 2.4)


def to_xyb(linear):
    """Returns X, Y and B of JPEG XL, scaled and shifted so that each lies within 0 and 1."""
    long, medium, short = np.moveaxis(np.cbrt(linear @ MIX.T + BIAS) - np.cbrt(BIAS), -1, 0)
    x, y = (long - medium) / 2, (long + medium) / 2
    return np.stack([14 * x + 0.42, y + 0.01, short - y + 0.55], -1)


def halve(image):
    """Returns means of 2x2 pixels; the last pixel of an odd side counts twice."""
    height, width, _ = image.shape
    image = np.pad(image, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge")
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4


def window(sigma=1.5):
    """Returns the taps of the sum of three truncated cosines that resembles a Gaussian (Charalampidis 2016).

    The three amplitudes follow from three conditions on a window of radius N: the taps sum to 1; their variance is that
    of the Gaussian; and the third cosine relates to the first two as the Gaussian's own spectrum does.
    """
    radius = round(3.2795 * sigma + 0.2546)
    omega = np.asarray([1, 3, 5]) * np.pi / (2 * radius)
    p = np.asarray([1, -1, 1]) / np.tan(omega / 2)
    r = np.asarray([1, -1, 1]) * p**2 / np.sin(omega)
    rho = np.exp(-0.5 * (sigma * omega) ** 2) / radius
    d_13, d_35, d_51 = (p[i] * r[j] - r[i] * p[j] for i, j in ((0, 1), (1, 2), (2, 0)))
    zeta = np.asarray([d_35 / d_13, d_51 / d_13, 1])
    beta = np.linalg.solve(np.stack([p, r, zeta]), [1, radius**2 - sigma**2, zeta @ rho])
    offsets = np.arange(-radius, radius + 1)
    return np.cos(np.outer(offsets, omega)) @ beta


def blur(image):
    """Returns the weighted mean around every pixel, with zeros beyond the edge."""
    for axis in (0, 1):
        image = correlate1d(image, window(), axis, mode="constant")
    return image


def error_maps(x, y):
    """Returns the three maps of error of two XYB images: of structure, of ringing and of blur."""
    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x**2) - mean_x**2, blur(y**2) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    ssim = (1 - (mean_x - mean_y) ** 2) * (2 * covariance + 0.0009) / (var_x + var_y + 0.0009)
    edges = (1 + abs(y - mean_y)) / (1 + abs(x - mean_x)) - 1
    return np.maximum(1 - ssim, 0), np.maximum(edges, 0), np.maximum(-edges, 0)


def norms(x, y):
    """Returns the norms of all maps of error of two images: (3 channels, scales, 2 norms, 3 maps)."""
    x, y = to_linear(x), to_linear(y)
    by_scale = []
    for _ in range(SCALES):
        maps = np.stack(error_maps(to_xyb(x), to_xyb(y)))
        by_scale.append([maps.mean((1, 2)), (maps**4).mean((1, 2)) ** 0.25])
        if min(x.shape[:2]) < 8:
            break
        x, y = halve(x), halve(y)
    return np.moveaxis(np.asarray(by_scale), -1, 0)


def error(x, y):
    """Returns the error before its last power."""
    values = norms(x, y).ravel()
    # With fewer scales, the norms meet the first weights of the list rather than those of their own scales.
    total = 0.9562382616834844 * (values @ np.asarray(WEIGHTS)[: values.size])
    return 2.326765642916932 * total - 0.020884521182843837 * total**2 + 6.248496625763138e-05 * total**3


def ssimulacra2(x, y):
    """Returns the score: 100 for identical images, 90 and more where nobody sees a difference."""
    return 100 - 10 * max(error(x, y), 0) ** 0.6276336467831387
