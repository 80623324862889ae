"""What devices that share an image send each other and keep in memory, read off the compiled programs.

Both tests run this file in other processes: one with eight virtual devices, and two with two devices each.
"""

import functools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import collectives
import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from marks import slow

import jaxssim
from jaxssim import Convention, Gaussian
from jaxssim._core import tiling  # private: other platforms than CPU have no tiles

ROOT = Path(__file__).resolve().parents[2]
SHAPE = (1024, 512, 3)
HALO = 10 * 512 * 3  # numbers of an image that windows of 11 pixels read beyond the rows of a device
SMALL = (64, 13, 1)  # small enough for the pipe of each process to hold its gradients
SCALES = dict(weights=(0.3, 0.3, 0.4), convention=Convention(window=Gaussian(5, 1.0)))
HALO_OF_SCALES = 4 * 3 * (512 + 256 + 128)
FUNCTIONS = {
    "value": functools.partial(jaxssim.ssim, data_range=1.0),
    "map": functools.partial(jaxssim.ssim_map, data_range=1.0),
    "gradient": jax.value_and_grad(functools.partial(jaxssim.ssim_loss, data_range=1.0), argnums=(0, 1)),
    "scales": jax.value_and_grad(functools.partial(jaxssim.ms_ssim_loss, data_range=1.0, **SCALES), argnums=(0, 1)),
}
HALO_OF_BOTH_AXES = 3 * (10 * 256 + 20 * 10 + 512 * 10)  # below, after the strip of rows, and to the right
SENT = {
    "value": 2 * HALO,
    "map": 2 * HALO,
    "gradient": 4 * HALO,
    "both axes": 4 * HALO_OF_BOTH_AXES,
    "scales": 4 * HALO_OF_SCALES,
}
PROGRAMS = {"value": (1, 2, 4, 8), "gradient": (1, 2, 4, 8), "map": (4,), "both axes": (4,), "scales": (4,)}
PROGRAMS_WITHOUT_TILES = {"value": (1, 2, 4, 8), "gradient": (1, 2, 4, 8), "scales": (1, 4)}


def compiled(name, devices):
    """Returns a function compiled for one image that devices share by rows, or by both axes, or for one device."""
    images = jax.ShapeDtypeStruct(SHAPE, np.float32)
    function = FUNCTIONS["gradient" if name == "both axes" else name]
    if devices == 1:
        return jax.jit(function).lower(images, images).compile()
    counts, axes = ((2, 2), ("rows", "columns")) if name == "both axes" else ((devices,), ("rows",))
    types = (AxisType.Explicit,) * len(axes)
    mesh = jax.make_mesh(counts, axes, axis_types=types, devices=jax.devices()[:devices])
    with jax.set_mesh(mesh):
        placed = jax.ShapeDtypeStruct(SHAPE, np.float32, sharding=NamedSharding(mesh, PartitionSpec(*axes)))
        return jax.jit(function).lower(placed, placed).compile()


def figures():
    """Returns what devices send and keep, by program and number of devices; the second set is without tiles."""
    found = {}
    for platform, programs in (("cpu", PROGRAMS), ("others", PROGRAMS_WITHOUT_TILES)):
        for name, numbers in programs.items():
            for devices in numbers:
                program = compiled(name, devices)
                sent, memory = collectives.numbers_sent(program.as_text()), program.memory_analysis()
                found[f"{platform}, {name}, {devices}"] = sent, memory.temp_size_in_bytes
        tiling.choose_tiles = lambda *_, **__: tiling.Tiles(1, 1)
        jax.clear_caches()
    return found


def start(*arguments, devices):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("", "tests", "benchmarks")),
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_COMPILATION_CACHE": "0",  # programs read from a cache may lack their text
    }
    command = [sys.executable, __file__, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(process):
    output, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(output.splitlines()[-1])


@slow
def test_devices_send_halos_and_keep_their_share():
    found = result(start("figures", devices=8))
    for name, (sent, memory) in found.items():
        platform, function, devices = name.split(", ")
        if devices == "1":
            assert sent == {}
            continue
        assert sent.keys() <= {"collective-permute", "all-reduce"}, f"{name} sends {sent}"
        assert sent["collective-permute"] == SENT[function], f"{name} sends more or less than its halos: {sent}"
        assert sent.get("all-reduce", 0) <= 100, f"{name} reduces more than means and offsets: {sent}"
        _, whole = found.get(f"{platform}, {function}, 1", (None, None))
        if whole is not None:
            is_tile = platform == "cpu" and function == "value"
            most = whole if is_tile else 1.3 * whole / int(devices)
            assert memory <= most, f"{name} keeps {memory} bytes, of which {most:.0f} are its share"


@slow
def test_two_processes_give_the_values_of_one():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = [start("process", port, str(i), devices=2) for i in range(2)]
    x, y = images(SMALL)
    value, gradients = FUNCTIONS["gradient"](x, y)
    for i, process in enumerate(processes):
        sent, found, parts = result(process)
        assert sent == {"collective-permute": 4 * 10 * 13, "all-reduce": sent["all-reduce"]}
        np.testing.assert_allclose(found, value, rtol=1e-6)
        for part, gradient in zip(parts, gradients, strict=True):
            own = np.asarray(gradient)[32 * i : 32 * (i + 1)]
            np.testing.assert_allclose(part, own, rtol=0, atol=1e-6 * np.abs(gradient).max())


def images(shape):
    x, other = np.random.default_rng(0).random((2, *shape), np.float32)
    return x, (x + other) / 2


def one_of_two(port, process):
    """Returns what this process sends, the value, and its rows of the gradients."""
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, process)
    whole = images(SMALL)
    mesh = jax.make_mesh((4,), ("rows",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        sharding = NamedSharding(mesh, PartitionSpec("rows"))
        x, y = (jax.make_array_from_process_local_data(sharding, part[32 * process :][:32]) for part in whole)
        program = jax.jit(FUNCTIONS["gradient"]).lower(x, y).compile()
        value, gradients = program(x, y)
    shards = [sorted(gradient.addressable_shards, key=lambda shard: shard.index[0].start) for gradient in gradients]
    rows = [np.concatenate([shard.data for shard in each]).tolist() for each in shards]
    return collectives.numbers_sent(program.as_text()), float(value), rows


if __name__ == "__main__":
    action, *arguments = sys.argv[1:]
    print(json.dumps(figures() if action == "figures" else one_of_two(arguments[0], int(arguments[1]))))
