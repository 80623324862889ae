"""Data parallelism: each batch is divided among all devices of all processes, everything else is replicated."""

import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from examples.autoencoder.config import Config
from examples.saving import make_folder
from jaxssim._pictures import show_name

HEARTBEAT_TIMEOUT = 30  # seconds after which a silent process counts as ended
WATCHER = "import sys; sys.stdin.read() or print(sys.argv[1], file=sys.stderr)"


@contextmanager
def join_job(config: Config) -> Iterator[None]:
    """Joins the processes of a distributed job; does nothing where `config.distributed` is false.

    If one process ends before the job is done, JAX terminates the others from C++, where Python can neither catch the
    error nor explain it. Each process therefore starts a watcher, a small process that prints a message unless its
    parent has told it that the job is done. A file in the run's folder gets what libraries write from C++, and the
    exceptions that follow the end of another process.
    """
    if not config.distributed:
        yield
        return
    make_folder(config.folder)
    jax.distributed.initialize(
        config.coordinator, config.processes, config.process, heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT
    )
    log = config.folder / f"process-{jax.process_index()}.log"
    message = (
        f"process {jax.process_index()} of {jax.process_count()} ended before the job was done, as do all others when "
        f"one ends; the first to end says why, or its log, here {show_name(log)}. Start all processes again with the "
        "same commands: the run resumes from its last checkpoint."
    )
    command = [sys.executable, "-c", WATCHER, message]
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    with library_output_to(log):
        try:
            yield
        except Exception:
            traceback.print_exc()
            sys.stdout.flush()
            os._exit(1)  # the usual end would wait for the other processes
    watcher.communicate(b"done")


@contextmanager
def library_output_to(path: Path) -> Iterator[None]:
    """Appends to a file what this process writes to standard error, and what C++ code writes to standard output.

    What Python prints still reaches standard output.
    """
    sys.stdout.flush()
    output, error = os.dup(1), os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)  # Gloo prints its connections there, from several threads at once
        os.dup2(file.fileno(), 2)
    try:
        with (
            open(output, "w", buffering=1, encoding=sys.stdout.encoding, closefd=False) as printed,
            redirect_stdout(printed),
        ):
            yield
    finally:
        sys.stderr.flush()
        for copy, number in ((output, 1), (error, 2)):
            os.dup2(copy, number)
            os.close(copy)


def device_mesh(batch_size: int) -> Mesh:
    """Returns a mesh of all devices along one axis, "batch".

    Raises:
      SystemExit: the batch size is not a multiple of the number of devices.
    """
    devices = jax.device_count()
    if batch_size % devices:
        raise SystemExit(
            f"--batch-size {batch_size} cannot be divided evenly among {devices} devices; pass a multiple, such as "
            f"--batch-size {-(-batch_size // devices) * devices}"
        )
    return Mesh(np.asarray(jax.devices()), ("batch",))


def replicate(node: object, mesh: Mesh) -> None:
    """Copies the arrays of Flax modules, in place, to every device of a mesh."""
    replicated = NamedSharding(mesh, PartitionSpec())
    nnx.update(node, jax.jit(lambda state: state, out_shardings=replicated)(nnx.state(node)))


def shard_batch(batch: np.ndarray, mesh: Mesh) -> jax.Array:
    """Places this process's share of a batch on its devices, and returns the batch of all processes."""
    return jax.make_array_from_process_local_data(NamedSharding(mesh, PartitionSpec("batch")), batch)


def local_copy(model: nnx.Module) -> nnx.Module:
    """Returns a copy of a replicated model on the first device of this process."""
    structure, state = nnx.split(model)
    return nnx.merge(structure, jax.tree.map(lambda each: each.addressable_data(0), state))


def from_first_process(scores: dict[str, float]) -> dict[str, float]:
    """Returns the first process's scores in all processes, which must agree on them to the last bit."""
    if jax.process_count() == 1:
        return scores
    words = np.asarray(list(scores.values())).view(np.uint32)  # JAX would round float64
    values = np.asarray(multihost_utils.broadcast_one_to_all(words)).view(np.float64)
    return dict(zip(scores, values.tolist(), strict=True))


def any_process(condition: bool) -> bool:
    """Returns whether a condition holds in any process."""
    return bool(np.any(multihost_utils.process_allgather(np.asarray(condition))))
