"""Scores a stream of pairs of files: reading overlaps with computing, and few pictures are in memory at once."""

import collections
import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxssim import Evaluator
from jaxssim._cli.loading import Loaded, Preparation, load
from jaxssim._cli.metrics import Metric
from jaxssim._cli.pairing import PairFiles
from jaxssim._cli.results import MetricInfo, PairResult
from jaxssim._core.resampling import downsample_factor
from jaxssim._pictures.names import show_text
from jaxssim.conventions import WANG2004, Convention

MAP = "ssim_map"


@dataclasses.dataclass(frozen=True)
class Scoring:
    """What to compute of each pair.

    Args:
        metrics: the metrics.
        convention: the definition of SSIM.
        crop_border: pixels to leave out along each side.
        mapped: whether the map of SSIM is wanted too.
        preparation: how to read the pictures.
    """

    metrics: list[Metric]
    convention: Convention = WANG2004
    crop_border: int = 0
    mapped: bool = False
    preparation: Preparation = dataclasses.field(default_factory=Preparation)

    @property
    def infos(self) -> list[MetricInfo]:
        """How the metrics are shown."""
        return [metric.info for metric in self.metrics]

    @property
    def evaluated(self) -> dict[str, str]:
        """What `Evaluator` computes, and its name in messages."""
        names = {metric.evaluated: metric.info.name for metric in self.metrics if metric.evaluated}
        return names | ({MAP: "map"} if self.mapped else {})

    def evaluator(self, white: float, names: Sequence[str]) -> Evaluator:
        """Returns what scores pictures of this white, by one program for all ranges and sizes."""
        return Evaluator(
            names, data_range=white, convention=self.convention, crop_border=self.crop_border, channel_axis=-1
        )

    def full_size(self, ssim_map: np.ndarray, height: int, width: int) -> np.ndarray:
        """Returns the map of a picture, each value repeated where the convention shrinks pictures or skips windows."""
        inside = (height - 2 * self.crop_border, width - 2 * self.crop_border)
        factor = downsample_factor(inside, self.convention.downsample) * self.convention.stride
        return ssim_map.repeat(factor, 0).repeat(factor, 1)[: inside[0], : inside[1]]


class Scored(NamedTuple):
    """A pair after its scoring.

    Args:
        result: its scores, or its error.
        loaded: its pictures; None where it has an error.
        ssim_map: SSIM at each window, mean of the channels, smaller than the pictures by equal margins, in which no
            window has its centre; None if no map was asked for.
    """

    result: PairResult
    loaded: Loaded | None = None
    ssim_map: np.ndarray | None = None


class Ready(NamedTuple):
    """A pair that was read.

    Args:
        loaded: its pictures.
        fitting: what `Evaluator` can compute of it.
        problems: why it cannot compute the rest, by the names of the metrics.
    """

    loaded: Loaded
    fitting: tuple[str, ...]
    problems: Mapping[str, str]


def score_pairs(pairs: Iterable[PairFiles], scoring: Scoring, stopped: Callable[[], bool]) -> Iterator[Scored]:
    """Yields each pair in order; reads no further pair once `stopped` returns True.

    An evaluator has one data range and one list of metrics. So the pairs are scored in runs of equal range, to which
    the same metrics fit.
    """
    waiting: collections.deque[Ready | PairResult] = collections.deque()

    def readable() -> Iterator[Ready]:  # the thread of the evaluator advances it
        for files in itertools.takewhile(lambda _: not stopped(), pairs):
            try:
                loaded = load(files, scoring.preparation)
            except ValueError as error:
                waiting.append(PairResult(files.name, files.reference, files.test, None, {}, reason(error)))
                continue
            ready = check(loaded, scoring)
            waiting.append(ready)
            yield ready

    def errors() -> Iterator[Scored]:
        while waiting and isinstance(waiting[0], PairResult):
            yield Scored(waiting.popleft())  # type: ignore[arg-type]

    for (white, names), run in itertools.groupby(readable(), lambda ready: (ready.loaded.white, ready.fitting)):
        stream = ((ready.loaded.x, ready.loaded.y, ready.loaded.mask) for ready in run)
        scored = scoring.evaluator(white, names).stream(stream) if names else ({} for _ in stream)
        for values in scored:
            yield from errors()
            yield complete(waiting.popleft(), values, scoring)  # type: ignore[arg-type]
    yield from errors()


def check(loaded: Loaded, scoring: Scoring) -> Ready:
    """Finds out which metrics `Evaluator` can compute of a pair."""
    fitting, problems = [], {}
    for name, shown in scoring.evaluated.items():
        try:
            scoring.evaluator(loaded.white, (name,)).check(loaded.x, loaded.y, mask=loaded.mask)
            fitting.append(name)
        except ValueError as error:
            problems[shown] = reason(error)
    return Ready(loaded, tuple(fitting), problems)


def reason(error: Exception) -> str:
    """Returns an error of jaxssim in words of the command: what the functions advise does not help here."""
    text = str(error).split("; pass ")[0]
    return show_text(re.sub(r"x and y have spatial shape \((\d+), (\d+)\)", r"the pictures are \2x\1", text), "utf-8")


def complete(ready: Ready, values: Mapping[str, np.ndarray], scoring: Scoring) -> Scored:
    """Returns the result of a pair, for which the functions of the other metrics are called now."""
    loaded, problems, scores = ready.loaded, dict(ready.problems), {}
    for metric in scoring.metrics:
        try:
            if metric.function:
                scores[metric.info.name] = value_of(metric.function, loaded, scoring.crop_border)
            elif metric.evaluated in values:
                scores[metric.info.name] = float(values[metric.evaluated])
        except ValueError as error:
            problems[metric.info.name] = reason(error)
    height, width = loaded.x.shape[:2]
    files = loaded.files
    size = (width, height) if scores else None
    result = PairResult(files.name, files.reference, files.test, size, scores, in_words(problems))
    return Scored(result, loaded, scoring.full_size(values[MAP].mean(-1), height, width) if MAP in values else None)


def value_of(function: Callable[..., Any], loaded: Loaded, border: int) -> float:
    """Returns the value of a metric that a function computes."""
    height, width = loaded.x.shape[:2]
    inside = slice(border, height - border), slice(border, width - border)
    mask = {} if loaded.mask is None else {"mask": loaded.mask[inside]}
    return float(function(loaded.x[inside], loaded.y[inside], data_range=loaded.white, **mask))


def in_words(problems: Mapping[str, str]) -> str:
    """Returns the problems of a pair in one line, those of several metrics once."""
    names: dict[str, list[str]] = {}
    for name, problem in problems.items():
        names.setdefault(problem, []).append(name)
    return "; ".join(f"{', '.join(each)}: {problem}" for problem, each in names.items())
