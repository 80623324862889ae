"""Compiled for machines that are not here: TPUs, by libtpu's compiler, and GPUs, as far as export goes.

For TPUs this file is a program of its own, in a process of its own: libtpu reads its settings when it is loaded, and
is loaded by one process at a time unless told otherwise.
"""

import collections
import functools
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import export
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxssim
from jaxssim import Convention, Gaussian

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_TPU = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "JAX_PLATFORMS": "cpu",
    "PYTHONPATH": str(ROOT),
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",  # with no say in what is compiled, but missed aloud
    "TPU_LOG_DIR": "disabled",
    "TPU_WORKER_HOSTNAMES": "localhost",
}
COLLECTIVE = re.compile(r" = (\S.*?) (all-gather|all-reduce|all-to-all|collective-\w+|reduce-scatter)(?:-start)?\(")
IMAGES = jax.ShapeDtypeStruct((8, 48, 48, 3), np.float32)
SCALES = dict(weights=(0.4, 0.6), convention=Convention(window=Gaussian(7, 1.5)))
FUNCTIONS = {
    "ssim": functools.partial(jaxssim.ssim, data_range=1.0),
    "gradient": jax.value_and_grad(lambda x, y: jaxssim.ssim_loss(x, y, data_range=1.0), argnums=(0, 1)),
    "ms_ssim": functools.partial(jaxssim.ms_ssim, data_range=1.0, **SCALES),
    "cw_ssim": functools.partial(jaxssim.cw_ssim, levels=2, orientations=3),
}


def training_step():
    """The autoencoder's, of a small network: a function of its state and a batch, the state, and its parameters."""
    from flax import nnx

    from examples.autoencoder import steps
    from examples.autoencoder.config import Config
    from examples.autoencoder.losses import loss_of

    config = Config(width=16)
    model, optimizer, _ = steps.initial_state(config)
    structure, state = nnx.split((model, optimizer))

    def step(state, batch):
        model, optimizer = nnx.merge(structure, state)
        loss = steps.train_step(model, optimizer, batch, loss_of(config), np.float32(np.nan))
        return nnx.state((model, optimizer)), loss

    return step, state, sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def sent(mesh, function, *batches, whole=()):
    """How many numbers a mesh's devices send each other by each operation; `batches` are sharded, `whole` is not."""

    def placed(arrays, *axes):
        sharding = NamedSharding(mesh, PartitionSpec(*axes))
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), arrays)

    text = jax.jit(function).lower(*placed(whole), *placed(batches, "batch")).compile().as_text()
    count = collections.Counter()
    for shapes, operation in COLLECTIVE.findall(text):
        for shape in re.findall(r"\w\[([\d,]*)\]", shapes):
            count[operation] += math.prod(map(int, filter(None, shape.split(","))))
    return dict(count)


def compile_for_tpu(topology):
    """Print what each program sends, and what it may, as JSON."""
    from jax.experimental import topologies

    devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    mesh = Mesh(np.asarray(devices), ("batch",))
    values = {name: sent(mesh, FUNCTIONS[name], IMAGES, IMAGES) for name in ("ssim", "ms_ssim", "gradient")}
    step, state, parameters = training_step()
    values["training"] = sent(mesh, step, jax.ShapeDtypeStruct((8, 32, 32, 3), np.uint8), whole=(state,))
    print(json.dumps([values, parameters]))


@pytest.mark.parametrize("topology", ["v5e:2x2", "v6e:2x2"])
def test_tpus_send_each_other_no_images(topology):
    for name in ("libtpu", "flax", "grain", "optax", "orbax.checkpoint", "rich", "skimage", "tensorboardX", "tyro"):
        pytest.importorskip(name)
    command = [sys.executable, __file__, topology]
    run = subprocess.run(command, env=os.environ | WITHOUT_TPU, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr[-2000:]
    values, parameters = json.loads(run.stdout)
    assert values["ssim"] == values["ms_ssim"] == {}
    assert values["gradient"] == {"all-reduce": 1}  # the loss, a mean over the batch
    assert values["training"].keys() == {"all-reduce"}
    assert values["training"]["all-reduce"] <= parameters + 1  # gradients and the loss, equal gradients once


@pytest.mark.parametrize("name", ["ssim", "ms_ssim"])
def test_four_cpus_send_each_other_nothing(name):  # the gradient is in test_transforms.py
    if jax.device_count() < 4:
        pytest.skip("fewer than four devices")
    mesh = Mesh(np.asarray(jax.devices()[:4]), ("batch",))
    assert sent(mesh, FUNCTIONS[name], IMAGES, IMAGES) == {}


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="tiles are the CPU's")
@pytest.mark.parametrize("shape", [(256, 256, 3), (512, 512, 1), (2, 256, 256, 3), (8, 256, 256, 3), (64, 64, 64, 3)])
def test_a_gradient_takes_the_memory_of_six_images_at_most(shape):
    images = jax.ShapeDtypeStruct(shape, np.float32)
    loss = jax.value_and_grad(lambda x, y: jaxssim.ssim_loss(x, y, data_range=1.0))
    memory = jax.jit(loss).lower(images, images).compile().memory_analysis()
    assert 0 < memory.temp_size_in_bytes <= 6 * 4 * math.prod(shape)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_lowered_for_cuda(name):
    exported = export.export(jax.jit(FUNCTIONS[name]), platforms=["cuda"])(IMAGES, IMAGES)
    assert exported.platforms == ("cuda",)
    module = exported.mlir_module()
    assert "custom_call" not in module
    assert "convolution" not in module
    assert "inlineable" not in module  # what keeps passes apart on CPU


def test_two_passes_for_cuda():
    """The moments along the first axis are walled off, those along the second go on to the formula."""
    module = export.export(jax.jit(FUNCTIONS["ssim"]), platforms=["cuda"])(IMAGES, IMAGES).mlir_module()
    walls = [line for line in module.splitlines() if "optimization_barrier" in line]
    n, height, width, channels = IMAGES.shape
    assert sum(f"<{n}x{height - 10}x{width * channels}xf32>" in wall for wall in walls) == 2  # of u and of v
    assert not any(f"<{n}x{height - 10}x{(width - 10) * channels}xf32>" in wall for wall in walls)


if __name__ == "__main__":
    compile_for_tpu(sys.argv[1])
