"""What one device computes: a training step, reconstructions, and the scores of an evaluation."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import jaxssim
from examples.autoencoder.config import Config
from examples.autoencoder.losses import Loss
from examples.autoencoder.model import Autoencoder
from examples.autoencoder.optimizer import adam
from examples.autoencoder.yardstick import BlockPCA

Network = Autoencoder | BlockPCA
MAX_PSNR = 100  # decibels; a perfect reconstruction has an infinite PSNR, which would spoil the mean


class State(NamedTuple):
    """All that training changes, except the position in the data."""

    model: Autoencoder
    optimizer: nnx.Optimizer
    rngs: nnx.Rngs


def initial_state(config: Config) -> State:
    """Returns the state before the first step."""
    rngs = nnx.Rngs(config.seed)
    model = Autoencoder(config, rngs)
    return State(model, nnx.Optimizer(model, adam(config), wrt=nnx.Param), rngs)


@partial(nnx.jit, static_argnames="loss")
def train_step(
    model: Autoencoder, optimizer: nnx.Optimizer, batch: jax.Array, loss: Loss, test_loss: jax.Array
) -> jax.Array:
    """Updates the model and the optimiser in place, and returns the loss before the update.

    Args:
      model: the autoencoder.
      optimizer: its optimiser.
      batch: uint8 (batch, height, width, 3).
      loss: what to minimise.
      test_loss: the loss of the evaluation before this step, or NaN where there was none.
    """
    patches = to_float(batch)
    value, gradients = nnx.value_and_grad(lambda model: loss(patches, model(patches)))(model)
    optimizer.update(model, gradients, test_loss=test_loss)
    return value


@nnx.jit
def reconstruct(model: Network, batch: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns a uint8 batch as floats in [0, 1], and its reconstruction, clipped to [0, 1]."""
    patches = to_float(batch)
    return patches, jnp.clip(model(patches), 0, 1)


def evaluate(model: Network, patches: np.ndarray, batch_size: int, loss: Loss) -> dict[str, float]:
    """Computes the mean test loss, SSIM, PSNR (at most `MAX_PSNR`) and MSE over uint8 patches.

    The scores are of reconstructions clipped to [0, 1], the loss is not.
    """
    batches = [patches[start : start + batch_size] for start in range(0, len(patches), batch_size)]
    scores = [score(model, batch, loss) for batch in batches]
    return {name: float(np.concatenate([each[name] for each in scores]).mean(dtype=np.float64)) for name in scores[0]}


@partial(nnx.jit, static_argnames="loss")
def score(model: Network, batch: jax.Array, loss: Loss) -> dict[str, jax.Array]:
    """Computes the scores of each patch of a uint8 batch, arrays (batch,); the test loss is the mean of the batch."""
    patches = to_float(batch)
    output = model(patches)
    clipped = jnp.clip(output, 0, 1)
    return {
        "test_loss": jnp.full(len(batch), loss(patches, output)),
        "ssim": jaxssim.ssim(patches, clipped, data_range=1.0),
        "psnr": jnp.minimum(jaxssim.psnr(patches, clipped, data_range=1.0), MAX_PSNR),
        "mse": jaxssim.mse(patches, clipped),
    }


def to_float(batch: jax.Array) -> jax.Array:
    """Converts uint8 to float32 in [0, 1]."""
    return batch.astype(jnp.float32) / 255
