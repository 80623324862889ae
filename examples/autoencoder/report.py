"""The results of finished runs: curves, reconstructions with their SSIM maps, and a table of scores."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table
from skimage.util import montage

import jaxssim
from examples.autoencoder.steps import reconstruct
from examples.autoencoder.train import Run
from examples.progress import one_line

COLUMNS = 8  # patches in a picture


def draw_curves(run: Run, path: Path) -> None:
    """Draws the training loss and the test SSIM over the steps."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for axes, name, title in zip(figure.subplots(1, 2), ("loss", "ssim"), ("training loss", "test SSIM"), strict=True):
        axes.plot([record["step"] for record in run.history], [record[name] for record in run.history], marker=".")
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def draw_reconstructions(runs: dict[str, Run], path: Path) -> None:
    """Draws test patches and, below them, the reconstructions of each run above their SSIM maps and SSIM values.

    Args:
      runs: the runs by their titles.
      path: the picture to write.
    """
    patches = next(iter(runs.values())).patches
    chosen = patches[np.linspace(0, len(patches) - 1, min(COLUMNS, len(patches))).round().astype(int)]
    rows = 1 + 2 * len(runs)
    figure = Figure(figsize=(1.5 * len(chosen) + 1, 1.6 * rows), layout="constrained")
    top, *below = figure.subplots(rows, 1)
    draw_row(top, chosen / 255, "original")
    for (title, run), upper, lower in zip(runs.items(), below[::2], below[1::2], strict=True):
        x, y = reconstruct(run.model, chosen)
        draw_row(upper, np.asarray(y), title)
        ssim_maps = np.asarray(jaxssim.ssim_map(x, y, data_range=1.0).mean(-1))
        values = [f"{value:.3f}" for value in jaxssim.ssim(x, y, data_range=1.0)]
        draw_row(lower, matplotlib.colormaps["magma"](ssim_maps.clip(0, 1))[..., :3], "SSIM map", values)
    figure.savefig(path, dpi=120)


def draw_row(axes: Axes, images: np.ndarray, title: str, labels: Sequence[str] = ()) -> None:
    """Draws images (count, height, width, 3) in [0, 1] side by side, with a title on the left and labels below."""
    count, _, width, _ = images.shape
    gap = width // 16
    axes.imshow(montage(images, grid_shape=(1, count), padding_width=gap, fill=(1, 1, 1), channel_axis=-1))
    centres = gap + (width + gap) * np.arange(len(labels)) + width / 2
    axes.set_xticks(centres, labels)
    axes.set(yticks=(), ylabel=title, frame_on=False)
    axes.tick_params(length=0)


def score_table(runs: dict[str, Run]) -> Table:
    """Returns a table with the test scores and the speed of each run, by title."""
    table = Table("", "test SSIM", "test PSNR", "test MSE", "images / s", title="test images")
    for title, run in runs.items():
        metrics = run.metrics
        table.add_row(
            one_line(title),
            f"{metrics['test_ssim']:.4f}",
            f"{metrics['test_psnr']:.2f} dB",
            f"{metrics['test_mse']:.6f}",
            f"{metrics['images_per_second']:.0f}",
        )
    return table
