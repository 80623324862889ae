"""Hands the pairs to the report: pictures of 8 bits, and what to know of the run."""

import json
from collections.abc import Sequence
from pathlib import Path

from jaxssim._cli.json_file import plain_options, versions
from jaxssim._cli.options import Compare
from jaxssim._cli.pairing import Pairing
from jaxssim._cli.results import MetricInfo
from jaxssim._cli.scoring import Scored
from jaxssim._pictures import to_rgb, to_uint8
from jaxssim._report import ReportWriter


def make_report(options: Compare, metrics: Sequence[MetricInfo], pairing: Pairing) -> ReportWriter:
    """Returns the report of `--html`, which names the versions, the given options, and what was left out."""
    given = {name: value for name, value in plain_options(options).items() if value != getattr(Compare, name)}
    chosen = {f"--{name.replace('_', '-')}": json.dumps(value, ensure_ascii=False) for name, value in given.items()}
    page: Path = options.html  # type: ignore[assignment]
    return ReportWriter(page, metrics, versions() | chosen, pairing.alone, pairing.closed)


def add_to_report(report: ReportWriter, scored: Scored) -> None:
    """Adds a pair, with pictures where it was scored."""
    loaded = scored.loaded
    if loaded is None:
        report.add(scored.result, None, None, None)
        return
    reference, test = (to_rgb(to_uint8(image, loaded.white)) for image in (loaded.x, loaded.y))
    report.add(scored.result, reference, test, scored.ssim_map)
