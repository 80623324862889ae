"""Scores a stream of pairs of files: reading overlaps with computing, and few pictures are in memory at once."""

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

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

    def evaluator(self, white: float) -> Evaluator:
        """Returns what scores pictures of this white, by one program for all ranges and sizes."""
        names = [metric.evaluated for metric in self.metrics if metric.evaluated] + [MAP] * self.mapped
        return Evaluator(
            names or "mse", data_range=white, convention=self.convention, crop_border=self.crop_border, channel_axis=-1
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
            window has its centre; None where not wanted.
    """

    result: PairResult
    loaded: Loaded | None = None
    ssim_map: np.ndarray | None = None


def score_pairs(pairs: Iterable[PairFiles], scoring: Scoring, stopped: Callable[[], bool]) -> Iterator[Scored]:
    """Yields each pair in order; reads no further pair once `stopped` returns True.

    An evaluator has one data range. So the pairs are scored in runs of equal range.
    """
    waiting: collections.deque[Loaded | PairResult] = collections.deque()

    def readable() -> Iterator[Loaded]:  # the thread of the evaluator advances it
        for files in itertools.takewhile(lambda _: not stopped(), pairs):
            try:
                loaded = load(files, scoring.preparation)
                scoring.evaluator(loaded.white).check(loaded.x, loaded.y, mask=loaded.mask)
            except ValueError as error:
                waiting.append(failed(files, error))
                continue
            waiting.append(loaded)
            yield loaded

    def errors() -> Iterator[Scored]:
        while waiting and isinstance(waiting[0], PairResult):
            yield Scored(waiting.popleft())  # type: ignore[arg-type]

    for white, run in itertools.groupby(readable(), lambda loaded: loaded.white):
        for values in scoring.evaluator(white).stream((loaded.x, loaded.y, loaded.mask) for loaded in run):
            yield from errors()
            yield complete(waiting.popleft(), values, scoring)  # type: ignore[arg-type]
    yield from errors()


def failed(files: PairFiles, error: Exception) -> PairResult:
    """Returns the result of a pair that cannot be scored; what the functions of jaxssim advise does not help here."""
    reason = show_text(str(error).split("; pass ")[0], "utf-8")
    return PairResult(files.name, files.reference, files.test, None, {}, reason)


def complete(loaded: Loaded, values: dict[str, np.ndarray], scoring: Scoring) -> Scored:
    """Returns the result of a pair, for which the functions of the other metrics are called now."""
    files = loaded.files
    try:
        scores = {metric.info.name: value_of(metric, loaded, values, scoring) for metric in scoring.metrics}
    except ValueError as error:
        return Scored(failed(files, error))
    height, width = loaded.x.shape[:2]
    result = PairResult(files.name, files.reference, files.test, (width, height), scores)
    return Scored(result, loaded, scoring.full_size(values[MAP].mean(-1), height, width) if scoring.mapped else None)


def value_of(metric: Metric, loaded: Loaded, values: dict[str, np.ndarray], scoring: Scoring) -> float:
    """Returns the value of a metric."""
    if metric.function is None:
        return float(values[metric.evaluated])
    border = scoring.crop_border
    height, width = loaded.x.shape[:2]
    x, y = (image[border : height - border, border : width - border] for image in (loaded.x, loaded.y))
    try:
        return float(metric.function(x, y, data_range=loaded.white))
    except ValueError as error:
        raise ValueError(f"{metric.info.name}: {error}") from error
