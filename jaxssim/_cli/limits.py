"""The limits of `--fail-below` and `--fail-above`, and the exit status that follows from them."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jaxssim._cli.metrics import METRICS
from jaxssim._cli.results import PairResult

BEYOND, NOT_SCORED = 1, 2


class Limit(NamedTuple):
    """A bound that the value of a metric must keep.

    Args:
        metric: the name of the metric.
        bound: the least or the largest value that passes.
        is_least: whether it is the least.
    """

    metric: str
    bound: float
    is_least: bool

    def broken_by(self, result: PairResult) -> str:
        """Returns how a pair breaks this limit, in words; "" where the pair keeps it or has no such value."""
        if self.metric not in result.values:
            return ""
        value = result.values[self.metric]
        if value >= self.bound if self.is_least else value <= self.bound:  # no NaN keeps a limit
            return ""
        return f"{self.metric} {value:.6g} is {'below' if self.is_least else 'above'} {self.bound:g}"


def parse_limits(option: str, words: Sequence[str]) -> list[Limit]:
    """Returns the limits of an option's words, for example "ssim=0.98"; exits where a word is not one."""
    limits = []
    for word in words:
        name, _, text = word.partition("=")
        try:
            bound = float(text)
        except ValueError:
            bound = math.nan
        if math.isnan(bound):
            raise SystemExit(f"{option} takes METRIC=NUMBER, for example {next(iter(METRICS))}=0.9, got {word!r}")
        if name not in METRICS:
            raise SystemExit(f"{option} names {name!r}; pass some of {', '.join(METRICS)}")
        limits.append(Limit(name, bound, option == "--fail-below"))
    return limits


def exit_status(results: Iterable[PairResult], limits: Sequence[Limit], complete: bool) -> int:
    """Returns 1 where a pair breaks a limit, else 2 where one was not scored or `complete` is false, else 0."""
    results = list(results)
    if any(limit.broken_by(result) for limit in limits for result in results):
        return BEYOND
    return NOT_SCORED if not complete or any(result.error for result in results) else 0
