"""Tests the pictures of clusters: contact sheets and heat maps."""

import numpy as np
import pytest

for name in ("matplotlib", "rich", "skimage", "sklearn", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

from jaxssim._cli.clusters import figures
from jaxssim._cli.clusters.datasets import Dataset


def test_a_contact_sheet_shows_each_cluster_in_rows_of_its_own():
    red, blue = (255, 0, 0), (0, 0, 255)
    assignment = np.array([4, 1, *[4] * 8])
    images = [Image.new("RGB", (64, 48), blue if number == 1 else red) for number in assignment]
    sheet = np.asarray(figures.contact_sheet(Dataset(list("abcdefghij"), images, None), assignment, "title"))
    reds, blues = (np.argwhere((sheet == color).all(-1)) for color in (red, blue))
    assert blues[:, 0].max() < reds[:, 0].min()
    assert len(reds) == 9 * len(blues)
    assert len(blues) == 192 * 144
    starts = np.flatnonzero(np.diff((sheet == red).all(-1).any(1).astype(int)) == 1)
    assert len(starts) == -(-9 // figures.COLUMNS)


def test_a_heat_map_is_sorted_by_cluster():
    """Each cluster is a block on the diagonal, and the thumbnails along both axes have the same order."""
    assignment = np.array([1, 0] * 6)
    images = [Image.new("RGB", (64, 48), (20 * k, 0, 0)) for k in range(12)]
    similarity = np.equal.outer(assignment, assignment) + np.linspace(0, 0.1, 12)
    axes = figures.heat_map(images, similarity, assignment, "title").axes[0]
    drawn = np.asarray(axes.images[0].get_array())
    np.testing.assert_array_equal(np.round(drawn), np.kron(np.eye(2), np.ones((6, 6))))
    assert [line.get_ydata()[0] for line in axes.lines[::2]] == [5.5]
    left, above = (np.asarray(inset.images[0].get_array()) for inset in axes.child_axes[:2])
    assert (left.shape, above.shape) == ((12 * 48, 48, 3), (48, 12 * 48, 3))
    for strip in (above, left.swapaxes(0, 1)):
        np.testing.assert_array_equal(strip[24, 24::48, 0], 20 * np.argsort(assignment, kind="stable"))
