"""The pictures to cluster: those of a folder with their labels, or photographs of scikit-image in variants."""

import json
from collections.abc import Set
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from rich.console import Console
from skimage import data

from jaxssim._cli.console import print_report
from jaxssim._pictures import SUFFIXES, Report, Unreadable, list_pictures, read, show_name, to_rgb, to_uint8

PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "moon", "rocket")


class Dataset(NamedTuple):
    """Named RGB images of one size, with their true labels where these are known."""

    names: list[str]
    images: list[Image.Image]
    labels: list[int] | None


def variants_of_photographs(size: tuple[int, int], seed: int) -> Dataset:
    """Returns six photographs that ship with scikit-image, each in seven variants; the photograph is the label."""
    rng = np.random.default_rng(seed)
    names, images, labels = [], [], []
    for label, photograph in enumerate(PHOTOGRAPHS):
        image = Image.fromarray(getattr(data, photograph)()).convert("RGB")
        for variant, changed in variants(image, size, rng).items():
            names.append(f"{photograph}-{variant}")
            images.append(changed)
            labels.append(label)
    return Dataset(names, images, labels)


def variants(image: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> dict[str, Image.Image]:
    """Returns the middle of an image, and the same shifted, rotated, noisy, brighter and with less contrast."""
    enlarged = image.resize((size[0] * 5 // 4, size[1] * 5 // 4))  # the margin fills the frame after shift and rotation
    shift = round(0.02 * size[1])

    def frame(angle: float = 0, translate: tuple[int, int] = (0, 0)) -> Image.Image:
        moved = enlarged.rotate(angle, Image.Resampling.BICUBIC, translate=translate)
        return ImageOps.fit(moved, size, bleed=0.1)

    noise = rng.normal(0, 15, (size[1], size[0], 1))
    original = frame()
    return {
        "original": original,
        "right": frame(translate=(shift, 0)),
        "up": frame(translate=(0, -shift)),
        "rotated": frame(angle=3),
        "noisy": Image.fromarray((np.asarray(original) + noise).clip(0, 255).astype(np.uint8)),
        "bright": ImageEnhance.Brightness(original).enhance(1.5),
        "flat": ImageEnhance.Contrast(original).enhance(0.5),
    }


def load_folder(
    folder: Path, size: tuple[int, int], data_range: float | None, labels: Path | None, console: Console
) -> Dataset:
    """Reads the images of the folder, without its subfolders, and resizes them; prints what was left out."""
    if not folder.is_dir():
        raise SystemExit(f"{show_name(folder)} is not a folder; pass a folder of images")
    files, unreadable = list_pictures(folder, subfolders=False)
    names, images, report = [], [], Report(unreadable)
    for path in files:
        try:
            picture = read(path, data_range=data_range)
        except Unreadable as error:
            report.unreadable.append(error)
            continue
        report.add(path, picture.notes)
        names.append(path.name)
        pixels = np.ascontiguousarray(to_rgb(to_uint8(picture.pixels, picture.data_range)))
        images.append(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    print_report(report, console)
    if len(images) < 3:
        broken = f", and {len(report.unreadable)} that cannot be read" if report.unreadable else ""
        found = f"{show_name(folder)} holds {len(images)} images{broken}"
        raise SystemExit(f"{found}; pass a folder of at least 3 ({', '.join(SUFFIXES)})")
    closed = {one.path.name for one in report.unreadable}
    return Dataset(names, images, None if labels is None else read_labels(labels, names, closed))


def read_labels(path: Path, names: list[str], unreadable: Set[str]) -> list[int]:
    """Returns the label of each image from a JSON file, which must name these images; unreadable ones may be named."""
    try:
        labels = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"cannot read the labels {show_name(path)}: {error}") from error
    if not isinstance(labels, dict) or not all(type(label) is int for label in labels.values()):
        example = f'{{"{show_name(names[0])}": 0, ...}}'
        raise SystemExit(f"{show_name(path)} must hold one object that maps file names to integers: {example}")
    if missing := show_names(set(names) - set(labels)):
        raise SystemExit(f"{show_name(path)} has no label for {missing}; add one for each image of the folder")
    if unknown := show_names(set(labels) - set(names) - unreadable):
        raise SystemExit(f"{show_name(path)} has labels for {unknown}, which the folder lacks; remove them")
    return [labels[name] for name in names]


def show_names(names: Set[str]) -> str:
    """Returns names in order, separated by commas."""
    return ", ".join(map(show_name, sorted(names)))
