"""The tables of a comparison of losses: one of each bottleneck, with the mean and the spread over the seeds."""

import csv
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from rich.table import Table

from examples.autoencoder.measures import DECIMALS, LOWER_IS_BETTER, MEASURES
from examples.tables import markdown, mean_and_deviation

PCA = "PCA"  # in the place of a loss


class Result(NamedTuple):
    """The measures of a run."""

    loss: str
    bottleneck: int
    seed: int
    values: dict[str, float]


def rows(results: Sequence[Result], bottleneck: int) -> Iterator[list[str]]:
    """Yields the cells of each loss at a bottleneck; the best loss by each measure is marked by asterisks."""
    chosen = [result for result in results if result.bottleneck == bottleneck]
    losses = list(dict.fromkeys(result.loss for result in chosen))
    values = np.array(
        [[[each.values[name] for each in chosen if each.loss == loss] for name in MEASURES] for loss in losses]
    )
    signs = np.array([-1 if name in LOWER_IS_BETTER else 1 for name in MEASURES])
    best = (signs * values.mean(-1)).argmax(0)
    for i, loss in enumerate(losses):
        cells = (format_cell(values[i, j], i == best[j], DECIMALS.get(name, 4)) for j, name in enumerate(MEASURES))
        yield [loss, *cells]


def format_cell(values: np.ndarray, best: bool, decimals: int) -> str:
    """Formats the mean over seeds, and the standard deviation where there are several; the best mean in bold."""
    mean, *spread = mean_and_deviation(values, decimals).split(" ", 1)
    return " ".join([f"**{mean}**" if best else mean, *spread])


def tables(results: Sequence[Result]) -> Iterator[Table]:
    """Yields a table for the console of each bottleneck."""
    for bottleneck in sorted({result.bottleneck for result in results}):
        table = Table("trained with", *MEASURES, title=f"{bottleneck} values a block of 192")
        for row in rows(results, bottleneck):
            table.add_row(*row)
        yield table


def write(results: Sequence[Result], settings: str, folder: Path) -> None:
    """Writes the tables as losses.md, under the settings of the runs, and the measures of each run as losses.csv."""
    seeds = len({result.seed for result in results})
    spread = f"{seeds} seeds: mean ± standard deviation" if seeds > 1 else "1 seed"
    lines = [
        f"Python {platform.python_version()}, JAX {jax.__version__} on {jax.default_backend()}; {settings}; {spread}."
    ]
    for bottleneck in sorted({result.bottleneck for result in results}):
        table = markdown(["trained with", *MEASURES], rows(results, bottleneck))
        lines += ["", f"## {bottleneck} values a block of 192", "", table]
    (folder / "losses.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (folder / "losses.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("loss", "bottleneck", "seed", *MEASURES))
        writer.writerows((each.loss, each.bottleneck, each.seed, *each.values.values()) for each in results)
