"""Clusters images by four similarities: MSE, SSIM, MS-SSIM and CW-SSIM, after O. Puzanov's program imgcluster.

`jaxssim.pairwise` compares every image with every other. scikit-learn clusters the images by spectral clustering and by
affinity propagation, and scores the clusters against the true labels where these are known.

    python -m examples.cluster_images [FOLDER] [--labels LABELS.json] [--output runs/cluster_images]
"""

import dataclasses
import json
import time
from collections.abc import Set
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import tyro
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from rich import box
from rich.table import Table
from skimage import data
from skimage.util import montage
from sklearn.cluster import AffinityPropagation, SpectralClustering
from sklearn.metrics import homogeneity_completeness_v_measure, silhouette_score

import jaxssim
from jaxssim._cli.console import open_console, print_report, say
from jaxssim._pictures import SUFFIXES, Report, Unreadable, list_pictures, read, show_name, to_rgb, to_uint8

Metric = Literal["mse", "ssim", "ms_ssim", "cw_ssim"]
Matrix = npt.NDArray[np.float64]
Assignment = npt.NDArray[np.integer[Any]]  # the cluster number of each image

PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "moon", "rocket")
SCORE_NAMES = ("silhou-\nette", "homo-\ngeneity", "complete-\nness", "V-\nmeasure")
COLUMNS = 7  # thumbnails in a row of a contact sheet
CELL_WIDTH, LINE_HEIGHT = 200, 24  # of a contact sheet, in pixels
WHITE = (255, 255, 255)


@dataclasses.dataclass(frozen=True)
class Options:
    """Cluster a folder of images by their similarity, and score the clusters where the true labels are known."""

    folder: tyro.conf.Positional[Path | None] = None
    """A folder of at least 3 images; by default six photographs of scikit-image, each in seven variants."""
    labels: Path | None = None
    """A JSON file that maps each file name to the number of its true group."""
    metrics: tuple[Metric, ...] = ("mse", "ssim", "ms_ssim", "cw_ssim")
    """The similarities to cluster by."""
    clusters: int | None = None
    """The number of clusters for spectral clustering; by default the number of true groups, or else the number that
    affinity propagation finds."""
    size: tuple[int, int] = (640, 480)
    """The width and height to which every image is resized."""
    data_range: float | None = None
    """The value of white in images of 16 bits or floats, where the file does not say it for certain."""
    color: bool = False
    """Compare the images in colour; by default in grey."""
    seed: int = 0
    """The seed of the clustering, and of the noise in the default photographs."""
    output: Path = Path("runs/cluster_images")
    """The folder for heat maps, contact sheets and clusters; the clusters have the format of LABELS."""


class Dataset(NamedTuple):
    """Named RGB images of one size, with their true labels where these are known."""

    names: list[str]
    images: list[Image.Image]
    labels: list[int] | None


class Comparison(NamedTuple):
    """One metric of all pairs of images, in the three forms that scikit-learn needs."""

    similarity: Matrix  # the metric itself, the MSE negated: for affinity propagation
    affinity: Matrix  # positive edge weights of a graph: for spectral clustering
    distance: Matrix  # 0 between an image and itself: for the silhouette score
    seconds: float


def variants_of_photographs(size: tuple[int, int], seed: int) -> Dataset:
    """Returns six photographs that ship with scikit-image, each in seven variants; the photograph is the label."""
    rng = np.random.default_rng(seed)
    names, images, labels = [], [], []
    for label, photograph in enumerate(PHOTOGRAPHS):
        image = Image.fromarray(getattr(data, photograph)()).convert("RGB")
        for variant, changed in variants(image, size, rng).items():
            names.append(f"{photograph}-{variant}")
            images.append(changed)
            labels.append(label)
    return Dataset(names, images, labels)


def variants(image: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> dict[str, Image.Image]:
    """Returns the middle of an image, and the same shifted, rotated, noisy, brighter and with less contrast."""
    enlarged = image.resize((size[0] * 5 // 4, size[1] * 5 // 4))  # the margin fills the frame after shift and rotation
    shift = round(0.02 * size[1])

    def frame(angle: float = 0, translate: tuple[int, int] = (0, 0)) -> Image.Image:
        moved = enlarged.rotate(angle, Image.Resampling.BICUBIC, translate=translate)
        return ImageOps.fit(moved, size, bleed=0.1)

    noise = rng.normal(0, 15, (size[1], size[0], 1))
    original = frame()
    return {
        "original": original,
        "right": frame(translate=(shift, 0)),
        "up": frame(translate=(0, -shift)),
        "rotated": frame(angle=3),
        "noisy": Image.fromarray((np.asarray(original) + noise).clip(0, 255).astype(np.uint8)),
        "bright": ImageEnhance.Brightness(original).enhance(1.5),
        "flat": ImageEnhance.Contrast(original).enhance(0.5),
    }


def load_folder(options: Options) -> Dataset:
    """Reads the images of the folder, without its subfolders, and resizes them; prints what was left out."""
    folder = options.folder
    if folder is None or not folder.is_dir():
        raise SystemExit(f"{show_name(folder or '')} is not a folder; pass a folder of images")
    files, unreadable = list_pictures(folder, subfolders=False)
    names, images, report = [], [], Report(unreadable)
    for path in files:
        try:
            picture = read(path, data_range=options.data_range)
        except Unreadable as error:
            report.unreadable.append(error)
            continue
        report.add(path, picture.notes)
        names.append(path.name)
        pixels = np.ascontiguousarray(to_rgb(to_uint8(picture.pixels, picture.data_range)))
        images.append(Image.fromarray(pixels).resize(options.size, Image.Resampling.LANCZOS))
    print_report(report, open_console())
    if len(images) < 3:
        found = f"{len(images)} images and {len(report.unreadable)} unreadable ones ({', '.join(SUFFIXES)})"
        raise SystemExit(f"{show_name(folder)} holds {found}; pass a folder of at least 3")
    closed = {one.path.name for one in report.unreadable}
    return Dataset(names, images, None if options.labels is None else read_labels(options.labels, names, closed))


def read_labels(path: Path, names: list[str], unreadable: Set[str]) -> list[int]:
    """Returns the label of each image from a JSON file, which must name these images; unreadable ones may be named."""
    try:
        labels = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"cannot read the labels {show_name(path)}: {error}") from error
    if not isinstance(labels, dict) or not all(type(label) is int for label in labels.values()):
        example = f'{{"{show_name(names[0])}": 0, ...}}'
        raise SystemExit(f"{show_name(path)} must hold one object that maps file names to integers: {example}")
    if missing := show_names(set(names) - set(labels)):
        raise SystemExit(f"{show_name(path)} has no label for {missing}; add one for each image of the folder")
    if unknown := show_names(set(labels) - set(names) - unreadable):
        raise SystemExit(f"{show_name(path)} has labels for {unknown}, which the folder lacks; remove them")
    return [labels[name] for name in names]


def show_names(names: Set[str]) -> str:
    """Returns names in order, separated by commas."""
    return ", ".join(map(show_name, sorted(names)))


def compare(images: list[Image.Image], metric: Metric, color: bool) -> Comparison:
    """Compares every pair of images by one metric; the time includes compilation."""
    arrays = np.stack([np.atleast_3d(np.asarray(image if color else image.convert("L"))) for image in images])
    start = time.perf_counter()
    try:
        values = np.asarray(jaxssim.pairwise(arrays, metric=metric), np.float64)
    except ValueError as error:
        raise SystemExit(f"{metric}: {error}") from error
    seconds = time.perf_counter() - start
    if metric != "mse":
        return Comparison(values, np.maximum(values, 1e-6), 1 - values, seconds)
    # The MSE is a squared distance. A Gaussian kernel turns it into an affinity, which is 1/e for the median pair.
    scale = np.median(values[np.triu_indices(len(values), 1)]) or 1
    return Comparison(-values, np.exp(-values / scale), np.sqrt(values), seconds)


def cluster(comparison: Comparison, count: int | None, seed: int) -> dict[str, Assignment]:
    """Clusters the images by both methods.

    Affinity propagation finds a number of clusters of its own. Spectral clustering uses `count`, or that number if
    `count` is None.
    """
    affinity = AffinityPropagation(affinity="precomputed", random_state=seed).fit_predict(comparison.similarity)
    count = count or min(max(2, len(np.unique(affinity))), len(affinity) - 1)
    # With scikit-learn's default of 10 starts of k-means, the clusters depend on the seed.
    spectral = SpectralClustering(count, affinity="precomputed", n_init=100, random_state=seed)
    return {"spectral": spectral.fit_predict(comparison.affinity), "affinity": affinity}


def score(assignment: Assignment, distance: Matrix, labels: list[int] | None) -> list[float | None]:
    """Returns silhouette, homogeneity, completeness and V-measure; None where a score is not defined."""
    has_silhouette = 1 < len(np.unique(assignment)) < len(assignment)
    silhouette = silhouette_score(distance, assignment, metric="precomputed") if has_silhouette else None
    return [silhouette, *(homogeneity_completeness_v_measure(labels, assignment) if labels else (None,) * 3)]


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


def load_dataset(options: Options) -> Dataset:
    """Reads the images that the options name, or the default ones."""
    if options.folder is None and options.labels is not None:
        raise SystemExit(f"--labels {options.labels} needs the folder of the images that it names; pass FOLDER too")
    if min(options.size) < 16:
        raise SystemExit(f"--size needs a width and a height of at least 16, got {options.size}; pass --size 640 480")
    if options.folder is None:
        return variants_of_photographs(options.size, options.seed)
    return load_folder(options)


def choose_count(dataset: Dataset, clusters: int | None) -> int | None:
    """Returns the number of clusters that the user or the true labels give, or None if neither does."""
    count = clusters or (len(set(dataset.labels)) if dataset.labels else None)
    images = len(dataset.names)
    if count is not None and not 2 <= count < images:
        raise SystemExit(f"cannot form {count} clusters of {images} images; pass --clusters with 2 to {images - 1}")
    return count


def write_results(dataset: Dataset, similarity: Matrix, assignment: Assignment, title: str, stem: Path) -> None:
    """Writes STEM_matrix.png, STEM_clusters.png and STEM.json."""
    heat_map(dataset.images, similarity, assignment, title).savefig(f"{stem}_matrix.png", dpi=100)
    contact_sheet(dataset, assignment, title).save(f"{stem}_clusters.png")
    named = dict(zip(dataset.names, assignment.tolist(), strict=True))
    Path(f"{stem}.json").write_text(json.dumps(named, indent=1))


def main(options: Options) -> None:
    """Clusters the images by each metric and each method; prints a table of scores and writes pictures."""
    dataset = load_dataset(options)
    count = choose_count(dataset, options.clusters)
    console = open_console()
    say(console, f"{len(dataset.names)} images of {options.size[0]}x{options.size[1]}")
    options.output.mkdir(parents=True, exist_ok=True)
    table = Table("metric", "method", "clusters", *SCORE_NAMES, "seconds", box=box.SIMPLE_HEAD, collapse_padding=True)
    for metric in options.metrics:
        comparison = compare(dataset.images, metric, options.color)
        for method, assignment in cluster(comparison, count, options.seed).items():
            scores = score(assignment, comparison.distance, dataset.labels)
            cells = ("-" if value is None else f"{value:.3f}" for value in scores)
            table.add_row(metric, method, str(len(np.unique(assignment))), *cells, f"{comparison.seconds:.2f}")
            stem = options.output / f"{metric}_{method}"
            write_results(dataset, comparison.similarity, assignment, f"{metric}, {method}", stem)
    console.print(table)
    say(console, f"Heat maps, contact sheets and clusters: {options.output}")


if __name__ == "__main__":
    main(tyro.cli(Options))
