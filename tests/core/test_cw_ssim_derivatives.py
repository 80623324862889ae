"""Derivatives of CW-SSIM: correct in both modes, and finite for every finite image."""

import functools

import jax
import numpy as np
import pytest
from jax.test_util import check_grads
from marks import slow, slow_except

from jaxssim import cw_ssim_loss

loss = functools.partial(cw_ssim_loss, levels=2, orientations=3)
GRADIENTS = jax.jit(jax.grad(loss, argnums=(0, 1)))
HESSIAN = jax.jit(jax.hessian(loss))
REVERSE_FORWARD = jax.jit(jax.jacrev(jax.jacfwd(loss)))
CASES = {
    "identical": lambda r: (r, r),
    "noise": lambda r: (r, 1 - 0.7 * r**2),
    "constant": lambda r: (0 * r + 0.3, 0 * r + 0.8),
    "black": lambda r: (0 * r, 0 * r),
    "black and noise": lambda r: (0 * r, r),
    "constant and noise": lambda r: (0 * r + 0.7, r),
    "negatively correlated": lambda r: (r, 1 - r),
    "opposite": lambda r: (r, -r),
    "tiny": lambda r: (1e-15 * r, 1e-15 * r[::-1]),
    "huge": lambda r: (1e15 * r, 1e15 * r[::-1]),
    "hugely opposite": lambda r: (1e15 * r, -1e15 * r),
    "tiny and huge": lambda r: (1e-15 * r, 1e15 * r[::-1]),
    "far from 0": lambda r: (1e4 + r, 1e4 + r[::-1]),
}


@pytest.mark.parametrize(
    ("order", "modes", "k"), slow_except([(1, ("fwd", "rev"), 0.1)], [(2, ("rev",), 0.0), (1, ("fwd", "rev"), 0.1)])
)
def test_loss_in_both_modes(order, modes, k):
    with jax.enable_x64(True):
        x, y = np.random.default_rng(0).random((2, 18, 17, 1))
        check_grads(jax.jit(functools.partial(loss, k=k, guard=2)), (x, y), order, modes=modes, eps=1e-5)


@slow
@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_finite_and_gradients_equal_float64(name):
    x, y = (np.float32(image) for image in CASES[name](np.random.default_rng(0).random((13, 14, 1))))
    assert np.isfinite(HESSIAN(x, y)).all()
    assert np.isfinite(REVERSE_FORWARD(x, y)).all()
    with jax.enable_x64(True):
        expected = GRADIENTS(np.float64(x), np.float64(y))
    for actual, wide in zip(GRADIENTS(x, y), expected, strict=True):
        assert np.isfinite(actual).all()
        # Where the value is 0 the metric has a cusp, without a gradient; where it is 1 the gradient is 0.
        if "and" not in name:
            np.testing.assert_allclose(actual, wide, rtol=0, atol=1e-5 * np.abs(wide).max() + 1e-8)


@pytest.mark.parametrize("k", [0.0, 0.1])
@pytest.mark.parametrize("name", ["black", "black and noise"])
def test_hessian_products_are_finite(name, k):
    x, y = (np.float32(image) for image in CASES[name](np.random.default_rng(0).random((16, 15, 1))))
    gradient = jax.grad(functools.partial(loss, k=k), argnums=(0, 1))
    assert np.isfinite(jax.jvp(gradient, (x, y), (1 + x, y - 1))[1]).all()


@slow
def test_hessian_at_identical_images_equals_float64():
    x = np.random.default_rng(0).random((13, 14, 1))
    with jax.enable_x64(True):
        expected = HESSIAN(x, x)
    actual = HESSIAN(np.float32(x), np.float32(x))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    eigenvalues = np.linalg.eigvalsh(expected.reshape(x.size, x.size))
    assert eigenvalues[-1] > 0
    assert eigenvalues[0] > -1e-9 * eigenvalues[-1]


def test_gradient_descent_increases_similarity():
    x, y = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    value, gradient = jax.value_and_grad(functools.partial(cw_ssim_loss, levels=3), argnums=1)(x, y)
    assert cw_ssim_loss(x, y - 10 * gradient, levels=3) < value
