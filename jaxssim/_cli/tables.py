"""Prints the results of a comparison: the worst pairs, the summary of each metric, and what was not scored."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from jaxssim._cli.console import one_line, print_report, say, show_table
from jaxssim._cli.pairing import Pairing
from jaxssim._cli.results import MetricInfo, PairResult
from jaxssim._cli.summary import summarize, worst_first
from jaxssim._pictures import Report, show_name

NAME_WIDTH = 50  # characters, after which a name goes on in the next line


def print_results(results: Sequence[PairResult], metrics: Sequence[MetricInfo], rows: int, console: Console) -> None:
    """Prints the worst `rows` pairs by the first metric, the summary, and the errors."""
    pairs = worst_first(results, metrics[0])
    if pairs[:rows]:
        table = new_table("pair", metrics)
        for result in pairs[:rows]:
            table.add_row(one_line(result.name), *cells(result.values, metrics))
        show_table(console, table)
        if len(pairs) > rows:
            say(console, f"the worst {rows} of {len(pairs)} pairs by {metrics[0].label}; --csv writes all")
    if len(pairs) > 1:
        table = new_table(f"{len(pairs)} pairs", metrics)
        summary = summarize(results, metrics)
        for row in next(iter(summary.values())):
            table.add_row(row, *cells({name: values[row] for name, values in summary.items()}, metrics))
        show_table(console, table)
    errors = [result for result in results if result.error]
    if errors:
        say(console, f"{len(errors)} with an error:", style="red")
        say_some(console, [f"{result.name}: {result.error}" for result in errors], rows, "red")


def print_left_out(pairing: Pairing, rows: int, console: Console) -> None:
    """Prints the first `rows` files without a partner, and the folders that cannot be opened."""
    if pairing.alone:
        say(console, f"{len(pairing.alone)} without a partner:", style="yellow")
        say_some(console, list(map(show_name, pairing.alone)), rows, "yellow")
    print_report(Report(pairing.closed), console)


def say_some(console: Console, lines: Sequence[str], rows: int, style: str) -> None:
    """Prints the first `rows` lines, indented, and the number of the others."""
    more = [f"and {len(lines) - rows} more"] if len(lines) > rows else []
    say(console, *(f"  {line}" for line in [*lines[:rows], *more]), style=style)


def new_table(first: str, metrics: Sequence[MetricInfo]) -> Table:
    """Returns a table with a column for each metric."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(first, overflow="fold", max_width=NAME_WIDTH)
    for metric in metrics:
        title = f"{metric.label} [{metric.unit}]" if metric.unit else metric.label
        table.add_column(one_line(title), justify="right")
    return table


def cells(values: Mapping[str, float], metrics: Sequence[MetricInfo]) -> list[str]:
    """Returns the values of the metrics as text, a dash where there is none."""
    return [format_value(values[metric.name]) if metric.name in values else "-" for metric in metrics]


def format_value(value: float) -> str:
    """Returns a value with the digits that matter: 0.123457, 34.1200, 12345.7."""
    return f"{value:.6f}" if abs(value) <= 1 else f"{value:#.6g}"
