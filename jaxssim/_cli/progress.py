"""Shows how many pairs are scored: a bar on a terminal, a line for each tenth elsewhere."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from jaxssim._cli.console import say

Item = TypeVar("Item")
FEW = 20  # below this number of items, progress is shown on terminals only


def tracked(items: Iterable[Item], total: int, console: Console, what: str = "pairs") -> Iterator[Item]:
    """Yields the items and shows on a console how many of `total` are done; `total` is 0 if unknown."""
    if console.is_terminal:
        with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True) as bar:
            yield from bar.track(items, total=total or None)
        return
    for done, item in enumerate(items, start=1):
        yield item
        if total >= FEW and done * 10 // total > (done - 1) * 10 // total:
            say(console, f"{done} of {total} {what}")
