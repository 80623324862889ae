"""The mean and the quantiles of each metric, and the order of pairs from the worst one on."""

import math
from collections.abc import Sequence

import numpy as np

from jaxssim._cli.results import MetricInfo, PairResult

QUANTILES = {"least": 0.0, "5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "largest": 1.0}


def summarize(results: Sequence[PairResult], metrics: Sequence[MetricInfo]) -> dict[str, dict[str, float]]:
    """Returns the mean and the quantiles of each metric, by its name; nothing where no pair was scored.

    Each quantile is the value of a pair, so that one infinite PSNR does not make it infinite or NaN.
    """
    scored = [result.values for result in results if result.values]
    if not scored:
        return {}
    summary = {}
    for metric in metrics:
        values = np.array([each[metric.name] for each in scored])
        quantiles = np.quantile(values, list(QUANTILES.values()), method="inverted_cdf")
        summary[metric.name] = {"mean": float(values.mean()), **dict(zip(QUANTILES, quantiles.tolist(), strict=True))}
    return summary


def worst_first(results: Sequence[PairResult], metric: MetricInfo) -> list[PairResult]:
    """Returns the scored pairs from the one that a metric finds least alike, NaN before all."""

    def badness(result: PairResult) -> float:
        value = result.values[metric.name]
        return -math.inf if math.isnan(value) else value if metric.higher_is_better else -value

    return sorted((result for result in results if result.values), key=badness)
