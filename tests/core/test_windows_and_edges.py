"""Paddings, windows of even size and strides: all functions against the definition in float64."""

import functools

import jax
import numpy as np
import pytest
import reference
from marks import slow_except

import jaxssim
from jaxssim import Convention, Gaussian, Uniform, conventions

CASES = {
    "zero": Convention(padding="zero", average="all"),
    "zero, windows inside": Convention(window=Uniform(5), padding="zero"),
    "replicate": Convention(padding="replicate", average="all"),
    "even Gaussian": Convention(window=Gaussian((10, 4), (1.5, 0.7))),
    "ffmpeg": conventions.FFMPEG,
    "stride": Convention(window=Uniform(7), padding="symmetric", average="all", stride=3),
    "stride, windows inside": Convention(padding="reflect", stride=2),
}
each_case = pytest.mark.parametrize("convention", slow_except(["ffmpeg"], list(CASES)))
FLOAT32 = 2e-7


def pair(*shape, dtype=np.uint8):
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.integers(-30, 31, shape), -2).clip(0, 255)
    y = (x + rng.integers(-40, 41, shape)).clip(0, 255)
    return x.astype(dtype), y.astype(dtype)


@each_case
def test_values_and_maps_equal_the_definition(convention):
    convention = CASES[convention]
    x, y = pair(2, 41, 38, 3)
    value, similarity = jaxssim.ssim_and_map(x, y, convention=convention)
    expected = 1 - reference.one_minus_ssim(x, y, 255, convention)
    expected_map = 1 - reference.one_minus_ssim_map(x, y, 255, convention)
    np.testing.assert_allclose(jaxssim.ssim(x, y, convention=convention), expected, atol=FLOAT32)
    np.testing.assert_allclose(value, expected, atol=FLOAT32)
    np.testing.assert_allclose(jaxssim.ssim_map(x, y, convention=convention), expected_map, atol=1e-6)
    np.testing.assert_allclose(similarity, expected_map, atol=1e-6)


@each_case
def test_the_evaluator_and_pairwise_agree(convention):
    convention = CASES[convention]
    x, y = pair(141, 99, 3)
    scores = jaxssim.Evaluator(("ssim", "ssim_map"), convention=convention)(x, y)
    expected = 1 - reference.one_minus_ssim(x, y, 255, convention)
    np.testing.assert_allclose(scores["ssim"], expected, atol=FLOAT32)
    expected_map = 1 - reference.one_minus_ssim_map(x, y, 255, convention)
    np.testing.assert_allclose(scores["ssim_map"], expected_map, atol=2e-6)
    matrix = jaxssim.pairwise(np.stack([x, y]), convention=convention)
    np.testing.assert_allclose(matrix[0, 1], expected, atol=FLOAT32)


@each_case
def test_a_gradient_is_the_slope_of_the_definition(convention):
    convention, step = CASES[convention], 1e-3
    x, y = pair(41, 38, 1, dtype=np.float32)
    direction = np.random.default_rng(1).standard_normal(x.shape)
    value = functools.partial(jaxssim.ssim, data_range=255.0, convention=convention)
    slope = (jax.grad(value, 1)(x, y) * direction).sum()
    low, high = (1 - reference.one_minus_ssim(x, y + sign * step * direction, 255, convention) for sign in (-1, 1))
    np.testing.assert_allclose(slope, (high - low) / (2 * step), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("case", slow_except([], ["zero", "replicate", "stride, windows inside"]))
def test_masks(case):
    convention = CASES[case]
    x, y = pair(2, 41, 38, 3)
    mask = np.random.default_rng(2).random((41, 38)) * (np.arange(38) > 9)
    expected = 1 - reference.one_minus_ssim(x, y, 255, convention, mask[..., None])
    np.testing.assert_allclose(jaxssim.ssim(x, y, convention=convention, mask=mask), expected, atol=FLOAT32)
    scores = jaxssim.Evaluator(convention=convention)(x, y, mask=mask)
    np.testing.assert_allclose(scores["ssim"], expected, atol=FLOAT32)
    ones = jaxssim.ssim(x, y, convention=convention, mask=np.ones((41, 38)))
    np.testing.assert_allclose(ones, jaxssim.ssim(x, y, convention=convention), atol=FLOAT32)


def test_black_surrounds_bright_images_to_the_last_digit():
    x, y = (image / 255 + np.float32(1000) for image in pair(31, 29, 1, dtype=np.float32))
    expected = 1 - reference.one_minus_ssim(x, y, 1.0, conventions.FUSED_SSIM)
    value = jaxssim.ssim(x, y, data_range=1.0, convention=conventions.FUSED_SSIM)
    np.testing.assert_allclose(value, expected, atol=FLOAT32)


@pytest.mark.parametrize("case", slow_except([], ["zero", "replicate"]))
def test_volumes(case):
    x, y = pair(14, 13, 15)
    options = {"convention": CASES[case], "spatial_ndim": 3, "channel_axis": None}
    expected = reference.one_minus_ssim(x[..., None], y[..., None], 255, CASES[case], spatial_ndim=3)
    np.testing.assert_allclose(1 - jaxssim.ssim(x, y, **options), expected, atol=FLOAT32)


def test_errors():
    x, y = pair(20, 20, 1)
    with pytest.raises(ValueError, match=r'padding="zero" needs a window with a central pixel, got Uniform\(size=8\)'):
        Convention(window=Uniform(8), padding="zero")
    with pytest.raises(ValueError, match=r"stride must be a number of pixels, at least 1, got 0; pass 1"):
        Convention(stride=0)
    with pytest.raises(ValueError, match=r"mask gives each window the weight of its central pixel, which Uniform"):
        jaxssim.ssim(x, y, mask=np.ones((20, 20)), convention=Convention(window=Uniform(8)))
