"""Derivatives where a function of the library has a kink: at equal pixels, at bounds and at zeros."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import slow_except

import jaxssim

IMAGE = jax.random.uniform(jax.random.key(0), (40, 44, 3))
FLAT = jnp.full((40, 44, 3), 0.25)
BLACK = jnp.zeros((40, 44, 3))

LOSSES = {
    "mae": jaxssim.mae,
    "mse": jaxssim.mse,
    "ssim_loss": lambda x, y: jaxssim.ssim_loss(x, y, data_range=1.0),
    "ms_ssim_loss": lambda x, y: jaxssim.ms_ssim_loss(x, y, data_range=1.0, weights=(0.5, 0.5)),
    "ms_ssim_l1_loss": lambda x, y: jaxssim.ms_ssim_l1_loss(x, y, data_range=1.0, sigmas=(0.5, 1.0, 2.0)),
    "cw_ssim_loss": lambda x, y: jaxssim.cw_ssim_loss(x, y, levels=2),
    "luminance": lambda x, y: components(x, y).luminance.mean(),
    "contrast": lambda x, y: components(x, y).contrast.mean(),
    "structure": lambda x, y: components(x, y).structure.mean(),
    "pairwise": lambda x, y: jaxssim.pairwise(jnp.stack([x, y]), data_range=1.0)[0, 1],
    "psnr": lambda x, y: jaxssim.psnr(x, y, data_range=1.0),
}


def components(x, y):
    return jaxssim.ssim_components(x, y, data_range=1.0)


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(IMAGE, id="textured"),
        pytest.param(FLAT, id="flat", marks=pytest.mark.slow),
        pytest.param(BLACK, id="black", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", slow_except(["mae", "ssim_loss", "ms_ssim_l1_loss"], list(LOSSES)))
def test_every_gradient_is_0_at_identical_images(name, image):
    gradients = jax.grad(LOSSES[name], argnums=(0, 1))(image, image)
    np.testing.assert_allclose(np.stack(gradients), 0, atol=2e-9)


def test_mae_has_derivative_0_at_equal_pixels_and_plus_or_minus_1_elsewhere():
    y = IMAGE.at[::2].add(0.5).at[1::4].add(-0.5)
    gradient = jax.grad(jaxssim.mae, argnums=1)(IMAGE, y)
    np.testing.assert_allclose(gradient * IMAGE.size, np.sign(np.asarray(y - IMAGE)), rtol=1e-6)
    assert not jax.grad(lambda y: jnp.sum(jax.grad(jaxssim.mae, argnums=1)(IMAGE, y) * IMAGE))(y).any()


def test_the_l1_term_has_derivative_0_at_equal_pixels():
    def loss(y):
        return jaxssim.ms_ssim_l1_loss(IMAGE, y, data_range=1.0, alpha=0.0, sigmas=(0.5, 1.0))

    gradient = jax.grad(loss)(IMAGE.at[:, :20].add(0.125))
    assert not gradient[:, 20:].any()
    assert (gradient[4:-4, 4:16] > 0).all()
    assert jax.grad(loss)(IMAGE).sum() == 0


def test_mae_of_integers_still_counts_every_difference():
    x, y = np.uint8([[0, 255, 7, 7]] * 4), np.uint8([[255, 0, 7, 9]] * 4)
    assert jaxssim.mae(x, y, channel_axis=None) == 128.0
    assert np.isnan(jaxssim.mae(np.float32([[np.nan, 1]]), np.float32([[0, 1]]), channel_axis=None))


@pytest.mark.parametrize("level", [0.0, 0.1, 0.3, 1.0])
def test_flat_images_of_any_level_have_no_slope_where_a_root_has_none(level):
    y = np.random.default_rng(0).random((24, 24), np.float32)
    flat = np.full_like(y, level)
    contrast = lambda x: jaxssim.ssim_components(x, y, data_range=1.0, channel_axis=None).contrast.mean()  # noqa: E731
    assert not jax.grad(contrast)(flat).any()
    wavelets = lambda x: jaxssim.cw_ssim(x, y, levels=2, orientations=4, channel_axis=None)  # noqa: E731
    assert np.abs(jax.grad(wavelets)(flat)).max() < 1e-6
