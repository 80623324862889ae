"""Ends a run on Ctrl-C or SIGTERM once the pairs that are read are scored."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

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
def stoppable() -> Iterator[Stop]:
    """Yields a `Stop` that records the first signal; a second one ends the program at once."""
    stop = Stop()

    def note(number: int, frame: FrameType | None) -> None:
        stop.number = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        os.write(2, b"ends after what is read already; once more ends at once\n")  # print may be at work meanwhile

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
