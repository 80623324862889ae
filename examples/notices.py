"""Prints what happened to the files of a run."""

from rich.console import Console

from examples.progress import say
from jaxssim._pictures import Report


def print_report(report: Report, console: Console) -> None:
    """Prints the files that were left out and the notes of the others."""
    for line in report.lines():
        say(console, line, style="yellow")
