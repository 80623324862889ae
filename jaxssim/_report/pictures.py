"""Prepares pictures and maps of SSIM for a page: codes, scales and encodes them."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image


class Encoding(NamedTuple):
    """How to write a picture.

    Args:
        suffix: of the file, which names the format.
        longest: the longest side in pixels; None keeps the size.
        options: of Pillow's encoder.
    """

    suffix: str
    longest: int | None
    options: dict[str, Any]


THUMBNAIL = Encoding(".webp", 160, {"quality": 75, "method": 2})
LOSSLESS = Encoding(".png", None, {"compress_level": 1})  # level 6 takes three times as long to save nothing
LOSSY = Encoding(".webp", 1024, {"quality": 90, "method": 2})
SMALL_MAP = Encoding(".png", 512, {"compress_level": 3})  # a map is as smooth as its window is wide
EXACT = {"reference": LOSSLESS, "test": LOSSLESS, "map": LOSSLESS}
COMPACT = {"reference": LOSSY, "test": LOSSY, "map": SMALL_MAP}


def write(picture: np.ndarray, path: Path, encoding: Encoding) -> str:
    """Writes a picture as `path` with the encoding's suffix; returns the name of the file.

    Args:
        picture: uint8 (height, width, 3), or (height, width, 2) for grey and opacity.
        path: the file, without a suffix.
        encoding: the format, and the longest side.
    """
    image = Image.fromarray(picture)
    if image.mode == "LA" and picture[..., 1].all():
        image = image.getchannel("L")
    if encoding.longest is not None:
        image.thumbnail((encoding.longest, encoding.longest), Image.Resampling.LANCZOS, reducing_gap=3)
    path = path.with_name(path.name + encoding.suffix)
    image.save(path, **encoding.options)
    return path.name


def code_map(ssim_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns a map of SSIM as grey and opacity, uint8 (height, width, 2), which the page turns into colours.

    Grey is 255 times the square root of (1 - SSIM) / 2: steps are fine where SSIM is near 1, so that one file serves
    every scale of colours. The border that the map leaves out, and values that are not finite, are transparent.

    Args:
        ssim_map: (h, w) with h <= height and w <= width, equal margins on both sides, values in [-1, 1].
        height: of the pictures.
        width: of the pictures.
    """
    coded = np.zeros((height, width, 2), np.uint8)
    h, w = ssim_map.shape
    top, left = (height - h) // 2, (width - w) // 2
    inside = coded[top : top + h, left : left + w]
    known = np.isfinite(ssim_map)
    distance = np.clip((1 - np.where(known, ssim_map, 1)) / 2, 0, 1)
    inside[..., 0] = np.rint(255 * np.sqrt(distance))
    inside[..., 1] = np.where(known, 255, 0)
    return coded
