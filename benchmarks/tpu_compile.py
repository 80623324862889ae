"""Compiles jaxssim for four TPU chips without a TPU, and prints the compiler's estimates of time and memory.

    python benchmarks/tpu_compile.py [--topologies v5e:2x2 ...] [--images 8 32] [--output DIR]

The program needs the compiler (`pip install "jax[tpu]"`) and ten minutes of two cores, but no TPU. Pairs of 256x256x3
are sharded over the chips, and a pair of 1024x1024 is shared by its rows. It compares the library, the library with
channels as a batch axis, and E[x²] - E[x]² whose windows are sums of shifted slices, as in the library, or products
with banded matrices.
"""

import collections
import datetime
import functools
import importlib.metadata
import platform
import re
import sys
import tempfile
import threading
import time

import collectives
import jax
import jax.numpy as jnp
import measuring
import numpy as np
import without_tpu
from jax import lax
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxssim

SCHEDULED = re.compile(r'"bundle_analysis_data":\{"estimated_cycles":"(\d+)"')
ROUGH = re.compile(r'"window_config":\{[^{}]*"estimated_cycles":"(\d+)"')
(TAPS,) = jaxssim.Gaussian().taps(1)
TIMEOUT = 300  # seconds
LARGE = jax.ShapeDtypeStruct((1024, 1024), jnp.float32)  # one image, which the chips share by its rows
HEIGHTS = 1, 100  # heights of an edge in data ranges: as in photographs, and as in measurements
FORMULATIONS = {
    "library": "the law of total variance in sums of shifted slices, channels folded into the last axis",
    "planes": "the same, channels as a batch axis",
    "moments": "mean square minus squared mean in sums of shifted slices, channels as a batch axis",
    "matrices": "mean square minus squared mean in products with banded matrices, float32 by six passes of bfloat16",
}


# The programs that are compiled.


def formulations():
    """Returns functions of pairs (n, height, width, channels) to 1 - SSIM, by the names of FORMULATIONS."""
    return {
        "library": lambda x, y: 2 * jaxssim.dssim(x, y, data_range=1.0),
        "planes": planes,
        "moments": functools.partial(by_moments, smooth=sums),
        "matrices": functools.partial(by_moments, smooth=products),
    }


def planes(x, y):
    """Calls the library with channels as a batch axis."""
    x, y = (jnp.moveaxis(image, -1, 1) for image in (x, y))
    return 2 * jaxssim.dssim(x, y, data_range=1.0, channel_axis=None).mean(1)


def by_moments(x, y, *, smooth):
    """Computes E[x²] - E[x]² of sum and difference, after subtracting the mean of each image; `smooth` filters."""
    x, y = (jnp.moveaxis(image, -1, 1) for image in (x, y))
    level_x, level_y = (lax.stop_gradient(image.mean((2, 3), keepdims=True)) for image in (x, y))
    u, v = (x - level_x) + (y - level_y), (x - level_x) - (y - level_y)
    mean_u, mean_v, square_u, square_v = (smooth(field) for field in (u, v, u**2, v**2))
    var_u, var_v = square_u - mean_u**2, square_v - mean_v**2
    mean_u, mean_v = mean_u + level_x + level_y, mean_v + level_x - level_y
    contrast = var_v / ((var_u + var_v) / 2 + 0.03**2)
    luminance = mean_v**2 / ((mean_u**2 + mean_v**2) / 2 + 0.01**2)
    return (contrast + luminance * (1 - contrast)).mean((1, 2, 3))


def sums(field):
    """Returns weighted sums over windows along the last two axes, one axis after the other."""
    return sum_of_slices(sum_of_slices(field, -2), -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def sum_of_slices(field, axis):
    """Returns the weighted sum of shifted slices along an axis, not fused with later operations."""
    length = field.shape[axis] - len(TAPS) + 1
    slices = (lax.slice_in_dim(field, k, k + length, axis=field.ndim + axis) for k in range(len(TAPS)))
    return lax.optimization_barrier(sum(tap * part for tap, part in zip(TAPS, slices, strict=True)))


def transposed(axis, _, cotangent):
    """Returns the transpose: the same filter of the padded cotangent, because windows are symmetric."""
    widths = [(0, 0)] * cotangent.ndim
    widths[axis] = (len(TAPS) - 1,) * 2
    return (sum_of_slices(jnp.pad(cotangent, widths), axis),)


sum_of_slices.defvjp(lambda field, axis: (sum_of_slices(field, axis), None), transposed)


def products(field):
    """Returns the same sums as products with banded matrices."""
    rows, columns = (banded(n) for n in field.shape[-2:])
    return jnp.einsum("ih,nchw,jw->ncij", rows, field, columns, precision="highest", optimize=[(1, 2), (0, 1)])


def banded(n):
    """Returns the matrix that maps n pixels to the weighted sums of their windows."""
    windows = np.arange(n - len(TAPS) + 1)[:, None]
    matrix = np.zeros((len(windows), n), np.float32)
    matrix[windows, windows + np.arange(len(TAPS))] = TAPS
    return matrix


def program(name, images):
    """Returns a function, the shapes of its replicated arguments, and the shapes of its sharded arguments."""
    if name == "training step":
        step, state, batch = without_tpu.training_step()
        return step, (state,), (batch,)
    pair = (jax.ShapeDtypeStruct((images, 256, 256, 3), jnp.float32),) * 2
    if name == "ms_ssim":
        return functools.partial(jaxssim.ms_ssim, data_range=1.0), (), pair
    name, _, gradient = name.partition(", ")
    function = formulations()[name]
    return jax.value_and_grad(lambda x, y: function(x, y).mean(), 1) if gradient else function, (), pair


def shared_by_rows(name, mesh):
    """Returns a function of a pair of images, of which each chip holds some rows."""
    rows, options = PartitionSpec(mesh.axis_names[0]), dict(axis_names=mesh.axis_names[0], data_range=1.0)
    function = functools.partial(jaxssim.sharded.ssim_loss, channel_axis=None, **options)
    whole = jax.shard_map(function, mesh=mesh, in_specs=rows, out_specs=PartitionSpec())
    return jax.value_and_grad(whole, 1) if name.endswith("gradient") else whole


# Workers: libtpu reads its settings once per process, and its analysis may end the process.


class RequestHandler:
    """The requests that a worker answers."""

    def compile(self, point):
        """Returns the compiler's figures of a program for one of four chips."""
        topology, name, images = point
        devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
        mesh = Mesh(np.asarray(devices), ("batch",))

        def placed(arrays, *axes):
            sharding = NamedSharding(mesh, PartitionSpec(*axes))
            return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), arrays)

        if name.startswith("rows"):
            lowered = jax.jit(shared_by_rows(name, mesh)).lower(*placed([LARGE, LARGE], "batch"))
        else:
            function, whole, spread = program(name, images)
            lowered = jax.jit(function).lower(*placed(whole), *placed(spread, "batch"))
        start = time.perf_counter()
        compiled = lowered.compile()
        seconds, text = time.perf_counter() - start, compiled.as_text()
        if " while(" in text:
            raise NotImplementedError("the program has a loop, whose cycles the text counts once")
        scheduled = sum(map(int, SCHEDULED.findall(text)))
        return {
            "flops": compiled.cost_analysis()["flops"],
            "bytes": compiled.memory_analysis().temp_size_in_bytes,
            "sent": collectives.operations(text),
            "received": collectives.bytes_sent(text),
            "scheduled": scheduled or None,
            "rough": sum(map(int, ROUGH.findall(text))),
            "seconds": seconds,
        }

    def errors(self, name):
        """Returns the largest relative error of 1 - SSIM in float32 on a CPU, for noise over an edge of each height."""
        strengths = np.geomspace(1e-3, 0.3, 24)[:, None, None, None]
        noise = strengths * np.random.default_rng(0).standard_normal((2, 24, 128, 128, 3))
        errors = []
        for height in HEIGHTS:
            x, y = (height * (np.arange(128) > 40)[:, None] + noise).astype(np.float32)
            exact = formulations()["library"](x.astype(np.float64), y.astype(np.float64))
            errors.append(float(np.abs(formulations()[name](x, y) / exact - 1).max()))
        return errors


def ask(point):
    """Returns the worker's answer; without the scheduled cycles where libtpu's analysis of them fails or hangs."""
    with tempfile.TemporaryDirectory() as folder:
        for flags in (f"--xla_jf_dump_static_llo_profile_to={folder}", ""):
            environment = without_tpu.ENVIRONMENT | {"LIBTPU_INIT_ARGS": flags}
            worker = measuring.Worker([sys.executable, __file__, "--worker"], environment)
            patience = threading.Timer(TIMEOUT, worker.process.kill)
            patience.start()
            try:
                return worker.ask("compile", point)
            except measuring.WorkerError as error:
                print(*point, error, flush=True)
            finally:
                patience.cancel()
                worker.close()
    return None


def measure(options):
    """Compiles everything and returns the results."""
    works = [f"{name}{work}" for work in ("", ", gradient") for name in FORMULATIONS]
    points = [(work, images) for work in works for images in options.images]
    points += [("ms_ssim", options.images[-1]), ("training step", 32), ("rows", 1), ("rows, gradient", 1)]
    points = [point for point in points if not options.programs or point[0] in options.programs]
    rows = []
    for topology in options.topologies:
        for name, images in points:
            answer = ask([topology, name, images])
            if answer is not None:
                rows.append({"topology": topology, "program": name, "images": images} | answer)
            print(topology, name, images, flush=True)
    worker = measuring.Worker([sys.executable, __file__, "--worker"], without_tpu.ENVIRONMENT | {"JAX_ENABLE_X64": "1"})
    errors = {name: worker.ask("errors", name) for name in FORMULATIONS}
    worker.close()
    return {"rows": rows, "errors": errors}


# The results.


def tables(results):
    """Yields a table for each topology, one of ratios, and one of the formulations."""
    for topology in dict.fromkeys(row["topology"] for row in results["rows"]):
        heads = ["program", "images", "Gflop a chip", "temporary, MiB", "sent", "cycles", "before", "compiled, s"]
        yield f"Compiled for {topology}", heads, [line(row) for row in results["rows"] if row["topology"] == topology]
    heads = ["topology", "images", "work", *FORMULATIONS]
    yield "Cycles relative to the library's", heads, list(ratios(results["rows"]))
    heads = ["", "how", *(f"1 - SSIM off, edge of {height}" for height in HEIGHTS)]
    lines = [[name, how, *(f"{error:.0e}" for error in results["errors"][name])] for name, how in FORMULATIONS.items()]
    yield "Formulations", heads, lines


def line(row):
    """Returns a line of a topology's table."""
    sent = ", ".join(f"{n} {name}: {row['received'][name]:,} B" for name, n in row["sent"].items()) or "nothing"
    sizes = f"{row['flops'] / 1e9:.2f}", f"{row['bytes'] / 2**20:.1f}"
    cycles = ("-" if row[key] is None else f"{row[key]:,}" for key in ("scheduled", "rough"))
    return [row["program"], str(row["images"]), *sizes, sent, *cycles, f"{row['seconds']:.0f}"]


def ratios(rows):
    """Yields lines of cycles relative to the library's, or a bound from unscheduled counts."""
    groups = collections.defaultdict(dict)
    for row in rows:
        name, _, work = row["program"].partition(", ")
        groups[row["topology"], row["images"], work or "value"][name] = row["scheduled"], row["rough"]
    for (topology, images, work), by_formulation in groups.items():
        if "library" in by_formulation and by_formulation["library"][0]:
            whole = by_formulation["library"][0]
            of_each = (by_formulation.get(name, (None, None)) for name in FORMULATIONS)
            shares = (f"{a / whole:.2f}" if a else f"≤ {b / whole:.2f}" if b else "-" for a, b in of_each)
            yield [topology, str(images), work, *shares]


def header_lines():
    """Returns the lines that explain the figures."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "jaxlib", "libtpu"))
    return [
        f"{versions}, Python {platform.python_version()}, {datetime.date.today()}. All figures are estimates: "
        "nothing was run on a TPU.",
        "Cycles are those of one chip of four: libtpu's count of scheduled instructions, without waits for memory "
        'and for other chips. The column "before" has its estimates before scheduling, which count each slice as a '
        "separate array to read: about right for matrix products, several times too high for sums of slices. A count "
        "is missing where libtpu's analysis failed. Most intermediate arrays stay in the chip's vector memory, which "
        "the temporary bytes exclude.",
        "jaxssim itself is the row `library`. Planes are as accurate; they take as long where a chip has eight images, "
        "and a quarter of the time where it has two. The last table shows the errors of moments.",
    ]


def main():
    """Compiles, prints and writes the results."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--topologies", nargs="+", default=["v5e:2x2", "v6e:2x2"])
    parser.add_argument("--images", nargs="+", type=int, default=[8, 32], help="multiples of the number of chips")
    parser.add_argument("--programs", nargs="+", help='such as "rows" and "rows, gradient"; by default all')
    options = parser.parse_args()
    if options.worker is not None:
        measuring.serve(RequestHandler())
        return
    results = measure(options)
    measuring.write(options.output / "tpu-compile", header_lines(), list(tables(results)), results)


if __name__ == "__main__":
    main()
