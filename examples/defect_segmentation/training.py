"""The training loop: Adam, a warm-up and half a cosine."""

from collections.abc import Sequence
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from rich.progress import Progress

from examples.defect_segmentation.config import Config, Loss
from examples.defect_segmentation.data import training_batches
from examples.defect_segmentation.maps import training_loss
from examples.defect_segmentation.model import Autoencoder


def train(pictures: Sequence[np.ndarray], loss: Loss, config: Config, title: str, bar: Progress) -> Autoencoder:
    """A network that has learned to reconstruct crops of good pictures."""
    model = Autoencoder(config.bottleneck, nnx.Rngs(config.seed))
    optimizer = nnx.Optimizer(model, adam(config.learning_rate, config.steps), wrt=nnx.Param)
    batches = training_batches(pictures, config)
    task = bar.add_task(title, total=config.steps, loss=np.nan)
    for _ in range(config.steps):
        value = train_step(model, optimizer, next(batches), loss)
        bar.update(task, advance=1, loss=float(value))
    return model


@cache  # `train_step` is compiled anew for another one, be it equal
def adam(learning_rate: float, steps: int) -> optax.GradientTransformation:
    """The optimiser, with the paper's weight decay."""
    warm_up = min(50, max(1, steps // 10))
    rate = optax.warmup_cosine_decay_schedule(0.0, learning_rate, warm_up, max(2, steps))
    return optax.adamw(rate, weight_decay=1e-5)


@partial(nnx.jit, static_argnames="loss")
def train_step(model: Autoencoder, optimizer: nnx.Optimizer, batch: jax.Array, loss: Loss) -> jax.Array:
    """One step of the optimiser on a batch of uint8; the loss before it."""
    crops = batch.astype(jnp.float32) / 255
    value, gradients = nnx.value_and_grad(lambda model: training_loss(crops, model(crops), loss))(model)
    optimizer.update(model, gradients)
    return value
