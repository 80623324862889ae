"""Value and map from one call, against the functions that return one of the two."""

import jax
import numpy as np
import pytest
from marks import slow, slow_except

import jaxssim
from jaxssim import conventions

X, Y = np.random.default_rng(0).random((2, 3, 40, 44, 3), np.float32)
MASK = np.random.default_rng(1).random((40, 44)) * (np.arange(44) > 9)


@pytest.mark.parametrize("masked", slow_except([False], [False, True]))
@pytest.mark.parametrize(
    "name", slow_except(["KORNIA", "SKIMAGE"], ["WANG2004", "PIQ", "KORNIA", "SKIMAGE", "SKIMAGE_GAUSSIAN"])
)
def test_value_and_map_are_those_of_ssim_and_ssim_map(name, masked):
    convention = getattr(conventions, name)
    if masked and convention.covariance == "sample":
        convention = jaxssim.Convention(window=convention.window, padding=convention.padding)
    options = {"data_range": 1.0, "convention": convention} | ({"mask": MASK} if masked else {})
    value, similarity = jaxssim.ssim_and_map(X, Y, **options)
    np.testing.assert_allclose(value, jaxssim.ssim(X, Y, **options), atol=2e-7)
    np.testing.assert_allclose(similarity, jaxssim.ssim_map(X, Y, **options), atol=3e-7)


@pytest.mark.parametrize("spatial_ndim", slow_except([1], [1, 3]))
def test_signals_and_volumes(spatial_ndim):
    options = {"data_range": 1.0, "spatial_ndim": spatial_ndim, "channel_axis": None, "convention": conventions.SKIMAGE}
    x, y = (image[0, ..., 0] if spatial_ndim == 1 else image[..., 0].repeat(3, 0) for image in (X, Y))
    value, similarity = jaxssim.ssim_and_map(x, y, **options)
    np.testing.assert_allclose(value, jaxssim.ssim(x, y, **options), atol=2e-7)
    assert similarity.shape == x.shape


@slow
def test_the_gradient_of_the_value():
    loss = lambda y: jaxssim.ssim_and_map(X, y, data_range=1.0)[0].sum()  # noqa: E731
    expected = jax.grad(lambda y: jaxssim.ssim(X, y, data_range=1.0).sum())(Y)
    np.testing.assert_allclose(jax.grad(loss)(Y), expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())
