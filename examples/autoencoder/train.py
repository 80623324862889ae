"""The training loop: steps, evaluations, and a checkpoint after each evaluation, from which a stopped run resumes."""

import dataclasses
import json
import math
from collections import deque
from contextlib import closing
from typing import NamedTuple

import jax
import numpy as np
from grain import DatasetIterator
from jax.sharding import Mesh
from rich.console import Console

from examples.autoencoder import parallel
from examples.autoencoder.checkpoints import Checkpoints, History
from examples.autoencoder.config import Config
from examples.autoencoder.images import load_images
from examples.autoencoder.input_pipeline import test_patches, training_batches
from examples.autoencoder.inventory import say_inventory, write_names
from examples.autoencoder.losses import Loss, check_patch_size, loss_of
from examples.autoencoder.model import Autoencoder
from examples.autoencoder.monitor import IMAGES_SHOWN, Monitor
from examples.autoencoder.steps import State, evaluate, initial_state, reconstruct, train_step
from examples.autoencoder.stopping import between_steps, pending_signal
from examples.autoencoder.yardstick import BlockPCA
from examples.saving import make_folder, save_parameters
from jaxssim._cli.console import print_report, say


class Run(NamedTuple):
    """The result of a run."""

    model: Autoencoder
    patches: np.ndarray  # the test patches, uint8 (patches, patch, patch, 3)
    history: History
    metrics: dict[str, float]  # the last test scores, and the speed
    pca: BlockPCA


def train(config: Config, console: Console) -> Run:
    """Trains as the config says, starting from the last checkpoint in its folder if there is one.

    All files go to `config.folder`.

    Raises:
      SystemExit: the data, the patch size, the number of devices or the folder do not suit the config, no checkpoint
        can be read, or a loss or score is not finite; the message says what to do.
    """
    check_patch_size(config)
    make_folder(config.folder)
    mesh = parallel.device_mesh(config.batch_size)
    images = load_images(config)
    print_report(images.report, console)
    patches = test_patches(images.test, config.patch)
    batches = training_batches(images.training, config, jax.process_index(), jax.process_count())
    state = initial_state(config)
    parallel.replicate(state, mesh)
    say_inventory(config, images, len(patches), state.model, console)
    with closing(Checkpoints(config, console)) as checkpoints:  # which refuses the folder of another config
        pca = BlockPCA.fit(images.training, config)
        if jax.process_index() == 0:
            write_names(config, images)
            pca.save(config.folder)
        history = checkpoints.restore(state, batches)
        if history:
            verb = "finished" if history[-1]["step"] >= config.steps else "resumed"
            say(console, f"{config.folder}: {verb} after step {history[-1]['step']} of {config.steps}")
        with closing(Monitor(config, console, history, len(patches))) as monitor, between_steps():
            Training(config, state, batches, patches, mesh, history, checkpoints, monitor).run()
    save_parameters(state.model, config.folder)
    metrics = json.loads((config.folder / "metrics.json").read_text())
    return Run(parallel.local_copy(state.model), patches, history, metrics, pca)


@dataclasses.dataclass
class Training:
    """A run in progress."""

    config: Config
    state: State
    batches: DatasetIterator[np.ndarray]
    patches: np.ndarray  # the test patches, uint8
    mesh: Mesh
    history: History
    checkpoints: Checkpoints
    monitor: Monitor

    def run(self) -> None:
        """Trains from the end of the history to the last step, and evaluates and saves at each evaluation step."""
        loss = loss_of(self.config)
        shown = self.patches[np.linspace(0, len(self.patches) - 1, min(IMAGES_SHOWN, len(self.patches))).astype(int)]
        done = int(self.history[-1]["step"]) if self.history else 0
        for step in range(done + 1, self.config.steps + 1):
            if not (step % self.config.evaluate_every == 0 or step in (1, self.config.steps)):
                continue
            losses = self.take_steps(range(done + 1, step + 1), loss)
            model = parallel.local_copy(self.state.model)
            scores = parallel.from_first_process(evaluate(model, self.patches, self.config.batch_size, loss))
            self.check_finite(scores, step)
            self.history.append({"step": step, "loss": float(np.mean(losses)), **scores})
            self.monitor.evaluation(self.history, *map(np.asarray, reconstruct(model, shown)))
            self.checkpoints.save(self.state, self.batches, self.history)
            done = step

    def take_steps(self, steps: range, loss: Loss) -> list[float]:
        """Takes the steps between two evaluations and returns their losses.

        Each loss is fetched while the next step computes, so that the device never waits for Python.
        """
        losses: list[float] = []
        pending: deque[jax.Array] = deque()
        test_loss = self.history[-1]["test_loss"] if self.history else np.nan
        self.monitor.timer.start()
        for step in steps:
            pending_signal.check()
            self.monitor.trace(step)
            with self.monitor.timer.waiting_for_data():
                batch = parallel.shard_batch(next(self.batches), self.mesh)
            pending.append(train_step(self.state.model, self.state.optimizer, batch, loss, np.float32(test_loss)))
            test_loss = np.nan  # only the first step follows an evaluation
            while len(pending) > (step < steps[-1]):
                losses.append(float(pending.popleft()))
                self.check_finite({"loss": losses[-1]}, steps[len(losses) - 1])
                self.monitor.step(losses[-1])
        return losses

    def check_finite(self, values: dict[str, float], step: int) -> None:
        """Raises SystemExit where training has diverged."""
        for name, value in values.items():
            if not math.isfinite(value):
                raise SystemExit(
                    f"the {name} is {value} at step {step}; last good checkpoint: {self.checkpoints.latest()}. Under "
                    "another --name, try a lower --learning-rate or --dtype float32, and look for NaN in the "
                    "data."
                )
