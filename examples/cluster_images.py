"""Group images by how alike they look, which is what O. Puzanov's imgcluster does, by four similarities at once.

`jaxssim.pairwise` compares every image with every other; scikit-learn clusters what it gives, by spectral clustering
and by affinity propagation, and scores the clusters against the true groups where these are known.
"""

import json
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import tyro
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from rich import box, print
from rich.table import Table
from skimage import data
from sklearn.cluster import AffinityPropagation, SpectralClustering
from sklearn.metrics import homogeneity_completeness_v_measure, silhouette_score

import jaxssim

Metric = Literal["mse", "ssim", "ms_ssim", "cw_ssim"]
Matrix = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer[Any]]

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what pillow raises
PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "moon", "rocket")
SCORES = ("silhou-\nette", "homo-\ngeneity", "complete-\nness", "V-\nmeasure")
COLUMNS = 7  # thumbnails in a row of a contact sheet


class Album(NamedTuple):
    """Pictures of one size in RGB, by name, with their true groups where these are known."""

    names: list[str]
    pictures: list[Image.Image]
    groups: list[int] | None


class Comparison(NamedTuple):
    """One metric of all pairs, in the three forms that scikit-learn asks for."""

    similarity: Matrix  # as it comes, errors with their sign turned: for affinity propagation
    affinity: Matrix  # positive, the weights of a graph: for spectral clustering
    distance: Matrix  # 0 for a picture and itself: for the silhouette
    seconds: float


def photographs(size: tuple[int, int], seed: int) -> Album:
    """Photographs that ship inside scikit-image, each in seven versions that anyone takes for the same picture."""
    rng = np.random.default_rng(seed)
    album: dict[str, tuple[int, Image.Image]] = {}
    for group, name in enumerate(PHOTOGRAPHS):
        photograph = Image.fromarray(getattr(data, name)()).convert("RGB")
        album |= {f"{name}-{version}": (group, seen) for version, seen in versions(photograph, size, rng).items()}
    groups, pictures = map(list, zip(*album.values(), strict=True))
    return Album(list(album), pictures, groups)


def versions(photograph: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> dict[str, Image.Image]:
    """The middle of a photograph, and what a moved or unsteady hand and another camera make of it."""
    wide = photograph.resize((size[0] * 5 // 4, size[1] * 5 // 4))  # the margin keeps the frame filled
    step = round(0.02 * size[1])

    def seen(angle: float = 0, shift: tuple[int, int] = (0, 0)) -> Image.Image:
        return ImageOps.fit(wide.rotate(angle, Image.Resampling.BICUBIC, translate=shift), size, bleed=0.1)

    noise = rng.normal(0, 15, (size[1], size[0], 1))
    return {
        "itself": (itself := seen()),
        "right": seen(shift=(step, 0)),
        "up": seen(shift=(0, -step)),
        "turned": seen(angle=3),
        "noisy": Image.fromarray((np.asarray(itself) + noise).clip(0, 255).astype(np.uint8)),
        "bright": ImageEnhance.Brightness(itself).enhance(1.5),
        "flat": ImageEnhance.Contrast(itself).enhance(0.5),
    }


def from_folder(folder: Path, labels: Path | None, size: tuple[int, int]) -> Album:
    """The images of a folder, not of those in it, all resized."""
    if not folder.is_dir():
        raise SystemExit(f"{folder} is not a folder; pass one that holds images")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if len(paths) < 3:
        kinds = ", ".join(sorted(SUFFIXES))
        raise SystemExit(f"{folder} holds {len(paths)} images ({kinds}); pass a folder with at least 3")
    names = [path.name for path in paths]
    groups = None if labels is None else read_groups(labels, names)
    return Album(names, [read(path, size) for path in paths], groups)


def read(path: Path, size: tuple[int, int]) -> Image.Image:
    """An image file as RGB, upright and resized; Lanczos averages over all that falls on a pixel."""
    try:
        with Image.open(path) as opened:
            image: Image.Image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I;16"):
                image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
            return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    except UNREADABLE as error:
        raise SystemExit(f"cannot read {path} as a picture: {error}; mend it or take it out of the folder") from error


def read_groups(path: Path, names: list[str]) -> list[int]:
    """The group of each image from a JSON file that names all of them, and nothing else."""
    try:
        groups = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"cannot read the labels {path}: {error}") from error
    if not isinstance(groups, dict) or not all(type(group) is int for group in groups.values()):
        raise SystemExit(f'{path} must hold one object of file names and group numbers, as {{"{names[0]}": 0, ...}}')
    for problem, wrong in (("does not name", set(names) - set(groups)), ("names unknown", set(groups) - set(names))):
        if wrong:
            raise SystemExit(f"{path} {problem} {', '.join(sorted(wrong))}; it must name each image of the folder")
    return [groups[name] for name in names]


def compare(pictures: list[Image.Image], metric: Metric, color: bool) -> Comparison:
    """Every pair of pictures by one metric, timed as a user meets it: compilation included."""
    images = np.stack([np.atleast_3d(np.asarray(p if color else p.convert("L"))) for p in pictures])
    start = time.perf_counter()
    try:
        matrix = np.asarray(jaxssim.pairwise(images, metric=metric), np.float64)
    except ValueError as error:
        raise SystemExit(f"{metric}: {error}") from error
    seconds = time.perf_counter() - start
    if metric != "mse":
        return Comparison(matrix, np.maximum(matrix, 1e-6), 1 - matrix, seconds)
    # The error is a squared distance: a Gaussian kernel, as wide as the median pair, makes it an affinity.
    scale = np.median(matrix[np.triu_indices(len(matrix), 1)]) or 1
    return Comparison(-matrix, np.exp(-matrix / scale), np.sqrt(matrix), seconds)


def cluster(found: Comparison, count: int | None, seed: int) -> dict[str, Labels]:
    """A cluster number for each image, by both clusterings; without a count, affinity propagation's own serves both."""
    affinity = AffinityPropagation(affinity="precomputed", random_state=seed).fit_predict(found.similarity)
    count = count or min(max(2, len(np.unique(affinity))), len(affinity) - 1)
    # A hundred starts of k-means, not ten, so that what it finds does not hang on the seed.
    spectral = SpectralClustering(count, affinity="precomputed", n_init=100, random_state=seed)
    return {"spectral": spectral.fit_predict(found.affinity), "affinity": affinity}


def scores(labels: Labels, distance: Matrix, groups: list[int] | None) -> list[float | None]:
    """Silhouette, homogeneity, completeness and V-measure, None for what cannot be told."""
    tells = 1 < len(np.unique(labels)) < len(labels)
    silhouette = silhouette_score(distance, labels, metric="precomputed") if tells else None
    return [silhouette, *(homogeneity_completeness_v_measure(groups, labels) if groups else (None,) * 3)]


def heat_map(album: Album, similarity: Matrix, labels: Labels, title: str) -> Figure:
    """All similarities in the order of the clusters, between lines, with thumbnails along the axes."""
    order, n = np.argsort(labels, kind="stable"), len(labels)
    low, high = np.percentile(similarity[~np.eye(n, dtype=bool)], (1, 99))  # what a picture is to itself says nothing
    cell = 0.88 / (n + 1)
    figure = Figure(figsize=(10, 10))
    axes = figure.add_axes((0.02 + cell, 0.02, n * cell, n * cell), xticks=(), yticks=())
    drawn = axes.imshow(similarity[np.ix_(order, order)], vmin=low, vmax=high, cmap="magma")
    for edge in np.flatnonzero(np.diff(labels[order])) + 0.5:
        axes.axhline(edge, color="white", linewidth=1)
        axes.axvline(edge, color="white", linewidth=1)
    tiles = [np.asarray(ImageOps.fit(album.pictures[i], (48, 48))) for i in order]
    for bounds, axis in (((-1 / n, 0, 1 / n, 1), 0), ((0, 1, 1, 1 / n), 1)):
        axes.inset_axes(bounds, xticks=(), yticks=()).imshow(np.concatenate(tiles, axis))
    figure.colorbar(drawn, cax=axes.inset_axes((1.02, 0, 0.02, 1)), extend="both")
    figure.suptitle(title, y=0.95)
    return figure


def contact_sheet(album: Album, labels: Labels, title: str) -> Image.Image:
    """Thumbnails with their names, cluster after cluster, each in rows of its own."""
    width, line = 200, 24
    thumbnails = [ImageOps.contain(picture, (width - 8, width)) for picture in album.pictures]
    height = thumbnails[0].height + line
    clusters = [np.flatnonzero(labels == number) for number in np.unique(labels)]
    rows = sum(-(-len(members) // COLUMNS) for members in clusters)
    sheet = Image.new("RGB", (COLUMNS * width, rows * height + len(clusters) * 2 * line), "white")
    draw, top = ImageDraw.Draw(sheet), 0
    for number, members in enumerate(clusters):
        heading = f"{title}: cluster {number}, {len(members)} of {len(labels)} images"
        draw.text((4, top + line // 2), heading, "black", font_size=18)
        top += 2 * line
        for k, member in enumerate(members):
            corner = (k % COLUMNS * width + 4, top + k // COLUMNS * height)
            sheet.paste(thumbnails[member], corner)
            draw.text((corner[0], corner[1] + height - line), album.names[member][:28], "black", font_size=13)
        top += -(-len(members) // COLUMNS) * height
    return sheet


def main(
    folder: tyro.conf.Positional[Path | None] = None,
    labels: Path | None = None,
    metrics: tuple[Metric, ...] = ("mse", "ssim", "ms_ssim", "cw_ssim"),
    clusters: int | None = None,
    size: tuple[int, int] = (640, 480),
    color: bool = False,
    seed: int = 0,
    output: Path = Path("runs/cluster_images"),
) -> None:
    """Cluster a folder of images by their similarity, and score the clusters where the true groups are known.

    Args:
        folder: of at least 3 images; by default six photographs of scikit-image, each in seven versions.
        labels: a JSON file of the true groups, from each file name to a number.
        metrics: one or several similarities to cluster by.
        clusters: of spectral clustering; by default as many as true groups, or as affinity propagation finds.
        size: width and height that every image gets.
        color: compare in colour; by default in grey.
        seed: of the clusterings, and of the noise in the default photographs.
        output: a folder for heat maps, contact sheets and clusters, the last in the format of the labels.
    """
    if folder is None and labels is not None:
        raise SystemExit(f"{labels} needs the folder whose images it names; pass that too")
    if min(size) < 16:
        raise SystemExit(f"--size must be a width and a height of at least 16, got {size}; pass --size 640 480")
    album = photographs(size, seed) if folder is None else from_folder(folder, labels, size)
    count = clusters or (len(set(album.groups)) if album.groups else None)
    if count is not None and not 2 <= count < len(album.names):
        raise SystemExit(f"{count} clusters of {len(album.names)} images: pass --clusters, 2 to {len(album.names) - 1}")
    print(f"{len(album.names)} images of {size[0]}x{size[1]}")
    output.mkdir(parents=True, exist_ok=True)
    table = Table("metric", "method", "clusters", *SCORES, "seconds", box=box.SIMPLE_HEAD, collapse_padding=True)
    for metric in metrics:
        found = compare(album.pictures, metric, color)
        for name, numbers in cluster(found, count, seed).items():
            values = scores(numbers, found.distance, album.groups)
            cells = ("-" if value is None else f"{value:.3f}" for value in values)
            table.add_row(metric, name, str(len(np.unique(numbers))), *cells, f"{found.seconds:.2f}")
            title, path = f"{metric}, {name}", str(output / f"{metric}_{name}")
            heat_map(album, found.similarity, numbers, title).savefig(f"{path}_matrix.png", dpi=100)
            contact_sheet(album, numbers, title).save(f"{path}_clusters.png")
            named = dict(zip(album.names, numbers.tolist(), strict=True))
            Path(f"{path}.json").write_text(json.dumps(named, indent=1))
    print(table, f"Heat maps, contact sheets and clusters: {output}")


if __name__ == "__main__":
    tyro.cli(main)
