"""Ends a run on Ctrl-C or SIGTERM once the pairs that are read are scored."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

from jaxssim._cli.console import say

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether a signal has come, and which one."""

    number = 0

    def __call__(self) -> bool:
        """Returns whether to stop."""
        return bool(self.number)

    @property
    def exit_status(self) -> int:
        """The status that shells give to a program that the signal ended."""
        return 128 + self.number


@contextmanager
def stoppable(console: Console) -> Iterator[Stop]:
    """Yields what notes the first signal; a second one ends the program at once."""
    stop = Stop()

    def note(number: int, frame: FrameType | None) -> None:
        stop.number = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        say(console, f"{signal.Signals(number).name}: ends after the pairs that are read already", style="yellow")

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
