"""One program on all devices of all processes: each batch is spread over them, all else is whole on each."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from examples.autoencoder.config import Config

HEARTBEAT = 30  # seconds without a sign of life after which a process counts as ended
LAST_WORDS = "import sys; sys.stdin.read() or print(sys.argv[1], file=sys.stderr)"


@contextmanager
def processes(config: Config) -> Iterator[None]:
    """Joins the processes of a job, where there are several; if one ends too soon, so do the others, and each says so.

    JAX ends them from C++, with nothing that could be caught. So a watcher is left behind, which speaks for this
    process when it is gone.
    """
    if not config.distributed:
        yield
        return
    jax.distributed.initialize(
        config.coordinator, config.processes, config.process, heartbeat_timeout_seconds=HEARTBEAT
    )
    message = (
        f"process {jax.process_index()} of {jax.process_count()} ended before the job was done, and so do the others. "
        "The first to end says why. Start the same command again for each: the run resumes from its last checkpoint."
    )
    command = [sys.executable, "-c", LAST_WORDS, message]
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    yield
    watcher.communicate(b"done")


def mesh_of(batch_size: int) -> Mesh:
    """All devices in a row, which a batch must be divisible by."""
    if batch_size % jax.device_count():
        raise SystemExit(
            f"--batch-size {batch_size} cannot be spread evenly over {jax.device_count()} devices; pass a multiple, as "
            f"--batch-size {-(-batch_size // jax.device_count()) * jax.device_count()}"
        )
    return Mesh(np.asarray(jax.devices()), ("batch",))


def replicate(node: object, mesh: Mesh) -> None:
    """Puts modules whole on every device."""
    whole = NamedSharding(mesh, PartitionSpec())
    nnx.update(node, jax.jit(lambda state: state, out_shardings=whole)(nnx.state(node)))


def spread(batch: np.ndarray, mesh: Mesh) -> jax.Array:
    """This process's part of a batch, over its devices, as part of the batch of all."""
    return jax.make_array_from_process_local_data(NamedSharding(mesh, PartitionSpec("batch")), batch)


def on_one_device(model: nnx.Module) -> nnx.Module:
    """A copy of a model on this process's first device alone."""
    structure, state = nnx.split(model)
    return nnx.merge(structure, jax.tree.map(lambda each: each.addressable_data(0), state))


def agreed(scores: dict[str, float]) -> dict[str, float]:
    """The first process's scores in all of them, which may differ in the last digit and must not disagree."""
    if jax.process_count() == 1:
        return scores
    words = np.asarray(list(scores.values())).view(np.uint32)  # JAX would round float64
    return dict(
        zip(scores, np.asarray(multihost_utils.broadcast_one_to_all(words)).view(np.float64).tolist(), strict=True)
    )


def anywhere(failed: bool) -> bool:
    """Whether something failed in any process."""
    return bool(np.any(multihost_utils.process_allgather(np.asarray(failed))))
