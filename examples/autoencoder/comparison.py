"""Draws an original, its reconstruction and the SSIM map side by side, with the scores and the map's colour bar."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

COLOURS = "magma"  # of SSIM from 0 to 1
HEIGHT = 4.0  # inches of each picture
WIDTHS = (2.8, 8.0)  # inches; the least and the most that each picture takes


def draw_comparison(
    original: np.ndarray,
    reconstructed: np.ndarray,
    ssim_map: np.ndarray | None,
    scores: tuple[float, float, float],
    name: str,
    path: Path,
) -> None:
    """Draws the picture, its reconstruction and their SSIM map.

    Args:
      original: float32 (height, width, 3) in [0, 1].
      reconstructed: the same shape.
      ssim_map: (height - 10, width - 10), or None where the picture has no SSIM.
      scores: SSIM, PSNR and MSE.
      name: the name of the picture, as text on one line.
      path: the file to write.
    """
    ssim, psnr, mse = scores
    height, width = original.shape[:2]
    panels = 2 if ssim_map is None else 3
    across = float(np.clip(HEIGHT * width / height, *WIDTHS))
    figure = Figure(figsize=(panels * across + 1, min(HEIGHT, across * height / width) + 0.6), layout="constrained")
    first, second, *rest = figure.subplots(1, panels)
    show(first, original, name)
    show(second, reconstructed, f"reconstruction, PSNR {psnr:.2f} dB, MSE {mse:.3g}")
    if ssim_map is not None:
        show(rest[0], pad_map(ssim_map, height), f"SSIM map, mean {ssim:.4f}")
        add_colour_bar(rest[0])
    figure.savefig(path, dpi=150)


def show(axes: Axes, pixels: np.ndarray, title: str) -> None:
    """Shows a picture, or an SSIM map, under a title, in which a dollar sign starts no formula."""
    axes.imshow(pixels.clip(0, 1), cmap=COLOURS, vmin=0, vmax=1)
    axes.set_title(title, fontsize="small", parse_math=False)
    axes.set_axis_off()


def pad_map(ssim_map: np.ndarray, height: int) -> np.ndarray:
    """Pads SSIM maps (..., height, width) with NaN, which is drawn white, to the size of their pictures."""
    margin = (height - ssim_map.shape[-2]) // 2
    widths = [(0, 0)] * (ssim_map.ndim - 2) + [(margin, margin)] * 2
    return np.pad(ssim_map, widths, constant_values=np.nan)


def add_colour_bar(axes: Axes) -> None:
    """Adds the colour bar of SSIM maps to the right of axes that show some, as high as these."""
    width, height = np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())
    bar = axes.inset_axes((1 + 0.04 * height / width, 0, 0.05 * height / width, 1))
    axes.figure.colorbar(ScalarMappable(Normalize(0, 1), COLOURS), cax=bar)
