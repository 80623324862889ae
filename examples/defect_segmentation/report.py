"""What a run shows: scores and their table, a figure of each texture, ROC curves."""

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from examples.defect_segmentation.config import LOSSES, Config, Loss
from examples.defect_segmentation.data import Material, Test
from examples.defect_segmentation.maps import Seen

NUMBERS = {"share": "share", "roc_auc": "ROC-AUC", "pr_auc": "PR-AUC", "found": "found", "false": "false"}
EVERY = "all"  # the pixels of all test pictures, pooled


class Score(NamedTuple):
    """How well one network finds one defect, by the pixels of the pictures that have it."""

    material: str
    defect: str
    loss: Loss
    seed: int
    share: float  # of the pixels that are defective: what PR-AUC is by chance
    roc_auc: float
    pr_auc: float  # the average precision
    found: float  # the share of the defective pixels above the threshold
    false: float  # the share of the others above it


def defects(tests: Sequence[Test]) -> list[str]:
    """The kinds of defects, in their order, and all of them together."""
    return [*dict.fromkeys(test.defect for test in tests if test.mask.any()), EVERY]


def pixels(tests: Sequence[Test], seen: Sequence[Seen], defect: str) -> tuple[np.ndarray, np.ndarray]:
    """The truth and the residual of every pixel of the pictures with a defect."""
    pairs = [(test.mask, one.residual) for test, one in zip(tests, seen, strict=True) if defect in (test.defect, EVERY)]
    masks, residuals = zip(*pairs, strict=True)
    return np.concatenate([mask.ravel() for mask in masks]), np.concatenate([one.ravel() for one in residuals])


def score(material: Material, seen: Sequence[Seen], threshold: float, loss: Loss, seed: int) -> list[Score]:
    """A score for each defect and one for all; none where no picture has one."""
    scores = []
    for defect in defects(material.tests) if any(test.mask.any() for test in material.tests) else []:
        truth, residual = pixels(material.tests, seen, defect)
        areas = roc_auc_score(truth, residual), average_precision_score(truth, residual)
        marked = residual > threshold
        rates = marked[truth].mean(), marked[~truth].mean()
        values = (float(value) for value in (truth.mean(), *areas, *rates))
        scores.append(Score(material.name, defect, loss, seed, *values))
    return scores


def rows(scores: Sequence[Score]) -> list[list[str]]:
    """The table: the mean over the seeds, and the standard deviation if there are more."""
    table = []
    for material, defect in dict.fromkeys((one.material, one.defect) for one in scores):
        for loss, title in LOSSES.items():
            same = [one for one in scores if (one.material, one.defect, one.loss) == (material, defect, loss)]
            cells = (spread([getattr(one, field) for one in same]) for field in NUMBERS)
            table.append([material, defect, title, *cells])
    return table


def spread(values: Sequence[float]) -> str:
    """A mean, and the standard deviation of several."""
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def write_scores(scores: Sequence[Score], config: Config) -> Table:
    """scores.json and results.md in the run's folder, and the same table to print."""
    (config.folder / "scores.json").write_text(json.dumps([one._asdict() for one in scores], indent=1) + "\n")
    about = (
        f"Python {platform.python_version()}, JAX {jax.__version__} on {jax.default_backend()}; {config.steps} steps "
        f"of {config.batch_size} crops, bottleneck {config.bottleneck}, stride {config.stride}; seeds {config.seed} to "
        f"{config.seed + config.seeds - 1}{' (mean ± standard deviation)' if config.seeds > 1 else ''}."
    )
    note = (
        "share: of the pixels that are defective, which is PR-AUC by chance. found, false: the shares of the defective "
        f"and of the other pixels above the threshold, which {config.false_positives:.3g} of the pixels of good "
        "pictures, apart from these, exceed."
    )
    heads, lines = ["", "defect", "network", *NUMBERS.values()], rows(scores)
    marks = [*["---"] * 3, *["--:"] * len(NUMBERS)]
    markdown = "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, marks, *lines))
    (config.folder / "results.md").write_text(f"{about}\n\n{markdown}\n\n{note}\n")
    table = Table(box=box.SIMPLE, title="pixels of test pictures", caption=f"{about}\n{note}")
    for head in heads:
        table.add_column(head, no_wrap=True)
    for line in lines:
        table.add_row(*line)
    return table


def draw_material(material: Material, seen: dict[Loss, list[Seen]], path: Path) -> None:
    """The first picture of each defect: itself, what each network makes of it and where that differs, the truth."""
    kinds = [test.defect for test in material.tests]
    chosen = [kinds.index(kind) for kind in dict.fromkeys(kinds)]
    columns = 2 + 2 * len(seen)
    figure = Figure(figsize=(1.6 * columns, 1.7 * len(chosen)), layout="constrained")
    grid = figure.subplots(len(chosen), columns, squeeze=False, subplot_kw={"xticks": (), "yticks": ()})
    for row, i in zip(grid, chosen, strict=True):
        test = material.tests[i]
        row[0].set_ylabel(test.defect)
        row[0].imshow(test.picture, cmap="gray", vmin=0, vmax=255)
        for column, (loss, those) in enumerate(seen.items()):
            highest = np.median([one.residual.max() for one in those])
            row[1 + 2 * column].imshow(those[i].reconstruction, cmap="gray", vmin=0, vmax=1)
            row[2 + 2 * column].imshow(those[i].residual, cmap="magma", vmin=0, vmax=highest)
            grid[0][1 + 2 * column].set_title(LOSSES[loss], fontsize=9)
            grid[0][2 + 2 * column].set_title("residual", fontsize=9)
        row[-1].imshow(test.mask, cmap="gray", vmin=0, vmax=1)
    grid[0][0].set_title(material.name, fontsize=9)
    grid[0][-1].set_title("truth", fontsize=9)
    figure.savefig(path, dpi=100)


def draw_curves(curves: dict[str, dict[Loss, tuple[np.ndarray, np.ndarray]]], path: Path) -> None:
    """The ROC curves of all defects of each texture."""
    figure = Figure(figsize=(3.4 * len(curves), 3.6), layout="constrained")
    for axes, (name, of_losses) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
        for loss, (false, found) in of_losses.items():
            axes.plot(false, found, label=LOSSES[loss])
        axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
        axes.set(title=name, xlabel="false positives", ylabel="found", aspect="equal")
        axes.legend()
    figure.savefig(path, dpi=120)


def curve(tests: Sequence[Test], seen: Sequence[Seen]) -> tuple[np.ndarray, np.ndarray]:
    """The ROC curve of all test pictures, at 500 rates of false positives."""
    false, found, _ = roc_curve(*pixels(tests, seen, EVERY))
    rates = np.linspace(0, 1, 500)
    return rates, np.interp(rates, false, found)
