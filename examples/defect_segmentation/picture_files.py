"""Reading picture files as grey arrays of uint8."""

from pathlib import Path

import numpy as np
from PIL import Image

from examples.defect_segmentation.model import WINDOW
from jaxssim._pictures import Report, Unreadable, drop_doubles, list_pictures, read, to_grey, to_uint8


def read_folder(
    folder: Path, shortest_side: int | None, data_range: float | None, report: Report, *, subfolders: bool = True
) -> dict[Path, np.ndarray]:
    """Reads every picture of a folder once, however many links reach it.

    Returns the pictures, (height, width) of uint8, by their files. `report` takes the files that cannot be used.
    """
    listing = list_pictures(folder, subfolders=subfolders)
    files, doubles = drop_doubles(listing.files)
    report.unreadable += listing.unreadable
    for path in doubles:
        report.add(path, ["another link to a file that is read already, left out"])
    pictures = {}
    for path in files:
        try:
            pictures[path] = to_array(path, read_grey(path, data_range, report), shortest_side)
        except Unreadable as error:
            report.unreadable.append(error)
    return pictures


def read_grey(path: Path, data_range: float | None, report: Report) -> np.ndarray:
    """Reads a picture file as grey (height, width) of uint8; `report` takes the notes.

    Raises Unreadable if the file is no picture.
    """
    picture = read(path, data_range=data_range)
    report.add(path, picture.notes)
    return to_uint8(to_grey(picture.pixels), picture.data_range)


def to_array(path: Path, pixels: np.ndarray, shortest_side: int | None) -> np.ndarray:
    """Returns a picture (height, width), resized to `shortest_side` if given.

    Raises Unreadable if the picture is smaller than the network's window.
    """
    if shortest_side is not None:
        scale = shortest_side / min(pixels.shape)
        height, width = (max(shortest_side, round(side * scale)) for side in pixels.shape)
        pixels = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
    height, width = pixels.shape
    if min(height, width) < WINDOW:
        raise Unreadable(
            path,
            f"{width}x{height} is smaller than the network's window of {WINDOW}x{WINDOW}; train with --resize {WINDOW}",
        )
    return pixels
