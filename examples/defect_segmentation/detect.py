"""Marks the defects of new pictures with a network that `python -m examples.defect_segmentation` has trained.

    python -m examples.defect_segmentation.detect runs/defects/cloth-ssim-0 IMAGES...

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

from examples.defect_segmentation.config import Residual
from examples.defect_segmentation.detector import Detector, load_detector
from examples.defect_segmentation.picture_files import read_grey, to_array
from jaxssim._cli.console import open_console, print_report, say
from jaxssim._pictures import Report, Unreadable, show_name


@dataclasses.dataclass(frozen=True)
class Options:
    """Mark the defects of new pictures."""

    run: Positional[Path]
    """The folder of a trained network, such as runs/defects/cloth-ssim-0."""
    images: Positional[tuple[Path, ...]]
    """Pictures, at least as large as the network's window of 128x128 pixels."""
    output: Path = Path("detected")
    """Folder for the masks, the overlays and defects.csv."""
    residual: Residual | None = None
    """Residual map that marks defects, one of those by which the network was scored. Default: that of the network's
    loss."""
    data_range: float | None = None
    """Value of white in pictures of 16 bits or floats, where the file does not say it for certain."""


def main(options: Options) -> None:
    """Marks the defects of each picture; names the files that cannot be used."""
    console = open_console()
    detector = load_detector(options.run)
    residual = options.residual or detector.loss
    if residual not in detector.thresholds:
        stored = ", ".join(detector.thresholds)
        raise SystemExit(f"--residual {residual} has no threshold in {options.run}; pass one of {stored}")
    check_names_differ(options.images)
    say(console, detector.learning, style=detector.learning.style)
    options.output.mkdir(parents=True, exist_ok=True)
    rows, report = [], Report()
    for path in options.images:
        try:
            image = read_grey(path, options.data_range, report)
            picture = to_array(path, image, detector.resize)
        except Unreadable as error:
            report.unreadable.append(error)
            continue
        rows.append(
            {"image": show_name(path, "utf-8"), **mark(detector, residual, image, picture, options.output / path.stem)}
        )
    print_report(report, console)
    if not rows:
        raise SystemExit("none of IMAGES can be used; pass pictures of at least 128x128 pixels")
    write_csv(rows, options.output / "defects.csv")
    say(console, f"{len(rows)} pictures marked: {options.output / 'defects.csv'}")


def check_names_differ(paths: tuple[Path, ...]) -> None:
    """Raises SystemExit if the output files of two pictures would have the same name."""
    repeated = [name for name, count in Counter(path.stem for path in paths).items() if count > 1]
    if repeated:
        names = ", ".join(map(show_name, repeated))
        raise SystemExit(f"IMAGES contains several pictures named {names}; pass them in separate calls")


def mark(
    detector: Detector, kind: Residual, image: np.ndarray, picture: np.ndarray, stem: Path
) -> dict[str, int | float]:
    """Writes STEM_mask.png and STEM_overlay.png; returns the picture's row of the CSV file.

    Args:
        detector: The trained network.
        kind: The residual map that marks defects.
        image: The picture as it was read, (height, width) of uint8.
        picture: Its pixels at the size that the network needs.
        stem: The beginning of the paths of both files.
    """
    residual, threshold = detector.inspect(picture, [kind]).residuals[kind], detector.thresholds[kind]
    height, width = image.shape
    marked = Image.fromarray(residual > threshold).resize((width, height), Image.Resampling.NEAREST)
    marked.convert("L").save(stem.with_name(f"{stem.name}_mask.png"))
    mask = np.asarray(marked)
    overlay = np.stack([image] * 3, axis=-1)
    overlay[mask] = overlay[mask] // 2 + np.asarray((127, 0, 0), np.uint8)
    Image.fromarray(overlay).save(stem.with_name(f"{stem.name}_overlay.png"))
    return {
        "width": width,
        "height": height,
        "defective_pixels": int(mask.sum()),
        "defective_share": round(float(mask.mean()), 6),
        "largest_residual": round(float(residual.max()), 6),
        "threshold": round(threshold, 6),
    }


def write_csv(rows: list[dict[str, str | int | float]], path: Path) -> None:
    """Writes rows, which all have the same keys, under a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(tyro.cli(Options, prog="python -m examples.defect_segmentation.detect"))
