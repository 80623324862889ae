"""Draws clusters: a heat map of the similarities, and a contact sheet."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageOps
from skimage.util import montage

from jaxssim._cli.clusters.clustering import Assignment, Matrix
from jaxssim._cli.clusters.datasets import Dataset
from jaxssim._pictures import show_name

COLUMNS = 7  # thumbnails in a row of a contact sheet
CELL_WIDTH, LINE_HEIGHT = 200, 24  # of a contact sheet, in pixels
WHITE = (255, 255, 255)


def heat_map(images: list[Image.Image], similarity: Matrix, assignment: Assignment, title: str) -> Figure:
    """Draws the similarity matrix sorted by cluster, with lines between clusters and thumbnails along both axes."""
    order, n = np.argsort(assignment, kind="stable"), len(assignment)
    off_diagonal = similarity[~np.eye(n, dtype=bool)]  # the diagonal compares each image with itself
    low, high = np.percentile(off_diagonal, (1, 99))
    cell = 0.88 / (n + 1)
    figure = Figure(figsize=(10, 10))
    axes = figure.add_axes((0.02 + cell, 0.02, n * cell, n * cell), xticks=(), yticks=())
    drawn = axes.imshow(similarity[np.ix_(order, order)], vmin=low, vmax=high, cmap="magma")
    for edge in np.flatnonzero(np.diff(assignment[order])) + 0.5:
        axes.axhline(edge, color="white", linewidth=1)
        axes.axvline(edge, color="white", linewidth=1)
    thumbnails = np.stack([np.asarray(ImageOps.fit(images[i], (48, 48))) for i in order])
    for bounds, grid in (((-1 / n, 0, 1 / n, 1), (n, 1)), ((0, 1, 1, 1 / n), (1, n))):
        strip = montage(thumbnails, grid_shape=grid, channel_axis=-1)
        axes.inset_axes(bounds, xticks=(), yticks=()).imshow(strip)
    figure.colorbar(drawn, cax=axes.inset_axes((1.02, 0, 0.02, 1)), extend="both")
    figure.suptitle(title, y=0.95)
    return figure


def contact_sheet(dataset: Dataset, assignment: Assignment, title: str) -> Image.Image:
    """Draws a heading and rows of named thumbnails for each cluster."""
    thumbnails = np.stack([named_thumbnail(*pair) for pair in zip(dataset.names, dataset.images, strict=True)])
    parts = []
    for number in np.unique(assignment):
        members = thumbnails[assignment == number]
        parts.append(heading(f"{title}: cluster {number}, {len(members)} of {len(assignment)} images"))
        parts.append(montage(members, WHITE, grid_shape=(-(-len(members) // COLUMNS), COLUMNS), channel_axis=-1))
    return Image.fromarray(np.concatenate(parts))


def named_thumbnail(name: str, image: Image.Image) -> npt.NDArray[np.uint8]:
    """Draws a small copy of an image over its name."""
    small = ImageOps.contain(image, (CELL_WIDTH - 8, CELL_WIDTH))
    cell = Image.new("RGB", (CELL_WIDTH, small.height + LINE_HEIGHT), WHITE)
    cell.paste(small, (4, 0))
    ImageDraw.Draw(cell).text((4, small.height), show_name(name, "utf-8")[:28], "black", font_size=13)
    return np.asarray(cell)


def heading(text: str) -> npt.NDArray[np.uint8]:
    """Draws a line of text as wide as a contact sheet."""
    line = Image.new("RGB", (COLUMNS * CELL_WIDTH, 2 * LINE_HEIGHT), WHITE)
    ImageDraw.Draw(line).text((4, LINE_HEIGHT // 2), text, "black", font_size=18)
    return np.asarray(line)


def write_results(dataset: Dataset, similarity: Matrix, assignment: Assignment, title: str, stem: Path) -> None:
    """Writes STEM_matrix.png, STEM_clusters.png and STEM.json."""
    heat_map(dataset.images, similarity, assignment, title).savefig(f"{stem}_matrix.png", dpi=100)
    contact_sheet(dataset, assignment, title).save(f"{stem}_clusters.png")
    named = dict(zip(dataset.names, assignment.tolist(), strict=True))
    Path(f"{stem}.json").write_text(json.dumps(named, indent=1))
