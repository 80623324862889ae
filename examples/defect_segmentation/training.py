"""Training of a network: Adam with weight decay and clipped gradients, a linear warm-up and a half cosine."""

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
from examples.defect_segmentation.model import Autoencoder
from examples.defect_segmentation.residuals import training_loss


def train(pictures: Sequence[np.ndarray], loss: Loss, config: Config, title: str, progress: Progress) -> Autoencoder:
    """Returns a network that is trained to reconstruct crops of good pictures."""
    model = Autoencoder(config.bottleneck, nnx.Rngs(config.seed))
    optimizer = nnx.Optimizer(model, make_optimizer(config.learning_rate, config.steps, config.clip), wrt=nnx.Param)
    batches = training_batches(pictures, config)
    task = progress.add_task(title, total=config.steps, loss=np.nan)
    for _ in range(config.steps):
        value = train_step(model, optimizer, next(batches), loss)
        progress.update(task, advance=1, loss=float(value))
    return model


@cache  # `train_step` would compile again for an equal but different optimizer
def make_optimizer(learning_rate: float, steps: int, clip: float | None) -> optax.GradientTransformation:
    """Returns Adam with the paper's weight decay, and a learning rate that peaks at `learning_rate`."""
    warm_up = min(50, max(1, steps // 10))
    schedule = optax.warmup_cosine_decay_schedule(0.0, learning_rate, warm_up, max(2, steps))
    clipping = optax.identity() if clip is None else optax.clip_by_global_norm(clip)
    return optax.chain(clipping, optax.adamw(schedule, weight_decay=1e-5))


@partial(nnx.jit, static_argnames="loss")
def train_step(model: Autoencoder, optimizer: nnx.Optimizer, batch: jax.Array, loss: Loss) -> jax.Array:
    """Updates the model on a batch (batch, 128, 128, 1) of uint8; returns the loss before the update."""
    crops = batch.astype(jnp.float32) / 255
    value, gradients = nnx.value_and_grad(lambda model: training_loss(crops, model(crops), loss))(model)
    optimizer.update(model, gradients)
    return value
