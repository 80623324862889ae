"""A training that is stuck in flat grey or has diverged is noticed, a healthy one is not."""

import numpy as np
import pytest

pytest.importorskip("skimage")

from skimage import data, filters

from examples.stuck import Watch, structure, verdict


def crops():
    """Crops of a photograph and of a texture."""
    pictures = (data.camera()[100:164, 200:264], data.brick()[:64, :64])
    return np.stack(pictures)[..., None].astype(np.float32) / 255


def flat(x):
    return np.broadcast_to(x.mean((1, 2, 3), keepdims=True), x.shape)


def block_means(x):
    """The means of blocks of 8x8 pixels: all of the brightness and no structure."""
    means = x.reshape(len(x), 8, 8, 8, 8, 1).mean((2, 4))
    return means.repeat(8, 1).repeat(8, 2)


def blurred(x):
    return np.stack([filters.gaussian(each, 2, channel_axis=-1) for each in x])


def noisy(x, sigma):
    return x + sigma * np.random.default_rng(0).standard_normal(x.shape)


@pytest.mark.parametrize(
    ("reconstruct", "expected"),
    [
        (lambda x: x, "healthy"),
        (blurred, "healthy"),
        (lambda x: 0.3 * x + 0.5, "healthy"),
        (lambda x: noisy(x, 0.1), "healthy"),
        (flat, "stuck"),
        (block_means, "stuck"),
        (lambda x: np.zeros_like(x), "stuck"),
        (lambda x: noisy(flat(x), 0.02), "stuck"),
        (lambda x: 1 - x, "stuck"),
        (lambda x: 10 * x, "diverged"),
        (lambda x: noisy(x, 10), "diverged"),
        (lambda x: x * np.nan, "diverged"),
        (lambda x: np.where(x > 0.5, np.inf, x), "diverged"),
    ],
)
def test_verdict(reconstruct, expected):
    x = crops()
    assert verdict(x, reconstruct(x)) == expected


@pytest.mark.parametrize("picture", [np.full((2, 16, 16, 1), 0.3), np.linspace(0, 0.25, 256)[None, :, None, None]])
def test_pictures_without_structure_are_no_failure(picture):
    picture = np.broadcast_to(picture, (len(picture), picture.shape[1], 16, 1))
    picture = noisy(picture, 0.5 / 255)
    assert verdict(picture, flat(picture)) == "healthy"


def test_structure_is_the_slope_of_regression_within_windows():
    x = crops()
    for slope in (1.0, 0.25, 0.0, -0.5):
        assert structure(x, slope * x + 0.2 * block_means(x) + 0.1) == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("side", [8, 11, 16])
def test_crops_of_any_size_are_judged(side):
    x = crops()[:, :side, :side]
    assert verdict(x, flat(x)) == "stuck"
    assert verdict(x, x) == "healthy"


def tell(run, steps=10):
    """Returns what is told at each evaluation of a run, of which each letter is a reconstruction."""
    x = crops()
    made = {"f": flat(x), "g": x, "n": x * np.nan}
    watch = Watch(steps)
    return [watch.tells(step, x, made[letter]) for step, letter in enumerate(run, start=1)]


@pytest.mark.parametrize(
    ("run", "told"),
    [
        ("ffffffffff", {3: "stuck"}),  # once
        ("ggggffgfff", {6: "stuck"}),
        ("ggggnngggg", {6: "diverged"}),
        ("ffgggggggg", {}),  # the start
        ("gfgfgfgfgf", {}),  # never twice in a row
        ("gggggggggf", {}),
    ],
)
def test_a_watch_tells_what_lasts_once(run, told):
    assert {step: each for step, each in enumerate(tell(run), start=1) if each != "healthy"} == told
