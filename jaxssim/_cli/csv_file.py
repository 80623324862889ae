"""Writes a row for each pair as soon as it is scored, and reads the rows of a run that was stopped."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from errno import EINVAL
from pathlib import Path
from typing import Self, TextIO

from jaxssim._cli.results import MetricInfo, PairResult
from jaxssim._pictures import show_name

FIRST = ("name", "reference", "test", "width", "height")
LAST = ("options", "error")
DEFAULTS = "the default options"


def header(metrics: Sequence[MetricInfo]) -> list[str]:
    """Returns the names of the columns."""
    return [*FIRST, *(metric.name for metric in metrics), *LAST]


def row(result: PairResult, metrics: Sequence[MetricInfo], options: str) -> list[object]:
    """Returns the cells of a pair, floats with all their digits."""
    paths = (show_name(path, "utf-8") for path in (result.reference, result.test))
    values = (result.values.get(metric.name, "") for metric in metrics)
    return [result.name, *paths, *(result.size or ("", "")), *values, options, result.error]


class CsvFile:
    """A CSV file that is whole after each row, also where the program is killed.

    Args:
        path: the file.
        metrics: the columns of values.
        options: the options on which the values depend.
        results: the rows to start with.
    """

    def __init__(self, path: Path, metrics: Sequence[MetricInfo], options: str, results: Sequence[PairResult]) -> None:
        """Replaces the file by one with the first rows."""
        self.metrics = metrics
        self.options = options
        path = Path(os.path.realpath(path)) if path.is_symlink() else path  # the link stays
        if path.exists() and not path.is_file():  # /dev/null would become a file
            raise OSError(EINVAL, "is not a regular file; pass another path", str(path))
        new = path.with_name(f"{path.name}.new")
        with new.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header(metrics))
            writer.writerows(row(result, metrics, options) for result in results)
        os.replace(new, path)  # a kill before this line leaves the rows of the earlier run
        self.file: TextIO = path.open("a", newline="", encoding="utf-8")

    def add(self, result: PairResult) -> None:
        """Writes a row, and hands it to the system at once."""
        csv.writer(self.file, lineterminator="\n").writerow(row(result, self.metrics, self.options))
        with naming(self.file.name):
            self.file.flush()

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the file."""
        with naming(self.file.name):
            self.file.close()


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Adds the file to errors, which lack it where what is written is full."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def read_scored(path: Path, metrics: Sequence[MetricInfo], options: str) -> dict[str, PairResult]:
    """Returns the pairs that a file holds, by name, without those that have an error and without a row cut short.

    Raises:
        SystemExit: the file is not of this command, or has other columns or values of other options.
    """
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace")
    rows = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))
    columns = header(metrics)
    if rows and rows[0] != columns:
        raise SystemExit(
            f"{show_name(path)} has the columns {', '.join(rows[0])}, and these options write {', '.join(columns)}; "
            "pass the options of the first run, or another file"
        )
    for *_, earlier, error in (cells for cells in rows[1:] if len(cells) == len(columns)):
        if earlier != options and not error:
            raise SystemExit(
                f"{show_name(path)} holds values with {earlier or DEFAULTS}, and this run is with "
                f"{options or DEFAULTS}; pass the options of the first run, or another file"
            )
    try:
        return {cells[0]: parse_row(cells, metrics) for cells in rows[1:] if not cells[-1]}
    except (ValueError, IndexError) as error:
        raise SystemExit(f"{show_name(path)} is not a file that --csv wrote: {error}; pass another file") from error


def parse_row(cells: list[str], metrics: Sequence[MetricInfo]) -> PairResult:
    """Returns the pair of a row without an error."""
    name, reference, test, width, height, *values, _, _ = cells
    scores = {metric.name: float(value) for metric, value in zip(metrics, values, strict=True)}
    return PairResult(name, Path(reference), Path(test), (int(width), int(height)), scores)
