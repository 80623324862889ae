"""Derivatives: right to second order in both modes, and finite for every finite image."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

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


@pytest.mark.parametrize(
    ("spatial_ndim", "covariance"), [(1, "sample"), (2, "population"), (2, "sample"), (3, "population")]
)
def test_both_modes_to_second_order(spatial_ndim, covariance):
    convention = Convention(window=Gaussian(3, 1.0), covariance=covariance)
    options = dict(convention=convention, spatial_ndim=spatial_ndim)
    with jax.enable_x64(True):
        x, y = np.random.default_rng(0).random((2, *(5, 4, 5)[:spatial_ndim], 2))
        check_grads(functools.partial(loss, **options), (x, y), order=2, modes=("fwd", "rev"), eps=1e-5)
        weighted = lambda x, y: jnp.sin(jaxssim.ssim_map(x, y, data_range=1.0, **options))  # noqa: E731
        check_grads(weighted, (x, y), order=2, modes=("fwd", "rev"), eps=1e-5)
        check_grads(functools.partial(weighted, x), (y,), order=2, modes=("fwd", "rev"), eps=1e-5)
        check_grads(functools.partial(weighted, y=y), (x,), order=1, modes=("fwd", "rev"), eps=1e-5)


def test_the_data_range_may_be_differentiated_too():
    with jax.enable_x64(True):
        x, y = np.random.default_rng(0).random((2, 12, 12, 1))
        check_grads(lambda r: jaxssim.ssim(x, y, data_range=r), (1.3,), order=2, modes=("fwd", "rev"))


@pytest.mark.parametrize("metric", [jaxssim.mse, jaxssim.mae, functools.partial(jaxssim.psnr, data_range=1.0)])
def test_pointwise_errors(metric):
    with jax.enable_x64(True):
        x, y = np.random.default_rng(0).random((2, 5, 6, 3))
        check_grads(metric, (x, y), order=2, modes=("fwd", "rev"))
    assert np.isfinite(jax.grad(metric)(np.float32(x), np.float32(x))).all()


@pytest.mark.parametrize("convention", [conventions.WANG2004, conventions.SKIMAGE], ids=["wang", "skimage"])
@pytest.mark.parametrize("name", CASES)
def test_finite_and_equal_to_float64(name, convention):
    """The gradients by both images at once, and those by each alone, which are computed in another way."""
    x, y = images(name)
    by_both, by_x, by_y = (
        jax.grad(functools.partial(loss, convention=convention), argnums=argnums) for argnums in ((0, 1), 0, 1)
    )
    with jax.enable_x64(True):
        expected = by_both(np.float64(x), np.float64(y))
    for actual, truth in zip((*by_both(x, y), by_x(x, y), by_y(x, y)), (*expected, *expected), strict=True):
        assert np.isfinite(actual).all()
        # Far outside the data range the slope is some 1 / |x| an image; a hundredth of that passes for 0.
        outside = 1e-2 / (x.size * np.abs(x).max()) if np.abs(x).max() > 1e6 else 0.0
        # Against black the slope is what C1 / mean² leaves of two terms that cancel, some thousandth of each.
        rtol = 1e-3 if name == "black and noise" else 1e-4
        np.testing.assert_allclose(actual, truth, rtol=0, atol=rtol * max(np.abs(truth).max(), outside))


@pytest.mark.parametrize("name", CASES)
def test_finite_to_second_order(name):
    x, y = images(name, (7, 6, 1))
    hessian = jax.hessian(functools.partial(loss, convention=SMALL))(x, y)
    assert np.isfinite(hessian).all()
    nested = jax.jacrev(jax.jacfwd(functools.partial(loss, convention=SMALL)))(x, y)
    assert np.isfinite(nested).all()
    similarity = jax.jacfwd(lambda x: jaxssim.ssim_map(x, y, data_range=1.0, convention=SMALL))(x)
    assert np.isfinite(similarity).all()


def test_the_hessian_at_identical_images_is_that_of_float64():
    x = np.random.default_rng(0).random((7, 6, 1))
    hessian = jax.hessian(functools.partial(loss, convention=SMALL))
    with jax.enable_x64(True):
        expected = hessian(x, x)
    actual = hessian(np.float32(x), np.float32(x))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_images_get_half_precision_gradients(dtype):
    x, y = jnp.asarray(np.random.default_rng(0).random((2, 20, 20, 3)), dtype)
    gradient = jax.grad(loss)(x, y)
    assert gradient.dtype == dtype
    expected = jax.grad(loss)(x.astype(jnp.float32), y.astype(jnp.float32))
    np.testing.assert_allclose(gradient.astype(jnp.float32), expected, rtol=1e-2, atol=1e-6)


def test_a_step_down_the_gradient_raises_similarity():
    x, y = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    convention = Convention(window=Uniform(7))
    value, gradient = jax.value_and_grad(functools.partial(loss, convention=convention), argnums=1)(x, y)
    assert loss(x, y - 10 * gradient, convention=convention) < value
