"""What the command knows of a metric, and of a pair of pictures once it is scored: the seam to the report."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class MetricInfo(NamedTuple):
    """A metric as tables and reports show it.

    Args:
        name: how options and files name it, for example "ms-ssim".
        label: its usual name, for example "MS-SSIM".
        higher_is_better: whether a larger value means pictures that are more alike.
        unit: "dB" for PSNR; "" without a unit.
    """

    name: str
    label: str
    higher_is_better: bool
    unit: str = ""


@dataclasses.dataclass(frozen=True)
class PairResult:
    """The scores of a pair of pictures, or why some or all are missing.

    Args:
        name: the relative path without suffix, or the name that `--pairs` gives: unique, one line of printable text.
        reference: the file of the reference.
        test: the file that is compared with the reference.
        size: the width and height in pixels of what was scored; None where nothing was.
        values: the value of each metric by its name, without the metrics that could not be computed.
        error: why values are missing; empty if no value is missing.
    """

    name: str
    reference: Path
    test: Path
    size: tuple[int, int] | None
    values: Mapping[str, float]
    error: str = ""
