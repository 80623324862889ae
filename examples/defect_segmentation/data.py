"""Pictures: good ones to learn from, good ones to set the threshold by, and ones with defects and masks to test on."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import grain
import numpy as np
from PIL import Image, ImageOps
from skimage import data

from examples.defect_segmentation.config import Config
from examples.defect_segmentation.model import WINDOW
from examples.defect_segmentation.painting import DEFECTS, paint

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what pillow raises, and `read`, `fit`
TEXTURES = ("brick", "grass", "gravel")
TRAINED = 320  # columns of a texture's 512 that are trained on; the right ones are not
TEST_SIDE = 160  # pixels a side of a test picture of a texture


class Test(NamedTuple):
    """A picture with a defect, or none."""

    defect: str
    picture: np.ndarray  # (height, width), uint8
    mask: np.ndarray  # the same, bool: where the defect is


class Material(NamedTuple):
    """A texture or a kind of parts; pictures are (height, width) of uint8, at least a window high and wide."""

    name: str
    training: list[np.ndarray]
    good: list[np.ndarray]  # never trained on: they set the threshold
    tests: list[Test]
    skipped: list[str]  # files that could not be used, and why


def materials(config: Config) -> list[Material]:
    """What the config names: textures of scikit-image, categories of MVTec AD, or one folder of good pictures."""
    folder = config.data
    if folder is None:
        return [texture(name, config) for name in TEXTURES]
    if not folder.is_dir():
        raise SystemExit(f"--data {folder} is not a folder; pass a category of MVTec AD or a folder of good pictures")
    categories = [path for path in (folder, *sorted(folder.iterdir())) if (path / "train" / "good").is_dir()]
    return [category(path, config) for path in categories] or [good_alone(folder, config)]


def texture(name: str, config: Config) -> Material:
    """A texture of scikit-image: its left part to learn, its right part halved, for the threshold and for defects."""
    rng = np.random.default_rng((config.seed, TEXTURES.index(name)))
    whole, other = (getattr(data, TEXTURES[(TEXTURES.index(name) + i) % len(TEXTURES)])() for i in (0, 1))
    upper, lower = np.split(whole[:, TRAINED:], 2)
    backgrounds = [crop(lower, TEST_SIDE, rng) for _ in range(config.painted)]
    return Material(name, [whole[:, :TRAINED]], [upper], painted_tests(backgrounds, other, rng), [])


def category(folder: Path, config: Config) -> Material:
    """A category in the layout of MVTec AD."""
    pictures, skipped = load(folder / "train" / "good", config)
    good, training = split(pictures, config)
    if not good:
        usable = f"{len(pictures)} usable pictures{why(skipped)}"
        raise SystemExit(f"{folder / 'train' / 'good'} holds {usable}; at least 2 are needed")
    tests = []
    for path in sorted((folder / "test").glob("*/*")):
        if path.suffix.lower() not in SUFFIXES:
            continue
        try:
            picture = fit(read(path), config.resize)
        except UNREADABLE as error:
            skipped.append(f"{path}: {error}")
            continue
        tests.append(Test(path.parent.name, picture, ground_truth(path, picture.shape)))
    return Material(folder.resolve().name, training, good, tests, skipped)


def ground_truth(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The mask of test/DEFECT/NAME.png, which is ground_truth/DEFECT/NAME_mask.png; nothing where DEFECT is good."""
    defect = path.parent.name
    if defect == "good":
        return np.zeros(shape, bool)
    mask = path.parents[2] / "ground_truth" / defect / f"{path.stem}_mask.png"
    if not mask.is_file():
        raise SystemExit(f"{path} has no mask: {mask} is missing; add it, or take the picture away")
    with Image.open(mask) as opened:
        return np.asarray(opened.convert("L").resize((shape[1], shape[0]), Image.Resampling.NEAREST)) > 0


def good_alone(folder: Path, config: Config) -> Material:
    """Good pictures alone: of those held out, half set the threshold, and defects are painted on the other half."""
    pictures, skipped = load(folder, config)
    if len(pictures) < 3:
        raise SystemExit(
            f"--data {folder} holds {len(pictures)} usable pictures{why(skipped)}; pass a folder with at least 3 "
            f"({', '.join(sorted(SUFFIXES))}; folders in it are searched too), or one that has train/good"
        )
    held_out, training = split(pictures, config, least=2)
    half = len(held_out) // 2
    backgrounds = [held_out[half:][i % (len(held_out) - half)] for i in range(config.painted)]
    tests = painted_tests(backgrounds, data.gravel(), np.random.default_rng(config.seed))
    return Material(folder.resolve().name, training, held_out[:half], tests, skipped)


def load(folder: Path, config: Config) -> tuple[list[np.ndarray], list[str]]:
    """Every picture below a folder, and those that could not be used, with the reason."""
    pictures, skipped = [], []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()):
        try:
            pictures.append(fit(read(path), config.resize))
        except UNREADABLE as error:
            skipped.append(f"{path}: {error}")
    return pictures, skipped


def split(pictures: list[np.ndarray], config: Config, least: int = 1) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Those held out, at least so many while one is left, and the rest; the seed says which."""
    order = np.random.default_rng(config.seed).permutation(len(pictures))
    count = min(max(least, round(config.held_out * len(pictures))), len(pictures) - 1)
    return [pictures[i] for i in order[:count]], [pictures[i] for i in order[count:]]


def why(skipped: list[str]) -> str:
    """What was skipped, for a message."""
    return f", {len(skipped)} were skipped ({'; '.join(skipped)})" if skipped else ""


def read(path: Path) -> Image.Image:
    """A picture file, upright and grey, transparency over white."""
    with Image.open(path) as opened:
        image: Image.Image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
        if image.mode in ("F", "I"):
            raise ValueError("the file does not say which of its numbers is white")
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        return image.convert("L")


def fit(image: Image.Image, shortest: int | None) -> np.ndarray:
    """The pixels of a picture, (height, width), its shortest side brought to `shortest`."""
    if shortest is not None:
        scale = shortest / min(image.size)
        image = image.resize([max(shortest, round(side * scale)) for side in image.size], Image.Resampling.BICUBIC)
    if min(image.size) < WINDOW:
        size = "x".join(map(str, image.size))
        raise ValueError(f"{size} is less than the network's window of {WINDOW}x{WINDOW}; train with --resize {WINDOW}")
    return np.asarray(image)


def painted_tests(backgrounds: Sequence[np.ndarray], other: np.ndarray, rng: np.random.Generator) -> list[Test]:
    """Every defect on every background."""
    return [Test(defect, *paint(defect, picture, other, rng)) for defect in DEFECTS for picture in backgrounds]


def crop(picture: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """A square from anywhere in a picture."""
    top, left = (rng.integers(length - side + 1) for length in picture.shape)
    return picture[top : top + side, left : left + side]


def training_batches(pictures: Sequence[np.ndarray], config: Config) -> Iterator[np.ndarray]:
    """Batches (batch, 128, 128, 1) of uint8 without end, a random crop from each picture in turn."""
    return iter(
        grain.MapDataset.source(pictures)
        .seed(config.seed)
        .repeat()
        .random_map(lambda picture, rng: varied(crop(picture, WINDOW, rng), config.augment, rng)[..., None])
        .batch(config.batch_size)
        .to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=8))
    )


def varied(picture: np.ndarray, augment: str, rng: np.random.Generator) -> np.ndarray:
    """A picture as it may also be seen."""
    if augment == "rotate":
        picture = np.rot90(picture, int(rng.integers(4)))
    if augment != "none":
        picture = picture[:: rng.choice((1, -1)), :: rng.choice((1, -1))]
    return picture
