"""Derivatives of SSIM: correct to second order in both modes, and finite for every finite image."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from marks import slow, slow_except

import jaxssim
from jaxssim import Convention, Gaussian, Uniform, conventions

SMALL = Convention(window=Gaussian(5, 1.0))
CASES = {
    "identical": lambda r: (r, r),
    "noise": lambda r: (r, 1 - 0.7 * r**2),
    "constant": lambda r: (0 * r + 0.3, 0 * r + 0.8),
    "same constant": lambda r: (0 * r + 0.3, 0 * r + 0.3),
    "black": lambda r: (0 * r, 0 * r),
    "black and noise": lambda r: (0 * r, r),
    "negatively correlated": lambda r: (r, 1 - r),
    "negative": lambda r: (-r, -r[::-1]),
    "opposite": lambda r: (r, -r),
    "tiny": lambda r: (1e-20 * r, 1e-20 * r[::-1]),
    "huge": lambda r: (1e15 * r, 1e15 * r[::-1]),
    "hugely opposite": lambda r: (1e15 * r, -1e15 * r),
    "far from 0": lambda r: (1e4 + r, 1e4 + r[::-1]),
}


def loss(x, y, **options):
    return jaxssim.ssim_loss(x, y, data_range=1.0, channel_axis=-1, **options)


def images(name, shape=(20, 18, 2)):
    x, y = CASES[name](np.random.default_rng(0).random(shape))
    return x.astype(np.float32), y.astype(np.float32)


def case_of(spatial_ndim, covariance):
    """Returns two small images in float64, and options."""
    convention = Convention(window=Gaussian(3, 1.0), covariance=covariance)
    images = np.random.default_rng(0).random((2, *(5, 4, 5)[:spatial_ndim], 2))
    return images, dict(convention=convention, spatial_ndim=spatial_ndim)


SPACES = [(1, "sample"), (2, "population"), (2, "sample"), (3, "population")]


@slow
@pytest.mark.parametrize(("spatial_ndim", "covariance"), SPACES)
def test_loss_in_both_modes_to_second_order(spatial_ndim, covariance):
    with jax.enable_x64(True):
        (x, y), options = case_of(spatial_ndim, covariance)
        check_grads(functools.partial(loss, **options), (x, y), order=2, modes=("fwd", "rev"), eps=1e-5)


@slow
@pytest.mark.parametrize(("spatial_ndim", "covariance"), SPACES)
def test_map_in_both_modes_to_second_order(spatial_ndim, covariance):
    with jax.enable_x64(True):
        (x, y), options = case_of(spatial_ndim, covariance)
        weighted = lambda x, y: jnp.sin(jaxssim.ssim_map(x, y, data_range=1.0, **options))  # noqa: E731
        check_grads(weighted, (x, y), order=2, modes=("fwd", "rev"), eps=1e-5)


@slow
@pytest.mark.parametrize(("spatial_ndim", "covariance"), SPACES)
def test_map_by_one_image_in_both_modes(spatial_ndim, covariance):
    with jax.enable_x64(True):
        (x, y), options = case_of(spatial_ndim, covariance)
        weighted = lambda x, y: jnp.sin(jaxssim.ssim_map(x, y, data_range=1.0, **options))  # noqa: E731
        check_grads(functools.partial(weighted, x), (y,), order=2, modes=("fwd", "rev"), eps=1e-5)
        check_grads(functools.partial(weighted, y=y), (x,), order=1, modes=("fwd", "rev"), eps=1e-5)


@slow
def test_derivatives_by_the_data_range():
    with jax.enable_x64(True):
        x, y = np.random.default_rng(0).random((2, 12, 12, 1))
        check_grads(lambda r: jaxssim.ssim(x, y, data_range=r), (1.3,), order=2, modes=("fwd", "rev"))


@slow
@pytest.mark.parametrize("metric", [jaxssim.mse, jaxssim.mae, functools.partial(jaxssim.psnr, data_range=1.0)])
def test_pointwise_metrics_in_both_modes(metric):
    with jax.enable_x64(True):
        x, y = np.random.default_rng(0).random((2, 5, 6, 3))
        check_grads(metric, (x, y), order=2, modes=("fwd", "rev"))
    assert np.isfinite(jax.grad(metric)(np.float32(x), np.float32(x))).all()


@pytest.mark.parametrize(
    "convention",
    [pytest.param(conventions.WANG2004, id="wang"), pytest.param(conventions.SKIMAGE, id="skimage", marks=slow)],
)
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_finite_and_equal_to_float64(name, convention):
    """Compares the gradients by both images, and by each alone, which use other code."""
    x, y = images(name)
    by_both, by_x, by_y = (
        jax.grad(functools.partial(loss, convention=convention), argnums=argnums) for argnums in ((0, 1), 0, 1)
    )
    with jax.enable_x64(True):
        expected = by_both(np.float64(x), np.float64(y))
    for actual, exact in zip((*by_both(x, y), by_x(x, y), by_y(x, y)), (*expected, *expected), strict=True):
        assert np.isfinite(actual).all()
        # Far outside the data range an image's slope is about 1 / |x|; a hundredth of that counts as 0.
        outside = 1e-2 / (x.size * np.abs(x).max()) if np.abs(x).max() > 1e6 else 0.0
        # Against a black image two terms of the slope nearly cancel: about a thousandth of each remains.
        rtol = 1e-3 if name == "black and noise" else 1e-4
        np.testing.assert_allclose(actual, exact, rtol=0, atol=rtol * max(np.abs(exact).max(), outside))


@slow
@pytest.mark.parametrize("name", list(CASES))
def test_hessians_and_jacobians_are_finite(name):
    x, y = images(name, (7, 6, 1))
    hessian = jax.hessian(functools.partial(loss, convention=SMALL))(x, y)
    assert np.isfinite(hessian).all()
    nested = jax.jacrev(jax.jacfwd(functools.partial(loss, convention=SMALL)))(x, y)
    assert np.isfinite(nested).all()
    similarity = jax.jacfwd(lambda x: jaxssim.ssim_map(x, y, data_range=1.0, convention=SMALL))(x)
    assert np.isfinite(similarity).all()


@slow
def test_hessian_at_identical_images_equals_float64():
    x = np.random.default_rng(0).random((7, 6, 1))
    hessian = jax.hessian(functools.partial(loss, convention=SMALL))
    with jax.enable_x64(True):
        expected = hessian(x, x)
    actual = hessian(np.float32(x), np.float32(x))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", slow_except([jnp.bfloat16], [jnp.float16, jnp.bfloat16]))
def test_gradients_have_the_type_of_half_precision_images(dtype):
    x, y = jnp.asarray(np.random.default_rng(0).random((2, 20, 20, 3)), dtype)
    gradient = jax.grad(loss)(x, y)
    assert gradient.dtype == dtype
    expected = jax.grad(loss)(x.astype(jnp.float32), y.astype(jnp.float32))
    np.testing.assert_allclose(gradient.astype(jnp.float32), expected, rtol=1e-2, atol=1e-6)


def test_gradient_descent_increases_similarity():
    x, y = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    convention = Convention(window=Uniform(7))
    value, gradient = jax.value_and_grad(functools.partial(loss, convention=convention), argnums=1)(x, y)
    assert loss(x, y - 10 * gradient, convention=convention) < value
