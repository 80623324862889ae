"""Errors for invalid arguments: each message says what to pass instead."""

import copy
import inspect
import pickle
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxssim
from jaxssim import Convention, Gaussian, Uniform

METRICS = [jaxssim.ssim, jaxssim.dssim, jaxssim.ssim_map, jaxssim.ssim_loss, jaxssim.psnr]
WINDOWED = METRICS[:-1]
PAIRWISE = [jaxssim.mse, jaxssim.mae]
IMAGE = np.zeros((16, 16, 3), np.float32)


def raises(*words):
    return pytest.raises(ValueError, match="(?s)" + ".*".join(map(re.escape, words)))


@pytest.mark.parametrize("metric", METRICS)
class TestEveryMetric:
    def test_shapes_that_differ(self, metric):
        with raises("x and y must have the same shape", "(16, 16, 3)", "(1, 16, 16, 3)"):
            metric(IMAGE, IMAGE[None], data_range=1.0)

    @pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16, np.float32, np.float64])
    def test_missing_data_range_of_float_images(self, metric, dtype):
        with raises("data_range must be given", str(np.dtype(dtype)), "1.0"):
            metric(IMAGE.astype(dtype), IMAGE.astype(dtype))

    @pytest.mark.parametrize("data_range", [0, -1.0, np.nan, np.inf, 1e39, 1e-39, np.asarray([0.0]), "jax"])
    def test_data_range_that_is_not_positive_and_finite(self, metric, data_range):
        data_range = jnp.float32(-2) if isinstance(data_range, str) else data_range
        with raises("data_range must be positive and finite", "got"):
            metric(IMAGE[None], IMAGE[None], data_range=data_range)

    @pytest.mark.parametrize("data_range", [1j, True, "255"])
    def test_data_range_that_is_not_a_number(self, metric, data_range):
        with raises("data_range must be a real number"):
            metric(IMAGE, IMAGE, data_range=data_range)

    @pytest.mark.parametrize("shape", [(2,), (3, 1), (4, 3)])
    def test_data_range_that_does_not_broadcast_to_the_batch(self, metric, shape):
        batch = np.zeros((3, 16, 16, 3), np.float32)
        with raises("data_range has shape", str(shape), "(3,)"):
            metric(batch, batch, data_range=np.ones(shape))

    @pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8, np.uint32, bool, np.longdouble])
    def test_unsupported_image_types(self, metric, dtype):
        with raises("x has type", str(np.dtype(dtype)), "pass uint8"):
            metric(IMAGE.astype(dtype), IMAGE.astype(dtype), data_range=1.0)
        with raises("y has type", str(np.dtype(dtype))):
            metric(IMAGE, IMAGE.astype(dtype), data_range=1.0)

    @pytest.mark.parametrize("other", [np.float32, np.uint16])
    def test_integer_images_with_images_of_another_type(self, metric, other):
        with raises("x has type uint8", f"y has type {np.dtype(other)}", "convert"):
            metric(IMAGE.astype(np.uint8), IMAGE.astype(other), data_range=255)

    @pytest.mark.parametrize("spatial_ndim", [0, 4, None, "2", 2.0, True])
    def test_invalid_spatial_ndim(self, metric, spatial_ndim):
        with raises("spatial_ndim must be 1", repr(spatial_ndim)):
            metric(IMAGE, IMAGE, data_range=1.0, spatial_ndim=spatial_ndim)

    @pytest.mark.parametrize("channel_axis", [0, 2, -4, 1.5, "last"])
    def test_invalid_channel_axis(self, metric, channel_axis):
        with raises("channel_axis must be None or count from the end", repr(channel_axis)):
            metric(IMAGE, IMAGE, data_range=1.0, channel_axis=channel_axis)

    def test_long_last_axis_needs_an_explicit_channel_axis(self, metric):
        stack = np.zeros((32, 28, 28), np.float32)
        with raises("channel_axis was left to its default", "28", "channel_axis=None"):
            metric(stack, stack, data_range=1.0)
        assert metric(stack, stack, data_range=1.0, channel_axis=None).shape[:1] in ((32,), ())
        assert metric(stack, stack, data_range=1.0, channel_axis=-1).ndim in (0, 3)

    def test_too_few_axes(self, metric):
        with raises("(16, 16)", "at least 3 axes", "channel_axis=None"):
            metric(IMAGE[..., 0], IMAGE[..., 0], data_range=1.0)
        with raises("(16,)", "at least 2 axes", "smaller spatial_ndim"):
            metric(IMAGE[0, :, 0], IMAGE[0, :, 0], data_range=1.0, channel_axis=None)

    def test_images_without_pixels(self, metric):
        for empty in (IMAGE[:0], IMAGE[..., :0]):
            with raises(str(empty.shape), "no pixels"):
                metric(empty, empty, data_range=1.0)

    def test_both_byte_orders(self, metric):
        other = IMAGE.astype(IMAGE.dtype.newbyteorder())
        np.testing.assert_array_equal(metric(other, other, data_range=1.0), metric(IMAGE, IMAGE, data_range=1.0))

    def test_nested_lists_are_accepted(self, metric):
        nested = (IMAGE[..., 0] + 0.5).tolist()
        np.testing.assert_array_equal(
            metric(nested, nested, data_range=1, channel_axis=None),
            metric(IMAGE[..., 0], IMAGE[..., 0], data_range=1.0, channel_axis=None),
        )


@pytest.mark.parametrize("metric", WINDOWED)
class TestWindowed:
    def test_images_smaller_than_the_window(self, metric):
        with raises("(10, 16)", "window of 11x11", "smaller window"):
            metric(IMAGE[:10], IMAGE[:10], data_range=1.0)

    @pytest.mark.parametrize("convention", ["skimage", None, Gaussian()])
    def test_convention_of_wrong_type(self, metric, convention):
        with raises("convention must be a jaxssim.Convention", repr(convention), "jaxssim.conventions"):
            metric(IMAGE, IMAGE, data_range=1.0, convention=convention)


@pytest.mark.parametrize("metric", PAIRWISE)
def test_errors_of_metrics_without_data_range(metric):
    with raises("x and y must have the same shape"):
        metric(IMAGE, IMAGE[None])
    with raises("x has type int64"):
        metric(IMAGE.astype(np.int64), IMAGE.astype(np.int64))
    with raises("channel_axis was left to its default"):
        metric(np.zeros((32, 28, 28), np.float32), np.zeros((32, 28, 28), np.float32))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Gaussian(size=(11, 0)), ("size must be a number of pixels", "0")),
        (lambda: Gaussian(size=-1), ("size must be a number of pixels", "-1")),
        (lambda: Gaussian(size=3.0), ("size must be a number of pixels", "3.0")),
        (lambda: Gaussian(sigma=0.0), ("sigma must be a positive number", "0.0")),
        (lambda: Gaussian(sigma=np.nan), ("sigma must be a positive number", "nan")),
        (lambda: Uniform(size=0), ("size must be a number of pixels", "0")),
        (lambda: Convention(window=11), ("window must be jaxssim.Gaussian", "11")),
        (lambda: Convention(padding="same"), ("padding must be", '"valid"', "'same'")),
        (lambda: Convention(covariance="biased"), ("covariance must be", '"population"', "'biased'")),
        (lambda: Convention(k1=0.0), ("k1 must be a number", "0.0")),
        (lambda: Convention(k1="a"), ("k1 must be a number", "'a'")),
        (lambda: Convention(k2=-0.1), ("k2 must be a number", "-0.1")),
        (lambda: Gaussian(sigma="a"), ("sigma must be a positive number", "'a'")),
        (lambda: Convention(window=Uniform(1), covariance="sample"), ("covariance", "more than one pixel")),
    ],
)
def test_invalid_conventions_and_windows(make, words):
    with raises(*words):
        make()


def test_errors_are_raised_while_tracing():
    with raises("data_range must be given"):
        jax.jit(jaxssim.ssim)(IMAGE, IMAGE)


def test_signature_shows_the_default_channel_axis():
    assert "channel_axis: int | None = <the last axis, of at most 4 channels>" in str(inspect.signature(jaxssim.ssim))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("metric", [jaxssim.ssim, jaxssim.psnr, jaxssim.ssim_loss])
def test_integer_images_with_the_data_range_of_floats(metric, dtype):
    x = IMAGE.astype(dtype)
    for data_range in (1.0, 1, 0.5, np.array([255, 1.0, 255])):
        batch = np.stack([x] * 3) if np.ndim(data_range) else x
        with raises("data_range must be more than 1", f"{np.dtype(dtype)} images", "leave it out"):
            metric(batch, batch, data_range=data_range)
    metric(x, x, data_range=4095)


def test_the_error_of_16_bit_images_names_the_ranges_of_fewer_bits():
    with raises("leave it out for 65535", "1023, 4095 or 16383"):
        jaxssim.ssim(IMAGE.astype(np.uint16), IMAGE.astype(np.uint16), data_range=1.0)


def test_a_pair_of_smallest_and_largest_as_data_range():
    with raises("data_range has shape (2,)", "pass their difference"):
        jaxssim.ssim(IMAGE, IMAGE, data_range=(0, 1))
    with raises("data_range must be positive", "pass their difference"):
        jaxssim.ssim(np.stack([IMAGE] * 2), np.stack([IMAGE] * 2), data_range=(0, 1))


def test_axes_counted_from_the_front_or_channels_first_are_errors_that_name_the_axis():
    first = np.zeros((3, 16, 16), np.float32)
    with raises("channel_axis", "pass -3"):
        jaxssim.ssim(first, first, data_range=1.0, channel_axis=0)
    with raises("channel_axis", "pass -3"):
        jaxssim.ssim(first[None], first[None], data_range=1.0, channel_axis=1)
    with raises("16 long", "channel_axis=-3 if channels come first"):
        jaxssim.ssim(first, first, data_range=1.0)


def test_a_mask_of_one_channel():
    x, y = np.random.default_rng(0).random((2, 2, 16, 16, 3), np.float32)
    mask = np.arange(16) * np.ones((2, 16, 1)) > 5
    expected = jaxssim.ssim(x, y, data_range=1.0, mask=mask)
    np.testing.assert_array_equal(jaxssim.ssim(x, y, data_range=1.0, mask=mask[..., None]), expected)
    first = [np.moveaxis(image, -1, 1) for image in (x, y, mask[..., None])]
    options = {"data_range": 1.0, "channel_axis": -3, "mask": first.pop()}
    np.testing.assert_array_equal(jaxssim.ssim(*first, **options), expected)


def test_traced_data_ranges_that_integer_images_cannot_have_give_nan():
    x, y = np.uint8(np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)))
    for metric in (jaxssim.ssim, jaxssim.psnr, jaxssim.ssim_loss):
        value = jax.jit(lambda r, metric=metric: metric(x, y, data_range=r))
        assert np.isnan(value(1.0))
        np.testing.assert_allclose(value(255.0), metric(x, y), rtol=1e-6)


def test_the_default_channel_axis_stays_the_default_when_copied():
    default = inspect.signature(jaxssim.ssim).parameters["channel_axis"].default
    assert copy.deepcopy(default) is copy.copy(default) is pickle.loads(pickle.dumps(default)) is default
