"""k1 and k2 as arguments, which replace those of the convention without a compilation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compilations import count_compilations
from marks import slow, slow_except

import jaxssim
from jaxssim import conventions

X, Y = np.random.default_rng(0).random((2, 2, 40, 44, 3), np.float32)
MASK = np.arange(44) * np.ones((40, 1)) > 9
FUNCTIONS = {
    "ssim": (jaxssim.ssim, {}),
    "ssim, scikit-image": (jaxssim.ssim, {"convention": conventions.SKIMAGE}),
    "ssim, mask": (jaxssim.ssim, {"mask": MASK}),
    "dssim": (jaxssim.dssim, {}),
    "ssim_loss": (jaxssim.ssim_loss, {}),
    "ssim_map": (jaxssim.ssim_map, {"convention": conventions.KORNIA}),
    "ssim_and_map": (jaxssim.ssim_and_map, {}),
    "ssim_components": (jaxssim.ssim_components, {"convention": conventions.SKIMAGE}),
    "ms_ssim": (jaxssim.ms_ssim, {"weights": (0.5, 0.5)}),
    "ms_ssim_loss": (jaxssim.ms_ssim_loss, {"weights": (0.5, 0.5)}),
}


@pytest.mark.parametrize("name", slow_except(["ssim"], list(FUNCTIONS)))
def test_given_constants_have_the_value_of_a_convention_that_holds_them(name):
    function, options = FUNCTIONS[name]
    convention = options.get("convention", conventions.WANG2004)
    for given in ({"k1": 0.05, "k2": 0.2}, {"k1": 0.3}, {"k2": 0.5}):
        held = dataclasses.replace(convention, **given)
        expected = function(X, Y, data_range=1.0, **{**options, "convention": held})
        for value in (function, jax.jit(lambda k: function(X, Y, data_range=1.0, **options, **k))):
            result = value(X, Y, data_range=1.0, **options, **given) if value is function else value(given)
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=4e-7), result, expected)


def test_the_mixed_loss_takes_constants_too():
    options = {"data_range": 1.0, "sigmas": (0.5, 1.0), "alpha": 1.0}
    default = jaxssim.ms_ssim_l1_loss(X, Y, **options)
    np.testing.assert_allclose(jaxssim.ms_ssim_l1_loss(X, Y, k1=0.01, k2=0.03, **options), default, rtol=1e-6)
    assert jaxssim.ms_ssim_l1_loss(X, Y, k1=1.0, k2=1.0, **options) < 0.5 * default


@slow
@pytest.mark.parametrize("size", slow_except([40], [40, 300]))  # one tile, and several
def test_derivatives_with_respect_to_images_and_constants(size):
    x, y = np.random.default_rng(1).random((2, size, size + 3, 3), np.float32)
    loss = lambda y, k: jaxssim.ssim_loss(x, y, data_range=1.0, k1=k[0], k2=k[1])  # noqa: E731
    convention = dataclasses.replace(conventions.WANG2004, k1=0.05, k2=0.2)
    expected = jax.grad(lambda y: jaxssim.ssim_loss(x, y, data_range=1.0, convention=convention))(y)
    constants = jnp.array([0.05, 0.2])
    np.testing.assert_allclose(jax.grad(loss)(y, constants), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    with jax.enable_x64(True):
        x, y, constants = (np.float64(array) for array in (x, y, constants))
        step = 1e-4 * np.eye(2) * constants
        differences = [(loss(y, constants + s) - loss(y, constants - s)) / (2 * s.sum()) for s in step]
        np.testing.assert_allclose(jax.grad(loss, argnums=1)(y, constants), differences, rtol=1e-6)


def test_a_new_value_compiles_nothing():
    jaxssim.ssim(X, Y, data_range=1.0, k1=0.01)
    with count_compilations() as later:
        values = [jaxssim.ssim(X, Y, data_range=1.0, k1=k1, k2=k2) for k1, k2 in ((0.1, None), (0.2, 0.5), (1, 2))]
    assert not later
    assert values[0].tolist() != values[1].tolist() != values[2].tolist()


@pytest.mark.parametrize("name", ["k1", "k2"])
def test_constants_that_are_no_positive_number(name):
    for value in (0, -1, np.inf, np.nan, "0.01", 1j, True, np.ones(2)):
        with pytest.raises(ValueError, match=f"{name} must be"):
            jaxssim.ssim(X, Y, data_range=1.0, **{name: value})
    assert np.isnan(jax.jit(lambda k: jaxssim.ssim(X, Y, data_range=1.0, **{name: k}))(0.0)).all()
