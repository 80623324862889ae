"""Data parallelism: each batch is divided among all devices of all processes, everything else is replicated."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from examples.autoencoder.config import Config
from examples.saving import make_folder
from jaxssim._cli import jobs


@contextmanager
def join_job(config: Config) -> Iterator[None]:
    """Joins the processes of a distributed job, as `jobs.join_job`; does nothing where `config.distributed` is false.

    What libraries write from C++ goes to a file in the run's folder.
    """
    if not config.distributed:
        yield
        return
    make_folder(config.folder)
    advice = "Start all processes again with the same commands: the run resumes from its last checkpoint."
    with jobs.join_job(config.coordinator, config.processes, config.process, config.folder / "process", advice):
        yield


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
