"""Defines what a decoder gives, before range, colours and transparency are settled."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Samples:
    """The samples of a picture file.

    Args:
        colours: (height, width, 1) for grey or (height, width, 3) for RGB, of any integer or float type.
        white: the value of white, or None where the file does not say it.
        alpha: (height, width, 1) of floats from 0, transparent, to 1, opaque; None for a picture without transparency.
        inverted: whether 0 is white.
        multiplied: whether the colours are multiplied by alpha already.
        profile: an ICC profile by which the colours are still to be converted.
        notes: what was converted or left out, in words.
    """

    colours: np.ndarray
    white: float | None
    alpha: np.ndarray | None = None
    inverted: bool = False
    multiplied: bool = False
    profile: bytes | None = None
    notes: list[str] = dataclasses.field(default_factory=list)


def split(array: np.ndarray, white: float, notes: list[str]) -> Samples:
    """Divides an array (height, width[, channels]) into one or three colours, and an alpha after them."""
    array = array[..., None] if array.ndim == 2 else array
    count = 1 if array.shape[2] < 3 else 3
    alpha = array[..., count : count + 1] / np.float64(white) if array.shape[2] > count else None
    return Samples(array[..., :count], white, alpha, notes=notes)


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turns an array (height, width, ...) upright by its EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    rows, columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return array[:: -1 if rows else 1, :: -1 if columns else 1]
