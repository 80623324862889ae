"""SSIM against TensorFlow and scikit-image, run here with their own options."""

import numpy as np
import pytest
from marks import slow, slow_except
from pictures import noisy, photograph

import jaxssim
from jaxssim import Convention, Gaussian, Uniform, conventions

PICTURES = ("astronaut", "camera", "coffee", "moon", "page", "rocket")


def pairs():
    """Yields pairs of three shapes."""
    rng = np.random.default_rng(0)
    for size in ((64, 64, 3), (51, 77, 1), (11, 30, 4)):
        x = rng.random(size, np.float32)
        yield x, np.clip(x + 0.2 * rng.standard_normal(size), 0, 1).astype(np.float32)


@slow
def test_tensorflow_on_noise():
    tf = pytest.importorskip("tensorflow")
    for x, y in pairs():
        expected = tf.image.ssim(x, y, 1.0).numpy()
        np.testing.assert_allclose(
            jaxssim.ssim(x, y, data_range=1.0, convention=conventions.TENSORFLOW), expected, atol=5e-6
        )
        expected = tf.image.ssim(x, y, 1.0, filter_size=7, filter_sigma=1.0, k1=0.02, k2=0.05).numpy()
        convention = Convention(window=Gaussian(7, 1.0), k1=0.02, k2=0.05)
        np.testing.assert_allclose(jaxssim.ssim(x, y, data_range=1.0, convention=convention), expected, atol=5e-6)


@slow
@pytest.mark.parametrize("name", PICTURES)
def test_tensorflow_on_photographs(name):
    tf = pytest.importorskip("tensorflow")
    x, y = noisy(photograph(name), np.random.default_rng(0))
    expected = tf.image.ssim(x, y, 1.0).numpy()
    np.testing.assert_allclose(
        jaxssim.ssim(x, y, data_range=1.0, convention=conventions.TENSORFLOW), expected, atol=5e-5
    )


@slow
def test_tensorflow_batches_and_maps():
    tf = pytest.importorskip("tensorflow")
    x, y = np.random.default_rng(0).random((2, 2, 3, 30, 40, 3), np.float32)
    np.testing.assert_allclose(jaxssim.ssim(x, y, data_range=1.0), tf.image.ssim(x, y, 1.0).numpy(), atol=5e-6)
    # TensorFlow averages its map over the channels.
    expected = tf.image.ssim(x, y, 1.0, return_index_map=True).numpy()
    np.testing.assert_allclose(jaxssim.ssim_map(x, y, data_range=1.0).mean(-1), expected, atol=2e-5)


def assert_equal_to_scikit_image(x, y, data_range, convention, *, map_error=2e-6, **options):
    metrics = pytest.importorskip("skimage.metrics")
    wide = (x, y) if x.dtype.kind == "u" else (x.astype(np.float64), y.astype(np.float64))
    value, similarity = metrics.structural_similarity(*wide, data_range=data_range, full=True, **options)
    axis = options.get("channel_axis")
    ours = dict(
        data_range=data_range, convention=convention, channel_axis=axis, spatial_ndim=x.ndim - (axis is not None)
    )
    np.testing.assert_allclose(jaxssim.ssim(x, y, **ours), value, atol=2e-7)
    np.testing.assert_allclose(jaxssim.ssim_map(x, y, **ours), similarity, atol=map_error)


@slow
@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(
    ("convention", "options"),
    [
        (conventions.SKIMAGE, {}),
        (conventions.SKIMAGE_GAUSSIAN, {"gaussian_weights": True}),
        (
            Convention(window=Gaussian(11, 1.5), padding="symmetric"),
            {"gaussian_weights": True, "use_sample_covariance": False},
        ),
        (Convention(window=Uniform(11), padding="symmetric", covariance="sample"), {"win_size": 11}),
        (
            Convention(window=Gaussian(7, 0.8), padding="symmetric", covariance="sample", k1=0.02, k2=0.1),
            {"gaussian_weights": True, "sigma": 0.8, "K1": 0.02, "K2": 0.1},
        ),
    ],
    ids=["default", "gaussian", "wang", "uniform-11", "sigma-0.8"],
)
def test_scikit_image_on_photographs(name, convention, options):
    pytest.importorskip("skimage")
    x, y = noisy(photograph(name), np.random.default_rng(0))
    assert_equal_to_scikit_image(x, y, 1.0, convention, channel_axis=-1, **options)


@pytest.mark.parametrize("dtype", slow_except([np.uint8], [np.uint8, np.uint16]))
def test_scikit_image_on_integer_types(dtype):
    rng = np.random.default_rng(0)
    limit = np.iinfo(dtype).max
    x = rng.integers(0, limit, (60, 45, 3), dtype, endpoint=True)
    y = np.clip(x + rng.normal(0, limit / 9, x.shape), 0, limit).astype(dtype)
    assert_equal_to_scikit_image(x, y, limit, conventions.SKIMAGE, channel_axis=-1)
    assert_equal_to_scikit_image(x[..., 0], y[..., 0], limit, conventions.SKIMAGE_GAUSSIAN, gaussian_weights=True)


@slow
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_scikit_image_on_signals_and_volumes(ndim):
    x, y = np.random.default_rng(0).random((2, *(40, 21, 19)[:ndim]), np.float32)
    assert_equal_to_scikit_image(x, y, 1.0, conventions.SKIMAGE)
    assert_equal_to_scikit_image(x, y, 1.0, conventions.SKIMAGE_GAUSSIAN, gaussian_weights=True)


def test_scikit_image_with_channels_first():
    metrics = pytest.importorskip("skimage.metrics")
    x, y = np.random.default_rng(0).random((2, 3, 30, 40), np.float32)
    value = metrics.structural_similarity(x.astype(np.float64), y.astype(np.float64), data_range=1.0, channel_axis=0)
    ours = jaxssim.ssim(x, y, data_range=1.0, convention=conventions.SKIMAGE, channel_axis=-3)
    np.testing.assert_allclose(ours, value, atol=2e-7)
