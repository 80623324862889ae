"""Prints what happened to the files of a run."""

from rich.console import Console
from rich.text import Text

from jaxssim._pictures import Report


def print_report(report: Report, console: Console) -> None:
    """Prints the files that were left out and the notes of the others; brackets in names are no markup."""
    for line in report.lines():
        console.print(Text(line, style="yellow"), soft_wrap=True)
