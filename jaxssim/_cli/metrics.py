"""The metrics of the command: each has a line that says how it is shown and what computes it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jaxssim
from jaxssim._cli.results import MetricInfo


class Metric(NamedTuple):
    """A metric, computed by `jaxssim.Evaluator` or by a function.

    Args:
        info: how the metric is shown.
        evaluated: its name in `jaxssim.Evaluator`; "" where a function computes it.
        function: computes it from x, y, `data_range` and perhaps `mask`; it compiles for each new size.
        masked: whether it takes a mask.
    """

    info: MetricInfo
    evaluated: str = ""
    function: Callable[..., Any] | None = None
    masked: bool = True


def cw_ssim(x: Any, y: Any, *, data_range: float, mask: Any = None) -> Any:
    """Computes CW-SSIM, which does not depend on the data range."""
    return jaxssim.cw_ssim(x, y, mask=mask)


ALL = (
    Metric(MetricInfo("ssim", "SSIM", True), "ssim"),
    Metric(MetricInfo("ms-ssim", "MS-SSIM", True), "ms_ssim"),
    Metric(MetricInfo("cw-ssim", "CW-SSIM", True), function=cw_ssim),
    Metric(MetricInfo("iw-ssim", "IW-SSIM", True), function=jaxssim.iw_ssim, masked=False),
    Metric(MetricInfo("ssimulacra2", "SSIMULACRA 2", True), function=jaxssim.ssimulacra2, masked=False),
    Metric(MetricInfo("psnr", "PSNR", True, "dB"), "psnr"),
    Metric(MetricInfo("mse", "MSE", False), "mse"),
    Metric(MetricInfo("mae", "MAE", False), "mae"),
)
METRICS = {metric.info.name: metric for metric in ALL}
COMPILED = [name for name, metric in METRICS.items() if metric.function]
"""The names of the metrics that compile for each size."""
UNMASKED = [name for name, metric in METRICS.items() if not metric.masked]
"""The names of the metrics that take no mask."""


def find_metrics(names: tuple[str, ...]) -> list[Metric]:
    """Returns the metrics of these names, each once; exits where one is not known."""
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise SystemExit(f"--metrics must be some of {', '.join(METRICS)}, got {' '.join(names) or 'nothing'}")
    return [METRICS[name] for name in dict.fromkeys(names)]
