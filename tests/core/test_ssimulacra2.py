"""SSIMULACRA 2 against its authors' program and against float64; see reference/README.md."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_ssimulacra2
from jax.test_util import check_grads
from marks import slow
from pictures import COMMITTED, SHARED

import jaxssim
from jaxssim import _ssimulacra2

RGB = SHARED / "rgb"
MEDIAN, LARGEST = 0.01, 0.36  # how far the exact formula is from the program, which approximates powers


def groups(folder):
    """Returns (x, y, values of the program) for all pairs of each shape."""
    image = pytest.importorskip("PIL.Image")
    path = folder / "ssimulacra2.json"
    if folder == RGB and not path.exists():
        pytest.skip(f"no pairs in {folder}")
    by_shape = {}
    for pair in json.loads(path.read_text()):
        x, y = (np.asarray(image.open(folder / pair[name])) for name in ("reference", "distorted"))
        by_shape.setdefault(x.shape, []).append((x, y, pair["ssimulacra2"]))
    return [tuple(map(np.stack, zip(*group, strict=True))) for group in by_shape.values()]


def in_float64(x, y):
    return np.asarray([reference_ssimulacra2.ssimulacra2(*pair) for pair in zip(x / 255, y / 255, strict=True)])


def noise(*shape, seed=0):
    x, other = np.random.default_rng(seed).random((2, *shape), np.float32)
    return x, (np.float32(0.8) * x + np.float32(0.2) * other)


def test_values_of_small_images_equal_the_program_and_float64():
    check_values(groups(COMMITTED / "rgb")[-1:])


@slow
@pytest.mark.parametrize("folder", [COMMITTED / "rgb", RGB], ids=["committed", "shared"])
def test_values_equal_the_program_and_float64(folder):
    check_values(groups(folder))


def check_values(pairs):
    errors = []
    for x, y, values in pairs:
        actual = jaxssim.ssimulacra2(x, y)
        np.testing.assert_allclose(actual, in_float64(x, y), rtol=0, atol=1e-3)
        errors.extend(abs(actual - values))
    assert np.median(errors) <= MEDIAN
    assert max(errors) <= LARGEST


@slow
def test_float64_equals_the_reference():
    for x, y, _ in groups(COMMITTED / "rgb"):
        with jax.enable_x64(True):
            values = jaxssim.ssimulacra2(x / 255, y / 255, data_range=1.0)
        assert values.dtype == np.float64
        np.testing.assert_allclose(values, in_float64(x, y), rtol=0, atol=1e-9)


def test_constants_equal_the_program():
    path = RGB / "ssimulacra2-facts.json"
    if not path.exists():
        pytest.skip(f"no {path}")
    facts = json.loads(path.read_text())
    assert list(_ssimulacra2.WEIGHTS) == facts["weights"]
    assert facts["error"][-1] == _ssimulacra2.POWER


def test_the_window_is_the_sum_of_cosines():
    radius = len(_ssimulacra2.TAPS[0]) // 2
    window = reference_ssimulacra2.window()
    np.testing.assert_allclose(_ssimulacra2.TAPS[0], window[5 - radius : 6 + radius], rtol=1e-14)
    np.testing.assert_allclose(window[: 5 - radius], 0, atol=1e-15)


@slow
@pytest.mark.parametrize("shape", [(8, 8), (9, 40)])
def test_sizes_with_fewer_scales_and_odd_sides(shape):
    x, y = noise(*shape, 3)
    expected = reference_ssimulacra2.ssimulacra2(x, y)
    np.testing.assert_allclose(jaxssim.ssimulacra2(x, y, data_range=1.0), expected, rtol=0, atol=1e-3)


@slow
def test_identical_images_have_the_score_100_and_derivatives_of_0():
    x, _ = noise(8, 9, 3)
    for function, expected in ((jaxssim.ssimulacra2, 100), (jaxssim.ssimulacra2_loss, 0)):
        value, gradients = jax.value_and_grad(function, (0, 1))(x, x, data_range=1.0)
        assert value == expected
        np.testing.assert_array_equal(gradients, 0)


@slow
def test_the_loss_is_the_error_before_the_last_power():
    x, y = noise(2, 8, 9, 3)
    loss = jaxssim.ssimulacra2_loss(x, y, data_range=1.0, reduction="none")
    np.testing.assert_allclose(
        100 - 10 * loss**_ssimulacra2.POWER, jaxssim.ssimulacra2(x, y, data_range=1.0), rtol=1e-5
    )
    np.testing.assert_allclose(jaxssim.ssimulacra2_loss(x, y, data_range=1.0), loss.mean(), rtol=1e-6)


@slow
def test_derivatives_in_both_modes_to_second_order():
    with jax.enable_x64(True):
        x, y = np.random.default_rng(0).uniform(0.2, 0.8, (2, 10, 9, 3))
        loss = jax.jit(lambda x, y: jaxssim.ssimulacra2_loss(x, y, data_range=1.0))
        check_grads(loss, (x, y), order=2, eps=1e-6)


CASES = {
    "identical": lambda r: (r, r),
    "nearly identical": lambda r: (r, r + 1e-6 * (r > 0.9)),
    "constant": lambda r: (0 * r + 0.3, 0 * r + 0.8),
    "black": lambda r: (0 * r, 0 * r),
    "black and noise": lambda r: (0 * r, r),
    "white and black": lambda r: (0 * r + 1, 0 * r),
    "inverted": lambda r: (r, 1 - r),
    "outside": lambda r: (r, 3 * r - 1),
    "huge": lambda r: (1e15 * r, -1e15 * r),
    "one pixel": lambda r: (0 * r + 0.5, 0 * r + 0.5 + 1e-3 * (r == r.max())),
}


@slow
def test_gradients_and_second_derivatives_are_finite():
    r = np.random.default_rng(0).random((8, 9, 3), np.float32)
    by_both = jax.grad(lambda x, y: jaxssim.ssimulacra2(x, y, data_range=1.0), (0, 1))
    derivatives = jax.jit(lambda x, y: jax.jvp(by_both, (x, y), (r, 1 - r)))
    for name, case in CASES.items():
        x, y = (image.astype(np.float32) for image in case(r))
        assert np.isfinite(jnp.asarray(derivatives(x, y))).all(), name


@slow
def test_gradients_equal_float64():
    x, y = noise(20, 17, 3)
    gradient = jax.grad(lambda y, x: jaxssim.ssimulacra2_loss(x, y, data_range=1.0))
    with jax.enable_x64(True):
        expected = gradient(np.float64(y), np.float64(x))
    np.testing.assert_allclose(gradient(y, x), expected, rtol=0, atol=1e-3 * abs(expected).max())


@slow
def test_the_loss_trains():
    x, y = noise(16, 16, 3)
    step = jax.jit(jax.value_and_grad(lambda y: jaxssim.ssimulacra2_loss(x, y, data_range=1.0)))
    before = loss = step(y)[0]
    for _ in range(60):
        loss, gradient = step(y)
        y = jnp.clip(y - 2e-3 * gradient / jnp.abs(gradient).max(), 0, 1)
    assert loss < 0.5 * before


@slow
def test_grey_images_are_three_equal_channels():
    x, y = noise(2, 16, 10, 1)
    expected = jaxssim.ssimulacra2(np.repeat(x, 3, -1), np.repeat(y, 3, -1), data_range=1.0)
    np.testing.assert_allclose(jaxssim.ssimulacra2(x, y, data_range=1.0), expected, rtol=1e-6)
    grey = jaxssim.ssimulacra2(x[..., 0], y[..., 0], data_range=1.0, channel_axis=None)
    np.testing.assert_allclose(grey, expected, rtol=1e-6)


@slow
def test_layouts_types_and_data_ranges():
    x, y = (np.uint8(255 * image) for image in noise(2, 16, 10, 3))
    expected = jaxssim.ssimulacra2(x, y)
    first = (np.moveaxis(image, -1, 1) for image in (x, y))
    np.testing.assert_allclose(jaxssim.ssimulacra2(*first, channel_axis=-3), expected, rtol=1e-5)
    scaled = np.float32(x) * np.reshape([1, 2], (2, 1, 1, 1)), np.float32(y) * np.reshape([1, 2], (2, 1, 1, 1))
    np.testing.assert_allclose(jaxssim.ssimulacra2(*scaled, data_range=[255, 510]), expected, rtol=1e-5)
    wide = (np.pad(image, [(0, 0), (3, 3), (3, 3), (0, 0)]) for image in (x, y))
    np.testing.assert_allclose(jaxssim.ssimulacra2(*wide, crop_border=3), expected, rtol=1e-5)
    deep = (np.uint16(257) * image for image in (x, y))
    np.testing.assert_allclose(jaxssim.ssimulacra2(*deep), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((16, 16, 2), {"data_range": 1.0}, "red, green and blue.*2 channels"),
        ((16, 16, 3), {}, "data_range must be given"),
        ((7, 16, 3), {"data_range": 1.0}, "needs 8 pixels a side"),
        ((12, 16, 3), {"data_range": 1.0, "crop_border": 3}, "needs 8 pixels a side"),
    ],
)
def test_errors(shape, options, words):
    x = np.zeros(shape, np.float32)
    for function in (jaxssim.ssimulacra2, jaxssim.ssimulacra2_loss):
        with pytest.raises(ValueError, match=words):
            function(x, x, **options)
