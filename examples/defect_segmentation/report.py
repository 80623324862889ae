"""Scores of the detectors: computed for each defect, written as JSON and Markdown, and printed as a table."""

import json
import platform
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from rich import box
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score

from examples.defect_segmentation.config import LOSSES, Config, Loss
from examples.defect_segmentation.data import Material, TestPicture
from examples.defect_segmentation.maps import Inspection
from examples.progress import one_line

ALL_DEFECTS = "all"  # stands for the pixels of all test pictures together


class Score(NamedTuple):
    """How well one network detects one kind of defect, by the pixels of the pictures that have it."""

    material: str
    defect: str
    loss: Loss
    seed: int
    prevalence: float  # the fraction of defective pixels; the PR-AUC of a random map
    roc_auc: float
    pr_auc: float  # the average precision
    recall: float  # the fraction of defective pixels above the threshold
    false_positive_rate: float  # the fraction of other pixels above the threshold


COLUMNS = {
    "prevalence": "prevalence",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "recall": "recall",
    "false_positive_rate": "FPR",
}


def defects(tests: Sequence[TestPicture]) -> list[str]:
    """Returns the kinds of defects in order of appearance, then `ALL_DEFECTS`; nothing if no picture has a defect."""
    kinds = [*dict.fromkeys(test.defect for test in tests if test.mask.any())]
    return [*kinds, ALL_DEFECTS] if kinds else []


def pixels(
    tests: Sequence[TestPicture], inspections: Sequence[Inspection], defect: str
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mask and the residual of every pixel of the pictures that have a defect."""
    masks, residuals = [], []
    for test, inspection in zip(tests, inspections, strict=True):
        if defect in (test.defect, ALL_DEFECTS):
            masks.append(test.mask.ravel())
            residuals.append(inspection.residual.ravel())
    return np.concatenate(masks), np.concatenate(residuals)


def score(
    material: Material, inspections: Sequence[Inspection], threshold: float, loss: Loss, seed: int
) -> list[Score]:
    """Returns a score for each kind of defect and one for all together."""
    scores = []
    for defect in defects(material.tests):
        mask, residual = pixels(material.tests, inspections, defect)
        marked = residual > threshold
        values = (
            mask.mean(),
            roc_auc_score(mask, residual),
            average_precision_score(mask, residual),
            marked[mask].mean(),
            marked[~mask].mean(),
        )
        scores.append(Score(material.name, defect, loss, seed, *map(float, values)))
    return scores


def table_rows(scores: Sequence[Score]) -> list[list[str]]:
    """Returns the rows of the table: one per material, defect and loss; mean and standard deviation over the seeds."""
    rows = []
    for material, defect in dict.fromkeys((score.material, score.defect) for score in scores):
        for loss, title in LOSSES.items():
            seeds = [
                score for score in scores if (score.material, score.defect, score.loss) == (material, defect, loss)
            ]
            cells = (mean_and_deviation([getattr(score, field) for score in seeds]) for field in COLUMNS)
            rows.append([material, defect, title, *cells])
    return rows


def mean_and_deviation(values: Sequence[float]) -> str:
    """Formats the mean of values, and their standard deviation if there are several."""
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def write_scores(scores: Sequence[Score], config: Config) -> Table:
    """Writes scores.json and results.md to the folder of the run; returns the table of results.md for printing."""
    (config.folder / "scores.json").write_text(json.dumps([score._asdict() for score in scores], indent=1) + "\n")
    headers, rows = ["", "defect", "network", *COLUMNS.values()], table_rows(scores)
    alignment = [*["---"] * 3, *["--:"] * len(COLUMNS)]
    shown = [[one_line(cell).plain.replace("|", "\\|") for cell in row] for row in rows]
    markdown = "\n".join("| " + " | ".join(cells) + " |" for cells in (headers, alignment, *shown))
    settings, legend = describe_run(config), describe_columns(config)
    (config.folder / "results.md").write_text(f"{settings}\n\n{markdown}\n\n{legend}\n", encoding="utf-8")
    table = Table(box=box.SIMPLE, title="pixels of test pictures", caption=f"{settings}\n{legend}")
    for header in headers:
        table.add_column(header, no_wrap=header in COLUMNS.values(), overflow="fold")
    for row in rows:
        table.add_row(*map(one_line, row))
    return table


def describe_run(config: Config) -> str:
    """Returns a sentence of the versions and options behind the scores."""
    last = config.seed + config.seeds - 1
    return (
        f"Python {platform.python_version()}, JAX {jax.__version__} on {jax.default_backend()}; {config.steps} steps "
        f"of {config.batch_size} crops, bottleneck {config.bottleneck}, stride {config.stride}; seeds {config.seed} to "
        f"{last}{' (mean ± standard deviation)' if config.seeds > 1 else ''}."
    )


def describe_columns(config: Config) -> str:
    """Returns the legend of the table."""
    return (
        "prevalence: the fraction of defective pixels, which is the PR-AUC of a random map. recall, FPR: the fractions "
        "of the defective and of the other pixels above the threshold. The threshold is the residual that "
        f"{config.false_positives:.3g} of the pixels of other, good pictures exceed."
    )
