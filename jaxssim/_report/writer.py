"""Gathers the pairs of a report, writes their pictures at once and the page at the end."""

import contextlib
import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from jaxssim._cli.results import MetricInfo, PairResult
from jaxssim._pictures.names import show_name, show_text
from jaxssim._report.colours import MAP_COLOURS
from jaxssim._report.pictures import COMPACT, EXACT, THUMBNAIL, code_map, write
from jaxssim._report.render import render

UTF8 = "utf-8"
BUDGET = 64 * 2**20  # bytes of pictures inside a single file, before base64 adds a third


class ReportWriter:
    """Writes a report of compared pairs; a context manager, so that an interrupted run leaves what was scored.

    `path` ending in .html or .htm is a single file. The pictures inside it are scaled to at most 1024 pixels along
    the longer side (maps to 512) and compressed; the worst pairs by the first metric keep theirs, up to 64 MiB in all,
    and the others have thumbnails alone. Any other path is a folder: index.html and, beside it, pictures/ with PNG
    files of full size. Memory grows only by the values and names of each pair.

    Args:
        path: the file or folder; parents are made.
        metrics: the columns, the most important one first.
        about: versions and options, shown at the end of the page, by name.

    Raises:
        OSError: on entering, where the path cannot be written.

    Example:
        >>> ssim = MetricInfo("ssim", "SSIM", True, "")
        >>> with ReportWriter(Path("report.html"), [ssim], {"jaxssim": "0.1.0"}) as report:  # doctest: +SKIP
        ...     report.add(result, reference, test, ssim_map)
    """

    def __init__(self, path: Path, metrics: Sequence[MetricInfo], about: Mapping[str, str]) -> None:
        """Keeps the arguments; nothing is written before the context is entered."""
        self.is_file = path.suffix.lower() in (".html", ".htm")
        self.page = path if self.is_file else path / "index.html"
        self.encodings = COMPACT if self.is_file else EXACT
        self.metrics = list(metrics)
        self.about = dict(about)
        self.pairs: list[dict[str, Any]] = []
        self.cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Makes the folders, and checks that the page can be written."""
        self.page.parent.mkdir(parents=True, exist_ok=True)
        with self.page.open("a"):  # fails now and not after an hour of scoring; keeps an earlier report until the end
            pass
        if self.is_file:
            self.folder = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory(prefix="jaxssim-")))
        else:
            self.folder = self.page.parent / "pictures"
            self.folder.mkdir(exist_ok=True)
        return self

    def add(
        self,
        result: PairResult,
        reference: np.ndarray | None,
        test: np.ndarray | None,
        ssim_map: np.ndarray | None,
    ) -> None:
        """Adds a pair, and writes its pictures.

        Args:
            result: the scores of the pair, or its error.
            reference: uint8 (height, width, 3), or None without a picture.
            test: uint8, of the shape of `reference`, or None.
            ssim_map: (h, w), 1 = equal, smaller than the pictures by equal margins; or None.
        """
        values = [result.values.get(metric.name, math.nan) for metric in self.metrics]
        pair: dict[str, Any] = {
            "name": show_text(result.name, UTF8),
            "files": [show_name(path, UTF8) for path in (result.reference, result.test)],
            "size": result.size,
            "values": [value if math.isfinite(value) else json.dumps(value) for value in map(float, values)],
            "error": show_text(result.error, UTF8),
        }
        if reference is not None and test is not None:
            pair |= self.write_pictures(reference, test, ssim_map)
        self.pairs.append(pair)

    def write_pictures(self, reference: np.ndarray, test: np.ndarray, ssim_map: np.ndarray | None) -> dict[str, Any]:
        """Writes the pictures and thumbnails of a pair; returns the size and the names of the files."""
        height, width = reference.shape[:2]
        large, small = {"reference": reference, "test": test}, {"reference": reference, "test": test}
        if ssim_map is not None:
            large["map"] = code_map(ssim_map, height, width)
            small["map"] = code_map(ssim_map, *ssim_map.shape)  # without the border, which would blur into a line
        stem = self.folder / f"{len(self.pairs) + 1:06}"
        return {
            "shown": [width, height],
            "pictures": [write(large[kind], Path(f"{stem}-{kind}"), self.encodings[kind]) for kind in large],
            "thumbnails": [write(small[kind], Path(f"{stem}-{kind}-small"), THUMBNAIL) for kind in small],
        }

    def __exit__(self, *exception: object) -> None:
        """Writes the page with all pairs added so far, also after an error or an interrupt."""
        with self.cleanup:
            self.write_page()

    def write_page(self) -> None:
        """Writes the page; in a single file the worst pairs keep their pictures, up to the budget."""
        if self.is_file:
            self.keep_worst()
        small, large = (self.files("thumbnails"), self.files("pictures")) if self.is_file else ((), ())
        report = {
            "metrics": [metric._asdict() for metric in self.metrics],
            "about": [[show_text(name, UTF8), show_text(text, UTF8)] for name, text in self.about.items()],
            "pairs": self.pairs,
            "folder": None if self.is_file else f"{self.folder.name}/",
            "colours": MAP_COLOURS,
        }
        with self.page.open("wb") as file:
            render(file, report, small, large)

    def files(self, kind: str) -> Iterator[Path]:
        """Yields the files of all pairs that have any."""
        return (self.folder / name for pair in self.pairs for name in pair.get(kind, ()))

    def keep_worst(self) -> None:
        """Drops the large pictures of the better pairs, where all of them exceed the budget."""
        left = BUDGET
        for pair in sorted(self.pairs, key=self.goodness):
            left -= sum((self.folder / name).stat().st_size for name in pair.get("pictures", ()))
            if left < 0:
                pair.pop("pictures", None)

    def goodness(self, pair: dict[str, Any]) -> float:
        """Returns the value of the first metric, signed so that more is better; the most without a value."""
        if not self.metrics:
            return math.inf
        value = float(pair["values"][0])
        if math.isnan(value):
            return math.inf
        return value if self.metrics[0].higher_is_better else -value
