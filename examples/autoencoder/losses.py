"""The losses that training can minimise, and the smallest patch that each of them accepts."""

from collections.abc import Callable
from functools import partial
from itertools import count

import jax
import jax.numpy as jnp

import jaxssim
from examples.autoencoder.config import Config

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def loss_of(config: Config) -> Loss:
    """Returns the loss that `config.loss` names.

    The loss takes patches and reconstructions, float (batch, height, width, 3) in [0, 1], and returns the mean over the
    batch, a scalar.
    """
    match config.loss:
        case "ssim":
            return partial(jaxssim.ssim_loss, data_range=1.0)
        case "ms-ssim":
            return partial(jaxssim.ms_ssim_loss, data_range=1.0, weights=config.ms_ssim_weights)
        case "cw-ssim":
            return jaxssim.cw_ssim_loss
        case "ms-ssim-l1":
            return partial(jaxssim.ms_ssim_l1_loss, data_range=1.0)
        case "dssim-l1":
            weight = config.l1_weight
            return lambda x, y: (jaxssim.dssim(x, y, data_range=1.0) + weight * jaxssim.mae(x, y)).mean()
        case "l1":
            return lambda x, y: jaxssim.mae(x, y).mean()
        case "mse":
            return lambda x, y: jaxssim.mse(x, y).mean()


def check_patch_size(config: Config) -> None:
    """Raises SystemExit where the loss needs larger patches than `config.patch`; the message says which size fits."""
    loss = loss_of(config)
    if accepts(loss, config.patch):
        return
    smallest = next(size for size in count(config.block, config.block) if accepts(loss, size))
    fewer = ", or fewer --ms-ssim-weights" if config.loss == "ms-ssim" else ""
    raise SystemExit(
        f"--loss {config.loss} needs patches of at least {smallest} pixels, got --patch {config.patch}; pass "
        f"--patch {smallest}{fewer}"
    )


def accepts(loss: Loss, size: int) -> bool:
    """Returns whether a loss accepts patches of a size, by abstract evaluation."""
    patches = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    try:
        jax.eval_shape(loss, patches, patches)
    except ValueError:
        return False
    return True
