"""What the tests hold jaxssim against: SSIM in float64 by NumPy, and pictures."""

import json
import math
from pathlib import Path

import numpy as np

PHOTOGRAPHS = (
    *("astronaut", "brick", "camera", "cat", "cell", "clock", "coffee", "coins", "grass", "gravel"),
    *("hubble_deep_field", "immunohistochemistry", "logo", "microaneurysms", "moon", "page"),
    *("colorwheel", "retina", "rocket", "stereo_motorcycle", "text"),
)
SHARED = Path(__file__).resolve().parents[2] / "shared"


def local_mean(image, taps):
    """The weighted mean over every window of an image (*spatial, ...), `taps` along each axis, in float64."""
    image = np.asarray(image, np.float64)
    for axis, weights in enumerate(taps):
        image = np.moveaxis(image, axis, 0)
        length = len(image) - len(weights) + 1
        image = np.moveaxis(sum(w * image[i : i + length] for i, w in enumerate(weights)), 0, axis)
    return image


def dissimilarity(x, y, taps, data_range, *, sample=False, k1=0.01, k2=0.03, structure_only=False):
    """1 - SSIM, or 1 - contrast · structure, at every window of images (*spatial, channels), in float64."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)

    def variance(image):
        image = image - image.mean()
        return local_mean(image**2, taps) - local_mean(image, taps) ** 2

    n = math.prod(map(len, taps))
    bessel = n / (n - 1) if sample else 1.0
    c1, c2 = (k1 * data_range) ** 2, (k2 * data_range) ** 2
    structure = bessel * variance(x - y) / (bessel * (variance(x) + variance(y)) + c2)
    mean_x, mean_y = local_mean(x, taps), local_mean(y, taps)
    luminance = local_mean(x - y, taps) ** 2 / (mean_x**2 + mean_y**2 + c1)
    return structure if structure_only else structure + luminance - structure * luminance


def photograph(name):
    """A photograph of scikit-image as uint8 (height, width, channels)."""
    from skimage import data

    image = getattr(data, name)()
    image = image[0] if isinstance(image, tuple) else image
    return image[..., None] if image.ndim == 2 else image


def noisy(image, rng, sigma=0.08):
    """The image in [0, 1], brighter and under noise, as float32; beside the image itself as float32."""
    x = (image / np.iinfo(image.dtype).max).astype(np.float32)
    y = np.clip(x + 0.02 + sigma * rng.standard_normal(x.shape), 0, 1).astype(np.float32)
    return x, y


def reference_values():
    """The pairs whose values the original MATLAB code gave, or an empty list where they are not at hand."""
    path = SHARED / "reference" / "values.json"
    return json.loads(path.read_text()) if path.exists() else []
