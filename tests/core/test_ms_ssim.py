"""MS-SSIM and its losses against TensorFlow and the float64 reference; test_matlab_values.py compares with MATLAB."""

import functools
import itertools

import jax
import numpy as np
import pytest
import reference
from jax.test_util import check_grads
from marks import slow

import jaxssim
from jaxssim import Convention, Gaussian, conventions

SMALL = Convention(window=Gaussian(3, 1.0))


def pair(*shape, amount=0.2, dtype=np.float32):
    x, other = np.random.default_rng(0).random((2, *shape))
    return x.astype(dtype), ((1 - amount) * x + amount * other).astype(dtype)


# At 161 pixels the coarsest scale has one window, and TensorFlow's own error is 1e-5.
@slow
@pytest.mark.parametrize(("shape", "error"), [((2, 176, 192, 3), 5e-6), ((201, 183, 2), 5e-6), ((161, 161, 1), 2e-5)])
def test_values_equal_tensorflow(shape, error):
    tf = pytest.importorskip("tensorflow")
    x, y = pair(*shape)
    ours = jaxssim.ms_ssim(x, y, data_range=1.0)
    np.testing.assert_allclose(ours, tf.image.ssim_multiscale(x, y, 1.0), atol=error)
    np.testing.assert_allclose(ours, 1 - reference.one_minus_ms_ssim(x, y, 1.0, jaxssim.MS_SSIM_WEIGHTS), atol=2e-7)
    np.testing.assert_array_equal(jaxssim.ms_ssim(x, 1 - x, data_range=1.0), tf.image.ssim_multiscale(x, 1 - x, 1.0))


@slow
def test_values_equal_tensorflow_with_other_windows_and_weights():
    tf = pytest.importorskip("tensorflow")
    x, y = pair(2, 60, 75, 3)
    weights = (0.3, 0.2, 0.4)
    expected = tf.image.ssim_multiscale(x, y, 1.0, power_factors=weights, filter_size=7, k1=0.02)
    convention = Convention(window=Gaussian(7), k1=0.02)
    ours = jaxssim.ms_ssim(x, y, data_range=1.0, weights=weights, convention=convention)
    np.testing.assert_allclose(ours, expected, atol=5e-6)


@pytest.mark.parametrize("amount", [1e-4, 0.05, 0.5])
@pytest.mark.parametrize("shape", [(33, 30), pytest.param((41,), marks=slow), pytest.param((17, 19, 24), marks=slow)])
def test_values_equal_the_reference_also_near_zero(shape, amount):
    x, y = pair(*shape, 2, amount=amount)
    weights = (0.2, 0.5, 0.3)
    expected = reference.one_minus_ms_ssim(x, y, 1.0, weights, SMALL, spatial_ndim=len(shape))
    options = dict(data_range=1.0, weights=weights, convention=SMALL, spatial_ndim=len(shape))
    np.testing.assert_allclose(jaxssim.ms_ssim(x, y, **options), 1 - expected, atol=2e-7)
    np.testing.assert_allclose(jaxssim.ms_ssim_loss(x, y, **options), expected, rtol=1e-5)


def test_one_scale_equals_ssim():
    x, y = pair(2, 40, 30, 3)
    ours = jaxssim.ms_ssim(x, y, data_range=1.0, weights=(1.0,))
    np.testing.assert_allclose(ours, jaxssim.ssim(x, y, data_range=1.0), atol=2e-7)


@slow
def test_downsampling_of_the_convention_is_ignored():
    x, y = pair(400, 410, 1)
    ours = jaxssim.ms_ssim(x, y, data_range=1.0, convention=conventions.PIQ)
    assert ours == jaxssim.ms_ssim(x, y, data_range=1.0)


@slow
@pytest.mark.parametrize("name", ["ms_ssim_loss", "ms_ssim_l1_loss"])
@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_in_both_modes(order, name):
    options = {
        "ms_ssim_loss": dict(weights=(0.4, 0.6), convention=SMALL),
        "ms_ssim_l1_loss": dict(sigmas=(0.5, 1.0)),
    }[name]
    loss = functools.partial(getattr(jaxssim, name), data_range=1.0, **options)
    with jax.enable_x64(True):
        check_grads(loss, pair(9, 8, 2, dtype=np.float64), order=order, modes=("fwd", "rev"), eps=1e-6)


CASES = {
    "identical": lambda r: (r, r),
    "negatively correlated": lambda r: (r, 1 - r),
    "one scale negatively correlated": lambda r: (r, np.kron(r[::2, ::2], np.ones((2, 2, 1))) - 0.3 * r),
    "constant": lambda r: (0 * r + 0.3, 0 * r + 0.8),
    "black": lambda r: (0 * r, 0 * r),
    "black and noise": lambda r: (0 * r, r),
    "huge": lambda r: (1e15 * r, -1e15 * r),
    "nearly uncorrelated": lambda r: (r, np.roll(r, 7, 0)),
}


@slow
@pytest.mark.parametrize(("case", "name"), list(itertools.product(CASES, ["ms_ssim_loss", "ms_ssim_l1_loss"])))
def test_derivatives_are_finite(case, name):
    x, y = (image.astype(np.float32) for image in CASES[case](np.random.default_rng(0).random((34, 36, 1))))
    options = dict(weights=(0.1, 0.9), convention=SMALL) if name == "ms_ssim_loss" else {}
    loss = functools.partial(getattr(jaxssim, name), data_range=1.0, **options)
    value, gradients = jax.value_and_grad(loss, argnums=(0, 1))(x, y)
    assert np.isfinite(value)
    assert np.isfinite(gradients).all()
    x, y = x[:33, :33], y[:33, :33]
    assert np.isfinite(jax.jvp(jax.grad(loss), (x, y), (x, y))[1]).all()


@slow
def test_value_and_gradient_are_zero_where_structure_is_negative():
    x, _ = pair(2, 40, 40, 1)
    y = np.stack([0.9 * x[0], 1 - x[1]])
    options = dict(data_range=1.0, weights=(0.5, 0.5), convention=SMALL)
    values = jaxssim.ms_ssim(x, y, **options)
    assert values[1] == 0
    assert values[0] > 0.5
    gradient = np.asarray(jax.grad(lambda y: jaxssim.ms_ssim_loss(x, y, **options))(y))
    assert (gradient[1] == 0).all()
    assert (gradient[0] != 0).any()


@slow
def test_nan_affects_only_its_image():
    x, y = pair(3, 30, 30, 1)
    x[1, 3, 4] = np.nan
    values = jaxssim.ms_ssim(x, y, data_range=1.0, weights=(0.5, 0.5), convention=SMALL)
    np.testing.assert_array_equal(np.isnan(values), [False, True, False])


@pytest.mark.parametrize(("sigmas", "alpha"), [((0.5, 1.0, 2.0, 4.0, 8.0), 0.84), ((0.5, 2.0), 0.3)])
@pytest.mark.parametrize("offset", [0.0, -0.3])
def test_ms_ssim_l1_loss_equals_the_reference(sigmas, alpha, offset):
    x, y = pair(45, 50, 2)
    y = y + np.float32(offset)
    ours = jaxssim.ms_ssim_l1_loss(x, y, data_range=1.0, sigmas=sigmas, alpha=alpha)
    np.testing.assert_allclose(ours, reference.ms_ssim_l1_loss(x, y, 1.0, sigmas, alpha), rtol=3e-6)
    assert jaxssim.ms_ssim_l1_loss(x, x, data_range=1.0) == 0


def test_defaults_of_ms_ssim_l1_loss_are_those_of_the_paper():
    x, y = pair(45, 50, 2)
    expected = jaxssim.ms_ssim_l1_loss(x, y, data_range=1.0, sigmas=(0.5, 1.0, 2.0, 4.0, 8.0), alpha=0.84)
    assert jaxssim.ms_ssim_l1_loss(x, y, data_range=1.0) == expected


class TestErrors:
    def test_image_too_small_for_the_scales(self):
        x = np.zeros((160, 170, 1), np.float32)
        with pytest.raises(
            ValueError, match=r"\(160, 170\).* 5 scales .*\(161, 161\).* at most 4 weights, for instance \(0\.\d+, "
        ):
            jaxssim.ms_ssim(x, x, data_range=1.0)
        assert jaxssim.ms_ssim(x, x, data_range=1.0, weights=jaxssim.MS_SSIM_WEIGHTS[:4]) == 1
        with pytest.raises(ValueError, match=r"\(32, 40\).*33x33"):
            jaxssim.ms_ssim_l1_loss(x[:32, :40], x[:32, :40], data_range=1.0)

    def test_image_too_small_along_one_axis(self):
        x, y = pair(12, 60, 1)
        convention = Convention(window=Gaussian((3, 11)))
        assert jaxssim.ms_ssim(x, y, data_range=1.0, weights=(0.3, 0.3, 0.4), convention=convention) < 1
        with pytest.raises(ValueError, match=r"\(12, 60\).*\(17, 81\).*at most 3"):
            jaxssim.ms_ssim(x, y, data_range=1.0, weights=(0.2, 0.2, 0.3, 0.3), convention=convention)

    @pytest.mark.parametrize(
        "weights", [(), (0.5, 0.0), (0.5, -1.0), (0.5, np.nan), ("a",), 1.0, None, {1: 2}, (1e300,)]
    )
    def test_weights_that_are_not_positive_numbers(self, weights):
        with pytest.raises(ValueError, match="weights must be a tuple of positive numbers"):
            jaxssim.ms_ssim(*pair(40, 40, 1), data_range=1.0, weights=weights)

    @pytest.mark.parametrize("alpha", [-0.1, 1.1, np.nan, "a"])
    def test_alpha_outside_zero_to_one(self, alpha):
        with pytest.raises(ValueError, match="alpha must be a number from 0 to 1"):
            jaxssim.ms_ssim_l1_loss(*pair(40, 40, 1), data_range=1.0, alpha=alpha)

    @pytest.mark.parametrize("sigmas", [(), (0.0,), ("a",), 1.0])
    def test_sigmas_that_are_not_positive_numbers(self, sigmas):
        with pytest.raises(ValueError, match="sigmas must be a tuple of positive numbers"):
            jaxssim.ms_ssim_l1_loss(*pair(40, 40, 1), data_range=1.0, sigmas=sigmas)

    def test_sigmas_that_do_not_rise(self):
        for sigmas in ((2.0, 1.0), (1.0, 1.0, 2.0)):
            with pytest.raises(ValueError, match=r"sigmas must rise.* pass \(1.0, 2.0\)"):
                jaxssim.ms_ssim_l1_loss(*pair(40, 40, 1), data_range=1.0, sigmas=sigmas)

    def test_sigmas_whose_window_is_larger_than_the_images(self):
        x, y = pair(16, 20, 1)
        with pytest.raises(
            ValueError, match=r"\(16, 20\), smaller than the window of 33x33 pixels .* sigmas up to 3.5"
        ):
            jaxssim.ms_ssim_l1_loss(x, y, data_range=1.0)
        assert 0 < jaxssim.ms_ssim_l1_loss(x, y, data_range=1.0, sigmas=(1.0, 3.5)) < 1

    def test_images_smaller_than_the_window_of_a_convention_that_continues_them(self):
        with pytest.raises(ValueError, match=r"pass larger images, or a convention with a smaller window"):
            jaxssim.ms_ssim(*pair(8, 8, 1), data_range=1.0, convention=conventions.FUSED_SSIM)

    def test_convention_of_wrong_type(self):
        with pytest.raises(ValueError, match="convention must be"):
            jaxssim.ms_ssim(*pair(40, 40, 1), data_range=1.0, convention=None)
