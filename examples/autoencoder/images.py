"""Where the training and test images come from: image files, arrays, or the photographs in scikit-image.

Images stay uint8, a quarter of the size of float32, until a batch is on its device. The training step and the
evaluation then divide by 255.
"""

from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image
from skimage import data

from examples.autoencoder import arrays
from examples.autoencoder.config import Config
from jaxssim._pictures import (
    SUFFIXES,
    Report,
    Unreadable,
    drop_doubles,
    list_pictures,
    read,
    show_name,
    to_rgb,
    to_uint8,
)

TRAINING_PHOTOGRAPHS = (
    *("astronaut", "brick", "clock", "coins", "grass", "gravel", "hubble_deep_field", "immunohistochemistry", "moon"),
    *("page", "retina", "stereo_motorcycle", "text"),
)
TEST_PHOTOGRAPHS = ("camera", "chelsea", "coffee", "rocket")
MAX_ENLARGED_PIXELS = 2**26  # Pillow itself limits the pixels that a file may claim
T = TypeVar("T")


class Images(NamedTuple):
    """Training and test images, uint8 (height, width, 3), each at least one patch high and wide, and their names."""

    training: list[np.ndarray]
    test: list[np.ndarray]
    report: Report
    training_names: list[str]
    test_names: list[str]


def load_images(config: Config) -> Images:
    """Loads the images that `config.data` names, or scikit-image's photographs where it is None.

    Raises:
      SystemExit: the data cannot be read, or holds fewer than two images; the message says what to pass instead.
    """
    path = config.data
    if path is None:
        training, test = (list(map(skimage_photograph, names)) for names in (TRAINING_PHOTOGRAPHS, TEST_PHOTOGRAPHS))
        return Images(training, test, Report(), list(TRAINING_PHOTOGRAPHS), list(TEST_PHOTOGRAPHS))
    if path.is_dir() and not arrays.has_idx_files(path):
        return load_folder(path, config)
    if path.is_dir() or path.name.endswith((".npy", ".npz", ".tar.gz")):
        return load_arrays(path, config)
    raise SystemExit(
        f"--data {show_name(path)} is not a folder; pass a folder of images or idx files, an .npy or .npz file, "
        f"or {arrays.CIFAR}"
    )


def skimage_photograph(name: str) -> np.ndarray:
    """Returns a photograph of scikit-image as RGB; of a stereo pair, the left one."""
    image = getattr(data, name)()
    return to_rgb(image[0] if isinstance(image, tuple) else image)


def load_arrays(path: Path, config: Config) -> Images:
    """Loads a data set of arrays; where it names no test images, the seed chooses them."""
    training, test, notes = arrays.read_images(path, config.data_range)
    if len(training) < 2:
        raise SystemExit(
            f"--data {show_name(path)} holds {len(training)} images to train on; pass a data set with at least 2"
        )
    smallest = min(min(image.shape[:2]) for image in training + test)
    if smallest < config.patch:
        block = max(block for block in range(1, 9) if smallest % block == 0)
        raise SystemExit(
            f"--data {show_name(path)} has images of {smallest} pixels, smaller than a patch of {config.patch}; "
            f"pass --patch {smallest} --block {block}"
        )
    report = Report()
    report.add(path, notes)
    names = [f"{path}: image {i}" for i in range(len(training))]
    if not test:
        return Images(*split(training, config), report, *split(names, config))
    test_names = [f"{path}: test image {i}" for i in range(len(test))]
    return Images(shuffled(training, config.seed), test, report, shuffled(names, config.seed), test_names)


def load_folder(folder: Path, config: Config) -> Images:
    """Reads every image file below a folder into memory; the seed chooses the files for testing.

    A file that links reach on several paths is read once, so that no image is both for training and for testing.
    """
    files, unreadable = list_pictures(folder)
    files, doubles = drop_doubles(files)
    images, names, report = [], [], Report(unreadable)
    for path in files:
        try:
            image, notes = read_image(path, config.patch, config.data_range)
        except Unreadable as error:
            report.unreadable.append(error)
        else:
            images.append(image)
            names.append(str(path))
            report.add(path, notes)
    for path in doubles:
        report.add(path, ["another link to a file that is read already, left out"])
    if len(images) < 2:
        reasons = "".join(f"; {line}" for line in report.lines())
        raise SystemExit(
            f"--data {show_name(folder)} holds {len(images)} readable and {len(report.unreadable)} unreadable images; "
            f"pass a folder with at least 2 ({', '.join(SUFFIXES)}; subfolders are searched too){reasons}"
        )
    return Images(*split(images, config), report, *split(names, config))


def split(images: list[T], config: Config) -> tuple[list[T], list[T]]:
    """Splits images, or their names, at random into those for training and for testing, at least one of each."""
    count = min(max(1, round(config.test_fraction * len(images))), len(images) - 1)
    images = shuffled(images, config.seed)
    return images[count:], images[:count]


def shuffled(images: list[T], seed: int) -> list[T]:
    """Returns the images, or their names, in a random order that depends on their number alone."""
    return [images[i] for i in np.random.default_rng(seed).permutation(len(images))]


def read_image(path: Path, smallest: int, data_range: float | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Reads an image file as uint8 RGB, rounded, and enlarges it where a side is shorter than `smallest` pixels.

    Returns:
      The image and the notes of the reader.

    Raises:
      Unreadable: the file cannot be read as an image, or its sides differ too much.
    """
    picture = read(path, data_range=data_range)
    image = to_rgb(to_uint8(picture.pixels, picture.data_range))
    try:
        return enlarge(image, smallest), picture.notes
    except ValueError as error:
        raise Unreadable(path, str(error)) from error


def enlarge(image: np.ndarray, smallest: int) -> np.ndarray:
    """Scales an image up until its shorter side has `smallest` pixels; returns larger images unchanged."""
    sides = image.shape[:2]
    if min(sides) >= smallest:
        return image
    height, width = (max(smallest, round(side * smallest / min(sides))) for side in sides)
    if width * height > MAX_ENLARGED_PIXELS:
        raise ValueError(f"the image is so narrow that it would be enlarged to {height}x{width} pixels")
    resized = Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized)
