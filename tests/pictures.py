"""Pictures that the tests compare: photographs of scikit-image, and pairs with values of the original MATLAB code."""

import json
from pathlib import Path

import numpy as np
import pytest

PHOTOGRAPHS = (
    *("astronaut", "brick", "camera", "cat", "cell", "clock", "coffee", "coins", "grass", "gravel"),
    *("hubble_deep_field", "immunohistochemistry", "logo", "microaneurysms", "moon", "page"),
    *("colorwheel", "retina", "rocket", "stereo_motorcycle", "text"),
)
COMMITTED = Path(__file__).parent / "core" / "reference"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "reference"  # a larger set, which only some checkouts have


def photograph(name):
    """Returns a photograph of scikit-image as uint8 (height, width, channels)."""
    from skimage import data

    image = getattr(data, name)()
    image = image[0] if isinstance(image, tuple) else image
    return image[..., None] if image.ndim == 2 else image


def noisy(image, rng, sigma=0.08):
    """Returns the image in [0, 1], and the same brighter and with noise, both as float32."""
    x = (image / np.iinfo(image.dtype).max).astype(np.float32)
    y = np.clip(x + 0.02 + sigma * rng.standard_normal(x.shape), 0, 1).astype(np.float32)
    return x, y


def matlab_pairs(folder, key):
    """Returns those pairs of a folder for which values.json has a real value under `key`, or [] without the folder."""
    path = folder / "values.json"
    pairs = json.loads(path.read_text()) if path.exists() else []
    return [pair for pair in pairs if pair.get(key) is not None]


def read_pair(folder, pair):
    """Returns the two images as uint8 (height, width)."""
    image = pytest.importorskip("PIL.Image")
    return tuple(np.asarray(image.open(folder / pair[name])) for name in ("reference", "distorted"))
