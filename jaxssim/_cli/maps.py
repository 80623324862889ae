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
    """Returns the name of a pair, whose last part ends with a hash where escapes have made it too long for a file."""
    above, slash, last = name.rpartition("/")
    if len(last.encode()) <= LONGEST:
        return name
    start = last.encode()[: LONGEST - 17].decode(errors="ignore")
    return f"{above}{slash}{start}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
