"""Reading picture files as grey arrays of uint8."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from examples.defect_segmentation.model import WINDOW

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
# What pillow, `read_grey` and `to_array` raise for a file that cannot be used.
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def read_folder(folder: Path, shortest_side: int | None) -> tuple[list[np.ndarray], list[str]]:
    """Reads every picture below a folder.

    Returns the pictures, (height, width) of uint8, and a message for each file that cannot be used.
    """
    pictures, skipped = [], []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()):
        try:
            pictures.append(to_array(read_grey(path), shortest_side))
        except UNREADABLE as error:
            skipped.append(f"{path}: {error}")
    return pictures, skipped


def read_grey(path: Path) -> Image.Image:
    """Reads a picture file as 8-bit grey, rotates it as its EXIF data says, and puts white behind transparency."""
    with Image.open(path) as opened:
        image: Image.Image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I;16"):  # pillow does not scale 16 bits to 8
            image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
        if image.mode in ("F", "I"):
            raise ValueError("the file does not say which value is white; convert it to 8 or 16 bits")
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        return image.convert("L")


def to_array(image: Image.Image, shortest_side: int | None) -> np.ndarray:
    """Returns the pixels of an image, (height, width), resized to `shortest_side` if given.

    Raises ValueError if the image is smaller than the network's window.
    """
    if shortest_side is not None:
        scale = shortest_side / min(image.size)
        size = [max(shortest_side, round(side * scale)) for side in image.size]
        image = image.resize(size, Image.Resampling.BICUBIC)
    if min(image.size) < WINDOW:
        size_text = "x".join(map(str, image.size))
        raise ValueError(
            f"{size_text} is smaller than the network's window of {WINDOW}x{WINDOW}; train with --resize {WINDOW}"
        )
    return np.asarray(image)
