"""Photographs in, patches out: what to train on, and what is kept for testing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import grain
import numpy as np
from config import Config
from PIL import Image, ImageOps
from skimage import data

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}
TRAINING_PHOTOGRAPHS = (
    *("astronaut", "brick", "clock", "coins", "grass", "gravel", "hubble_deep_field", "immunohistochemistry", "moon"),
    *("page", "retina", "stereo_motorcycle", "text"),
)
TEST_PHOTOGRAPHS = ("camera", "chelsea", "coffee", "rocket")
MOST_TEST_PATCHES = 512
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what pillow raises, and `read`


class Photographs(NamedTuple):
    """Images (height, width, 3) of uint8, each at least a patch high and wide."""

    training: list[np.ndarray]
    testing: list[np.ndarray]
    unreadable: list[Path]


def photographs(config: Config) -> Photographs:
    """The folder that the config names, split by file, or scikit-image's photographs."""
    if config.data is not None:
        return from_folder(config.data, config)
    training, testing = (list(map(shipped, names)) for names in (TRAINING_PHOTOGRAPHS, TEST_PHOTOGRAPHS))
    return Photographs(training, testing, unreadable=[])


def shipped(name: str) -> np.ndarray:
    """A photograph of scikit-image, the left one of a stereo pair, grey ones as RGB."""
    image = getattr(data, name)()
    image = image[0] if isinstance(image, tuple) else image
    return np.stack([image] * 3, axis=-1) if image.ndim == 2 else image


def from_folder(folder: Path, config: Config) -> Photographs:
    """Every image below a folder, read into memory; the seed says which of them are for testing."""
    if not folder.is_dir():
        raise SystemExit(f"--data {folder} is not a folder; pass one that holds images")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    images, unreadable = [], []
    for path in paths:
        try:
            images.append(read(path, config.patch))
        except UNREADABLE:
            unreadable.append(path)
    if len(images) < 2:
        raise SystemExit(
            f"--data {folder} holds {len(images)} readable and {len(unreadable)} unreadable images; pass a folder "
            f"with at least 2 ({', '.join(sorted(SUFFIXES))}; folders in it are searched too)"
        )
    order = np.random.default_rng(config.seed).permutation(len(images))
    count = min(max(1, round(config.test_fraction * len(images))), len(images) - 1)
    testing, training = order[:count], order[count:]
    return Photographs([images[i] for i in training], [images[i] for i in testing], unreadable)


def read(path: Path, smallest: int) -> np.ndarray:
    """An image file as RGB, upright, transparency over white, enlarged if a side is shorter than `smallest`."""
    with Image.open(path) as opened:
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
        image = image.resize([max(smallest, round(side * scale)) for side in image.size], Image.Resampling.BICUBIC)
    return np.asarray(image)


def training_batches(images: Sequence[np.ndarray], config: Config) -> Iterator[np.ndarray]:
    """Batches (batch, patch, patch, 3) of uint8 without end, a random patch from each image in turn.

    Not shuffled besides: a folder's images come in random order, and Grain's shuffle of few takes 2 ms an index.
    """
    return iter(
        grain.MapDataset.source(images)
        .seed(config.seed)
        .repeat()
        .random_map(lambda image, rng: random_patch(image, config.patch, rng))
        .batch(config.batch_size)
        .to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=8))
    )


def random_patch(image: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A patch from anywhere in an image, in any orientation, order of colours and exposure: few images then do."""
    top, left = (rng.integers(side - size + 1) for side in image.shape[:2])
    patch = image[top : top + size, left : left + size, rng.permutation(3)]
    patch = np.rot90(patch, int(rng.integers(4)))[:: rng.choice((1, -1))]
    return (patch * rng.uniform(0.5, 1)).astype(np.uint8)


def test_patches(images: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Tiles of the test photographs, (patches, size, size, 3) of uint8, evenly thinned out where they are many."""
    tiles = [
        image[top : top + size, left : left + size]
        for image in images
        for top in range(0, image.shape[0] - size + 1, size)
        for left in range(0, image.shape[1] - size + 1, size)
    ]
    return np.stack(tiles[:: -(-len(tiles) // MOST_TEST_PATCHES)])
