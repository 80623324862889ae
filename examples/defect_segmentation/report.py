"""The report of a run: its scores as JSON and as tables, in Markdown and for printing."""

import json
import platform
from collections.abc import Sequence

import jax
from rich import box
from rich.table import Table

import jaxssim
from examples.defect_segmentation.config import LOSSES, Config
from examples.defect_segmentation.learning import LEAST
from examples.defect_segmentation.scores import ALL_DEFECTS, LARGEST_RATE, QUANTILE, Score
from examples.tables import markdown, mean_and_deviation
from jaxssim._cli.console import one_line

NAMES = ("", "defect", "network", "map")
COLUMNS = {
    "prevalence": "prevalence",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "pro": "PRO",
    "image_roc_auc": "image ROC-AUC",
    "recall": "recall",
    "false_positive_rate": "FPR",
    "learned": "learned",
}


def write_scores(scores: Sequence[Score], config: Config) -> Table:
    """Writes scores.json and results.md to the folder of the run; returns a table of all defects for printing."""
    (config.folder / "scores.json").write_text(json.dumps([score._asdict() for score in scores], indent=1) + "\n")
    together = [score for score in scores if score.defect == ALL_DEFECTS]
    settings, legend = describe_run(config), describe_columns(config)
    parts = (settings, "All defects:", to_markdown(together), legend, "Each defect:", to_markdown(scores))
    (config.folder / "results.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    table = Table(box=box.SIMPLE, title="test pictures", caption=f"{settings}\n{legend}")
    for header in (*NAMES, *COLUMNS.values()):
        table.add_column(header, no_wrap=header not in NAMES[:2], overflow="fold")
    for row in table_rows(together):
        table.add_row(*map(one_line, row))
    return table


def to_markdown(scores: Sequence[Score]) -> str:
    """Returns a table of scores in Markdown."""
    rows = ([one_line(cell).plain for cell in row] for row in table_rows(scores))
    return markdown([*NAMES, *COLUMNS.values()], rows, len(NAMES))


def table_rows(scores: Sequence[Score]) -> list[list[str]]:
    """Returns a row for each material, defect, network and map: mean and standard deviation over the seeds."""
    groups: dict[tuple[str, ...], list[Score]] = {}
    for material, defect in dict.fromkeys((score.material, score.defect) for score in scores):
        for score in scores:
            if (score.material, score.defect) == (material, defect):
                groups.setdefault((material, defect, LOSSES[score.loss], score.residual), []).append(score)
    return [
        [*names, *(mean_of_known([getattr(score, field) for score in group]) for field in COLUMNS)]
        for names, group in groups.items()
    ]


def mean_of_known(values: Sequence[float | None]) -> str:
    """Formats the mean and the standard deviation of values; a dash where one is missing."""
    known = [value for value in values if value is not None]
    return mean_and_deviation(known, 3) if len(known) == len(values) else "-"


def describe_run(config: Config) -> str:
    """Returns a sentence of the versions and options behind the scores."""
    last = config.seed + config.seeds - 1
    return (
        f"Python {platform.python_version()}, JAX {jax.__version__} on {jax.default_backend()}, jaxssim "
        f"{jaxssim.__version__}; {config.steps} steps of {config.batch_size} crops, learning rate "
        f"{config.learning_rate:g}, clip {config.clip}, bottleneck {config.bottleneck}, stride {config.stride}; seeds "
        f"{config.seed} to {last}{' (mean ± standard deviation)' if config.seeds > 1 else ''}."
    )


def describe_columns(config: Config) -> str:
    """Returns the legend of the tables."""
    return (
        "prevalence: the fraction of defective pixels, which is the PR-AUC of a random map. PRO: the mean overlap with "
        f"a defective region, averaged over false positive rates up to {LARGEST_RATE}. image ROC-AUC: that of pictures "
        f"with the defect among good pictures, by the residual that {1 - QUANTILE:.2g} of a picture's pixels exceed. "
        "recall, FPR: the fractions of the defective and of the other pixels above the threshold. The threshold is the "
        f"residual that {config.false_positives:.3g} of the pixels of other, good pictures exceed. "
        "learned: the fraction of the structure of good pictures that the network reconstructs, 0 where uniform grey "
        f"is as good; below {LEAST:.1f} the texture is not learned, and its detector will not work."
    )
