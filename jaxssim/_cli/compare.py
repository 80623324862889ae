"""`jaxssim compare`: scores pairs of pictures, prints the worst ones, and writes the results to files."""

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import jax
from rich.console import Console

from jaxssim._cli.console import describe, open_console, print_report, say
from jaxssim._cli.conventions import find_convention
from jaxssim._cli.csv_file import CsvFile
from jaxssim._cli.json_file import STANDARD_OUTPUT, document, write_json
from jaxssim._cli.junit import write_junit
from jaxssim._cli.limits import Limit, exit_status, parse_limits
from jaxssim._cli.loading import Preparation
from jaxssim._cli.map_names import map_path
from jaxssim._cli.metrics import find_metrics
from jaxssim._cli.options import Compare
from jaxssim._cli.pairing import PairFiles, Pairing, add_masks, pair_paths, pair_rows
from jaxssim._cli.progress import tracked
from jaxssim._cli.results import PairResult
from jaxssim._cli.scoring import Scored, Scoring, score_pairs
from jaxssim._cli.shares import joined, merge, own_share, read_known, share_file, write_whole
from jaxssim._cli.stopping import Stop, stoppable
from jaxssim._cli.tables import print_left_out, print_results
from jaxssim._pictures import Report, show_name

Writer = Callable[[Scored], None]


def main(options: Compare) -> int:
    """Compares, prints and writes; returns the exit status."""
    console = open_console(stderr=options.json == STANDARD_OUTPUT)
    limits = [
        *parse_limits("--fail-below", options.fail_below),
        *parse_limits("--fail-above", options.fail_above),
    ]
    scoring = make_scoring(options, limits)
    pairing = find_pairs(options)
    for path in (options.json, options.junit):
        if path and path != STANDARD_OUTPUT:
            path.open("a").close()  # fails now and not after an hour of scoring
    problems: list[str] = []
    known = read_known(options.csv, scoring.infos, options.of_values) if options.resume and options.csv else {}
    with stoppable() as stop:
        results, is_first = score_all(options, scoring, pairing, known, console, stop, problems)
    if is_first:
        publish(options, scoring, pairing, results, limits, console, problems)
    say(console, *dict.fromkeys(problems), style="red")
    if len(results) < len(pairing.pairs):
        say(console, f"stopped: {len(results)} of {len(pairing.pairs)} pairs; --csv with --resume goes on", style="red")
        return stop.exit_status
    return exit_status(results, limits, complete=not (pairing.alone or pairing.closed or problems))


@contextmanager
def noted(problems: list[str], path: Path | None = None) -> Iterator[None]:
    """Adds why a file cannot be written to `problems`, so that a full disk does not lose what was scored."""
    try:
        yield
    except OSError as error:
        problems.append(describe(error, path))


def make_scoring(options: Compare, limits: Sequence[Limit]) -> Scoring:
    """Returns what to compute, also for the limits; exits where options do not go together."""
    metrics = find_metrics((*options.metrics, *(limit.metric for limit in limits)))
    job = (options.coordinator, options.processes, options.process)
    if options.crop_border < 0:
        raise SystemExit(f"--crop-border must be at least 0, got {options.crop_border}")
    if options.rows < 0:
        raise SystemExit(f"--rows must be at least 0, got {options.rows}")
    if options.mask and not options.mask.exists():
        raise SystemExit(f"--mask {show_name(options.mask)} does not exist; pass a folder of masks, or one mask")
    if options.data_range is not None and not 0 < options.data_range < float("inf"):
        raise SystemExit(f"--data-range must be positive and finite, got {options.data_range}; pass the value of white")
    if options.resume and not options.csv:
        raise SystemExit("--resume goes on from the file of --csv; pass --csv too")
    if options.distributed and not options.csv:
        raise SystemExit("--distributed keeps what each process scores beside the file of --csv; pass --csv too")
    if not options.distributed and job != (None, None, None):
        raise SystemExit("--coordinator, --processes and --process need --distributed; pass --distributed too")
    if options.mask and (unmasked := [metric.info.name for metric in metrics if not metric.masked]):
        names = " and ".join(unmasked)
        raise SystemExit(f"there is no {names} with a mask; leave {names} out, or --mask")
    preparation = Preparation(options.data_range, options.luma, options.resize, options.filter)
    mapped = options.maps is not None or options.html is not None
    return Scoring(metrics, find_convention(options.convention), options.crop_border, mapped, preparation)


def find_pairs(options: Compare) -> Pairing:
    """Returns the pairs that the options name; exits where there is none."""
    reference, test, rows = options.reference, options.test, options.pairs
    if reference and test and not rows:
        pairing = pair_paths(reference, test)
    elif rows and not (reference or test):
        pairing = pair_rows(rows)
    else:
        raise SystemExit("pass REF and TEST, two files or two folders, or else --pairs FILE.csv")
    if not pairing.pairs and rows:
        raise SystemExit(f"{show_name(rows)} has no rows; pass a CSV with a row for each pair")
    if not pairing.pairs and not pairing.alone:
        names = " and ".join(show_name(path) for path in (reference, test) if path)
        closed = "".join(f"; {each}" for each in pairing.closed)
        raise SystemExit(f"{names} hold no pictures{closed}")
    if not pairing.pairs:
        rule = "two files are a pair where their paths within the two folders are equal but for the suffix"
        raise SystemExit(f"there are no pairs, but {len(pairing.alone)} pictures without a partner; {rule}")
    if options.mask is not None:
        pairing = pairing._replace(pairs=add_masks(pairing.pairs, options.mask))
    check_outputs(options, pairing.pairs)
    return pairing


def check_outputs(options: Compare, pairs: Sequence[PairFiles]) -> None:
    """Exits where a result would be written over a file that is to be read."""
    inputs = {os.path.realpath(path) for pair in pairs for path in pair[1:] if path and "\0" not in str(path)}
    inputs |= {os.path.realpath(options.pairs)} if options.pairs else set()
    outputs = {"--csv": [options.csv], "--json": [options.json], "--junit": [options.junit], "--html": [options.html]}
    outputs["--maps"] = [map_path(options.maps, pair.name) for pair in pairs] if options.maps else []
    for option, paths in outputs.items():
        for path in filter(None, paths):
            if os.path.realpath(path) in inputs:
                raise SystemExit(f"{option} would overwrite {show_name(path)}, which is to be read; pass another path")


def score_all(
    options: Compare,
    scoring: Scoring,
    pairing: Pairing,
    known: Mapping[str, PairResult],
    console: Console,
    stop: Stop,
    problems: list[str],
) -> tuple[list[PairResult], bool]:
    """Scores the pairs that are not known from an earlier run, and writes each at once.

    Returns:
        The results of all processes in order, and whether this is the first process.
    """
    pairs = pairing.pairs
    with ExitStack() as stack:
        with joined(options):
            is_first = jax.process_index() == 0
            own = {files.name: known[files.name] for files in own_share(pairs) if files.name in known}
            left = [files for files in own_share(pairs) if files.name not in known]
            writers = open_writers(options, scoring, list(own.values()), stack)
            report = open_report(options, scoring, pairing, stack) if options.html and is_first else None
            own |= score(left, scoring, [*writers, *([report] if report else [])], console, stop, problems)
            merged = merge(own)
        results = [merged[files.name] for files in pairs if files.name in merged]
        if report:  # reads the pictures that an earlier run or another process has scored
            rest = [files for files in pairs if files.name in merged and files not in left]
            score(rest, scoring, [report], console, stop, problems)
        with noted(problems):
            stack.close()  # writes the page
    if is_first and options.csv:
        with noted(problems, options.csv):
            write_whole(options.csv, scoring.infos, options.of_values, results)
    return results, is_first


def score(
    pairs: Sequence[PairFiles],
    scoring: Scoring,
    writers: Sequence[Writer],
    console: Console,
    stop: Stop,
    problems: list[str],
) -> dict[str, PairResult]:
    """Scores pairs and hands each to the writers; prints what was done to the files; returns the results by name.

    A writer that fails, for example because the disk is full, gets no further pairs.
    """
    results, notes, writers = {}, Report(), list(writers)
    for scored in tracked(score_pairs(pairs, scoring, stop), len(pairs), console):
        results[scored.result.name] = scored.result
        for path, texts in scored.loaded.notes if scored.loaded else ():
            notes.add(path, texts)
        for write in tuple(writers):
            try:
                write(scored)
            except OSError as error:
                problems.append(describe(error))
                writers.remove(write)
    print_report(notes, console)
    return results


def open_writers(options: Compare, scoring: Scoring, known: Sequence[PairResult], stack: ExitStack) -> list[Writer]:
    """Returns what writes the row and the map of each pair; the stack closes the files."""
    writers: list[Writer] = []
    if options.csv is not None:
        table = stack.enter_context(CsvFile(share_file(options.csv), scoring.infos, options.of_values, known))
        writers.append(lambda scored: table.add(scored.result))
    if (folder := options.maps) is not None:
        from jaxssim._cli.maps import write_map  # matplotlib takes long to start

        folder.mkdir(parents=True, exist_ok=True)
        writers.append(lambda scored: write_map(scored.ssim_map, scored.result.name, folder))
    return writers


def open_report(options: Compare, scoring: Scoring, pairing: Pairing, stack: ExitStack) -> Writer:
    """Returns what adds each pair to the report; the stack writes the page."""
    from jaxssim._cli.pages import add_to_report, make_report

    report = stack.enter_context(make_report(options, scoring.infos, pairing))
    return functools.partial(add_to_report, report)


def publish(
    options: Compare,
    scoring: Scoring,
    pairing: Pairing,
    results: Sequence[PairResult],
    limits: Sequence[Limit],
    console: Console,
    problems: list[str],
) -> None:
    """Prints the results of all processes, and writes them as JSON and JUnit's XML."""
    print_results(results, scoring.infos, options.rows, console)
    print_left_out(pairing, options.rows, console)
    print_broken(results, limits, console)
    if options.json:
        finished = len(results) == len(pairing.pairs)
        with noted(problems, options.json):
            write_json(document(results, scoring.infos, pairing, options, finished), options.json)
    if options.junit:
        with noted(problems, options.junit):
            write_junit(results, limits, pairing, options.junit)


def print_broken(results: Sequence[PairResult], limits: Sequence[Limit], console: Console) -> None:
    """Prints how many pairs break each limit, and the first of them."""
    for limit in limits:
        broken = [result for result in results if limit.broken_by(result)]
        if broken:
            first = f"{broken[0].name}: {limit.broken_by(broken[0])}"
            say(console, f"{len(broken)} of {len(results)} pairs break a limit, first {first}", style="red")
