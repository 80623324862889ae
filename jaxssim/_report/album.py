"""Keeps the pictures of a report as files of one folder."""

import heapq
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxssim._report.pictures import THUMBNAIL, Encoding, code_map, write


class Album:
    """The files of the pictures and thumbnails of all pairs; where they exceed a budget, the best pairs lose theirs.

    Args:
        folder: where the files are written.
        encodings: of the pictures, by what they are: "reference", "test", "map".
        budget: the most bytes of pictures; thumbnails do not count.
    """

    def __init__(self, folder: Path, encodings: Mapping[str, Encoding], budget: float) -> None:
        """Keeps the arguments."""
        self.folder = folder
        self.encodings = encodings
        self.budget = budget
        self.count = 0
        self.bytes = 0
        self.kept: list[tuple[float, int, dict[str, Any]]] = []  # a heap, the best pair first

    def add(
        self, pair: dict[str, Any], pictures: tuple[np.ndarray, np.ndarray, np.ndarray | None], goodness: float
    ) -> None:
        """Writes the pictures of a pair, and puts the names of the files into what the page knows of the pair.

        Args:
            pair: gets "shown", the width and height; "pictures" and "thumbnails", two names, or three with a map.
            pictures: reference and test, uint8 (height, width, 3), and the map of SSIM or None.
            goodness: larger for a pair that loses its pictures earlier.
        """
        reference, test, ssim_map = pictures
        height, width = reference.shape[:2]
        large, small = {"reference": reference, "test": test}, {"reference": reference, "test": test}
        if ssim_map is not None:
            large["map"] = code_map(ssim_map, height, width)
            small["map"] = code_map(ssim_map, *ssim_map.shape)  # without the border, which would blur into a line
        self.count += 1
        stem = self.folder / f"{self.count:06}"
        pair["shown"] = [width, height]
        pair["pictures"] = [write(large[kind], Path(f"{stem}-{kind}"), self.encodings[kind]) for kind in large]
        pair["thumbnails"] = [write(small[kind], Path(f"{stem}-{kind}-small"), THUMBNAIL) for kind in small]
        heapq.heappush(self.kept, (-goodness, self.count, pair))
        self.bytes += sum((self.folder / name).stat().st_size for name in pair["pictures"])
        while self.bytes > self.budget:
            self.drop_best()

    def drop_best(self) -> None:
        """Deletes the pictures of the best pair, which keeps its thumbnails."""
        _, _, pair = heapq.heappop(self.kept)
        for name in pair.pop("pictures"):
            self.bytes -= (self.folder / name).stat().st_size
            (self.folder / name).unlink()
