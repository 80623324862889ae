"""What training can minimise: the losses of jaxssim, and how large a patch each of them needs."""

from collections.abc import Callable
from functools import partial
from itertools import count

import jax
import jax.numpy as jnp

import jaxssim
from examples.autoencoder.config import Config

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def loss_of(config: Config) -> Loss:
    """The mean loss of a batch of patches in [0, 1] and their reconstructions, which the config names."""
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
            return lambda x, y: (jaxssim.dssim(x, y, data_range=1.0) + jaxssim.mae(x, y)).mean()
        case "l1":
            return lambda x, y: jaxssim.mae(x, y).mean()
        case "mse":
            return lambda x, y: jaxssim.mse(x, y).mean()


def check_patch(config: Config) -> None:
    """A SystemExit that says which --patch to pass where the loss has no value for the config's."""
    loss = loss_of(config)
    if fits(loss, config.patch):
        return
    smallest = next(size for size in count(config.block, config.block) if fits(loss, size))
    fewer = ", or fewer --ms-ssim-weights" if config.loss == "ms-ssim" else ""
    raise SystemExit(
        f"--loss {config.loss} needs patches of at least {smallest} pixels, got --patch {config.patch}; pass "
        f"--patch {smallest}{fewer}"
    )


def fits(loss: Loss, size: int) -> bool:
    """Whether the loss has a value for square patches of a size; nothing is computed."""
    patches = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    try:
        jax.eval_shape(loss, patches, patches)
    except ValueError:
        return False
    return True
