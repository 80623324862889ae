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
from examples.autoencoder.comparison import COLOURS, add_colour_bar, pad_map
from examples.autoencoder.steps import reconstruct
from examples.autoencoder.train import Run
from examples.progress import one_line

COLUMNS = 8  # patches in a picture


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


def draw_reconstructions(runs: dict[str, Run], path: Path) -> None:
    """Draws test patches and, below them, the reconstructions of each run above their SSIM maps, SSIM and PSNR.

    Args:
      runs: the runs by their titles.
      path: the picture to write.
    """
    patches = next(iter(runs.values())).patches
    chosen = patches[np.linspace(0, len(patches) - 1, min(COLUMNS, len(patches))).round().astype(int)]
    rows = 1 + 2 * len(runs)
    figure = Figure(figsize=(1.5 * len(chosen) + 1, 1.6 * rows), layout="constrained")
    top, *below = figure.subplots(rows, 1)
    colours = matplotlib.colormaps[COLOURS].with_extremes(bad="white")
    draw_row(top, chosen / 255, "original")
    for (title, run), upper, lower in zip(runs.items(), below[::2], below[1::2], strict=True):
        x, y = reconstruct(run.model, chosen)
        draw_row(upper, np.asarray(y), title)
        ssim_maps = pad_map(np.asarray(jaxssim.ssim_map(x, y, data_range=1.0).mean(-1)).clip(0, 1), x.shape[1])
        scores = (metric(x, y, data_range=1.0).tolist() for metric in (jaxssim.ssim, jaxssim.psnr))
        labels = [f"{ssim:.3f}, {psnr:.1f} dB" for ssim, psnr in zip(*scores, strict=True)]
        draw_row(lower, colours(ssim_maps)[..., :3], "SSIM map", labels)
        add_colour_bar(lower)
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
