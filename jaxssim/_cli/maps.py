"""Writes maps of SSIM as pictures: dark where two pictures differ."""

import hashlib
from pathlib import Path

import numpy as np
from matplotlib.image import imsave

COLOURS = "magma"  # of SSIM from 0 to 1
LONGEST = 200  # bytes of a file's name, of which systems take up to 255


def write_map(ssim_map: np.ndarray | None, name: str, folder: Path) -> None:
    """Writes a map (height, width), if there is one, to FOLDER/NAME.png: 0 or less is black, 1 the lightest colour."""
    if ssim_map is None:
        return
    path = folder / f"{short(name)}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, ssim_map, cmap=COLOURS, vmin=0, vmax=1)


def short(name: str) -> str:
    """Shortens each part of a pair's name that is too long for the name of a file, and ends it with a hash."""
    return "/".join(map(short_part, name.split("/")))


def short_part(part: str) -> str:
    """Returns the name of a file or a folder, which ends with a hash where it is too long."""
    if len(part.encode()) <= LONGEST:
        return part
    start = part.encode()[: LONGEST - 17].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(part.encode()).hexdigest()[:16]}"
