"""Shares the pairs of a comparison among processes: which process scores which pairs, and how results are merged."""

import glob
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jax

from jaxssim._cli.csv_file import CsvFile, read_scored
from jaxssim._cli.jobs import gather, join_job
from jaxssim._cli.options import Compare
from jaxssim._cli.pairing import PairFiles
from jaxssim._cli.results import MetricInfo, PairResult

ADVICE = "What was scored is kept: start all processes again with the same commands and --resume."


@contextmanager
def joined(options: Compare) -> Iterator[None]:
    """Joins the processes of a job where the options say so."""
    if not options.distributed or options.csv is None:
        yield
        return
    log = options.csv.with_name(f"{options.csv.name}.process")
    with join_job(options.coordinator, options.processes, options.process, log, ADVICE) as log:
        yield
    log.unlink(missing_ok=True)


def own_share(pairs: Sequence[PairFiles]) -> Sequence[PairFiles]:
    """Returns the pairs that this process scores, whatever an earlier run has scored."""
    return pairs[jax.process_index() :: jax.process_count()]


def share_file(csv: Path) -> Path:
    """Returns the CSV file of this process: the whole one, unless it is one of several."""
    count = jax.process_count()
    return csv if count == 1 else csv.with_name(f"{csv.name}.{jax.process_index()}-of-{count}")


def share_files(csv: Path) -> list[Path]:
    """Returns the CSV files that the processes of jobs have left."""
    return [csv.with_name(name) for name in glob.glob(f"{glob.escape(csv.name)}.*-of-*", root_dir=csv.parent)]


def read_known(csv: Path, metrics: Sequence[MetricInfo], options: str) -> dict[str, PairResult]:
    """Returns the pairs that an earlier run has scored, by name, also where it was a job that ended early."""
    known: dict[str, PairResult] = {}
    for path in (csv, *share_files(csv)):
        known |= read_scored(path, metrics, options)
    return known


def merge(results: dict[str, PairResult]) -> dict[str, PairResult]:
    """Returns the results of all processes, by name."""
    if jax.process_count() == 1:
        return results
    rows = [[r.name, str(r.reference), str(r.test), r.size, dict(r.values), r.error] for r in results.values()]
    merged = {}
    for text in gather(json.dumps(rows)):
        for name, reference, test, size, values, error in json.loads(text):
            merged[name] = PairResult(name, Path(reference), Path(test), size and tuple(size), values, error)
    return merged


def write_whole(csv: Path, metrics: Sequence[MetricInfo], options: str, results: Sequence[PairResult]) -> None:
    """Writes the results of all processes and runs to one file, in order, and removes those of each process."""
    with CsvFile(csv, metrics, options, results):
        for path in share_files(csv):
            path.unlink(missing_ok=True)
