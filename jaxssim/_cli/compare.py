"""`jaxssim compare`: scores pairs of pictures, prints the worst ones, and writes the results to files."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from rich.console import Console

from jaxssim._cli.console import open_console, print_report, say
from jaxssim._cli.conventions import find_convention
from jaxssim._cli.csv_file import CsvFile, read_scored
from jaxssim._cli.json_file import STANDARD_OUTPUT, document, write_json
from jaxssim._cli.junit import write_junit
from jaxssim._cli.limits import Limit, exit_status, parse_limits
from jaxssim._cli.loading import Preparation
from jaxssim._cli.metrics import find_metrics
from jaxssim._cli.options import Compare
from jaxssim._cli.pairing import Pairing, add_masks, pair_paths, pair_rows
from jaxssim._cli.progress import tracked
from jaxssim._cli.results import MetricInfo, PairResult
from jaxssim._cli.scoring import Scored, Scoring, score_pairs
from jaxssim._cli.stopping import Stop, stoppable
from jaxssim._cli.tables import print_left_out, print_results
from jaxssim._pictures import Report

Writer = Callable[[Scored], None]


def main(options: Compare) -> int:
    """Compares, prints and writes; returns the exit status."""
    console = open_console(stderr=options.json == STANDARD_OUTPUT)
    scoring = make_scoring(options)
    metrics = [metric.info for metric in scoring.metrics]
    limits = [
        *parse_limits("--fail-below", options.fail_below, metrics),
        *parse_limits("--fail-above", options.fail_above, metrics),
    ]
    pairing = find_pairs(options)
    with stoppable(console) as stop:
        results = score(options, scoring, pairing, console, stop)
    print_results(results, metrics, options.rows, console)
    print_left_out(pairing, options.rows, console)
    if options.json:
        write_json(document(results, metrics, pairing, options, not stop()), options.json)
    if options.junit:
        write_junit(results, limits, pairing.alone, options.junit)
    print_broken(results, limits, console)
    if stop():
        say(console, f"stopped: {len(results)} of {len(pairing.pairs)} pairs; --csv with --resume goes on", style="red")
        return stop.exit_status
    return exit_status(results, limits, complete=not (pairing.alone or pairing.closed))


def make_scoring(options: Compare) -> Scoring:
    """Returns what to compute; exits where options do not go together."""
    metrics = find_metrics(options.metrics)
    if options.crop_border < 0:
        raise SystemExit(f"--crop-border must be at least 0, got {options.crop_border}")
    if options.data_range is not None and not 0 < options.data_range < float("inf"):
        raise SystemExit(f"--data-range must be positive and finite, got {options.data_range}; pass the value of white")
    if options.resume and not options.csv:
        raise SystemExit("--resume goes on from the file of --csv; pass --csv too")
    if options.mask and (unmasked := [metric.info.name for metric in metrics if metric.function]):
        raise SystemExit(f"{', '.join(unmasked)} takes no mask; leave it out of --metrics, or leave out --mask")
    preparation = Preparation(options.data_range, options.luma, options.resize, options.filter)
    mapped = options.maps is not None
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
    if not pairing.pairs:
        rule = "two files are a pair where their paths within the two folders are equal but for the suffix"
        raise SystemExit(f"there are no pairs, but {len(pairing.alone)} pictures without a partner; {rule}")
    if options.mask is not None:
        pairing = pairing._replace(pairs=add_masks(pairing.pairs, options.mask))
    return pairing


def score(options: Compare, scoring: Scoring, pairing: Pairing, console: Console, stop: Stop) -> list[PairResult]:
    """Scores the pairs that are not known from an earlier run, writes each at once, and returns all in order."""
    metrics = [metric.info for metric in scoring.metrics]
    known = read_scored(options.csv, metrics) if options.resume and options.csv else {}
    known = {files.name: known[files.name] for files in pairing.pairs if files.name in known}
    left = [files for files in pairing.pairs if files.name not in known]
    notes = Report()
    with ExitStack() as stack:
        writers = open_writers(options, metrics, list(known.values()), stack)
        for scored in tracked(score_pairs(left, scoring, stop), len(left), console):
            known[scored.result.name] = scored.result
            for path, texts in scored.loaded.notes if scored.loaded else ():
                notes.add(path, texts)
            for write in writers:
                write(scored)
    print_report(notes, console)
    return [known[files.name] for files in pairing.pairs if files.name in known]


def open_writers(
    options: Compare, metrics: Sequence[MetricInfo], known: Sequence[PairResult], stack: ExitStack
) -> list[Writer]:
    """Returns what is called with each pair; the stack closes it."""
    writers: list[Writer] = []
    if options.csv is not None:
        table = stack.enter_context(CsvFile(options.csv, metrics, known))
        writers.append(lambda scored: table.add(scored.result))
    if (folder := options.maps) is not None:
        from jaxssim._cli.maps import write_map  # matplotlib takes long to start

        folder.mkdir(parents=True, exist_ok=True)
        writers.append(lambda scored: write_map(scored.ssim_map, scored.result.name, folder))
    return writers


def print_broken(results: Sequence[PairResult], limits: Sequence[Limit], console: Console) -> None:
    """Prints how many pairs break each limit, and the first of them."""
    for limit in limits:
        broken = [result for result in results if limit.broken_by(result)]
        if broken:
            first = f"{broken[0].name}: {limit.broken_by(broken[0])}"
            say(console, f"{len(broken)} of {len(results)} pairs break a limit, first {first}", style="red")
