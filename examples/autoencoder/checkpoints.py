"""Checkpoints of a run by Orbax: written while training goes on, the last ones and the best, proved when read."""

import json
import shutil
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from grain import DatasetIterator
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers
from rich.console import Console

from examples.autoencoder import parallel
from examples.autoencoder.config import MAY_DIFFER, Config

History = list[dict[str, float]]  # a record an evaluation


class LastAndBest(checkpoint_managers.PreservationPolicy):
    """Keeps the last checkpoints and those of highest test SSIM; Orbax's own would trust files that may be damaged."""

    def __init__(self, last: int, best: int) -> None:
        """So many of each."""
        self.last, self.best = last, best
        self.history: History = []

    def should_preserve(self, checkpoints: Any, *, context: Any) -> list[bool]:
        """Which of all that there are."""
        ssim = {record["step"]: record["ssim"] for record in self.history}
        steps = sorted(checkpoint.step for checkpoint in checkpoints)
        kept = {*steps[-self.last :], *sorted(steps, key=lambda step: ssim[step])[-self.best :]}
        return [checkpoint.step in kept for checkpoint in checkpoints]


class Checkpoints:
    """All that a run needs to go on as though it had never stopped, by step."""

    def __init__(self, config: Config, console: Console) -> None:
        """Those in the config's folder, which must be of the same config."""
        self.folder = config.folder / "checkpoints"
        self.console = console
        if any(path.name.isdigit() for path in self.folder.glob("*")):
            check_same(config)
        self.policy = LastAndBest(config.keep, config.keep_best)
        options = ocp.CheckpointManagerOptions(preservation_policy=self.policy, cleanup_tmp_directories=True)
        self.manager = ocp.CheckpointManager(self.folder.absolute(), options=options)

    def save(self, state: Any, batches: DatasetIterator, history: History) -> None:
        """Save after an evaluation, and return while it is still being written. `state` is of Flax modules."""
        arrays = nnx.to_pure_dict(nnx.state(state))
        self.policy.history = list(history)  # goes on to grow while this is being written
        progress = {"history": self.policy.history, "batches": batches.get_state()}
        progress["checksum"] = checksum(arrays, progress)
        items = ocp.args.Composite(arrays=ocp.args.StandardSave(arrays), progress=ocp.args.JsonSave(progress))
        self.manager.save(history[-1]["step"], args=items)

    def restore(self, state: Any, batches: DatasetIterator) -> History:
        """Set state and batches to the newest checkpoint that is sound; its history, empty where there is none."""
        damaged: dict[int, str] = {}
        for step in sorted(self.manager.all_steps(), reverse=True):
            why = ""
            try:
                arrays, progress = self.read(step, state)
            except Exception as error:  # damage may show itself as anything
                why = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            if parallel.anywhere(bool(why)):
                damaged[step] = why or "another process could not read it"
                continue
            self.set_aside(damaged)
            nnx.update(state, arrays)
            batches.set_state(progress["batches"])
            self.policy.history = list(progress["history"])
            return progress["history"]
        if damaged:
            each = "\n".join(f"{step}: {why}" for step, why in damaged.items())
            raise SystemExit(f"no checkpoint in {self.folder} can be read; delete the folder to start anew\n{each}")
        return []

    def read(self, step: int, state: Any) -> tuple[Any, dict[str, Any]]:
        """The arrays, placed as the state's are, and the progress of a checkpoint, which must give its checksum."""
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, nnx.to_pure_dict(nnx.state(state)))
        items = ocp.args.Composite(arrays=ocp.args.StandardRestore(target), progress=ocp.args.JsonRestore())
        restored = self.manager.restore(step, args=items)
        progress = restored.progress
        stored = progress.pop("checksum")
        if checksum(restored.arrays, progress) != stored:
            raise ValueError("what was read is not what was written: its checksum differs")
        return restored.arrays, progress

    def set_aside(self, damaged: dict[int, str]) -> None:
        """Report damaged checkpoints and move them out of the way."""
        for step, why in damaged.items():
            aside = self.folder.with_name("damaged") / str(step)
            self.console.print(f"checkpoint {step} is damaged and moved to {aside}: {why}", style="red", soft_wrap=True)
            if jax.process_index() == 0:
                shutil.rmtree(aside, ignore_errors=True)
                shutil.move(self.folder / str(step), aside)
        if damaged:
            multihost_utils.sync_global_devices("damaged checkpoints are moved")
            self.manager.reload()

    def newest(self) -> str:
        """What to name to a user as the last good one."""
        self.manager.wait_until_finished()
        step = self.manager.latest_step()
        return "none was written" if step is None else f"{self.folder / str(step)}"

    def close(self) -> None:
        """Wait for what is being written."""
        self.manager.close()


def checksum(arrays: Any, progress: dict[str, Any]) -> int:
    """A CRC of all bits; Orbax's own covers the names and places of large arrays, not what is in them."""
    value = zlib.crc32(json.dumps(progress, sort_keys=True).encode())
    for leaf in bits(arrays):
        value = zlib.crc32(leaf, value)
    return value


def bits(arrays: Any) -> list[bytes]:
    """What each array holds, random keys too."""
    return [
        np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf).tobytes()
        for leaf in jax.tree.leaves(arrays)
    ]


def check_same(config: Config) -> None:
    """A SystemExit that names what differs from the run that the folder holds."""
    stored, given = json.loads((config.folder / "config.json").read_text()), json.loads(config.to_json())
    free = MAY_DIFFER | ({"steps"} if config.schedule in ("constant", "plateau") else set())
    differing = [
        f"--{name.replace('_', '-')} is {given.get(name)}, was {stored.get(name)}"
        for name in sorted((stored.keys() | given.keys()) - free)
        if stored.get(name) != given.get(name)
    ]
    if differing:
        raise SystemExit(
            f"{config.folder} holds a run of another config ({'; '.join(differing)}); pass the same options to resume "
            "it, another --name, or delete the folder"
        )
