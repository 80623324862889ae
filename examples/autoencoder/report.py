"""The results of a finished run: curves, reconstructions with their SSIM maps, and a table of scores."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from jax.typing import ArrayLike
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table
from skimage.util import montage

import jaxssim
from examples.autoencoder.comparison import COLOURS, add_colour_bar, pad_map
from examples.autoencoder.steps import Network, reconstruct
from examples.autoencoder.train import Run
from jaxssim._cli.console import one_line

COLUMNS = 8  # patches in a picture
CROP, MAX_CROPS = 96, 3  # pixels of the height and width of an enlarged crop, and the number of crops
TITLES = {
    "mse": "MSE",
    "l1": "L1",
    "ssim": "1 - SSIM",
    "ms-ssim": "1 - MS-SSIM",
    "cw-ssim": "1 - CW-SSIM",
    "ms-ssim-l1": "MS-SSIM + L1",
    "dssim-l1": "DSSIM + 8 L1",
}


def draw_curves(run: Run, path: Path) -> None:
    """Draws the training and the test loss, and the SSIM and PSNR of the test patches, over the steps.

    A point of the training loss is the mean of the steps since the evaluation before, at the middle of these; the first
    evaluation follows a single batch and has none.
    """
    steps, training, test, ssim, psnr = (
        np.array([record[name] for record in run.history]) for name in ("step", "loss", "test_loss", "ssim", "psnr")
    )
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    losses, *scores = figure.subplots(1, 3)
    losses.plot((steps[1:] + steps[:-1] + 1) / 2, training[1:], marker=".", label="training")
    losses.plot(steps, test, marker=".", label="test")
    losses.legend()
    for axes, values in zip(scores, (ssim, psnr), strict=True):
        axes.plot(steps, values, marker=".", color="C1")
    for axes, title in zip((losses, *scores), ("loss", "test SSIM", "test PSNR, dB"), strict=True):
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def draw_reconstructions(networks: dict[str, Network], patches: np.ndarray, path: Path) -> None:
    """Draws patches and, below them, the reconstructions of each network above their SSIM maps, SSIM and PSNR.

    Args:
      networks: the networks by their titles.
      patches: uint8 (patches, height, width, 3), of which at most `COLUMNS` are drawn.
      path: the picture to write.
    """
    chosen = patches[np.linspace(0, len(patches) - 1, min(COLUMNS, len(patches))).round().astype(int)]
    rows = 1 + 2 * len(networks)
    figure = Figure(figsize=(1.5 * len(chosen) + 1, 1.6 * rows), layout="constrained")
    top, *below = figure.subplots(rows, 1)
    colours = matplotlib.colormaps[COLOURS].with_extremes(bad="white")
    draw_row(top, chosen / 255, "original")
    for (title, network), upper, lower in zip(networks.items(), below[::2], below[1::2], strict=True):
        x, y = reconstruct(network, chosen)
        draw_row(upper, np.asarray(y), title)
        ssim_maps = pad_map(np.asarray(jaxssim.ssim_map(x, y, data_range=1.0).mean(-1)).clip(0, 1), x.shape[1])
        draw_row(lower, colours(ssim_maps)[..., :3], "SSIM map", score_labels(x, y))
        add_colour_bar(lower)
    figure.savefig(path, dpi=120)


def score_labels(x: ArrayLike, y: ArrayLike) -> list[str]:
    """Returns SSIM and PSNR of each pair of images in [0, 1], as text."""
    scores = (metric(x, y, data_range=1.0).tolist() for metric in (jaxssim.ssim, jaxssim.psnr))
    return [f"{ssim:.3f}, {psnr:.1f} dB" for ssim, psnr in zip(*scores, strict=True)]


def draw_row(axes: Axes, images: np.ndarray, title: str, labels: Sequence[str] = ()) -> None:
    """Draws images (count, height, width, 3) in [0, 1] side by side, with a title on the left and labels below."""
    count, _, width, _ = images.shape
    gap = width // 16
    axes.imshow(montage(images, grid_shape=(1, count), padding_width=gap, fill=(1, 1, 1), channel_axis=-1))
    centres = gap + (width + gap) * np.arange(len(labels)) + width / 2
    axes.set_xticks(centres, labels)
    axes.set(yticks=(), ylabel=title, frame_on=False)
    axes.tick_params(length=0)


def draw_losses(patches: np.ndarray, reconstructed: dict[str, np.ndarray], path: Path) -> None:
    """Draws enlarged crops, a row for each: the original, then what each network reconstructs, with SSIM and PSNR.

    Args:
      patches: uint8 (patches, height, width, 3), in the order of the images.
      reconstructed: float32 (patches, height, width, 3) in [0, 1], by the loss.
      path: the picture to write.
    """
    columns = {"original": (patches / 255).astype(np.float32)} | reconstructed
    parts = np.array_split(np.arange(len(patches)), min(MAX_CROPS, len(patches)))
    figure = Figure(figsize=(2.2 * len(columns), 2.4 * len(parts) + 0.2), layout="constrained")
    for axes_of_row, part in zip(figure.subplots(len(parts), len(columns), squeeze=False), parts, strict=True):
        index, top, left = most_detailed_crop(patches, part)
        original, *crops = (images[index, top : top + CROP, left : left + CROP] for images in columns.values())
        for axes, title, crop in zip(axes_of_row, columns, (original, *crops), strict=True):
            scores = "" if crop is original else score_labels(original[None], crop[None])[0]
            axes.imshow(crop, interpolation="nearest")
            axes.set_axis_off()
            axes.set_title(f"{TITLES.get(title, title)}\n{scores}" if part is parts[0] else scores, fontsize="medium")
    figure.savefig(path, dpi=110)


def most_detailed_crop(patches: np.ndarray, part: np.ndarray) -> tuple[int, int, int]:
    """Returns the index, top and left of the crop that has the largest differences between neighbouring pixels."""
    corners = [
        (int(index), top, left)
        for index in part
        for top in range(0, patches.shape[1] - CROP + 1, CROP // 2)
        for left in range(0, patches.shape[2] - CROP + 1, CROP // 2)
    ]
    grey = patches.mean(-1)
    return max(corners, key=lambda c: np.abs(np.diff(grey[c[0], c[1] : c[1] + CROP, c[2] : c[2] + CROP])).mean())


def score_table(scores: dict[str, dict[str, float]]) -> Table:
    """Returns a table of SSIM, PSNR and MSE on the test images, by the title of what reconstructs these."""
    table = Table("", "test SSIM", "test PSNR", "test MSE", title="test images")
    for title, each in scores.items():
        table.add_row(one_line(title), f"{each['ssim']:.4f}", f"{each['psnr']:.2f} dB", f"{each['mse']:.6f}")
    return table
