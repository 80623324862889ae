"""Defines a picture that was read, and the error for one that cannot be."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxssim._pictures.names import show_name, show_text

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of ITU-R BT.601, as in Pillow


class Picture(NamedTuple):
    """A picture as its file holds it.

    Args:
        pixels: (height, width, 1) for grey or (height, width, 3) for RGB; uint8, uint16 or float32, 0 is black.
        data_range: the value of white.
        notes: what was converted or left out while reading, in words.
    """

    pixels: np.ndarray
    data_range: float
    notes: tuple[str, ...] = ()


class Unreadable(Exception):
    """Names a file that cannot be read as a picture, and why."""

    def __init__(self, path: Path, reason: str) -> None:
        """Keeps the path and the reason."""
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        """Returns "PATH (REASON)" on one line."""
        return f"{show_name(self.path)} ({show_text(self.reason)})"


def to_uint8(pixels: np.ndarray, data_range: float) -> np.ndarray:
    """Returns pixels as uint8 with white at 255, rounded to the nearest; pixels with white at 255 are not copied."""
    if pixels.dtype == np.uint8 and data_range == 255:
        return pixels
    return np.rint(pixels * np.float32(255 / data_range)).astype(np.uint8)


def to_rgb(pixels: np.ndarray) -> np.ndarray:
    """Returns a view (height, width, 3) of pixels (height, width[, 1 or 3])."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Returns pixels (height, width, 1 or 3) as grey (height, width), of the same type and range."""
    if pixels.shape[2] == 1:
        return pixels[..., 0]
    grey = pixels.astype(np.float32) @ LUMA
    return grey if pixels.dtype == np.float32 else np.rint(grey).astype(pixels.dtype)
