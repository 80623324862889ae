"""Where the training and test images come from: image files, arrays, or the photographs in scikit-image.

Images stay uint8, a quarter of the size of float32, until a batch is on its device. The training step and the
evaluation then divide by 255.
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
MAX_ENLARGED_PIXELS = 2**26  # Pillow itself limits the pixels that a file may claim
READ_ERRORS = (  # raised by Pillow and by `read_image`
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    OSError,
    SyntaxError,
    ValueError,
)


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be read as an image, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        """Returns "PATH (REASON)"."""
        return f"{self.path} ({self.reason})"


class Images(NamedTuple):
    """Training and test images, uint8 (height, width, 3), each at least one patch high and wide."""

    training: list[np.ndarray]
    test: list[np.ndarray]
    unreadable: list[Unreadable]


def load_images(config: Config) -> Images:
    """Loads the images that `config.data` names, or scikit-image's photographs where it is None.

    Raises:
      SystemExit: the data cannot be read, or holds fewer than two images; the message says what to pass instead.
    """
    path = config.data
    if path is None:
        training, test = (list(map(skimage_photograph, names)) for names in (TRAINING_PHOTOGRAPHS, TEST_PHOTOGRAPHS))
        return Images(training, test, unreadable=[])
    if path.is_dir() and not arrays.has_idx_files(path):
        return load_folder(path, config)
    if path.is_dir() or path.name.endswith((".npy", ".npz", ".tar.gz")):
        return load_arrays(path, config)
    raise SystemExit(
        f"--data {path} is not a folder; pass a folder of images or idx files, an .npy or .npz file, or {arrays.CIFAR}"
    )


def skimage_photograph(name: str) -> np.ndarray:
    """Returns a photograph of scikit-image as RGB; of a stereo pair, the left one."""
    image = getattr(data, name)()
    return arrays.to_rgb(image[0] if isinstance(image, tuple) else image)


def load_arrays(path: Path, config: Config) -> Images:
    """Loads a data set of arrays; where it names no test images, the seed chooses them."""
    training, test = arrays.read_images(path)
    if len(training) < 2:
        raise SystemExit(f"--data {path} holds {len(training)} images to train on; pass a data set with at least 2")
    smallest = min(min(image.shape[:2]) for image in training + test)
    if smallest < config.patch:
        block = max(block for block in range(1, 9) if smallest % block == 0)
        raise SystemExit(
            f"--data {path} has images of {smallest} pixels, smaller than a patch of {config.patch}; "
            f"pass --patch {smallest} --block {block}"
        )
    if not test:
        return Images(*split(training, config), unreadable=[])
    return Images(shuffled(training, config.seed), test, unreadable=[])


def load_folder(folder: Path, config: Config) -> Images:
    """Reads every image file below a folder into memory; the seed chooses the files for testing."""
    images, unreadable = [], []
    for path in image_files(folder):
        try:
            images.append(read_image(path, config.patch))
        except READ_ERRORS as error:
            unreadable.append(Unreadable(path, reason(error)))
    if len(images) < 2:
        raise SystemExit(
            f"--data {folder} holds {len(images)} readable and {len(unreadable)} unreadable images; pass a folder "
            f"with at least 2 ({', '.join(sorted(SUFFIXES))}; subfolders are searched too)"
        )
    return Images(*split(images, config), unreadable)


def image_files(folder: Path) -> list[Path]:
    """Returns the files below a folder that have the suffix of an image format, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def split(images: list[np.ndarray], config: Config) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Splits images at random into training and test images, at least one of each."""
    count = min(max(1, round(config.test_fraction * len(images))), len(images) - 1)
    images = shuffled(images, config.seed)
    return images[count:], images[:count]


def shuffled(images: list[np.ndarray], seed: int) -> list[np.ndarray]:
    """Returns the images in random order."""
    return [images[i] for i in np.random.default_rng(seed).permutation(len(images))]


def read_image(path: Path, smallest: int) -> np.ndarray:
    """Reads an image file as uint8 RGB.

    The image is turned upright by its EXIF orientation, laid over white where it is transparent, and enlarged where a
    side is shorter than `smallest` pixels.

    Raises:
      One of `READ_ERRORS`: the file is no image, is damaged, claims too many pixels, or has no defined white.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        opened = Image.open(path, formats=FORMATS)
    with opened:
        image: Image.Image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I;16"):
            image = Image.fromarray(arrays.to_uint8(np.asarray(image)))
        if image.mode in ("F", "I"):
            raise ValueError("the file does not say which value is white")
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        return np.asarray(enlarge(image.convert("RGB"), smallest))


def enlarge(image: Image.Image, smallest: int) -> Image.Image:
    """Scales an image up until its shorter side has `smallest` pixels; returns larger images unchanged."""
    if min(image.size) >= smallest:
        return image
    scale = smallest / min(image.size)
    width, height = (max(smallest, round(side * scale)) for side in image.size)
    if width * height > MAX_ENLARGED_PIXELS:
        raise ValueError(f"the image is so narrow that it would be enlarged to {height}x{width} pixels")
    return image.resize((width, height), Image.Resampling.BICUBIC)


def reason(error: Exception) -> str:
    """Returns why a file is unreadable, for a message."""
    return "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
