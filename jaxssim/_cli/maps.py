"""Writes maps of SSIM as pictures: dark where two pictures differ."""

from pathlib import Path

import numpy as np
from matplotlib.image import imsave

from jaxssim._cli.map_names import map_path

COLOURS = "magma"  # of SSIM from 0 to 1


def write_map(ssim_map: np.ndarray | None, name: str, folder: Path) -> None:
    """Writes a map (height, width), if there is one, to FOLDER/NAME.png: 0 or less is black, 1 the lightest colour."""
    if ssim_map is None:
        return
    path = map_path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, ssim_map, cmap=COLOURS, vmin=0, vmax=1)
