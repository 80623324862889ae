"""Measures how long steps and evaluations take, and from that the time that a run has left."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

UNTIMED_STEPS = 2  # they include the compilation


class Timer:
    """Measures the last 1000 steps and the evaluations between them, but nothing that includes a compilation."""

    def __init__(self, batch_size: int, test_patches: int) -> None:
        """Creates a timer.

        Args:
          batch_size: the number of patches in a batch.
          test_patches: the number of patches in an evaluation.
        """
        self.batch_size = batch_size
        self.batches = -(-test_patches // batch_size)
        self.steps = 0
        self.last: float | None = None  # the end of the last step
        self.durations: deque[tuple[float, float]] = deque(maxlen=1000)  # seconds of a step, and of its wait for data
        self.evaluations: list[float] = []  # seconds; the first includes the compilation

    def start(self) -> None:
        """Starts to time steps, after an evaluation or at the beginning."""
        now = time.perf_counter()
        if self.last is not None:
            self.evaluations.append(now - self.last)
        self.waited, self.last = 0.0, now

    @contextmanager
    def waiting_for_data(self) -> Iterator[None]:
        """Times a wait for the next batch."""
        start = time.perf_counter()
        yield
        self.waited += time.perf_counter() - start

    def step(self) -> None:
        """Records the end of a step."""
        now = time.perf_counter()
        if self.steps == UNTIMED_STEPS:
            self.durations.clear()
        assert self.last is not None, "start was not called"
        self.durations.append((now - self.last, self.waited))
        self.steps, self.waited, self.last = self.steps + 1, 0.0, now

    def summary(self) -> dict[str, float]:
        """Returns the images per second, and the fraction of the time spent waiting for data."""
        seconds, waited = map(sum, zip(*self.durations, strict=True))
        images = self.batch_size * len(self.durations)
        return {"images_per_second": images / seconds, "waiting_for_data": waited / seconds}

    def step_seconds(self) -> float | None:
        """Returns the mean duration of a step, or None before a step without a compilation has ended."""
        if self.steps <= UNTIMED_STEPS:
            return None
        return sum(seconds for seconds, _ in self.durations) / len(self.durations)

    def seconds_left(self, steps: int, evaluations: int) -> float:
        """Returns the time that `steps` and `evaluations` will take, once `step_seconds` is known.

        Until an evaluation without a compilation has ended, a batch of an evaluation counts as a third of a step, since
        a step computes the network forwards and, at twice that cost, backwards.
        """
        step = self.step_seconds() or 0.0
        timed = self.evaluations[1:]
        evaluation = sum(timed) / len(timed) if timed else self.batches * step / 3
        return steps * step + evaluations * evaluation
