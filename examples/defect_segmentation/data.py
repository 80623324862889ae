"""The data of a run: pictures for training, for the threshold and for testing, and the batches of training crops."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import grain
import numpy as np
from PIL import Image
from skimage import data

from examples.defect_segmentation.config import Config, Texture
from examples.defect_segmentation.model import WINDOW
from examples.defect_segmentation.painting import DEFECTS, paint
from examples.defect_segmentation.picture_files import read_folder
from examples.defect_segmentation.textures import GENERATORS
from jaxssim._pictures import SUFFIXES, Report, Unreadable, read, show_name, to_grey

# The texture of which the defect "patch" is made.
PATCHES: dict[Texture, Texture] = {
    "cloth": "mat",
    "mat": "cloth",
    "brick": "grass",
    "grass": "gravel",
    "gravel": "brick",
}
SIDE = 256  # pixels of each side of a generated picture
TRAINING_PICTURES, VALIDATION_PICTURES = 40, 4  # of a generated texture
TRAINING_COLUMNS = 320  # of a photograph's 512 columns; the columns to their right are not used for training
TEST_SIDE = 160  # pixels of each side of a test picture of a texture
GOOD = "good"  # stands for the test pictures without a defect, as in MVTec AD


class TestPicture(NamedTuple):
    """A picture with or without a defect."""

    defect: str
    pixels: np.ndarray  # (height, width) of uint8
    mask: np.ndarray  # (height, width) of bool: True where the defect is


class Material(NamedTuple):
    """A texture or a kind of parts. Its pictures are (height, width) of uint8, at least as large as a window."""

    name: str
    training: list[np.ndarray]
    validation: list[np.ndarray]  # good pictures, not used for training, that determine the threshold
    tests: list[TestPicture]
    report: Report  # the files that cannot be used, and the notes of the others


def load_materials(config: Config) -> list[Material]:
    """Loads the textures, the categories of MVTec AD or the folder of good pictures."""
    folder = config.data
    if folder is None:
        return [load_texture(name, config) for name in dict.fromkeys(config.textures)]
    if not folder.is_dir():
        raise SystemExit(
            f"--data {show_name(folder)} is not a folder; pass a category of MVTec AD or a folder of good pictures"
        )
    categories = [path for path in (folder, *sorted(folder.iterdir())) if (path / "train" / "good").is_dir()]
    return [load_category(path, config) for path in categories] or [load_good_pictures(folder, config)]


def load_texture(name: Texture, config: Config) -> Material:
    """Generates a texture, or divides a photograph of one, and paints defects on its test pictures."""
    rng = np.random.default_rng((config.seed, [*PATCHES].index(name)))
    if name in GENERATORS:
        training, validation = (
            [GENERATORS[name](SIDE, rng) for _ in range(count)] for count in (TRAINING_PICTURES, VALIDATION_PICTURES)
        )
        backgrounds = [GENERATORS[name](TEST_SIDE, rng) for _ in range(config.painted)]
    else:
        training, validation, lower = divide(getattr(data, name)())
        backgrounds = [random_crop(lower, TEST_SIDE, rng) for _ in range(config.painted)]
    other = PATCHES[name]
    patches = GENERATORS[other](SIDE, rng) if other in GENERATORS else getattr(data, other)()
    return Material(name, training, validation, paint_all(backgrounds, patches, rng), Report())


def divide(photograph: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Divides a photograph: left part for training, upper right part for validation, lower right part for tests."""
    upper, lower = np.split(photograph[:, TRAINING_COLUMNS:], 2)
    return [photograph[:, :TRAINING_COLUMNS]], [upper], lower


def load_category(folder: Path, config: Config) -> Material:
    """Loads a category that has the layout of MVTec AD."""
    good, report = folder / "train" / "good", Report()
    pictures = [*read_folder(good, config.resize, config.data_range, report).values()]
    if len(pictures) < 2:
        raise SystemExit(
            f"{show_name(good)} holds {len(pictures)} usable pictures{describe(report)}; at least 2 are needed"
        )
    validation, training = hold_out(pictures, config)
    tests = []
    for defect in sorted(path for path in (folder / "test").glob("*") if path.is_dir()):
        found = read_folder(defect, config.resize, config.data_range, report, subfolders=False)
        tests += [TestPicture(defect.name, pixels, read_mask(path, pixels.shape)) for path, pixels in found.items()]
    return Material(folder.resolve().name, training, validation, tests, report)


def read_mask(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Reads the mask of test/DEFECT/NAME.png, ground_truth/DEFECT/NAME_mask.png; a good picture has an empty mask."""
    defect = path.parent.name
    if defect == GOOD:
        return np.zeros(shape, bool)
    mask = path.parents[2] / "ground_truth" / defect / f"{path.stem}_mask.png"
    names = f"{show_name(path)} has no mask: {show_name(mask)}"
    if not mask.is_file():
        raise SystemExit(f"{names} is missing; add the mask or remove the picture")
    try:
        picture = read(mask, data_range=65535)  # all that is not black counts, whatever white is
    except Unreadable as error:
        raise SystemExit(f"{names} cannot be read: {error.reason}; repair the mask or remove the picture") from error
    if any("transparent" in note for note in picture.notes):
        raise SystemExit(f"{names} is transparent; save it without alpha, white where the defect is")
    marked = Image.fromarray(to_grey(picture.pixels) > 0)
    return np.asarray(marked.resize((shape[1], shape[0]), Image.Resampling.NEAREST))


def load_good_pictures(folder: Path, config: Config) -> Material:
    """Loads a folder of good pictures; half of the held-out pictures is for validation, half gets painted defects."""
    report = Report()
    pictures = [*read_folder(folder, config.resize, config.data_range, report).values()]
    if len(pictures) < 3:
        raise SystemExit(
            f"--data {show_name(folder)} holds {len(pictures)} usable pictures{describe(report)}; pass a folder of at "
            f"least 3 ({', '.join(SUFFIXES)}; subfolders are searched too) or a folder that contains train/good"
        )
    held_out, training = hold_out(pictures, config, least=2)
    half = len(held_out) // 2
    validation, clean = held_out[:half], held_out[half:]
    backgrounds = [clean[i % len(clean)] for i in range(config.painted)]
    tests = paint_all(backgrounds, data.gravel(), np.random.default_rng(config.seed))
    return Material(folder.resolve().name, training, validation, tests, report)


def hold_out(pictures: list[np.ndarray], config: Config, least: int = 1) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Splits pictures at random into held-out ones, at least `least`, and training ones, at least one."""
    order = np.random.default_rng(config.seed).permutation(len(pictures))
    count = min(max(least, round(config.held_out * len(pictures))), len(pictures) - 1)
    return [pictures[i] for i in order[:count]], [pictures[i] for i in order[count:]]


def describe(report: Report) -> str:
    """Returns the part of an error message that names the files left out."""
    return f", {'; '.join(report.lines())}" if report.unreadable else ""


def paint_all(backgrounds: Sequence[np.ndarray], other: np.ndarray, rng: np.random.Generator) -> list[TestPicture]:
    """Paints every kind of defect on every background; the backgrounds themselves follow as good pictures."""
    painted = [
        TestPicture(defect, *paint(defect, picture, other, rng)) for defect in DEFECTS for picture in backgrounds
    ]
    return painted + [TestPicture(GOOD, picture, np.zeros(picture.shape, bool)) for picture in backgrounds]


def random_crop(picture: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Returns a random square of a picture."""
    top, left = (rng.integers(length - side + 1) for length in picture.shape)
    return picture[top : top + side, left : left + side]


def training_batches(pictures: Sequence[np.ndarray], config: Config) -> Iterator[np.ndarray]:
    """Yields batches (batch, 128, 128, 1) of uint8 without end: random crops of each picture in turn."""
    return iter(
        grain.MapDataset.source(pictures)
        .seed(config.seed)
        .repeat()
        .random_map(lambda picture, rng: augment(random_crop(picture, WINDOW, rng), config.augment, rng)[..., None])
        .batch(config.batch_size)
        .to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=8))
    )


def augment(crop: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Returns a crop, flipped and rotated at random as far as `kind` (none, flip, rotate) allows."""
    if kind == "rotate":
        crop = np.rot90(crop, int(rng.integers(4)))
    if kind != "none":
        crop = crop[:: rng.choice((1, -1)), :: rng.choice((1, -1))]
    return crop
