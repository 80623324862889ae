"""Compares all pairs of pictures, clusters the pictures by two methods, and scores the clusters."""

import time
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.cluster import AffinityPropagation, SpectralClustering
from sklearn.metrics import homogeneity_completeness_v_measure, silhouette_score

import jaxssim
from jaxssim._cli.options import Similarity

Matrix = npt.NDArray[np.float64]
Assignment = npt.NDArray[np.integer[Any]]  # the cluster number of each image


class Comparison(NamedTuple):
    """One metric of all pairs of images, in the three forms that scikit-learn needs."""

    similarity: Matrix  # the metric itself, the MSE negated: for affinity propagation
    affinity: Matrix  # positive edge weights of a graph: for spectral clustering
    distance: Matrix  # 0 between an image and itself: for the silhouette score
    seconds: float


def compare(images: list[Image.Image], metric: Similarity, color: bool) -> Comparison:
    """Compares every pair of images by one metric; the time includes compilation."""
    arrays = np.stack([np.atleast_3d(np.asarray(image if color else image.convert("L"))) for image in images])
    start = time.perf_counter()
    try:
        values = np.asarray(jaxssim.pairwise(arrays, metric=metric.replace("-", "_")), np.float64)
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
