"""Canaries: properties of the programs that XLA makes of jaxssim, which a new JAX or XLA may change.

All other tests check values. These check memory, loops and communication in compiled programs, where a failure means
slower or larger programs, not wrong ones. When one fails:

1. After a change in `jaxssim`: the change made the compiled program worse. Its message says how; undo or mend it.
2. After an update of JAX: compare the old and the new program (`jax.jit(f).lower(x, y).compile().as_text()`). Every
   workaround for the compiler is in `jaxssim/_core/xla.py` with its reason: mend it there, or delete it if the compiler
   no longer needs it. If the new program is as good as the old one, change the canary.
3. If only a number is slightly above its limit, measure with `benchmarks/scaling.py` before you raise the limit.

Programs for TPUs are compiled by libtpu without a TPU, in a process of their own that runs this file: libtpu reads its
settings when it is loaded, and only one process at a time can load it by default.
"""

import functools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import collectives
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import without_tpu
from jax import export
from jax.experimental.compilation_cache import compilation_cache
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from marks import slow, slow_except

import jaxssim
from jaxssim import Convention, Gaussian

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_TPU = without_tpu.ENVIRONMENT | {
    "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("", "tests", "benchmarks"))
}
IMAGES = jax.ShapeDtypeStruct((8, 48, 48, 3), np.float32)
SCALES = dict(weights=(0.4, 0.6), convention=Convention(window=Gaussian(7, 1.5)))
FUNCTIONS = {
    "ssim": functools.partial(jaxssim.ssim, data_range=1.0),
    "gradient": jax.value_and_grad(lambda x, y: jaxssim.ssim_loss(x, y, data_range=1.0), argnums=(0, 1)),
    "ms_ssim": functools.partial(jaxssim.ms_ssim, data_range=1.0, **SCALES),
    "cw_ssim": functools.partial(jaxssim.cw_ssim, levels=2, orientations=3),
}
on_cpu = pytest.mark.skipif(jax.default_backend() != "cpu", reason="the library uses tiles on CPU only")


@pytest.fixture(autouse=True, scope="module")
def _no_compilation_cache():
    """Compiles every program again: programs read from a persistent cache may lack their text and memory analysis."""
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    jax.clear_caches()
    yield
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()


def loss(x, y):
    return jaxssim.ssim_loss(x, y, data_range=1.0)


def temporary_images(function, *arrays):
    """Returns the temporary memory of a compiled function, in sizes of its first argument."""
    memory = jax.jit(function).lower(*arrays).compile().memory_analysis()
    assert memory.temp_size_in_bytes > 0, "XLA no longer reports memory: find its new report"
    return memory.temp_size_in_bytes / (arrays[0].dtype.itemsize * math.prod(arrays[0].shape))


# Memory.


@on_cpu
@pytest.mark.parametrize(
    "shape",
    [
        (8, 256, 256, 3),
        *(
            pytest.param(shape, marks=slow)
            for shape in ((256, 256, 3), (512, 512, 1), (2, 256, 256, 3), (64, 64, 64, 3))
        ),
    ],
)
def test_gradient_needs_at_most_six_images_of_memory(shape):
    images = jax.ShapeDtypeStruct(shape, np.float32)
    needed = temporary_images(jax.value_and_grad(loss), images, images)
    assert needed <= 6, f"the gradient needs {needed:.1f} images: does it compute whole images in place of bands?"


@slow
@on_cpu
@pytest.mark.parametrize("shape", [(32, 64, 64, 3), (64, 64, 64, 3), (16, 256, 256, 3)])
@pytest.mark.parametrize("function", [loss, jax.value_and_grad(loss)], ids=["value", "gradient"])
def test_batches_need_at_most_six_images_of_memory(shape, function):
    images = jax.ShapeDtypeStruct(shape, np.float32)
    needed = temporary_images(function, images, images)
    assert needed < 6, f"the batch needs {needed:.1f} times its size: does one tile hold too many images?"


@slow
@on_cpu
def test_memory_does_not_grow_with_height():
    def needed(function, height):
        images = jax.ShapeDtypeStruct((1, height, 256, 3), np.float32)
        return temporary_images(function, images, images)

    tall, taller = needed(loss, 4096), needed(loss, 8192)
    assert taller < 0.55 * tall < 0.55, f"a value needs {tall:.2f} and {taller:.2f} images: XLA keeps all tiles at once"
    assert needed(jax.value_and_grad(loss), 4096) < 6, "the gradient keeps whole images"


@slow
@pytest.mark.parametrize("masked", [False, True])
def test_volume_needs_at_most_one_and_a_half_gibibytes(masked):
    def loss(x, y, mask=None):
        return jaxssim.ssim_loss(x, y, data_range=1.0, spatial_ndim=3, channel_axis=None, mask=mask)

    volume = jax.ShapeDtypeStruct((222, 222, 222), jnp.float32)
    arguments = (volume, volume, jax.ShapeDtypeStruct(volume.shape, bool)) if masked else (volume, volume)
    memory = jax.jit(jax.value_and_grad(loss)).lower(*arguments).compile().memory_analysis()
    assert memory.temp_size_in_bytes + memory.argument_size_in_bytes <= 1.5 * 2**30, (
        "a loss of volumes keeps more fields than before: see the barriers in xla.py"
    )


# Loops.


@on_cpu
@pytest.mark.parametrize("function", [loss, jax.grad(loss)], ids=["value", "gradient"])
def test_loop_over_tiles_uses_all_cores(function):
    images = jax.ShapeDtypeStruct((2048, 512, 3), np.float32)
    text = jax.jit(function).lower(images, images).compile().as_text()
    assert "while(" in text, "no loop over tiles: did the sizes of tiles change?"
    assert "small_call" not in text, "XLA runs the loop on one core: see the sort in the loop in xla.py"


# Communication between devices.


def count_sent(mesh, function, *batches, whole=()):
    """Returns how many numbers the devices of a mesh send by each operation; `batches` are sharded, `whole` is not."""

    def placed(arrays, *axes):
        sharding = NamedSharding(mesh, PartitionSpec(*axes))
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), arrays)

    compiled = jax.jit(function).lower(*placed(whole), *placed(batches, "batch")).compile()
    return collectives.numbers_sent(compiled.as_text())


def mesh_of_four():
    """Returns a mesh of four devices, or skips the test."""
    if jax.device_count() < 4:
        pytest.skip("fewer than four devices")
    return Mesh(np.asarray(jax.devices()[:4]), ("batch",))


def masked(x, y):
    return jaxssim.ssim(x, y, data_range=1.0, mask=np.random.default_rng(1).random((48, 48)) < 0.7)


def sum_of_gradients(metric):
    return jax.grad(lambda x, y: metric(x, y).sum())


# CW-SSIM is absent: XLA gathers what it transforms, and `jax.shard_map` avoids this.
SHARDED = {
    "ssim": FUNCTIONS["ssim"],
    "ms_ssim": FUNCTIONS["ms_ssim"],
    "gradient of ssim": sum_of_gradients(FUNCTIONS["ssim"]),
    "gradient of ssim under a mask": sum_of_gradients(masked),
    "gradient of ms_ssim": sum_of_gradients(FUNCTIONS["ms_ssim"]),
}


@pytest.mark.parametrize("name", slow_except(["ssim", "gradient of ssim"], list(SHARDED)))
def test_four_cpus_send_nothing(name):
    sent = count_sent(mesh_of_four(), SHARDED[name], IMAGES, IMAGES)
    assert sent == {}, (
        f"{name} sends {sent}: XLA no longer keeps the batch sharded; see `_images_per_group` in `_core/tiling.py`"
    )


@slow
@on_cpu
@pytest.mark.parametrize("name", ["ssim", "gradient of ssim"])
def test_four_cpus_send_nothing_in_a_loop_over_tiles(name):
    images = jax.ShapeDtypeStruct((8, 1024, 512, 3), np.float32)
    sent = count_sent(mesh_of_four(), SHARDED[name], images, images)
    assert sent == {}, f"{name} sends {sent}: the loop must run over rows, with the whole batch inside"


def compile_for_tpu(topology):
    """Prints as JSON what each program sends, and the number of parameters of the training step."""
    from jax.experimental import topologies

    devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    mesh = Mesh(np.asarray(devices), ("batch",))
    values = {name: count_sent(mesh, FUNCTIONS[name], IMAGES, IMAGES) for name in ("ssim", "ms_ssim", "gradient")}
    step, state, batch = without_tpu.training_step(width=16, batch_size=8, patch=32)
    values["training"] = count_sent(mesh, step, batch, whole=(state,))
    print(json.dumps([values, count_parameters(width=16)]))


def count_parameters(**options):
    """Returns the number of parameters of the autoencoder of a configuration."""
    from flax import nnx

    from examples.autoencoder.config import Config
    from examples.autoencoder.model import Autoencoder

    model = nnx.eval_shape(lambda: Autoencoder(Config(**options), nnx.Rngs(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@slow
@pytest.mark.parametrize("topology", ["v5e:2x2", "v6e:2x2"])
def test_tpus_send_no_images(topology):
    for name in ("libtpu", "flax", "grain", "optax", "orbax.checkpoint", "rich", "skimage", "tensorboardX", "tyro"):
        pytest.importorskip(name)
    command = [sys.executable, __file__, topology]
    run = subprocess.run(command, env=os.environ | WITHOUT_TPU, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr[-2000:]
    values, parameters = json.loads(run.stdout)
    assert values["ssim"] == values["ms_ssim"] == {}, "images are sent: see `_images_per_group` in `_core/tiling.py`"
    assert values["gradient"] == {"all-reduce": 1}, "more than the loss, a mean over the batch, is sent"
    assert values["training"].keys() == {"all-reduce"}
    assert values["training"]["all-reduce"] <= parameters + 1, "more than the gradients and the loss is sent"


# Programs for CUDA.


@pytest.mark.parametrize("name", slow_except(["ssim", "gradient"], list(FUNCTIONS)))
def test_program_for_cuda_has_only_portable_operations(name):
    exported = export.export(jax.jit(FUNCTIONS[name]), platforms=["cuda"])(IMAGES, IMAGES)
    assert exported.platforms == ("cuda",)
    lines = exported.mlir_module().splitlines()
    module = "\n".join(line for line in lines if not line.startswith("#loc"))  # without the names of callers
    for word, meaning in (
        ("custom_call", "a call that other platforms may lack"),
        ("convolution", "XLA's convolutions are slow for windows"),
        ("inlineable", "a workaround for CPUs, which xla.py must not use here"),
    ):
        assert word not in module, f"the program for CUDA has {word}: {meaning}"


def test_filter_along_the_first_axis_is_not_fused_on_cuda():
    """Checks that statistics along the first axis are stored, and that those along the second fuse with the formula."""
    module = export.export(jax.jit(FUNCTIONS["ssim"]), platforms=["cuda"])(IMAGES, IMAGES).mlir_module()
    barriers = [line for line in module.splitlines() if "optimization_barrier" in line]
    n, height, width, channels = IMAGES.shape
    first = [barrier.count(f"<{n}x{height - 10}x{width * channels}xf32>") for barrier in barriers]
    assert [count for count in first if count] == [4], "no barrier for all moments: every output costs 121 taps"
    second = sum(f"<{n}x{height - 10}x{(width - 10) * channels}xf32>" in barrier for barrier in barriers)
    assert second == 0, "a barrier after the second axis writes fields to memory that the formula could take directly"


if __name__ == "__main__":
    compile_for_tpu(sys.argv[1])
