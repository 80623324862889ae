"""Whitening and eigenvalues of small symmetric matrices against LAPACK in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import jaxssim
from jaxssim._core.symmetric import eigh, whitening


def covariances(n):
    """Returns positive definite matrices whose eigenvalues differ by up to six orders."""
    vectors = np.random.default_rng(n).normal(size=(4, n, 5 * n)) * np.logspace(0, -3, n)[:, None]
    mixed = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))[0] @ vectors
    return mixed @ mixed.swapaxes(-1, -2)


@pytest.mark.parametrize("n", [2, 9, 10])
def test_both_equal_lapack(n):
    matrix = covariances(n)
    with jax.enable_x64(True):
        values, vectors, white = map(np.asarray, (*jax.jit(eigh)(matrix), jax.jit(whitening)(matrix)))
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(matrix), rtol=1e-9)
    np.testing.assert_allclose(matrix @ vectors, vectors * values[:, None], atol=1e-12)
    np.testing.assert_allclose(
        white @ matrix @ white.swapaxes(-1, -2), np.broadcast_to(np.eye(n), (4, n, n)), atol=1e-8
    )


def test_derivatives_of_both_equal_differences():
    matrix = np.random.default_rng(0).normal(size=(3, 3))
    with jax.enable_x64(True):
        positive = lambda a: a @ a.T + jnp.diag(jnp.arange(1.0, 4))  # noqa: E731
        both = lambda a: (jnp.sort(eigh(positive(a))[0]), whitening(positive(a)))  # noqa: E731
        check_grads(jax.jit(both), (matrix,), 2, modes=["rev"])


def test_equal_eigenvalues_have_finite_derivatives():
    tangent = jnp.arange(9.0).reshape(3, 3)
    _, (values, vectors) = jax.jvp(eigh, (jnp.eye(3),), (tangent + tangent.T,))
    assert np.isfinite(values).all()
    assert np.isfinite(vectors).all()


def test_iw_ssim_calls_no_lapack():
    """Two batched calls of LAPACK at a time never end on two cores, up to JAX 0.10."""
    image = jax.ShapeDtypeStruct((8, 180, 180), jnp.float32)
    loss = lambda x, y: jaxssim.iw_ssim_loss(x, y, data_range=1.0, channel_axis=None)  # noqa: E731
    assert "lapack" not in jax.jit(jax.grad(loss)).lower(image, image).as_text()
