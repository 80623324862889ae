"""Compiles jaxssim for an H100 without a GPU, and counts the kernels of each program and the bytes that they move.

    python benchmarks/cuda_compile.py [--programs ssim ms_ssim ...] [--output DIR]

The program needs a minute of two cores, and four packages that jaxssim does not depend on: those of JAX for CUDA in the
version of jaxlib, and NVIDIA's assembler.

    pip install --no-deps jax-cuda13-pjrt==VERSION jax-cuda13-plugin==VERSION nvidia-cuda-nvcc nvidia-nvvm

A kernel is counted as reading each operand and writing each output as a whole, once. The floor is what no program can
go below: the images read once, the results written once.
"""

import datetime
import functools
import importlib.metadata
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import measuring
from jax.experimental import topologies

import jaxssim

TARGET = Path(__file__).with_name("h100.txtpb")
ARCHITECTURE = "sm_90a"
PACKAGES = "jax-cuda13-pjrt", "jax-cuda13-plugin", "nvidia-cuda-nvcc", "nvidia-nvvm"
ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1", "JAX_ENABLE_COMPILATION_CACHE": "0"}
SHAPES = (8, 1080, 1920, 3), (32, 256, 256, 3)
OPTIONS = dict(data_range=1.0)
PROGRAMS = {
    "ssim": functools.partial(jaxssim.ssim, **OPTIONS),
    "ssim_loss, gradient": jax.value_and_grad(functools.partial(jaxssim.ssim_loss, **OPTIONS), argnums=1),
    "ms_ssim": functools.partial(jaxssim.ms_ssim, **OPTIONS),
    "ms_ssim_loss, gradient": jax.value_and_grad(functools.partial(jaxssim.ms_ssim_loss, **OPTIONS), argnums=1),
}
INSTRUCTION = re.compile(r"\s*(?:ROOT )?%?([\w.-]+) = (\(.*?\)|\S+) ([\w-]+)\((.*?)\)(?:, |$)")
NO_KERNEL = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast"}
ARRAY = re.compile(r"\b(pred|[a-z]+\d+)\[([\d,]*)\]")


# What the text of a compiled program says.


def kernels(text):
    """Returns the name of each kernel, and the bytes of its operands and of its outputs."""
    entry = re.sub(r"/\*.*?\*/", "", text[text.index("\nENTRY ") :])
    shapes, found = {}, []
    for name, shape, operation, operands in filter(None, map(_instruction, entry.splitlines())):
        shapes[name] = shape
        if operation in ("while", "conditional", "call"):
            raise NotImplementedError(f"the program has a {operation}, whose kernels the text counts once")
        if operation not in NO_KERNEL:
            read = sum(size(shapes[operand]) for operand in re.findall(r"%([\w.-]+)", operands))
            found.append({"name": name, "read": read, "written": size(shape)})
    return found


def _instruction(line):
    match = INSTRUCTION.match(line)
    return match and match.groups()


def size(shape):
    """Returns the bytes of an array, or of several, such as "(f32[8,3], pred[8])"."""
    return sum(
        max(1, int(re.sub(r"\D", "", dtype) or 8) // 8) * math.prod(map(int, filter(None, axes.split(","))))
        for dtype, axes in ARRAY.findall(shape)
    )


def assembled(folder):
    """Returns the most registers of a kernel in a folder, and the bytes that all spill, by NVIDIA's assembler."""
    (assembler,) = (file.locate() for file in importlib.metadata.files("nvidia-cuda-nvcc") if file.name == "ptxas")
    command = [assembler, "-v", f"-arch={ARCHITECTURE}", "-o", os.devnull]
    said = "".join(
        subprocess.run([*command, path], capture_output=True, text=True, check=True).stderr
        for path in sorted(Path(folder).glob("*.ptx"))
    )
    used, spilled = (map(int, re.findall(of, said)) for of in (r"Used (\d+) registers", r"(\d+) bytes spill stores"))
    return {"registers": max(used), "spilled": sum(spilled)}


def threads(folder):
    """Returns how many threads each kernel in a folder has, by its name."""
    (path,) = Path(folder).glob("*.thunk_sequence.txt")
    launches = re.findall(r"(\S+) grid: \[(.*?)\] threads: \[(.*?)\]", path.read_text())
    return {name: math.prod(map(int, f"{grid}, {block}".split(", "))) for name, grid, block in launches}


# Workers: XLA reads its flags once per process.


class RequestHandler:
    """The request that a worker answers."""

    def compile(self, point):
        """Returns the counts of a program for a pair of images."""
        name, shape, folder = point
        target = TARGET.read_text()
        topology = topologies.get_topology_desc("", "cuda", topology="1x1x1", target_config=target)
        sharding = jax.sharding.SingleDeviceSharding(topology.devices[0])
        images = (jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding),) * 2
        lowered = jax.jit(PROGRAMS[name]).lower(*images)
        start = time.perf_counter()
        compiled = lowered.compile()
        seconds, memory = time.perf_counter() - start, compiled.memory_analysis()
        found, launched = kernels(compiled.as_text()), threads(folder)
        arrays = (*images, *jax.tree.leaves(lowered.out_info))
        return {
            "moved": sum(kernel["read"] + kernel["written"] for kernel in found),
            "floor": sum(array.dtype.itemsize * math.prod(array.shape) for array in arrays),
            "temporary": memory.temp_size_in_bytes,
            "seconds": seconds,
            "kernels": [kernel | {"threads": launched.get(kernel["name"].replace(".", "_"))} for kernel in found],
        } | assembled(folder)


def ask(name, shape):
    """Returns the answer of a worker of its own, which writes the kernels' assembly to a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        flags = f"--xla_dump_to={folder} --xla_dump_hlo_as_text --xla_dump_emitter_re=ptx"
        worker = measuring.Worker([sys.executable, __file__, "--worker"], ENVIRONMENT | {"XLA_FLAGS": flags})
        try:
            return worker.ask("compile", [name, shape, folder])
        finally:
            worker.close()


# The results.


def tables(rows):
    """Yields a table for each shape."""
    heads = "program", "kernels", "MB moved", "floor, MB", "times the floor", "temporary, MB"
    heads = [*heads, "most registers", "bytes spilled", "compiled, s"]
    for shape in dict.fromkeys(tuple(row["shape"]) for row in rows):
        yield measuring.text_of(shape), heads, [line(row) for row in rows if tuple(row["shape"]) == shape]


def line(row):
    """Returns a line of a table."""
    megabytes = (f"{row[key] / 1e6:.0f}" for key in ("moved", "floor"))
    return [
        row["program"],
        str(len(row["kernels"])),
        *megabytes,
        f"{row['moved'] / row['floor']:.2f}",
        f"{row['temporary'] / 1e6:.0f}",
        str(row["registers"]),
        str(row["spilled"]),
        f"{row['seconds']:.0f}",
    ]


def header_lines():
    """Returns the lines that explain the figures."""
    names = "jax", "jaxlib", *PACKAGES
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return [
        f"jaxssim {jaxssim.__version__}, {versions}, Python {platform.python_version()}, {datetime.date.today()}. "
        "Compiled for an H100 without a GPU: nothing was run.",
        "Bytes are those of all operands and outputs of all kernels, each counted as a whole once. The floor is both "
        "images read once and the results written once. A gradient is the value with the gradient by one image. The "
        "JSON file lists the kernels.",
    ]


def main():
    """Compiles, prints and writes the results."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--programs", nargs="+", default=list(PROGRAMS), choices=list(PROGRAMS), metavar="NAME")
    options = parser.parse_args()
    if options.worker is not None:
        measuring.serve(RequestHandler())
        return
    points = [(name, shape) for shape in SHAPES for name in options.programs]
    rows = [{"program": name, "shape": shape} | ask(name, shape) for name, shape in points]
    measuring.write(options.output / "cuda-compile", header_lines(), list(tables(rows)), rows)


if __name__ == "__main__":
    main()
