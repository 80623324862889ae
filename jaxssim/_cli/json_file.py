"""Writes the results of a comparison as JSON: versions, options, summary, each pair, and what had no partner."""

import dataclasses
import json
import math
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxssim
from jaxssim._cli.pairing import Pairing
from jaxssim._cli.results import MetricInfo, PairResult
from jaxssim._cli.summary import summarize
from jaxssim._pictures import show_name

STANDARD_OUTPUT = Path("-")


def versions() -> dict[str, str]:
    """Returns the versions on which values depend."""
    return {
        "jaxssim": jaxssim.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "device": jax.local_devices()[0].device_kind,
    }


def document(
    results: Sequence[PairResult], metrics: Sequence[MetricInfo], pairing: Pairing, options: Any, finished: bool
) -> dict[str, Any]:
    """Returns the content of the file.

    Args:
        results: the pairs, in order.
        metrics: the metrics.
        pairing: what had no partner, or could not be opened.
        options: the dataclass of the options.
        finished: whether no pair is missing because the run was stopped.
    """
    return {
        "versions": versions(),
        "options": plain_options(options),
        "finished": finished,
        "summary": {name: plain_values(values) for name, values in summarize(results, metrics).items()},
        "pairs": [plain_result(result) for result in results],
        "without_partner": [show_name(path, "utf-8") for path in pairing.alone],
        "not_opened": {show_name(each.path, "utf-8"): each.reason for each in pairing.closed},
    }


def plain_result(result: PairResult) -> dict[str, Any]:
    """Returns a pair as JSON holds it."""
    paths = {which: show_name(getattr(result, which), "utf-8") for which in ("reference", "test")}
    width, height = result.size or (None, None)
    values = plain_values(result.values)
    return {"name": result.name, **paths, "width": width, "height": height, "values": values, "error": result.error}


def plain_values(values: Mapping[str, float]) -> dict[str, float | str]:
    """Returns values as JSON holds them, which has no infinity: "Infinity" is the PSNR of equal pictures."""
    return {name: value if math.isfinite(value) else spell(value) for name, value in values.items()}


def spell(value: float) -> str:
    """Returns the name of a value that is not finite."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def plain_options(options: Any) -> dict[str, Any]:
    """Returns the options as JSON holds them."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(each) for each in value]
        return show_name(value, "utf-8") if isinstance(value, Path) else value

    return {field.name: plain(getattr(options, field.name)) for field in dataclasses.fields(options)}


def write_json(content: dict[str, Any], path: Path) -> None:
    """Writes a document to a file, or to standard output for "-"."""
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=path == STANDARD_OUTPUT) + "\n"
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        path.write_text(text, encoding="utf-8")
