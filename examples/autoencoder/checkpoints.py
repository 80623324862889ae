"""Checkpoints of a run, by Orbax: saved while training continues, verified by a checksum when restored."""

import json
import shutil
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from grain import DatasetIterator
from jax.experimental import multihost_utils
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, CustomSteps, LatestN
from rich.console import Console

from examples.autoencoder import parallel
from examples.autoencoder.config import MAY_CHANGE, Config
from examples.saving import plain_path
from jaxssim._cli.console import say

History = list[dict[str, float]]  # one record per evaluation: the step, the losses and the test scores


class Checkpoints:
    """The checkpoints of a run, each of which holds all that the run needs to resume with the same bits."""

    def __init__(self, config: Config, console: Console) -> None:
        """Opens the checkpoints in the config's folder.

        Raises:
          SystemExit: the folder holds checkpoints of another config.
        """
        self.folder = config.folder / "checkpoints"
        self.config = config
        self.console = console
        if any(path.name.isdigit() for path in self.folder.glob("*")):
            check_same_config(config)
        self.policy = AnyPreservationPolicy([])
        options = ocp.CheckpointManagerOptions(preservation_policy=self.policy, cleanup_tmp_directories=True)
        self.resources = ExitStack()
        self.path = self.resources.enter_context(plain_path(config.folder)) / "checkpoints"
        self.manager = ocp.CheckpointManager(self.path, options=options)

    def save(self, state: Any, batches: DatasetIterator, history: History) -> None:
        """Starts to save a checkpoint of the history's last step, and returns while it is being written.

        Args:
          state: Flax modules, in any container that `nnx.state` accepts.
          batches: the training batches, whose position is saved.
          history: the records up to this step.
        """
        step = int(history[-1]["step"])
        arrays = nnx.to_pure_dict(nnx.state(state))
        progress = {"history": list(history), "batches": batches.get_state()}
        progress["checksum"] = checksum(arrays, progress)
        # Orbax's BestN ranks by metrics files that nothing verifies; this history is verified by its checksum.
        best = best_steps(history, {*self.manager.all_steps(), step}, self.config.keep_best)
        self.policy.policies = [LatestN(self.config.keep), CustomSteps(best)]
        items = ocp.args.Composite(arrays=ocp.args.StandardSave(arrays), progress=ocp.args.JsonSave(progress))
        self.manager.save(step, args=items)

    def restore(self, state: Any, batches: DatasetIterator) -> History:
        """Restores the latest intact checkpoint into the state and the batches, and returns its history.

        Damaged checkpoints after it are reported and moved to the folder `damaged`. Without any checkpoint the history
        is empty and nothing changes.

        Raises:
          SystemExit: there are checkpoints, but none can be read.
        """
        damaged: dict[int, str] = {}
        for step in sorted(self.manager.all_steps(), reverse=True):
            reason = ""
            try:
                arrays, progress = self.read(step, state)
            except Exception as error:  # the exception depends on which file is damaged
                message = (str(error).splitlines() or [""])[0].replace(str(self.path), str(self.folder))
                reason = f"{type(error).__name__}: {message}"
            if parallel.any_process(bool(reason)):
                damaged[step] = reason or "another process could not read it"
                continue
            self.set_aside(damaged)
            nnx.update(state, arrays)
            batches.set_state(progress["batches"])
            return progress["history"]
        if damaged:
            reasons = "\n".join(f"{step}: {reason}" for step, reason in damaged.items())
            raise SystemExit(f"no checkpoint in {self.folder} can be read; delete the folder to start again\n{reasons}")
        return []

    def read(self, step: int, state: Any) -> tuple[Any, dict[str, Any]]:
        """Reads a checkpoint as `read` does."""
        return read(self.manager, step, state)

    def set_aside(self, damaged: dict[int, str]) -> None:
        """Reports damaged checkpoints, given with the reasons, and moves them to the folder `damaged`."""
        for step, reason in damaged.items():
            target = self.folder.with_name("damaged") / str(step)
            say(self.console, f"checkpoint {step} is damaged and moved to {target}: {reason}", style="red")
            if jax.process_index() == 0:
                shutil.rmtree(target, ignore_errors=True)
                shutil.move(self.folder / str(step), target)
        if damaged:
            multihost_utils.sync_global_devices("damaged checkpoints are moved")
            self.manager.reload()

    def latest(self) -> str:
        """Returns the path of the latest checkpoint, for a message, once it is written."""
        self.manager.wait_until_finished()
        step = self.manager.latest_step()
        return "none was written" if step is None else f"{self.folder / str(step)}"

    def close(self) -> None:
        """Waits until the last checkpoint is written."""
        with self.resources:
            self.manager.close()


def read(manager: ocp.CheckpointManager, step: int, state: Any) -> tuple[Any, dict[str, Any]]:
    """Reads a checkpoint and verifies its checksum.

    Returns:
      The arrays, placed on devices as those of `state`, and the progress: the history and the position in the data.

    Raises:
      ValueError: the checksum differs. Orbax raises other exceptions for files that are missing or malformed.
    """
    target = jax.tree.map(ocp.utils.to_shape_dtype_struct, nnx.to_pure_dict(nnx.state(state)))
    items = ocp.args.Composite(arrays=ocp.args.StandardRestore(target), progress=ocp.args.JsonRestore())
    restored = manager.restore(step, args=items)
    progress = restored.progress
    stored = progress.pop("checksum")
    if checksum(restored.arrays, progress) != stored:
        raise ValueError("its checksum differs from the stored one")
    return restored.arrays, progress


def best_steps(history: History, saved: set[int], count: int) -> list[int]:
    """Returns the `count` saved steps of highest test SSIM."""
    records = [record for record in history if record["step"] in saved]
    return [int(record["step"]) for record in sorted(records, key=lambda record: record["ssim"])[-count:]]


def checksum(arrays: Any, progress: dict[str, Any]) -> int:
    """Computes the CRC-32 of the arrays' bytes and of the progress.

    Orbax's own checksum covers the names and positions of large arrays, but not their contents.
    """
    value = zlib.crc32(json.dumps(progress, sort_keys=True).encode())
    for content in array_bytes(arrays):
        value = zlib.crc32(content, value)
    return value


def array_bytes(arrays: Any) -> Iterator[bytes]:
    """Yields the bytes of each array of a tree; of random keys, those of the key data."""
    for leaf in jax.tree.leaves(arrays):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        yield np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes()


def check_same_config(config: Config) -> None:
    """Raises SystemExit, with the options that differ, unless the config may resume the run in its folder."""
    stored, given = json.loads((config.folder / "config.json").read_text()), json.loads(config.to_json())
    may_change = MAY_CHANGE | ({"steps"} if config.schedule in ("constant", "plateau") else set())
    differing = [
        f"--{name.replace('_', '-')} is {given.get(name)}, was {stored.get(name)}"
        for name in sorted((stored.keys() | given.keys()) - may_change)
        if stored.get(name) != given.get(name)
    ]
    if differing:
        raise SystemExit(
            f"{config.folder} holds a run of another config ({'; '.join(differing)}); pass the same options to resume "
            "it, another --name, or delete the folder"
        )
