"""Every public function and its gradient, under each of the settings by which JAX refuses what it usually allows."""

import contextlib
import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxssim
from jaxssim import conventions

pytestmark = pytest.mark.slow  # three minutes of compiling

SHAPE = (2, 16, 18, 3)
WEIGHTS = (0.5, 0.5)
MASK = np.arange(18) * np.ones((16, 1)) > 3
BORDER = 1  # leaves SSIMULACRA 2 one scale
SMALL = jaxssim.Convention(window=jaxssim.Gaussian(5, 1.0))

FUNCTIONS = {
    "ssim": lambda x, y: jaxssim.ssim(x, y, data_range=200.0),
    "ssim, mask": lambda x, y: jaxssim.ssim(x, y, data_range=200.0, mask=MASK),
    "ssim, scikit-image": lambda x, y: jaxssim.ssim(x, y, data_range=200, convention=conventions.SKIMAGE),
    "dssim": lambda x, y: jaxssim.dssim(x, y, data_range=200.0),
    "ssim_map": lambda x, y: jaxssim.ssim_map(x, y, data_range=200.0, convention=conventions.KORNIA),
    "ssim_components": lambda x, y: jaxssim.ssim_components(x, y, data_range=200.0),
    "ssim_and_map": lambda x, y: jaxssim.ssim_and_map(x, y, data_range=200.0, convention=conventions.SKIMAGE),
    "ssim, k1 and k2": lambda x, y: jaxssim.ssim(x, y, data_range=200.0, k1=0.02, k2=np.float64(0.05)),
    "ssim_loss": lambda x, y: jaxssim.ssim_loss(x, y, data_range=200.0),
    "ms_ssim": lambda x, y: jaxssim.ms_ssim(x, y, data_range=200.0, weights=WEIGHTS, convention=SMALL),
    "ms_ssim_loss": lambda x, y: jaxssim.ms_ssim_loss(x, y, data_range=200.0, weights=WEIGHTS, convention=SMALL),
    "ms_ssim_l1_loss": lambda x, y: jaxssim.ms_ssim_l1_loss(x, y, data_range=200.0, sigmas=(0.5, 1.0)),
    "cw_ssim": lambda x, y: jaxssim.cw_ssim(x, y, levels=2),
    "cw_ssim_loss": lambda x, y: jaxssim.cw_ssim_loss(x, y, levels=2, k=0.1),
    "cw_ssim, mask": lambda x, y: jaxssim.cw_ssim(x, y, levels=2, mask=MASK),
    "iw_ssim": lambda x, y: jaxssim.iw_ssim(x, y, data_range=200.0, weights=(1.0,)),
    "iw_ssim_loss": lambda x, y: jaxssim.iw_ssim_loss(x, y, data_range=200.0, weights=(1.0,)),
    "ssimulacra2": lambda x, y: jaxssim.ssimulacra2(x, y, data_range=200.0, crop_border=BORDER),
    "ssimulacra2_loss": lambda x, y: jaxssim.ssimulacra2_loss(x, y, data_range=200.0, crop_border=BORDER),
    "mse": jaxssim.mse,
    "mae": jaxssim.mae,
    "psnr": lambda x, y: jaxssim.psnr(x, y, data_range=200.0),
    "mse, mask": lambda x, y: jaxssim.mse(x, y, mask=MASK),
    "mae, mask": lambda x, y: jaxssim.mae(x, y, mask=MASK),
    "psnr, mask": lambda x, y: jaxssim.psnr(x, y, data_range=200.0, mask=MASK),
    "luma": lambda x, y: jaxssim.luma(x, data_range=None if x.dtype in (jnp.uint8, jnp.uint16) else 200.0),
    "pairwise, mse": lambda x, y: jaxssim.pairwise(x, metric="mse"),
    "pairwise, ssim": lambda x, y: jaxssim.pairwise(x, metric="ssim", data_range=200.0),
    "pairwise, mask": lambda x, y: jaxssim.pairwise(x, metric="ssim", data_range=200.0, mask=MASK, k1=0.02),
    "pairwise, psnr": lambda x, y: jnp.triu(jaxssim.pairwise(x, metric="psnr", data_range=200.0), 1),
    "pairwise, ms_ssim": lambda x, y: jaxssim.pairwise(
        x, metric="ms_ssim", data_range=200.0, weights=WEIGHTS, convention=SMALL
    ),
    "pairwise, cw_ssim": lambda x, y: jaxssim.pairwise(x, metric="cw_ssim", levels=2),
    "steerable_pyramid": lambda x, y: jaxssim.steerable_pyramid(x, levels=2, orientations=3),
    "Average": lambda x, y: mean_of(x, y),
}
INTEGERS, FLOATS = ("uint8", "uint16"), ("float16", "bfloat16", "float32")


@contextlib.contextmanager
def no_nans_leaks_or_ranks():
    """Makes NaN, tracers that outlive their transformation, and broadcasts between ranks errors."""
    gc.collect()
    gc.freeze()  # the search for tracers collects garbage after each trace, and need not visit what earlier tests left
    try:
        with jax.debug_nans(True), jax.checking_leaks(), jax.numpy_rank_promotion("raise"):
            yield
    finally:
        gc.unfreeze()


SETTINGS = {
    "strict promotion": lambda: jax.numpy_dtype_promotion("strict"),
    "nans, leaks and ranks": no_nans_leaks_or_ranks,
    "x64": lambda: jax.enable_x64(True),
}


def mean_of(x, y):
    average = jaxssim.metrics.Average(jaxssim.mse)
    average.update(x=x, y=y)
    return average.compute()


def images(dtype):
    x, y = np.random.default_rng(0).integers(0, 200, (2, *SHAPE))
    return jnp.asarray(x, dtype), jnp.asarray(y, dtype)


def total(tree):
    return sum(jnp.abs(leaf).astype(jnp.float32).sum() for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_values_of_every_type_and_gradients_pass(setting, name):
    function = FUNCTIONS[name]
    types = {"strict promotion": (*INTEGERS, *FLOATS), "x64": ("float64",)}.get(setting, ())
    expected = total(function(*images("float32")))
    with SETTINGS[setting]():
        for dtype in types or (("float32",) if name == "Average" else ()):
            value = float(total(function(*images(dtype))))
            if name != "luma":  # which rounds to the type of the images
                np.testing.assert_allclose(value, expected, rtol=1e-5)
        if name != "Average":
            x, y = images("float32")
            value_and_gradient = jax.jit(jax.value_and_grad(lambda x: total(function(x, y))))
            value, gradient = value_and_gradient(x)
            np.testing.assert_allclose(value, expected, rtol=1e-5)
            assert np.isfinite(gradient).all()
            assert np.isfinite(value_and_gradient(y)[1]).all()  # where the images are equal
