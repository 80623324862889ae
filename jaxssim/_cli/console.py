"""What the programs print: lines that show any path as it is, reports on files, and progress bars."""

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from jaxssim._pictures import Report

WIDEST = 1000  # characters of a table


def open_console(quiet: bool = False, width: int = 0, stderr: bool = False) -> Console:
    """Returns a console on standard output, which escapes the characters that the terminal's encoding lacks.

    Args:
      quiet: whether the console prints nothing.
      width: the smallest width in characters.
      stderr: whether the console is on standard error instead.
    """
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    console = Console(quiet=quiet, stderr=stderr)
    return Console(quiet=quiet, stderr=stderr, width=width) if console.width < width else console


def say(console: Console, *lines: object, style: str = "") -> None:
    """Prints each value on a line of its own, however long, as `one_line` shows it."""
    for line in lines:
        console.print(one_line(line, style), soft_wrap=True)


def describe(error: OSError, path: Path | None = None) -> str:
    """Returns in words what the system says of a file, for example that the disk is full."""
    return f"{error.filename or path or 'cannot write'}: {error.strerror or error}"


def one_line(value: object, style: str = "") -> Text:
    """Returns a value's text for printing, and for the cells of tables: rich takes no part of it for markup or emoji.

    Line breaks, control characters and bytes that are not UTF-8 are escaped as in Python.
    """
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
    return Text("".join(shown), style)


def show_table(console: Console, table: Table) -> None:
    """Prints a table as wide as it needs to be: rich would cut numbers on a narrow terminal."""
    width = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    if not console.quiet:
        Console(file=console.file, width=max(width, console.width)).print(table)


def print_report(report: Report, console: Console) -> None:
    """Prints the files that were left out and the notes of the others."""
    for line in report.lines():
        say(console, line, style="yellow")


def progress_bar(console: Console, values: str, time_left: bool = True) -> Progress:
    """Returns a progress bar that counts steps and shows a task's values.

    Args:
      console: where the bar is drawn.
      values: a format of the task's fields, for example "loss {task.fields[loss]:.4f}".
      time_left: whether the bar ends with rich's estimate of the time left, from the mean speed of the last steps.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(values, markup=False),
        *[TimeRemainingColumn()] * time_left,
        console=console,
    )
