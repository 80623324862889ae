"""Ends a run on Ctrl-C or SIGTERM with one line that says how to go on."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import jax
from rich.console import Console

from examples.autoencoder.runs import kept_steps
from jaxssim._cli.console import say

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(SystemExit):
    """Ends the program with the exit status that shells give to a signal, once all files are closed."""


class PendingSignal:
    """A signal that has come while the run trains, where an exception may be lost in the code of a library."""

    defers = False
    number = 0

    def check(self) -> None:
        """Raises Stopped where a signal has come."""
        if self.number:
            raise Stopped(128 + self.number)


pending_signal = PendingSignal()  # of the process, as signals are


@contextmanager
def between_steps() -> Iterator[None]:
    """Lets a signal wait until the next `pending_signal.check`, or the end of the context."""
    pending_signal.defers = True
    try:
        yield
    finally:
        pending_signal.defers = False
    pending_signal.check()


@contextmanager
def stoppable(folder: Path, console: Console) -> Iterator[None]:
    """Ends the program with a line on standard output where the user or the system stops it.

    The first signal waits for the step and for the checkpoint that is being written; a second one ends the program at
    once. Of a job, each process ends at once, because it could wait for a checkpoint only together with the others: the
    last whole checkpoint counts, and the line is that of `parallel.join_job`.

    Args:
      folder: the folder of the run.
      console: where to print the line.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        if jax.process_count() > 1:
            console.show_cursor()
            os._exit(128 + number)
        pending_signal.number = number
        if not pending_signal.defers:
            pending_signal.check()

    pending_signal.number = 0
    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    except Stopped:
        say(console, f"stopped by {signal.Signals(pending_signal.number).name}; {how_to_go_on(folder)}")
        raise
    finally:
        pending_signal.number = 0
        for number, handler in before.items():
            signal.signal(number, handler)


def how_to_go_on(folder: Path) -> str:
    """Returns what the same command would do."""
    kept = kept_steps(folder)
    if not kept:
        return f"{folder} holds no checkpoint yet, so the same command starts from the first step"
    return f"the same command goes on from step {kept[-1]}, the last checkpoint in {folder}"
