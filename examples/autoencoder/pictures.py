"""Where the images come from, as uint8 with three channels: files below a folder, arrays, scikit-image's photographs.

They stay uint8, four times smaller than float32, until a batch is on its device: there the training step and the
evaluation divide by 255, and the model takes off 0.5 and evens out the frequencies. Nothing else is normalised.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from skimage import data

from examples.autoencoder import arrays
from examples.autoencoder.config import Config

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
SUFFIXES = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
TRAINING_PHOTOGRAPHS = (
    *("astronaut", "brick", "clock", "coins", "grass", "gravel", "hubble_deep_field", "immunohistochemistry", "moon"),
    *("page", "retina", "stereo_motorcycle", "text"),
)
TEST_PHOTOGRAPHS = ("camera", "chelsea", "coffee", "rocket")
MOST_PIXELS = 2**26  # of an enlarged image; Pillow itself limits what a file may claim
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
UNREADABLE = (*BOMBS, OSError, SyntaxError, ValueError)  # what pillow raises, and `read`


@dataclass(frozen=True)
class Unreadable:
    """A file that gave no image, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        """As it is told."""
        return f"{self.path} ({self.reason})"


class Photographs(NamedTuple):
    """Images (height, width, 3) of uint8, each at least a patch high and wide."""

    training: list[np.ndarray]
    testing: list[np.ndarray]
    unreadable: list[Unreadable]


def photographs(config: Config) -> Photographs:
    """The images that the config names, split in two, or scikit-image's photographs."""
    path = config.data
    if path is None:
        training, testing = (list(map(shipped, names)) for names in (TRAINING_PHOTOGRAPHS, TEST_PHOTOGRAPHS))
        return Photographs(training, testing, unreadable=[])
    if path.is_dir() and not arrays.holds_idx(path):
        return from_folder(path, config)
    if path.is_dir() or path.name.endswith((".npy", ".npz", ".tar.gz")):
        return from_arrays(path, config)
    raise SystemExit(
        f"--data {path} is not a folder; pass one of images or idx files, an .npy or .npz file, or {arrays.CIFAR}"
    )


def shipped(name: str) -> np.ndarray:
    """A photograph of scikit-image, the left one of a stereo pair, grey ones as RGB."""
    image = getattr(data, name)()
    return arrays.rgb(image[0] if isinstance(image, tuple) else image)


def from_arrays(path: Path, config: Config) -> Photographs:
    """A data set's images; where it does not say which are for testing, the seed does."""
    training, testing = arrays.read(path)
    if len(training) < 2:
        raise SystemExit(f"--data {path} holds {len(training)} images to train on; pass one that holds at least 2")
    smallest = min(min(image.shape[:2]) for image in training + testing)
    if smallest < config.patch:
        block = max(block for block in range(1, 9) if smallest % block == 0)
        raise SystemExit(
            f"--data {path} has images of {smallest} pixels, smaller than a patch of {config.patch}; "
            f"pass --patch {smallest} --block {block}"
        )
    if not testing:
        return Photographs(*split(training, config), [])
    return Photographs(shuffled(training, config.seed), testing, [])


def from_folder(folder: Path, config: Config) -> Photographs:
    """Every image below a folder, read into memory, split by file."""
    images, unreadable = [], []
    for path in files(folder):
        try:
            images.append(read(path, config.patch))
        except UNREADABLE as error:
            unreadable.append(Unreadable(path, reason(error)))
    if len(images) < 2:
        raise SystemExit(
            f"--data {folder} holds {len(images)} readable and {len(unreadable)} unreadable images; pass a folder "
            f"with at least 2 ({', '.join(sorted(SUFFIXES))}; folders in it are searched too)"
        )
    return Photographs(*split(images, config), unreadable)


def files(folder: Path) -> list[Path]:
    """The files below a folder that are named as images are."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def split(images: list[np.ndarray], config: Config) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Training and test images: the seed says which of them are for testing."""
    count = min(max(1, round(config.test_fraction * len(images))), len(images) - 1)
    images = shuffled(images, config.seed)
    return images[count:], images[:count]


def shuffled(images: list[np.ndarray], seed: int) -> list[np.ndarray]:
    """The images in an order that the seed gives."""
    return [images[i] for i in np.random.default_rng(seed).permutation(len(images))]


def read(path: Path, smallest: int) -> np.ndarray:
    """An image file as RGB, upright, transparency over white, enlarged if a side is shorter than `smallest`."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        opened = Image.open(path, formats=FORMATS)
    with opened:
        image: Image.Image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
        if image.mode in ("F", "I"):
            raise ValueError("the file does not say which of its numbers is white")
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        image = image.convert("RGB")
    if min(image.size) < smallest:
        scale = smallest / min(image.size)
        width, height = (max(smallest, round(side * scale)) for side in image.size)
        if width * height > MOST_PIXELS:
            raise ValueError(f"it is so narrow that it would be enlarged to {height}x{width} pixels")
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def reason(error: Exception) -> str:
    """Why a file is unreadable."""
    return "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
