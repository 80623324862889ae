"""IW-SSIM in float64 by NumPy and SciPy, as Wang & Li 2011 and their code define it; see `reference`.

Images are (height, width), in 8-bit units.
"""

import numpy as np
import reference
from scipy.ndimage import correlate1d

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
NOISE = 0.4  # the variance of the visual channel's noise (Sheikh & Bovik 2006)
TINY = 1e-15
BINOMIAL = np.sqrt(2) * np.asarray([1, 4, 6, 4, 1]) / 16  # the pyramid's filter, which doubles the mean of each level


def pyramid(image, levels):
    """Returns the bands of a Laplacian pyramid, finest first, and the rest that remains (Burt & Adelson 1983)."""
    bands = []
    for _ in range(levels - 1):
        low = image
        for axis in (0, 1):
            low = correlate1d(low, BINOMIAL, axis, mode="mirror")
        low = low[::2, ::2]
        spread = np.zeros(image.shape)
        spread[::2, ::2] = low
        for axis in (0, 1):
            spread = correlate1d(spread, BINOMIAL, axis, mode="mirror")
        bands.append(image - spread)
        image = low
    return [*bands, image]


def enlarge(image, shape):
    """Returns a band at the size of the band below it: four times as large by bilinear weights, then every other pixel.

    The border of the enlarged image continues linearly. The code of the paper does so, hence the sizes 4n - 3.
    """
    for axis in (0, 1):
        image = np.moveaxis(image, axis, 0)
        n = len(image)
        position = np.clip((np.arange(4 * n - 3) + 0.5) * n / (4 * n - 3) - 0.5, 0, n - 1)
        below = np.minimum(position.astype(int), max(n - 2, 0))
        share = (position - below)[:, None]
        image = (1 - share) * image[below] + share * image[np.minimum(below + 1, n - 1)]
        image = np.concatenate([2 * image[:1] - image[1:2], image, 2 * image[-1:] - image[-2:-1]])[::2]
        image = np.moveaxis(image, 0, axis)
    return image[: shape[0], : shape[1]]


def local(image):
    """Returns the means of all windows of 3x3 pixels."""
    return reference.local_mean(image[..., None], [np.full(3, 1 / 3)] * 2)[..., 0]


def information(x, y, parent):
    """Returns the information in bits that a viewer gains at each pixel but those of the border: equation 28."""
    var_x, var_y = (np.maximum(local(image**2) - local(image) ** 2, 0) for image in (x, y))
    covariance = local(x * y) - local(x) * local(y)
    gain = covariance / (var_x + TINY)
    error = var_y - gain * covariance
    error = np.where(var_y < TINY, 0, np.where(var_x < TINY, var_y, error))
    gain = np.where((var_x < TINY) | (var_y < TINY), 0, gain)
    height, width = x.shape
    vectors = [x[i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3)]
    if parent is not None:
        vectors.append(enlarge(parent, x.shape)[1:-1, 1:-1])
    vectors = np.stack(vectors, -1)
    flat = vectors.reshape(-1, vectors.shape[-1])
    covariances = flat.T @ flat / len(flat)
    eigenvalues = np.linalg.eigvalsh(covariances)
    energy = (vectors @ np.linalg.inv(covariances) * vectors).mean(-1)[..., None]
    gain, error = gain[..., None], error[..., None]
    signal = (error + (1 + gain**2) * NOISE) * energy * eigenvalues + NOISE * error
    bits = np.log2(1 + signal / NOISE**2).sum(-1)
    return np.where(bits < TINY, 0, bits)


def iw_ssim(x, y, weights=WEIGHTS):
    """Returns IW-SSIM of an image `y` against its original `x`."""
    levels = len(weights)
    bands_x, bands_y = pyramid(np.asarray(x, np.float64), levels), pyramid(np.asarray(y, np.float64), levels)
    value = 1.0
    for level, (a, b) in enumerate(zip(bands_x, bands_y, strict=True)):
        luminance, contrast_structure = reference.map_terms(
            a[..., None], b[..., None], None, 255, reference.WANG2004, 2
        )
        similarity = 1 - contrast_structure[..., 0]
        if level == levels - 1:
            mean = (similarity * (1 - luminance[..., 0])).mean()
        else:
            parent = bands_x[level + 1] if level < levels - 2 else None
            share = information(a, b, parent)[4:-4, 4:-4]
            mean = (similarity * share).sum() / share.sum()
        value *= max(mean, 0) ** (weights[level] / sum(weights))
    return value
