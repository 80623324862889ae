"""`jaxssim cluster`: clusters pictures by MSE, SSIM, MS-SSIM and CW-SSIM, after O. Puzanov's program imgcluster."""

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from jaxssim._cli.clusters.clustering import cluster, compare, score
from jaxssim._cli.clusters.datasets import Dataset, load_folder, variants_of_photographs
from jaxssim._cli.clusters.figures import write_results
from jaxssim._cli.console import open_console, say
from jaxssim._cli.options import Cluster
from jaxssim._pictures import show_name

SCORE_NAMES = ("silhou-\nette", "homo-\ngeneity", "complete-\nness", "V-\nmeasure")


def load_dataset(options: Cluster, console: Console) -> Dataset:
    """Reads the images that the options name, or the default ones."""
    if options.folder is None and options.labels is not None:
        raise SystemExit(
            f"--labels {show_name(options.labels)} needs the folder of the images that it names; pass FOLDER too"
        )
    if min(options.size) < 16:
        raise SystemExit(f"--size needs a width and a height of at least 16, got {options.size}; pass --size 640 480")
    if options.folder is None:
        return variants_of_photographs(options.size, options.seed)
    return load_folder(options.folder, options.size, options.data_range, options.labels, console)


def choose_count(dataset: Dataset, clusters: int | None) -> int | None:
    """Returns the number of clusters that the user or the true labels give, or None if neither does."""
    count = clusters or (len(set(dataset.labels)) if dataset.labels else None)
    images = len(dataset.names)
    if count is not None and not 2 <= count < images:
        raise SystemExit(f"cannot form {count} clusters of {images} images; pass --clusters with 2 to {images - 1}")
    return count


def main(options: Cluster) -> int:
    """Clusters the images by each metric and each method, prints scores, writes pictures; returns the exit status."""
    console = open_console()
    dataset = load_dataset(options, console)
    count = choose_count(dataset, options.clusters)
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
    return 0
