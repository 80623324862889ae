"""What the programs print: lines that show any path as it is, and the progress bar of training."""

import io
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text


def open_console(quiet: bool = False, width: int = 0) -> Console:
    """Returns a console on standard output, which escapes the characters that the terminal's encoding lacks.

    Args:
      quiet: whether the console prints nothing.
      width: the smallest width in characters.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(quiet=quiet)
    return Console(quiet=quiet, width=width) if console.width < width else console


def say(console: Console, *lines: object, style: str = "") -> None:
    """Prints each value on a line of its own, however long, as `one_line` shows it."""
    for line in lines:
        console.print(one_line(line, style), soft_wrap=True)


def one_line(value: object, style: str = "") -> Text:
    """Returns a value's text for printing, and for the cells of tables: rich takes no part of it for markup or emoji.

    Line breaks, control characters and bytes that are not UTF-8 are escaped as in Python.
    """
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
    return Text("".join(shown), style)


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
