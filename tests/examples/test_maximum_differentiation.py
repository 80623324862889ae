"""Pictures that one metric tells apart and another does not."""

import numpy as np
import pytest
from marks import slow

for name in ("matplotlib", "skimage", "tyro"):
    pytest.importorskip(name)

from examples import maximum_differentiation

pytestmark = slow


def test_each_metric_moves_while_the_other_stays_equal():
    picture = maximum_differentiation.load(None)[100:164, 60:124]
    found = maximum_differentiation.compete(picture, 0.08, ("ssim", "mse"), steps=60, rate=0.01, seed=0)
    start = found.pop("start")[1]
    assert list(found) == [
        "best ssim, equal mse",
        "worst ssim, equal mse",
        "best mse, equal ssim",
        "worst mse, equal ssim",
    ]
    for title, (image, distances) in found.items():
        moved, held = title.split()[1].rstrip(","), title.split()[3]
        np.testing.assert_allclose(distances[held], start[held], rtol=1e-3)
        assert image.min() >= 0
        assert image.max() <= 1
        if title.startswith("best"):
            assert distances[moved] < 0.5 * start[moved]
        else:
            assert distances[moved] > 1.2 * start[moved]
        own = np.mean((picture.astype(float) - image) ** 2)
        np.testing.assert_allclose(distances["mse"], own, rtol=1e-5)


def test_a_picture_from_which_no_metric_has_a_slope_stays():
    picture = maximum_differentiation.load(None)[100:116, 60:76]
    image, *distances = maximum_differentiation.search(
        picture, picture, np.float32(0.01), moved="ssim", held="mse", steps=3
    )
    np.testing.assert_array_equal(image, picture)
    assert distances == [0, 0]


def test_the_program_writes_a_figure(tmp_path, capsys):
    maximum_differentiation.main(output=tmp_path / "figure.png", steps=2)
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert "worst mse, equal ssim" in capsys.readouterr().out
