"""IW-SSIM against the code of the paper and against its formulas; see reference/README.md."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_iw_ssim
from jax.test_util import check_grads
from marks import slow
from pictures import COMMITTED, SHARED, read_pair

import jaxssim

PAIRS = json.loads((COMMITTED / "iw_ssim.json").read_text())
SMALL = dict(data_range=1.0, weights=(0.4, 0.3, 0.3), channel_axis=None)


def noise(*shape):
    x, other = np.random.default_rng(0).random((2, *shape), np.float32)
    return x, np.float32(0.8) * x + np.float32(0.2) * other


def loss(x, y, **options):
    return jaxssim.iw_ssim_loss(x, y, **SMALL | options)


def of_shape(*shape, folder=COMMITTED):
    """Returns (x, y, values of the paper's code) for the pairs in a folder of a shape."""
    here = (pair for pair in PAIRS if pair["iw_ssim"] is not None and (folder / pair["distorted"]).exists())
    pairs = [(*read_pair(folder, pair), pair["iw_ssim"]) for pair in here]
    return tuple(map(np.stack, zip(*(pair for pair in pairs if pair[0].shape == shape), strict=True)))


@pytest.mark.parametrize("shape", [(256, 256), pytest.param((512, 768), marks=slow)])
def test_values_equal_the_code_of_the_paper(shape):
    x, y, values = of_shape(*shape)
    np.testing.assert_allclose(jaxssim.iw_ssim(x, y, channel_axis=None), values, rtol=0, atol=1e-6)


@slow
def test_float64_equals_the_code_of_the_paper_and_the_reference():
    x, y, values = of_shape(240, 352)
    with jax.enable_x64(True):
        actual = jaxssim.iw_ssim(np.float64(x), np.float64(y), data_range=255.0, channel_axis=None)
    np.testing.assert_allclose(actual, values, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        [reference_iw_ssim.iw_ssim(*pair) for pair in zip(x, y, strict=True)], values, rtol=0, atol=1e-12
    )


@slow
@pytest.mark.parametrize("shape", [(256, 256), (509, 763)])
def test_float64_equals_the_code_of_the_paper_on_all_pairs(shape):
    if not SHARED.exists():
        pytest.skip(f"no {SHARED}")
    x, y, values = of_shape(*shape, folder=SHARED)
    np.testing.assert_allclose(jaxssim.iw_ssim(x, y, channel_axis=None), values, rtol=0, atol=1e-5)
    with jax.enable_x64(True):
        actual = jaxssim.iw_ssim(np.float64(x), np.float64(y), data_range=255.0, channel_axis=None)
    np.testing.assert_allclose(actual, values, rtol=0, atol=1e-9)


@slow
@pytest.mark.parametrize("scales", [1, 2, 4])
def test_fewer_scales_of_odd_sizes(scales):
    x, y = noise(91, 86)
    weights = (0.1, 0.4, 0.2, 0.7)[:scales]
    expected = reference_iw_ssim.iw_ssim(255 * x, 255 * y, weights)
    actual = jaxssim.iw_ssim(x, y, data_range=1.0, weights=weights, channel_axis=None)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


@slow
def test_colour_images_are_compared_by_their_luma():
    x, y = noise(2, 50, 44, 3)
    options = dict(data_range=1.0, weights=SMALL["weights"])
    grey = (image @ np.float32([0.299, 0.587, 0.114]) for image in (x, y))
    expected = jaxssim.iw_ssim(*grey, channel_axis=None, **options)
    np.testing.assert_allclose(jaxssim.iw_ssim(x, y, **options), expected, rtol=0, atol=1e-6)
    first = (np.moveaxis(image, -1, 1) for image in (x, y))
    np.testing.assert_allclose(jaxssim.iw_ssim(*first, channel_axis=-3, **options), expected, rtol=0, atol=1e-6)


@slow
def test_the_loss_is_precise_near_0_and_0_for_identical_images():
    x, y = noise(48, 45)
    near = x + 1e-4 * (y - x)
    with jax.enable_x64(True):
        expected = loss(np.float64(x), np.float64(near))
    np.testing.assert_allclose(loss(x, near), expected, rtol=1e-4)
    value, gradients = jax.value_and_grad(loss, (0, 1))(x, x)
    assert value == 0
    np.testing.assert_allclose(gradients, 0, atol=1e-12)


@slow
def test_images_far_from_0_keep_their_digits():
    x, y = (60000 + np.round(6 * image) for image in noise(48, 45))
    expected = reference_iw_ssim.iw_ssim(x - 59997, y - 59997, SMALL["weights"])
    assert abs(expected - reference_iw_ssim.iw_ssim(x, y, SMALL["weights"])) < 1e-4  # the constant hardly matters
    with jax.enable_x64(True):
        expected = 1 - loss(np.float64(x), np.float64(y), data_range=255.0)
    np.testing.assert_allclose(1 - loss(x, y, data_range=255.0), expected, rtol=0, atol=1e-6)


@slow
def test_negative_correlation_gives_0_and_no_slope():
    x, _ = noise(48, 45)
    assert jaxssim.iw_ssim(x, 1 - x, **SMALL) == 0
    assert not np.any(jax.grad(loss)(x, 1 - x))


@slow
def test_derivatives_in_both_modes():
    with jax.enable_x64(True):
        x, other = np.random.default_rng(0).random((2, 24, 23))
        jitted = jax.jit(lambda x, y: loss(x, y, weights=(0.5, 0.5)))
        check_grads(jitted, (x, 0.8 * x + 0.2 * other), order=2, eps=1e-6)


def checkerboard(r):
    return np.indices(r.shape).sum(0) % 2


CASES = {
    "identical": lambda r: (r, r),
    "constant": lambda r: (0 * r + 0.3, 0 * r + 0.8),
    "black": lambda r: (0 * r, 0 * r),
    "black and noise": lambda r: (0 * r, r),
    "noise and black": lambda r: (r, 0 * r),
    "stripes": lambda r: (0 * r + r[:1], 0 * r + r[1:2]),
    "negative": lambda r: (-r, -r[::-1]),
    "opposite": lambda r: (r, -r),
    "tiny": lambda r: (1e-20 * r, 1e-20 * r[::-1]),
    "huge": lambda r: (1e15 * r, 1e15 * r[::-1]),
    "far from 0": lambda r: (1e4 + r, 1e4 + r[::-1]),
    "checkerboard": lambda r: (checkerboard(r), checkerboard(r) / 2),
    "huge checkerboards": lambda r: (1e15 * checkerboard(r), 1e15 * checkerboard(r) + 1e7),
    "checkerboards far from 0": lambda r: (1e4 + 700 * checkerboard(r), 1e4 + 100 * checkerboard(r)),
}


@slow
def test_gradients_and_second_derivatives_are_finite():
    r = np.random.default_rng(0).random((45, 44), np.float32)
    by_both = jax.jit(lambda x, y: jax.jvp(jax.grad(loss, (0, 1)), (x, y), (r, 1 - r)))
    for name, case in CASES.items():
        x, y = (image.astype(np.float32) for image in case(r))
        gradients, along = map(jnp.asarray, by_both(x, y))
        assert np.isfinite(gradients).all(), name
        if np.ptp(x) < 50:  # data ranges; of wider images second derivatives leave float32
            assert np.isfinite(along).all(), name


@slow
def test_gradients_equal_float64():
    x, y = noise(48, 45)
    with jax.enable_x64(True):
        expected = jax.grad(loss, 1)(np.float64(x), np.float64(y))
    np.testing.assert_allclose(jax.grad(loss, 1)(x, y), expected, rtol=0, atol=1e-3 * abs(expected).max())


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((200, 200, 2), {"data_range": 1.0}, "red, green and blue.*2 channels"),
        ((200, 200, 3), {}, "data_range must be given"),
        ((160, 200, 3), {"data_range": 1.0}, r"5 scales need more than 160 pixels.*MS_SSIM_WEIGHTS\[:4\]"),
        ((200, 200, 3), {"data_range": 1.0, "weights": (1.0, -1.0)}, "weights must be"),
    ],
)
def test_errors(shape, options, words):
    x = np.zeros(shape, np.float32)
    for function in (jaxssim.iw_ssim, jaxssim.iw_ssim_loss):
        with pytest.raises(ValueError, match=words):
            function(x, x, **options)
