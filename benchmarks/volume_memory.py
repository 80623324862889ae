"""Measures memory and time of the loss of a pair of volumes of 222 x 222 x 222 float32; memory is XLA's count.

python benchmarks/volume_memory.py [--size 222]
"""

import argparse
import time

import jax
import jax.numpy as jnp
import measuring
import numpy as np

import jaxssim


def loss(x, y, mask=None):
    """Returns the loss of a volume without channels."""
    return jaxssim.ssim_loss(x, y, data_range=1.0, mask=mask, spatial_ndim=3, channel_axis=None)


def row(name, function, *arrays):
    """Prints one line of the table: the memory of the compiled function, and the shortest of three calls."""
    compiled = jax.jit(function).lower(*arrays).compile()
    memory = compiled.memory_analysis()
    parts = (memory.argument_size_in_bytes, memory.temp_size_in_bytes, memory.output_size_in_bytes)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*arrays))
        seconds.append(time.perf_counter() - start)
    mebibytes = " | ".join(f"{part / 2**20:.0f}" for part in (*parts, sum(parts)))
    print(f"| {name} | {mebibytes} | {sum(parts) / arrays[0].nbytes:.1f} | {min(seconds):.2f} |", flush=True)


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=222)
    size = parser.parse_args().size
    rng = np.random.default_rng(0)
    x, y = (jnp.asarray(rng.random((size,) * 3, np.float32)) for _ in range(2))
    mask = jnp.asarray(rng.random((size,) * 3) < 0.5)
    print(f"{measuring.header()}; {size} x {size} x {size} float32 are {x.nbytes / 2**20:.0f} MiB")
    print("| ssim_loss | arguments, MiB | temporary | output | together | in volumes | seconds |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    row("value", loss, x, y)
    row("value and gradient", jax.value_and_grad(loss), x, y)
    row("value, masked", loss, x, y, mask)
    row("value and gradient, masked", jax.value_and_grad(loss), x, y, mask)


if __name__ == "__main__":
    main()
