"""Marks the defects of new pictures with a network that `python -m examples.defect_segmentation` has trained.

    python -m examples.defect_segmentation.detect runs/defects/brick-ssim-0 IMAGES...

For each picture NAME the program writes NAME_mask.png, which is white where the residual exceeds the threshold, and
NAME_overlay.png, both of the picture's size. All pictures together give the rows of defects.csv.
"""

import csv
import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import tyro
from PIL import Image
from tyro.conf import Positional

from examples.defect_segmentation.detector import Detector, load_detector
from examples.defect_segmentation.picture_files import UNREADABLE, read_grey, to_array
from examples.progress import open_console, say


@dataclasses.dataclass(frozen=True)
class Options:
    """Mark the defects of new pictures."""

    run: Positional[Path]
    """The folder of a trained network, such as runs/defects/brick-ssim-0."""
    images: Positional[tuple[Path, ...]]
    """Pictures, at least as large as the network's window of 128x128 pixels."""
    output: Path = Path("detected")
    """Folder for the masks, the overlays and defects.csv."""


def main(options: Options) -> None:
    """Marks the defects of each picture; names the files that cannot be used."""
    console = open_console()
    detector = load_detector(options.run)
    check_names_differ(options.images)
    options.output.mkdir(parents=True, exist_ok=True)
    rows, skipped = [], []
    for path in options.images:
        try:
            image = read_grey(path)
            picture = to_array(image, detector.resize)
        except UNREADABLE as error:
            skipped.append(f"{path}: {error}")
            continue
        rows.append({"image": str(path), **mark(detector, image, picture, options.output / path.stem)})
    if skipped:
        say(console, f"{len(skipped)} of {len(options.images)} skipped:", *skipped, style="yellow")
    if not rows:
        raise SystemExit("none of IMAGES can be used; pass pictures of at least 128x128 pixels")
    write_csv(rows, options.output / "defects.csv")
    say(console, f"{len(rows)} pictures marked: {options.output / 'defects.csv'}")


def check_names_differ(paths: tuple[Path, ...]) -> None:
    """Raises SystemExit if the output files of two pictures would have the same name."""
    repeated = [name for name, count in Counter(path.stem for path in paths).items() if count > 1]
    if repeated:
        raise SystemExit(f"IMAGES contains several pictures named {', '.join(repeated)}; pass them in separate calls")


def mark(detector: Detector, image: Image.Image, picture: np.ndarray, stem: Path) -> dict[str, int | float]:
    """Writes STEM_mask.png and STEM_overlay.png; returns the picture's row of the CSV file.

    Args:
        detector: The trained network.
        image: The picture as it was read.
        picture: Its pixels at the size that the network needs.
        stem: The beginning of the paths of both files.
    """
    residual = detector.inspect(picture).residual
    marked = Image.fromarray(residual > detector.threshold).resize(image.size, Image.Resampling.NEAREST)
    marked.convert("L").save(stem.with_name(f"{stem.name}_mask.png"))
    mask = np.asarray(marked)
    overlay = np.asarray(image.convert("RGB")).copy()
    overlay[mask] = overlay[mask] // 2 + np.asarray((127, 0, 0), np.uint8)
    Image.fromarray(overlay).save(stem.with_name(f"{stem.name}_overlay.png"))
    return {
        "width": image.width,
        "height": image.height,
        "defective_pixels": int(mask.sum()),
        "defective_share": round(float(mask.mean()), 6),
        "largest_residual": round(float(residual.max()), 6),
        "threshold": round(detector.threshold, 6),
    }


def write_csv(rows: list[dict[str, str | int | float]], path: Path) -> None:
    """Writes rows, which all have the same keys, under a header."""
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:  # any name, as it is
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(tyro.cli(Options, prog="python -m examples.defect_segmentation.detect"))
