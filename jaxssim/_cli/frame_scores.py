"""Scores the frames of two videos: each plane, and all planes weighted by their numbers of samples."""

import collections
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxssim import Evaluator
from jaxssim._cli.frames import Frames
from jaxssim._cli.metrics import Metric
from jaxssim.conventions import Convention

ALL = "all"
PSNR, MSE = "psnr", "mse"


class FrameScores(NamedTuple):
    """The scores of a frame.

    Args:
        seconds: when it is shown.
        values: the values of the metrics by their name, of each plane by its name, and of all planes by "all".
    """

    seconds: float
    values: Mapping[str, Mapping[str, float]]


class Waiting(NamedTuple):
    """What is kept of a frame until its planes are scored."""

    seconds: float
    samples: Mapping[str, int]


def score_frames(frames: Iterable[Frames], metrics: Sequence[Metric], convention: Convention) -> Iterator[FrameScores]:
    """Yields the scores of each frame, in order. PSNR is that of the mean squared error, also over all planes.

    Raises:
        ValueError: a plane is smaller than the window.
    """
    names = {metric.evaluated for metric in metrics} - {PSNR} | {MSE}
    waiting: collections.deque[Waiting] = collections.deque()

    def pairs(run: Iterable[Frames]) -> Iterator[tuple[np.ndarray, np.ndarray]]:  # in the thread of the evaluator
        for frame in run:
            waiting.append(Waiting(frame.seconds, {name: plane.size for name, plane in frame.x.items()}))
            yield from zip(frame.x.values(), frame.y.values(), strict=True)

    for white, run in itertools.groupby(frames, lambda frame: frame.white):
        evaluator = Evaluator(sorted(names), data_range=white, convention=convention, channel_axis=-1)
        scored: list[Mapping[str, Any]] = []
        for values in evaluator.stream(pairs(run)):
            scored.append(values)
            if len(scored) == len(waiting[0].samples):
                seconds, samples = waiting.popleft()
                yield FrameScores(seconds, all_values(scored, samples, metrics, white))
                scored = []


def all_values(
    scored: Sequence[Mapping[str, Any]], samples: Mapping[str, int], metrics: Sequence[Metric], white: int
) -> dict[str, dict[str, float]]:
    """Returns the values of the metrics of each plane, and of all planes."""
    weights = np.array(list(samples.values()))
    planes = dict(zip(samples, scored, strict=True))
    means = {name: float(weights @ [float(plane[name]) for plane in scored]) / int(weights.sum()) for name in scored[0]}
    return {
        plane: {metric.info.name: value_of(metric, values, white) for metric in metrics}
        for plane, values in {**planes, ALL: means}.items()
    }


def value_of(metric: Metric, values: Mapping[str, Any], white: int) -> float:
    """Returns the value of a metric; PSNR from the mean squared error."""
    return psnr(float(values[MSE]), white) if metric.evaluated == PSNR else float(values[metric.evaluated])


def mean_over_frames(name: str, values: np.ndarray) -> float:
    """Returns the mean of a metric; of PSNR in dB, the PSNR of the mean squared error, as FFmpeg's `average`."""
    if name != PSNR:
        return float(values.mean())
    error = float(np.mean(10 ** (-values / 10)))  # the mean squared error of a white of 1; 0 where PSNR is infinite
    return psnr(error, 1)


def psnr(mse: float, white: float) -> float:
    """Returns the PSNR of a mean squared error, in dB; infinite for 0."""
    return 10 * math.log10(white**2 / mse) if mse else math.inf
