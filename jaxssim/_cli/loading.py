"""Reads the two pictures of a pair and makes them comparable: one range, one number of channels, one size."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

import jaxssim
from jaxssim._cli.pairing import PairFiles
from jaxssim._pictures import Picture, Unreadable, read, to_grey, to_rgb

Which = Literal["reference", "test"]
Filter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]


class Preparation(NamedTuple):
    """How to read the pictures.

    Args:
        data_range: the value of white in files that do not say theirs for certain.
        luma: whether the luma of colours is compared.
        resize: which picture of a pair is resized where the sizes differ; None makes that an error.
        filter: how it is resized.
    """

    data_range: float | None = None
    luma: bool = False
    resize: Which | None = None
    filter: Filter = "lanczos"


class Loaded(NamedTuple):
    """A pair of pictures that can be compared.

    Args:
        files: where they are from.
        x: the reference, (height, width, 1 or 3): uint8, uint16 or float32, where 0 is black.
        y: the picture to compare with it, of the same shape and type.
        mask: float32 weights from 0 to 1, (height, width), or None.
        white: the value of white of both.
        notes: what was done to each file, in words.
    """

    files: PairFiles
    x: np.ndarray
    y: np.ndarray
    mask: np.ndarray | None
    white: float
    notes: list[tuple[Path, tuple[str, ...]]]


def load(files: PairFiles, preparation: Preparation) -> Loaded:
    """Reads a pair of pictures.

    Raises:
        ValueError: with the reason on one line, where a file cannot be read or the pictures cannot be compared.
    """
    reference = read_file("reference", files.reference, preparation.data_range)
    test = read_file("test", files.test, preparation.data_range)
    notes = [(files.reference, reference.notes), (files.test, test.notes)]
    white = reference.data_range
    x, y = one_range(reference, test)
    if x.shape[2] != y.shape[2]:
        x, y = to_rgb(x), to_rgb(y)
        notes.append((files.test, ("grey is compared with colours",)))
    if x.shape != y.shape:
        x, y = one_size(x, y, white, preparation)
    if preparation.luma and x.shape[2] == 3:
        x, y = luma(x, white), luma(y, white)
    mask = None if files.mask is None else load_mask(files.mask, x.shape[:2])
    return Loaded(files, x, y, mask, white, notes)


def read_file(which: str, path: Path, data_range: float | None = None) -> Picture:
    """Reads a picture file; an error says which one it is."""
    try:
        return read(path, data_range=data_range)
    except Unreadable as error:
        reason = error.reason
        if which != "mask":  # of which --data-range says nothing
            reason = reason.replace("pass a data range:", "--data-range gives it:")
            reason = reason.replace("pass the data range, its white", "--data-range gives its white")
        raise ValueError(f"{which}: {reason}") from error


def one_range(reference: Picture, test: Picture) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pixels of both, in the range of the reference: as they are where it is that of the test too."""
    x, y = reference.pixels, test.pixels
    if x.dtype == y.dtype and reference.data_range == test.data_range:
        return x, y
    return x.astype(np.float32), y.astype(np.float32) * np.float32(reference.data_range / test.data_range)


def one_size(x: np.ndarray, y: np.ndarray, white: float, preparation: Preparation) -> tuple[np.ndarray, np.ndarray]:
    """Returns both pictures in the size of the one that is not to be resized."""
    sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in (x, y)]
    match preparation.resize:
        case "reference":
            return resize(x, y.shape[:2], white, preparation.filter), y
        case "test":
            return x, resize(y, x.shape[:2], white, preparation.filter)
    raise ValueError(f"the reference is {sizes[0]}, the test {sizes[1]}; --resize resizes one of them")


def resize(image: np.ndarray, size: tuple[int, int], white: float, filter: Filter) -> np.ndarray:
    """Returns a picture resized to (height, width) by Pillow in float32, of the same type and range."""
    method = Image.Resampling[filter.upper()]
    channels = (Image.fromarray(channel.astype(np.float32)) for channel in np.moveaxis(image, -1, 0))
    resized = np.stack([np.asarray(channel.resize(size[::-1], method)) for channel in channels], axis=-1)
    is_float = image.dtype == np.float32
    return (resized if is_float else np.rint(resized)).clip(0, white).astype(image.dtype)


def luma(rgb: np.ndarray, white: float) -> np.ndarray:
    """Returns the luma of colours (height, width, 3) by `jaxssim.luma`, (height, width, 1)."""
    if rgb.dtype != np.float32 and white != np.iinfo(rgb.dtype).max:
        rgb = rgb.astype(np.float32)
    height, width, _ = rgb.shape
    padded = np.zeros((2 ** (height * width - 1).bit_length(), 3), rgb.dtype)  # a program for each power of 2
    padded[: height * width] = rgb.reshape(-1, 3)
    values = jaxssim.luma(padded, data_range=white if rgb.dtype == np.float32 else None)
    return np.asarray(values)[: height * width].reshape(height, width, 1)


def load_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Returns the weights of a mask, whose white pixels count and whose black ones do not."""
    picture = read_file("mask", path)
    weights = to_grey(picture.pixels).astype(np.float32) / np.float32(picture.data_range)
    if weights.shape != size:
        raise ValueError(f"mask: it is {weights.shape[1]}x{weights.shape[0]}, the pictures {size[1]}x{size[0]}")
    if not weights.any():
        raise ValueError("mask: it is black everywhere, so that no pixel counts")
    return weights
