"""The training loop: steps, evaluations, and after each of these a checkpoint, from which a stopped run goes on."""

import dataclasses
import json
import math
from collections import deque
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from grain import DatasetIterator
from jax.sharding import Mesh
from rich.console import Console

import jaxssim
from examples.autoencoder import parallel
from examples.autoencoder.checkpoints import Checkpoints, History
from examples.autoencoder.config import Config
from examples.autoencoder.input_pipeline import test_patches, training_batches
from examples.autoencoder.losses import Loss, check_patch, loss_of
from examples.autoencoder.model import Autoencoder
from examples.autoencoder.optimizer import adam
from examples.autoencoder.pictures import photographs
from examples.autoencoder.watch import SHOWN, Watch


class Run(NamedTuple):
    """What a run leaves in memory."""

    model: Autoencoder
    patches: np.ndarray  # of the test photographs, uint8
    history: History
    metrics: dict[str, float]  # the last test scores and the speed


class State(NamedTuple):
    """All that changes in training but the place in the data."""

    model: Autoencoder
    optimizer: nnx.Optimizer
    rngs: nnx.Rngs


def train(config: Config, console: Console) -> Run:
    """Train as `config` says, on from the last checkpoint in its folder if there is one; everything goes in there."""
    check_patch(config)
    mesh = parallel.mesh_of(config.batch_size)
    images = photographs(config)
    if images.unreadable:
        named = ", ".join(map(str, images.unreadable))
        console.print(f"{len(images.unreadable)} unreadable: {named}", style="yellow", markup=False, soft_wrap=True)
    patches = test_patches(images.testing, config.patch)
    batches = training_batches(images.training, config, jax.process_index(), jax.process_count())
    state = initial(config)
    parallel.replicate(state, mesh)
    with closing(Checkpoints(config, console)) as checkpoints:
        history = checkpoints.restore(state, batches)
        if history:
            done = "finished" if history[-1]["step"] >= config.steps else "resumed"
            console.print(f"{config.folder}: {done} after step {history[-1]['step']} of {config.steps}", soft_wrap=True)
        with closing(Watch(config, console, history)) as watch:
            Training(config, state, batches, patches, mesh, history, checkpoints, watch).run()
    save_parameters(state.model, config.folder / "parameters")
    metrics = json.loads((config.folder / "metrics.json").read_text())
    return Run(parallel.on_one_device(state.model), patches, history, metrics)


def initial(config: Config) -> State:
    """Before the first step."""
    rngs = nnx.Rngs(config.seed)
    model = Autoencoder(config, rngs)
    return State(model, nnx.Optimizer(model, adam(config), wrt=nnx.Param), rngs)


@dataclasses.dataclass
class Training:
    """What a run has in hand."""

    config: Config
    state: State
    batches: DatasetIterator[np.ndarray]
    patches: np.ndarray  # of the test photographs, uint8
    mesh: Mesh
    history: History
    checkpoints: Checkpoints
    watch: Watch

    def run(self) -> None:
        """What the history still lacks: steps, an evaluation and a checkpoint, again and again."""
        loss = loss_of(self.config)
        shown = self.patches[np.linspace(0, len(self.patches) - 1, min(SHOWN, len(self.patches))).astype(int)]
        done = int(self.history[-1]["step"]) if self.history else 0
        for step in range(done + 1, self.config.steps + 1):
            if not (step % self.config.evaluate_every == 0 or step in (1, self.config.steps)):
                continue
            losses = self.stretch(range(done + 1, step + 1), loss)
            model = parallel.on_one_device(self.state.model)
            scores = parallel.agreed(evaluate(model, self.patches, self.config.batch_size, loss))
            self.check_finite(scores, step)
            self.history.append({"step": step, "loss": float(np.mean(losses)), **scores})
            self.watch.evaluation(self.history, *map(np.asarray, reconstruct(model, shown)))
            self.checkpoints.save(self.state, self.batches, self.history)
            done = step

    def stretch(self, steps: range, loss: Loss) -> list[float]:
        """The steps from one evaluation to the next; their losses, each fetched while the next step is computed."""
        losses: list[float] = []
        computing: deque[jax.Array] = deque()
        test_loss = self.history[-1]["test_loss"] if self.history else np.nan
        self.watch.clock.start()
        for step in steps:
            self.watch.trace(step)
            with self.watch.clock.waiting():
                batch = parallel.spread(next(self.batches), self.mesh)
            computing.append(train_step(self.state.model, self.state.optimizer, batch, loss, np.float32(test_loss)))
            test_loss = np.nan  # is news once
            while len(computing) > (step < steps[-1]):
                losses.append(float(computing.popleft()))
                self.check_finite({"loss": losses[-1]}, steps[len(losses) - 1])
                self.watch.step(losses[-1])
        return losses

    def check_finite(self, values: dict[str, float], step: int) -> None:
        """End the run where it has diverged."""
        for name, value in values.items():
            if not math.isfinite(value):
                raise SystemExit(
                    f"the {name} is {value} at step {step}; last good checkpoint: {self.checkpoints.newest()}. Try "
                    "--clip 1, a lower --learning-rate or --dtype float32, under another --name, and look for NaN in "
                    "the data."
                )


@partial(nnx.jit, static_argnames="loss")
def train_step(
    model: Autoencoder, optimizer: nnx.Optimizer, batch: jax.Array, loss: Loss, test_loss: jax.Array
) -> jax.Array:
    """One step of the optimiser on a batch of uint8; the loss before it. `test_loss` is NaN where it is not new."""
    patches = batch.astype(jnp.float32) / 255
    value, gradients = nnx.value_and_grad(lambda model: loss(patches, model(patches)))(model)
    optimizer.update(model, gradients, test_loss=test_loss)
    return value


@nnx.jit
def reconstruct(model: Autoencoder, batch: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A batch of uint8 in [0, 1], and its reconstruction, clipped as a picture is."""
    patches = batch.astype(jnp.float32) / 255
    return patches, jnp.clip(model(patches), 0, 1)


@partial(nnx.jit, static_argnames="loss")
def score(model: Autoencoder, batch: jax.Array, loss: Loss) -> dict[str, jax.Array]:
    """The training's loss of a batch of uint8, and SSIM, PSNR and MSE of its clipped reconstructions, one a patch."""
    patches = batch.astype(jnp.float32) / 255
    output = model(patches)
    x, y = patches, jnp.clip(output, 0, 1)
    return {
        "test_loss": jnp.full(len(batch), loss(patches, output)),
        "ssim": jaxssim.ssim(x, y, data_range=1.0),
        "psnr": jnp.minimum(jaxssim.psnr(x, y, data_range=1.0), 100),
        "mse": jaxssim.mse(x, y),
    }


def evaluate(model: Autoencoder, patches: np.ndarray, batch_size: int, loss: Loss) -> dict[str, float]:
    """Mean test loss, SSIM, PSNR (at most 100 dB: a perfect patch has no finite one) and MSE of reconstructions."""
    batches = [patches[start : start + batch_size] for start in range(0, len(patches), batch_size)]
    scores = [score(model, batch, loss) for batch in batches]
    return {name: float(np.concatenate([each[name] for each in scores]).mean(dtype=np.float64)) for name in scores[0]}


def save_parameters(model: Autoencoder, path: Path) -> None:
    """The parameters alone, by Orbax, in place of any that an earlier run left."""
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path.absolute(), nnx.to_pure_dict(nnx.state(model, nnx.Param)), force=True)
