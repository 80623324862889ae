"""The pictures of a run: curves of training and test, and reconstructions beside SSIM maps with their scores."""

import types

import numpy as np
import pytest

for name in ("flax", "grain", "matplotlib", "optax", "orbax.checkpoint", "rich", "skimage", "tensorboardX", "tyro"):
    pytest.importorskip(name)

from matplotlib.figure import Figure

import jaxssim
from examples.autoencoder import comparison, report

SIZE = 40


@pytest.fixture
def drawn(monkeypatch):
    """The figures that would be saved."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **options: figures.append(figure))
    return figures


def pair():
    """Returns a picture and a darker one, (height, width, 3)."""
    picture = np.random.default_rng(0).random((SIZE, 2 * SIZE, 3), np.float32)
    return picture, 0.8 * picture


def bars(axes):
    return [child for child in axes.child_axes if child.get_ylim() == (0, 1)]


def test_a_comparison_shows_the_scores_and_a_colour_bar(tmp_path, drawn):
    x, y = pair()
    ssim_map = np.asarray(jaxssim.ssim_map(x, y, data_range=1.0).mean(-1))
    comparison.draw_comparison(x, y, ssim_map, (0.91234, 21.5, 0.00712), "a $x_1$ [b]", tmp_path / "x.png")
    (figure,) = drawn
    assert [axes.get_title() for axes in figure.axes] == [
        "a $x_1$ [b]",
        "reconstruction, PSNR 21.50 dB, MSE 0.00712",
        "SSIM map, mean 0.9123",
    ]
    assert [len(bars(axes)) for axes in figure.axes] == [0, 0, 1]
    shown = figure.axes[2].images[0].get_array()
    assert shown.shape == x.shape[:2]  # each value lies where its window's centre lies in the picture
    np.testing.assert_array_equal(shown[5:-5, 5:-5], ssim_map.clip(0, 1))
    assert np.ma.getmaskarray(shown).sum() == x[..., 0].size - ssim_map.size


def test_a_comparison_of_a_picture_without_ssim_has_no_map(tmp_path, drawn):
    x, y = (each[:8] for each in pair())
    comparison.draw_comparison(x, y, None, (np.nan, 21.5, 0.00712), "small", tmp_path / "x.png")
    assert len(drawn[0].axes) == 2


def test_the_curves_show_training_and_test(tmp_path, drawn):
    history = [
        {"step": step, "loss": loss, "test_loss": loss / 2, "ssim": 1 - loss, "psnr": 30 + step}
        for step, loss in ((1, 0.9), (100, 0.4), (200, 0.3))
    ]
    report.draw_curves(types.SimpleNamespace(history=history), tmp_path / "curves.png")
    losses, ssim, psnr = drawn[0].axes
    training, test = losses.lines
    np.testing.assert_array_equal(training.get_xydata(), [(51, 0.4), (150.5, 0.3)])  # not the loss of one batch
    np.testing.assert_array_equal(test.get_xydata(), [(1, 0.45), (100, 0.2), (200, 0.15)])
    np.testing.assert_array_equal(ssim.lines[0].get_ydata(), [1 - 0.9, 1 - 0.4, 1 - 0.3])
    np.testing.assert_array_equal(psnr.lines[0].get_ydata(), [31, 130, 230])


def test_reconstructions_stand_above_their_maps_and_scores(tmp_path, drawn, monkeypatch):
    x, y = (np.stack([each[:, :SIZE], each[:, SIZE:]]) for each in pair())
    monkeypatch.setattr(report, "reconstruct", lambda network, chosen: (x, y))
    patches = np.rint(255 * x).astype(np.uint8)
    report.draw_reconstructions({"one": None, "two": None}, patches, tmp_path / "x.png")
    rows = drawn[0].axes
    assert [axes.get_ylabel() for axes in rows] == ["original", "one", "SSIM map", "two", "SSIM map"]
    assert [len(bars(axes)) for axes in rows] == [0, 0, 1, 0, 1]
    labels = [text.get_text() for text in rows[2].get_xticklabels()]
    ssim, psnr = (np.asarray(metric(x, y, data_range=1.0)) for metric in (jaxssim.ssim, jaxssim.psnr))
    assert labels == [f"{s:.3f}, {p:.1f} dB" for s, p in zip(ssim, psnr, strict=True)]
    assert len({axes.images[0].get_array().shape for axes in rows}) == 1  # columns are aligned


def test_the_crops_of_losses_are_the_most_detailed_ones(tmp_path, drawn):
    patches = np.full((4, 192, 192, 3), 128, np.uint8)
    detail = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    patches[1, 48:144, 96:] = detail
    halves, wholes = (np.float32(patches / white) for white in (510, 255))
    report.draw_losses(patches, {"mse": halves, "ssim": wholes}, tmp_path / "losses.png")
    rows = np.reshape(drawn[0].axes, (3, 3))  # the four patches in three parts, the first of two patches
    psnr = float(jaxssim.psnr(np.float32(detail / 255), np.float32(detail / 510), data_range=1.0))
    titles = [axes.get_title() for axes in rows[0]]
    assert titles[0] == "original\n"
    assert titles[1].startswith("MSE\n0.")
    assert titles[1].endswith(f", {psnr:.1f} dB")
    assert titles[2] == "1 - SSIM\n1.000, inf dB"
    for axes, scale in zip(rows[0], (1, 0.5, 1), strict=True):
        np.testing.assert_allclose(axes.images[0].get_array(), scale * detail / 255, rtol=1e-6)
