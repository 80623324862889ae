"""Luma as MATLAB's rgb2ycbcr, and crop_border, as papers on super-resolution use them."""

import jax
import numpy as np
import pytest
from marks import slow_except

import jaxssim


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_exact(dtype, full_range):
    limit = np.iinfo(dtype).max
    rgb = np.random.default_rng(0).integers(0, limit, (300, 200, 3), dtype, endpoint=True)
    weights, black = ((299, 587, 114), 0) if full_range else ((65481, 128553, 24966), 16 * limit // 255)
    unit = 1000 if full_range else 255000
    exact = rgb.astype(object) @ np.asarray(weights, object)
    expected = (2 * exact + unit) // (2 * unit) + black
    luma = jaxssim.luma(rgb, full_range=full_range)
    assert luma.dtype == dtype
    np.testing.assert_array_equal(np.asarray(luma, int), expected.astype(int))


def test_black_and_white_are_the_ends_of_the_range():
    for dtype, levels in ((np.uint8, (16, 235)), (np.uint16, (4112, 60395)), (np.float32, (16 / 255, 235 / 255))):
        top = 1 if dtype is np.float32 else np.iinfo(dtype).max
        rgb = np.asarray([[0, 0, 0], [top, top, top]], dtype)
        data_range = 1.0 if dtype is np.float32 else None
        np.testing.assert_allclose(jaxssim.luma(rgb, data_range=data_range), levels, rtol=1e-6)
        full = jaxssim.luma(rgb, data_range=data_range, full_range=True)
        np.testing.assert_allclose(full, [0, top], rtol=1e-6)


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_values_equal_scikit_image(data_range):
    color = pytest.importorskip("skimage.color")
    rgb = np.random.default_rng(0).random((2, 20, 30, 3))
    expected = color.rgb2ycbcr(rgb)[..., 0] * data_range / 255
    luma = jaxssim.luma((rgb * data_range).astype(np.float32), data_range=data_range)
    np.testing.assert_allclose(luma, expected, rtol=1e-6)
    first = jaxssim.luma(np.moveaxis(rgb, -1, -3) * data_range, data_range=data_range, channel_axis=-3)
    np.testing.assert_allclose(first, expected, rtol=1e-6)


def test_the_protocol_of_super_resolution():
    metrics = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 70, 3), np.uint8)
    upscaled = np.clip(image + rng.integers(-9, 10, image.shape), 0, 255).astype(np.uint8)
    x, y = jaxssim.luma(image), jaxssim.luma(upscaled)
    psnr, ssim = (f(x, y, channel_axis=None, crop_border=4) for f in (jaxssim.psnr, jaxssim.ssim))
    a, b = (np.asarray(luma)[4:-4, 4:-4] for luma in (x, y))
    np.testing.assert_allclose(psnr, metrics.peak_signal_noise_ratio(a, b, data_range=255), rtol=1e-6)
    expected = metrics.structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    np.testing.assert_allclose(ssim, expected, atol=2e-7)


METRICS = ["ssim", "dssim", "ssim_map", "psnr", "mse", "mae", "ms_ssim"]


@pytest.mark.parametrize("name", slow_except(["ssim", "mse"], METRICS))
@pytest.mark.parametrize(("shape", "axes"), [((2, 40, 44, 3), {}), ((3, 40, 44), {"channel_axis": -3})])
def test_crop_border_equals_cropped_images(name, shape, axes):
    x, y = np.random.default_rng(0).random((2, *shape), np.float32)
    options = {} if name in ("mse", "mae") else {"data_range": 1.0}
    if name == "ms_ssim":
        options["weights"] = (0.5, 0.5)
    inside = slice(3, -3)
    cut = (slice(None), inside, inside)
    metric = getattr(jaxssim, name)
    expected = metric(x[cut], y[cut], **options, **axes)
    np.testing.assert_allclose(metric(x, y, crop_border=3, **options, **axes), expected, rtol=1e-6)
    x[:, 0] = np.nan
    np.testing.assert_allclose(metric(x, y, crop_border=3, **options, **axes), expected, rtol=1e-6)


def test_crop_border_crops_the_mask():
    x, y = np.random.default_rng(0).random((2, 40, 44, 3), np.float32)
    mask = np.random.default_rng(1).random((40, 44)) < 0.5
    expected = jaxssim.ssim(x[3:-3, 3:-3], y[3:-3, 3:-3], data_range=1.0, mask=mask[3:-3, 3:-3])
    np.testing.assert_allclose(jaxssim.ssim(x, y, data_range=1.0, mask=mask, crop_border=3), expected, atol=2e-7)


def test_luma_is_differentiable():
    rgb = np.random.default_rng(0).random((4, 3), np.float32)
    slope = jax.jacobian(lambda rgb: jaxssim.luma(rgb, data_range=1.0))(rgb)[0, 0]
    np.testing.assert_allclose(slope, np.asarray([65.481, 128.553, 24.966]) / 255, rtol=1e-6)


@pytest.mark.parametrize("border", [-1, 20, 1.0, "4", True])
def test_invalid_crop_border(border):
    x = np.zeros((40, 44, 1), np.float32)
    with pytest.raises(ValueError, match=r"crop_border must be a number of pixels"):
        jaxssim.ssim(x, x, data_range=1.0, crop_border=border)


def test_crop_border_that_leaves_less_than_a_window():
    x = np.zeros((40, 44, 1), np.float32)
    with pytest.raises(ValueError, match=r"\(10, 14\), smaller than the window"):
        jaxssim.ssim(x, x, data_range=1.0, crop_border=15)


def test_errors_of_luma():
    with pytest.raises(ValueError, match=r"rgb must hold red, green and blue .*\(5, 5, 4\)"):
        jaxssim.luma(np.zeros((5, 5, 4), np.float32), data_range=1.0)
    with pytest.raises(ValueError, match="data_range must be given"):
        jaxssim.luma(np.zeros((5, 5, 3), np.float32))
    with pytest.raises(ValueError, match=r"rgb has shape \(3,\); pass images"):
        jaxssim.luma(np.zeros(3, np.uint8))
    for axis in (None, -2):
        with pytest.raises(ValueError, match="rgb must hold red, green and blue"):
            jaxssim.luma(np.zeros((5, 5, 3), np.float32), data_range=1.0, channel_axis=axis)
    for data_range in (1.0, 1023):
        with pytest.raises(ValueError, match=f"data_range of uint16 images is 65535, got {data_range}"):
            jaxssim.luma(np.zeros((5, 5, 3), np.uint16), data_range=data_range)
    assert jaxssim.luma(np.zeros((5, 5, 3), np.uint16), data_range=65535).shape == (5, 5)
    with pytest.raises(ValueError, match="rgb has type int32"):
        jaxssim.luma(np.zeros((5, 5, 3), np.int32))


def test_errors_of_traced_arguments_and_channels_first():
    rgb = np.zeros((24, 20, 3), np.uint8)
    with pytest.raises(ValueError, match=r"full_range is traced.*static_argnames"):
        jax.jit(jaxssim.luma)(rgb, full_range=True)
    with pytest.raises(ValueError, match="data_range is traced"):
        jax.jit(lambda r: jaxssim.luma(rgb, data_range=r))(255)
    with pytest.raises(ValueError, match=r"data_range has shape \(2,\)"):
        jaxssim.luma(np.zeros((2, 8, 8, 3)), data_range=np.array([1.0, 255.0]))
    with pytest.raises(ValueError, match="pass channel_axis=-3"):
        jaxssim.luma(np.moveaxis(rgb, -1, 0))
