"""Gathers the pairs of a report, writes their pictures at once and the page at the end."""

import contextlib
import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from errno import EEXIST
from pathlib import Path
from typing import Any, Self

import numpy as np

from jaxssim._cli.results import MetricInfo, PairResult
from jaxssim._pictures.names import show_name, show_text
from jaxssim._pictures.picture import Unreadable
from jaxssim._report.album import Album
from jaxssim._report.colours import MAP_COLOURS
from jaxssim._report.pictures import COMPACT, EXACT
from jaxssim._report.render import render

UTF8 = "utf-8"
MARK = b'<meta name="generator" content="jaxssim">'  # in every page
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
        alone: files without a partner, which the page lists.
        closed: folders that could not be opened, which the page lists with the reason.

    Raises:
        OSError: on entering, where the path cannot be written, or holds something else than a report.

    Example:
        >>> ssim = MetricInfo("ssim", "SSIM", True, "")
        >>> with ReportWriter(Path("report.html"), [ssim], {"jaxssim": "0.1.0"}) as report:  # doctest: +SKIP
        ...     report.add(result, reference, test, ssim_map)
    """

    def __init__(
        self,
        path: Path,
        metrics: Sequence[MetricInfo],
        about: Mapping[str, str],
        alone: Sequence[Path] = (),
        closed: Sequence[Unreadable] = (),
    ) -> None:
        """Keeps the arguments; nothing is written before the context is entered."""
        self.is_file = path.suffix.lower() in (".html", ".htm")
        self.page = path if self.is_file else path / "index.html"
        self.metrics = list(metrics)
        self.about = dict(about)
        self.alone, self.closed = alone, closed
        self.pairs: list[dict[str, Any]] = []
        self.cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Makes the folders, and checks that the page can be written."""
        self.page.parent.mkdir(parents=True, exist_ok=True)
        with self.page.open("a+b") as file:  # fails now and not after an hour; keeps an earlier report until the end
            file.seek(0)
            start = file.read(4096)
        if start and MARK not in start:
            raise FileExistsError(EEXIST, "holds something else than a report; pass another path", str(self.page))
        if self.is_file:
            folder = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory(prefix="jaxssim-")))
            self.album = Album(folder, COMPACT, BUDGET)
        else:
            folder = self.page.parent / "pictures"
            folder.mkdir(exist_ok=True)
            self.album = Album(folder, EXACT, math.inf)
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
            self.album.add(pair, (reference, test, ssim_map), self.goodness(pair))
        self.pairs.append(pair)

    def __exit__(self, *exception: object) -> None:
        """Writes the page with all pairs added so far, also after an error or an interrupt."""
        with self.cleanup:
            self.write_page()

    def write_page(self) -> None:
        """Writes the page from what was added; a single file takes the pictures in."""
        small, large = (self.files("thumbnails"), self.files("pictures")) if self.is_file else ((), ())
        report = {
            "metrics": [metric._asdict() for metric in self.metrics],
            "about": [[show_text(name, UTF8), show_text(text, UTF8)] for name, text in self.about.items()],
            "pairs": self.pairs,
            "alone": [show_name(path, UTF8) for path in self.alone],
            "closed": [show_text(str(each), UTF8) for each in self.closed],
            "folder": None if self.is_file else f"{self.album.folder.name}/",
            "colours": MAP_COLOURS,
        }
        with self.page.open("wb") as file:
            render(file, report, small, large)

    def files(self, kind: str) -> Iterator[Path]:
        """Yields the files of all pairs that have any."""
        return (self.album.folder / name for pair in self.pairs for name in pair.get(kind, ()))

    def goodness(self, pair: dict[str, Any]) -> float:
        """Returns the value of the first metric, signed so that more is better; the most without a value."""
        if not self.metrics:
            return math.inf
        value = float(pair["values"][0])
        if math.isnan(value):
            return math.inf
        return value if self.metrics[0].higher_is_better else -value
