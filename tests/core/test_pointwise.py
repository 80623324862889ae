"""MSE, MAE and PSNR against NumPy in float64 and scikit-image."""

import math
import re

import jax
import numpy as np
import pytest

import jaxssim


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_values_equal_numpy_and_scikit_image(dtype):
    metrics = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 255, (3, 40, 30, 3)).astype(dtype) for _ in range(2))
    data_range = 255 if dtype == np.float32 else None
    difference = x.astype(np.float64) - y
    np.testing.assert_allclose(jaxssim.mse(x, y), (difference**2).mean((1, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(jaxssim.mae(x, y), np.abs(difference).mean((1, 2, 3)), rtol=1e-6)
    expected = [metrics.peak_signal_noise_ratio(a, b, data_range=data_range) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(jaxssim.psnr(x, y, data_range=data_range), expected, rtol=1e-6)


def test_mean_of_millions_of_pixels():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 2160, 1920, 3), np.float32)
    difference = x.astype(np.float64) - y
    np.testing.assert_allclose(jaxssim.mse(x, y), (difference**2).mean(), rtol=1e-6)
    np.testing.assert_allclose(jaxssim.mae(x, y), np.abs(difference).mean(), rtol=1e-6)


def test_values_of_identical_images():
    x = np.random.default_rng(0).random((8, 8, 3), np.float32)
    assert jaxssim.mse(x, x) == jaxssim.mae(x, x) == 0
    assert jaxssim.psnr(x, x, data_range=1.0) == np.inf


def test_psnr_of_huge_values_is_finite():
    x, y = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    expected = jaxssim.psnr(x, y, data_range=1.0)
    np.testing.assert_allclose(jaxssim.psnr(x * 1e25, y * 1e25, data_range=1e25), expected, rtol=1e-5)


def test_batches_of_volumes_and_channel_axes():
    x, y = np.random.default_rng(0).random((2, 4, 3, 8, 9, 10), np.float32)
    assert jaxssim.mse(x, y, spatial_ndim=3, channel_axis=None).shape == (4, 3)
    np.testing.assert_allclose(
        jaxssim.mse(x, y, spatial_ndim=3, channel_axis=-4), ((x - y) ** 2).mean((1, 2, 3, 4)), rtol=1e-5
    )


@pytest.mark.parametrize("scale", [1e-11, 1e-20, 1e20])
def test_psnr_and_its_derivatives_for_errors_of_any_size(scale):
    x, y = np.random.default_rng(0).random((2, 12, 11, 1))
    a, b = np.float32(scale * x), np.float32(scale * y)
    expected = -10 * np.log10(((np.float64(a) - np.float64(b)) ** 2).mean())
    psnr = lambda a, b: jaxssim.psnr(a, b, data_range=1.0)  # noqa: E731
    np.testing.assert_allclose(psnr(a, b), expected, rtol=1e-6)
    assert np.isfinite(jax.grad(psnr)(a, b)).all()
    if scale > 1e-15:  # the second derivative of smaller errors overflows float32
        assert np.isfinite(jax.hessian(psnr)(a, b)).all()


@pytest.mark.parametrize("transform", [lambda f: f, jax.vmap])
def test_psnr_of_a_batch_with_errors_of_every_size(transform):
    x, y = np.random.default_rng(0).random((2, 5, 12, 11, 3))
    scales = np.array([1, 1e-20, 0, 1e20, 1e3])[:, None, None, None]
    a, b = (scales * x).astype(np.float32), (scales * y).astype(np.float32)
    with np.errstate(divide="ignore"):
        expected = -10 * np.log10(((np.float64(a) - np.float64(b)) ** 2).mean((1, 2, 3)))
    psnr = transform(lambda a, b: jaxssim.psnr(a, b, data_range=1.0))
    np.testing.assert_allclose(psnr(a, b), expected, rtol=1e-6)


def test_derivative_of_psnr_of_integers_by_the_data_range():
    x, y = np.random.default_rng(0).integers(0, 256, (2, 12, 11, 3), np.uint8)
    derivative = jax.grad(lambda data_range: jaxssim.psnr(x, y, data_range=data_range))(200.0)
    np.testing.assert_allclose(derivative, 20 / (200 * np.log(10)), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{}, {"crop_border": 4}, {"channel_axis": -3}, {"mask": np.eye(64, 48)}],
    ids=["plain", "cropped", "channels first", "masked"],
)
@pytest.mark.parametrize("metric", ["mse", "mae", "psnr"])
def test_the_program_stores_no_image(metric, options):
    if jax.default_backend() != "cpu":
        pytest.skip("the program for CPUs")
    shape = (3, 64, 48) if "channel_axis" in options else (64, 48, 3)
    if metric == "psnr":
        options = {"data_range": 1.0, **options}
    images = 2 * [jax.ShapeDtypeStruct(shape, np.float32)]
    program = jax.jit(lambda x, y: getattr(jaxssim, metric)(x, y, **options)).lower(*images).compile().as_text()
    stored = re.findall(r"= f32\[([\d,]+)\]\S* fusion\(", program[program.index("ENTRY") :])
    assert stored, "the pattern does not fit the program"
    assert max(math.prod(map(int, sizes.split(","))) for sizes in stored) <= 64 * 48 * 3 / 8


@pytest.mark.parametrize("kind", ["bool", "weights", "channels", "one channel", "channels first"])
def test_a_mask_weights_the_errors(kind):
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 4, 12, 11, 3))
    mask = rng.random((4, 12, 11, 3)) * (rng.random((4, 12, 11, 3)) > 0.4)
    mask = {"bool": mask[0, ..., 0] > 0, "weights": mask[..., 0], "one channel": mask[..., :1]}.get(kind, mask)
    weight = np.broadcast_to(mask if mask.ndim == 4 else mask[..., None], x.shape)
    x[weight == 0] = np.nan
    difference = np.where(weight > 0, x - y, 0)
    squared, absolute = (np.average(e, (1, 2, 3), weight) for e in (difference**2, np.abs(difference)))
    options = {"mask": mask}
    if kind == "channels first":
        x, y, options["mask"] = (np.moveaxis(array, -1, 1) for array in (x, y, mask))
        options["channel_axis"] = -3
    with jax.enable_x64(True):
        np.testing.assert_allclose(jaxssim.mse(x, y, **options), squared, rtol=1e-12)
        np.testing.assert_allclose(jaxssim.mae(x, y, **options), absolute, rtol=1e-12)
        psnr = jaxssim.psnr(x, y, data_range=2.0, **options)
        np.testing.assert_allclose(psnr, 10 * np.log10(4 / squared), rtol=1e-12)
        gradient = jax.grad(lambda y: jaxssim.mse(x, y, **options).sum())(y)
    np.testing.assert_array_equal(
        gradient != 0, np.moveaxis(weight, -1, 1) > 0 if kind == "channels first" else weight > 0
    )


def test_a_mask_without_pixels_leaves_no_error():
    x, y = np.random.default_rng(0).random((2, 12, 11, 3), np.float32)
    mask = np.zeros((12, 11), bool)
    assert jaxssim.mse(x, y, mask=mask) == jaxssim.mae(x, y, mask=mask) == 0
    assert jaxssim.psnr(x, y, data_range=1.0, mask=mask) == np.inf
    with pytest.raises(ValueError, match=r"mask has shape \(11, 12\)"):
        jaxssim.mae(x, y, mask=mask.T)


@pytest.mark.parametrize("height", [1, 7, 8, 19])
def test_means_of_one_channel_take_every_row_once(height):
    x, y = np.random.default_rng(height).random((2, 3, height, 5, 1))
    error = (x - y).reshape(3, -1)
    with jax.enable_x64(True):
        np.testing.assert_allclose(jaxssim.mse(x, y), (error**2).mean(1), rtol=1e-14)
        np.testing.assert_allclose(jaxssim.mae(x, y), abs(error).mean(1), rtol=1e-14)
        np.testing.assert_allclose(jaxssim.psnr(x, y, data_range=1.0), -10 * np.log10((error**2).mean(1)), rtol=1e-14)
        gradient = jax.grad(lambda y: jaxssim.mse(x, y).sum())(y)
    np.testing.assert_allclose(gradient, (y - x) * 2 / (height * 5), rtol=1e-14)
