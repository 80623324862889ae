"""Figures of a run: test pictures with their residual maps, and ROC curves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from examples.defect_segmentation.config import LOSSES, Loss
from examples.defect_segmentation.data import Material, TestPicture
from examples.defect_segmentation.maps import Inspection
from examples.defect_segmentation.scores import ALL_DEFECTS, pixels
from jaxssim._cli.console import one_line

RESIDUAL_NAMES: dict[Loss, str] = {"l2": "squared difference", "ssim": "1 - SSIM"}
Curve = tuple[np.ndarray, np.ndarray]  # false and true positive rates


def draw_material(material: Material, inspections: dict[Loss, list[Inspection]], path: Path) -> None:
    """Draws the first picture of each defect, every network's reconstruction and own residual map, and the mask."""
    defects = [test.defect for test in material.tests]
    rows = {defect: defects.index(defect) for defect in dict.fromkeys(defects)}
    columns = 2 + 2 * len(inspections)
    figure = Figure(figsize=(1.6 * columns, 1.7 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False, subplot_kw={"xticks": (), "yticks": ()})
    titles = [
        one_line(material.name).plain,
        *(title for loss in inspections for title in (LOSSES[loss], RESIDUAL_NAMES[loss])),
        "truth",
    ]
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=9, parse_math=False)
    brightest = {loss: np.median([one.residuals[loss].max() for one in each]) for loss, each in inspections.items()}
    for axes, (defect, index) in zip(grid, rows.items(), strict=True):
        axes[0].set_ylabel(one_line(defect).plain, parse_math=False)
        axes[0].imshow(material.tests[index].pixels, cmap="gray", vmin=0, vmax=255)
        for column, (loss, each) in enumerate(inspections.items()):
            axes[1 + 2 * column].imshow(each[index].reconstruction, cmap="gray", vmin=0, vmax=1)
            axes[2 + 2 * column].imshow(each[index].residuals[loss], cmap="magma", vmin=0, vmax=brightest[loss])
        axes[-1].imshow(material.tests[index].mask, cmap="gray", vmin=0, vmax=1)
    figure.savefig(path, dpi=100)


def draw_roc_curves(curves: dict[str, dict[Loss, Curve]], path: Path) -> None:
    """Draws the ROC curves of all networks of each material, by their own residual maps."""
    figure = Figure(figsize=(3.4 * len(curves), 3.6), layout="constrained")
    for axes, (material, by_loss) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        for loss, (false_positives, true_positives) in by_loss.items():
            axes.plot(false_positives, true_positives, label=LOSSES[loss])
        axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
        axes.set_title(one_line(material).plain, parse_math=False)
        axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
        axes.legend()
    figure.savefig(path, dpi=120)


def roc_points(tests: Sequence[TestPicture], maps: Sequence[np.ndarray]) -> Curve:
    """Returns the ROC curve of the residual maps of all test pictures at 500 false positive rates."""
    false_positives, true_positives, _ = roc_curve(*pixels(tests, maps, ALL_DEFECTS))
    rates = np.linspace(0, 1, 500)
    return rates, np.interp(rates, false_positives, true_positives)
