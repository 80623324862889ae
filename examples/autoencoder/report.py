"""What a run shows: curves, reconstructions under their SSIM maps, a table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

import jaxssim
from examples.autoencoder.train import Run, reconstruct

SHOWN = 8  # patches in a picture


def curves(run: Run, path: Path) -> None:
    """Training loss and test SSIM over the steps."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for axes, name, title in zip(figure.subplots(1, 2), ("loss", "ssim"), ("training loss", "test SSIM"), strict=True):
        axes.plot([record["step"] for record in run.history], [record[name] for record in run.history], marker=".")
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def reconstructions(runs: dict[str, Run], path: Path) -> None:
    """Test patches, then for each run their reconstructions and SSIM maps, one column a patch."""
    patches = next(iter(runs.values())).patches
    chosen = patches[np.linspace(0, len(patches) - 1, min(SHOWN, len(patches))).round().astype(int)]
    figure = Figure(figsize=(1.5 * len(chosen) + 1, 1.6 * (1 + 2 * len(runs))), layout="constrained")
    grid = figure.subplots(1 + 2 * len(runs), len(chosen), squeeze=False, subplot_kw={"xticks": (), "yticks": ()})
    show(grid[0], chosen, "original")
    for (name, run), below, lowest in zip(runs.items(), grid[1::2], grid[2::2], strict=True):
        x, y = reconstruct(run.model, chosen)
        show(below, np.asarray(y), name)
        show(
            lowest,
            np.asarray(jaxssim.ssim_map(x, y, data_range=1.0).mean(-1)),
            "SSIM map",
            cmap="magma",
            vmin=0,
            vmax=1,
        )
        for axes, value in zip(lowest, jaxssim.ssim(x, y, data_range=1.0), strict=True):
            axes.set_xlabel(f"{value:.3f}")
    figure.savefig(path, dpi=120)


def show(row: Sequence, images: np.ndarray, label: str, **options: object) -> None:
    """A row of images, the first one labelled."""
    for axes, image in zip(row, images, strict=True):
        axes.imshow(image, **options)
    row[0].set_ylabel(label)


def score_table(runs: dict[str, Run]) -> Table:
    """The test scores, a row a run."""
    table = Table("", *(f"test {name}" for name in ("SSIM", "PSNR", "MSE")), "images / s", title="held-out photographs")
    for name, run in runs.items():
        ssim, psnr, mse, speed = run.metrics.values()
        table.add_row(name, f"{ssim:.4f}", f"{psnr:.2f} dB", f"{mse:.6f}", f"{speed:.0f}")
    return table
