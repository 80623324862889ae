"""Draws docs/report.png, the report of photographs of scikit-image: python docs/report_picture.py

Needs the extra `cli` and Chromium.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from skimage import data

PHOTOGRAPHS = ("astronaut", "camera", "cat", "coffee", "rocket")
PAGE, PAIR, GAP = (1280, 598), (1280, 480), 20  # width and height of the table and of the viewer; pixels between them
SHOWN = "#pair=coffee%2Fjpeg-10"
COLOURS = 256


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Returns the image as JPEG of a quality gives it back."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def noisy(image: Image.Image, sigma: float) -> Image.Image:
    """Returns the image with Gaussian noise of a standard deviation in levels of 255."""
    noise = np.random.default_rng(0).normal(0, sigma, (image.height, image.width, 1))
    return Image.fromarray((np.asarray(image) + noise).round().clip(0, 255).astype(np.uint8))


def write_pairs(references: Path, tests: Path) -> None:
    """Writes each photograph, and what damage leaves of it, under the same names in two folders."""
    for name in PHOTOGRAPHS:
        image = Image.fromarray(getattr(data, name)()).convert("RGB")
        damaged = {
            "jpeg-10": jpeg(image, 10),
            "jpeg-50": jpeg(image, 50),
            "jpeg-90": jpeg(image, 90),
            "blur": image.filter(ImageFilter.GaussianBlur(2)),
            "noise": noisy(image, 15),
            "shift": image.transform(image.size, Image.Transform.AFFINE, (1, 0, 2, 0, 1, 0)),
        }
        for kind, test in damaged.items():
            for folder, picture in ((references, image), (tests, test)):
                (folder / name).mkdir(parents=True, exist_ok=True)
                picture.save(folder / name / f"{kind}.png")


def screenshot(address: str, size: tuple[int, int], dark: bool, path: Path) -> Image.Image:
    """Returns a picture of a page in a window."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or sys.exit("report_picture: needs Chromium")
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=5000"]
    options += [f"--window-size={size[0]},{size[1]}", f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    subprocess.run([chromium, *options, f"--screenshot={path}", address], check=True, capture_output=True)
    return Image.open(path).convert("RGB").crop((0, 0, *size))


def main() -> None:
    """Writes the pairs, compares them, and draws the table above the viewer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pairs(folder / "references", folder / "tests")
        command = ["jaxssim", "compare", "references", "tests", "--html", "report.html"]
        subprocess.run(
            [sys.executable, "-m", *command, "--metrics", "ssim", "ms-ssim", "psnr", "mae"], cwd=folder, check=True
        )
        address = (folder / "report.html").as_uri()
        table = screenshot(address, PAGE, False, folder / "table.png")
        viewer = screenshot(address + SHOWN, PAIR, True, folder / "viewer.png")
    picture = Image.new("RGB", (PAGE[0], PAGE[1] + GAP + PAIR[1]), "white")
    picture.paste(table, (0, 0))
    picture.paste(viewer, (0, PAGE[1] + GAP))
    picture.quantize(COLOURS).save(Path(__file__).with_name("report.png"), optimize=True)


if __name__ == "__main__":
    main()
