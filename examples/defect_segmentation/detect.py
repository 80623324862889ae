"""Mark the defects of new pictures with a network that `python -m examples.defect_segmentation` trained.

RUN is one network's folder, as runs/defects/brick-ssim-0. For each picture NAME this writes NAME_mask.png (white where
the residual exceeds the threshold) and NAME_overlay.png, both of the picture's size, and a line of defects.csv.
"""

import csv
import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import tyro
from PIL import Image
from rich.console import Console
from tyro.conf import Positional

from examples.defect_segmentation.data import UNREADABLE, fit, read
from examples.defect_segmentation.maps import Detector, load


@dataclasses.dataclass(frozen=True)
class Options:
    """Mark the defects of new pictures."""

    run: Positional[Path]
    """The folder of a trained network, as runs/defects/brick-ssim-0."""
    images: Positional[tuple[Path, ...]]
    """Pictures, at least as large as the network's window of 128x128 pixels."""
    output: Path = Path("detected")
    """The folder to write to."""


def main(options: Options) -> None:
    """Every picture that can be read; the others are named."""
    console = Console()
    detector = load(options.run)
    twice = [name for name, count in Counter(path.stem for path in options.images).items() if count > 1]
    if twice:
        raise SystemExit(f"IMAGES has several pictures of one name, {', '.join(twice)}; pass them one call at a time")
    options.output.mkdir(parents=True, exist_ok=True)
    rows, skipped = [], []
    for path in options.images:
        try:
            image = read(path)
            picture = fit(image, detector.resize)
        except UNREADABLE as error:
            skipped.append(f"{path}: {error}")
            continue
        rows.append({"image": str(path), **mark(detector, image, picture, options.output / path.stem)})
    if skipped:
        console.print(f"{len(skipped)} of {len(options.images)} skipped:", *skipped, sep="\n", style="yellow")
    if not rows:
        raise SystemExit("none of IMAGES could be used; pass pictures of at least 128x128 pixels")
    with (options.output / "defects.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    console.print(f"{len(rows)} marked: {options.output / 'defects.csv'}", soft_wrap=True)


def mark(detector: Detector, image: Image.Image, picture: np.ndarray, stem: Path) -> dict[str, float]:
    """Write the mask and the overlay of a picture, whose pixels are `picture`; what the CSV says of it."""
    residual = detector.see(picture).residual
    drawn = Image.fromarray(residual > detector.threshold).resize(image.size, Image.Resampling.NEAREST)
    drawn.convert("L").save(stem.with_name(f"{stem.name}_mask.png"))
    mask = np.asarray(drawn)
    overlay = np.stack([np.asarray(image)] * 3, axis=-1)
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


if __name__ == "__main__":
    main(tyro.cli(Options, prog="python -m examples.defect_segmentation.detect"))
