"""The accuracy promised in float32: values within 2e-7 of float64, maps 2e-6, 1 - SSIM 1e-5 (relative)."""

import itertools

import jax
import ml_dtypes
import numpy as np
import pytest
import reference
from marks import slow, slow_except
from pictures import PHOTOGRAPHS, noisy, photograph

import jaxssim
from jaxssim import Convention, Gaussian, Uniform, conventions

WANG = conventions.WANG2004


def assert_accurate(x, y, data_range, *, convention=WANG, spatial_ndim=2, map_error=2e-6):
    expected = reference.one_minus_ssim_map(x, y, data_range, convention, spatial_ndim=spatial_ndim)
    mean = reference.one_minus_ssim(x, y, data_range, convention, spatial_ndim=spatial_ndim)
    options = dict(data_range=data_range, convention=convention, spatial_ndim=spatial_ndim, channel_axis=-1)
    value = jaxssim.ssim(x, y, **options)
    assert value.dtype == np.float32
    assert abs(float(value) - (1 - mean)) <= 2e-7
    np.testing.assert_allclose(2 * float(jaxssim.dssim(x, y, **options)), mean, rtol=1e-5)
    np.testing.assert_allclose(float(jaxssim.ssim_loss(x, y, **options)), mean, rtol=1e-5)
    similarity = np.asarray(jaxssim.ssim_map(x, y, **options), np.float64)
    assert similarity.shape == expected.shape
    assert np.abs(similarity - (1 - expected)).max() <= map_error


@pytest.mark.parametrize(
    ("size", "channels"),
    slow_except([((11, 11), 1), ((37, 64), 3)], list(itertools.product([(11, 11), (37, 64), (129, 75)], [1, 3, 4]))),
)
def test_noise_of_any_size(size, channels):
    rng = np.random.default_rng(channels)
    x = rng.random((*size, channels), np.float32)
    y = np.clip(x + 0.3 * rng.standard_normal(x.shape), 0, 1).astype(np.float32)
    assert_accurate(x, y, 1.0)
    assert_accurate(x, 1 - x, 1.0)
    assert_accurate(2 * x - 1, 2 * y - 1, 2.0)


@pytest.mark.parametrize(
    ("name", "convention"),
    slow_except(
        [("coins", WANG)],
        [*((name, WANG) for name in PHOTOGRAPHS), *((name, conventions.SKIMAGE) for name in PHOTOGRAPHS[::4])],
    ),
    ids=lambda value: value if isinstance(value, str) else "wang" if value is WANG else "skimage",
)
def test_photographs_of_scikit_image(name, convention):
    pytest.importorskip("skimage")
    image = photograph(name)
    x, y = noisy(image, np.random.default_rng(0))
    assert_accurate(x, y, 1.0, convention=convention)
    assert_accurate(image, np.uint8(255 * y), 255, convention=convention)
    assert_accurate(x, np.nextafter(x, np.float32(2)), 1.0, convention=convention)


@slow
def test_noise_of_1080p_is_within_the_bound_of_values():
    rng = np.random.default_rng(0)
    x = rng.random((1080, 1920, 3), np.float32)
    y = np.clip(x + 0.1 * rng.standard_normal(x.shape), 0, 1).astype(np.float32)
    assert_accurate(x, y, 1.0)


@pytest.mark.parametrize(("data_range", "map_error"), [(65535.0, 2e-6), (255.0, 5e-6)])
@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_values_far_from_zero(data_range, map_error, dtype):
    rng = np.random.default_rng(0)
    x, y = (rng.integers(59997, 60004, (200, 300, 3)).astype(dtype) for _ in range(2))
    assert_accurate(x, y, data_range, map_error=map_error)


@pytest.mark.parametrize("pixel", [(0, 0, 0), (36, 36, 0), (48, 60, 0)])
def test_values_far_from_zero_with_a_dead_pixel(pixel):
    rng = np.random.default_rng(0)
    x, y = (rng.integers(59997, 60004, (96, 100, 1)).astype(np.float32) for _ in range(2))
    x[pixel] = 0
    assert_accurate(x, y, 255.0, map_error=5e-6)


@pytest.mark.parametrize("pixel", [0, 100, 399])
def test_signal_far_from_zero_with_a_dead_pixel(pixel):
    rng = np.random.default_rng(0)
    x, y = (rng.integers(59997, 60004, (400, 1)).astype(np.float32) for _ in range(2))
    x[pixel] = 0
    assert_accurate(x, y, 255.0, spatial_ndim=1, map_error=5e-6)


def test_channels_with_different_large_offsets():
    rng = np.random.default_rng(0)
    offsets = np.asarray([60000, 100, -3000])
    x, y = ((offsets + rng.integers(-3, 4, (90, 70, 3))).astype(np.float32) for _ in range(2))
    assert_accurate(x, y, 255.0, map_error=5e-6)


def test_images_with_different_large_offsets():
    rng = np.random.default_rng(0)
    x, y = ((offset + rng.integers(-3, 4, (90, 70, 1))).astype(np.float32) for offset in (60000, 59000))
    assert_accurate(x, y, 255.0, map_error=5e-6)


@pytest.mark.parametrize("offset", [0.0, 0.5, 100.0])
def test_images_that_differ_in_the_last_bit(offset):
    rng = np.random.default_rng(0)
    x = (offset + rng.random((100, 120, 3))).astype(np.float32)
    y = np.nextafter(x, np.where(rng.random(x.shape) < 0.5, -np.inf, np.inf).astype(np.float32))
    assert_accurate(x, y, 1.0)


@pytest.mark.parametrize("contrast", [1e-1, 1e-3, 1e-5])
def test_images_of_low_contrast_keep_their_digits(contrast):
    rng = np.random.default_rng(0)
    x, y = ((0.9 + contrast * rng.standard_normal((64, 64, 1))).astype(np.float32) for _ in range(2))
    assert_accurate(x, y, 1.0)


WINDOWS = [*map(Uniform, (1, 3, 7, 11)), *(Gaussian(11, s) for s in (0.5, 1, 2, 3)), Gaussian(3)]


@pytest.mark.parametrize(
    ("window", "spatial_ndim"),
    slow_except(
        [(Uniform(1), 2), (Uniform(7), 2), (Gaussian(3), 3)],
        list(itertools.product(WINDOWS, [1, 2, 3])),
    ),
)
def test_windows_in_signals_images_and_volumes(window, spatial_ndim):
    rng = np.random.default_rng(0)
    x = rng.random((*(31, 23, 17)[:spatial_ndim], 2), np.float32)
    y = (0.7 * x + 0.3 * rng.random(x.shape)).astype(np.float32)
    for covariance in ("population", "sample") if spatial_ndim == 2 else ("population",):
        if window.size > 1 or covariance == "population":
            convention = Convention(window=window, covariance=covariance, k1=0.02, k2=0.05)
            assert_accurate(x, y, 1.0, convention=convention, spatial_ndim=spatial_ndim)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_images_are_compared_as_they_are_rounded(dtype):
    rng = np.random.default_rng(0)
    x, y = noisy(rng.integers(0, 256, (80, 80, 3), np.uint8), rng)
    assert_accurate(x.astype(dtype), y.astype(dtype), 1.0)


def test_two_float_types_are_promoted():
    rng = np.random.default_rng(0)
    x, y = rng.random((40, 40, 3), np.float32).astype(ml_dtypes.bfloat16), rng.random((40, 40, 3), np.float32)
    assert_accurate(x, y, 1.0)


def test_integer_types_define_the_data_range():
    rng = np.random.default_rng(0)
    for dtype in (np.uint8, np.uint16):
        limit = np.iinfo(dtype).max
        x, y = (rng.integers(0, limit, (40, 40, 3), dtype, endpoint=True) for _ in range(2))
        assert jaxssim.ssim(x, y) == jaxssim.ssim(x, y, data_range=limit)


def test_float64_images_are_computed_in_float64():
    rng = np.random.default_rng(0)
    x = rng.random((64, 64, 3))
    y = np.clip(x + 1e-6 * rng.standard_normal(x.shape), 0, 1)
    expected = reference.one_minus_ssim_map(x, y, 1.0)
    with jax.enable_x64(True):
        loss = jaxssim.ssim_loss(x, y, data_range=1.0)
        similarity = jaxssim.ssim_map(x, y, data_range=1.0)
    assert loss.dtype == np.float64
    np.testing.assert_allclose(float(loss), expected.mean(), rtol=1e-8)
    np.testing.assert_allclose(similarity, 1 - expected, atol=1e-14)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_images_of_any_scale(scale):
    x, y = np.float32(scale) * np.random.default_rng(0).random((2, 40, 40, 3), np.float32)
    assert_accurate(x, y, scale)
