"""The mean and the quantiles of each metric, and the order of pairs from the worst one on."""

import math
from collections.abc import Sequence

import numpy as np

from jaxssim._cli.results import MetricInfo, PairResult

QUANTILES = {"least": 0.0, "5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "largest": 1.0}


def summarize(results: Sequence[PairResult], metrics: Sequence[MetricInfo]) -> dict[str, dict[str, float]]:
    """Returns the mean and the quantiles of each metric, by its name, unless no pair has a value of it.

    Each quantile is the value of a pair, so that one infinite PSNR does not make it infinite or NaN.
    """
    summary = {}
    for metric in metrics:
        values = np.array([result.values[metric.name] for result in results if metric.name in result.values])
        if not values.size:
            continue
        quantiles = np.quantile(values, list(QUANTILES.values()), method="inverted_cdf")
        summary[metric.name] = {"mean": float(values.mean()), **dict(zip(QUANTILES, quantiles.tolist(), strict=True))}
    return summary


def worst_first(results: Sequence[PairResult], metric: MetricInfo) -> list[PairResult]:
    """Returns the scored pairs from the one that a metric finds least alike, NaN before all.

    Pairs of which this metric alone has no value come last.
    """

    def badness(result: PairResult) -> float:
        value = result.values.get(metric.name, math.inf if metric.higher_is_better else -math.inf)
        return -math.inf if math.isnan(value) else value if metric.higher_is_better else -value

    return sorted((result for result in results if result.values), key=badness)
