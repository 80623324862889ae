"""TPUs without a TPU: what their compiler makes of jaxssim for four chips, and how long it estimates that to take.

    python benchmarks/tpu_compile.py [--topologies v5e:2x2 ...] [--images 8 32] [--output DIR]

Needs the compiler, `pip install "jax[tpu]"`, no TPU, and ten minutes of two cores. Pairs of 256x256x3 are spread over
the chips. Compared are the library, the library on planes (channels as a batch axis), and moments E[x²] - E[x]² in its
place, whose windows are sums of shifted slices as in the library, or products with banded matrices.
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

import jax
import jax.numpy as jnp
import measuring
import numpy as np
from jax import lax
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxssim

WITHOUT_TPU = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "JAX_PLATFORMS": "cpu",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",  # with no say in what is compiled, but missed aloud
    "TPU_LOG_DIR": "disabled",
    "TPU_WORKER_HOSTNAMES": "localhost",
}
SCHEDULED = re.compile(r'"bundle_analysis_data":\{"estimated_cycles":"(\d+)"')
ROUGH = re.compile(r'"window_config":\{[^{}]*"estimated_cycles":"(\d+)"')
COLLECTIVE = re.compile(r" (all-gather|all-reduce|all-to-all|collective-\w+|reduce-scatter)(?:-start)?\(")
(TAPS,) = jaxssim.Gaussian().taps(1)
PATIENCE = 300  # seconds
HEIGHTS = 1, 100  # in data ranges, as photographs and as measurements may have them
FORMULATIONS = {
    "library": "the law of total variance in sums of shifted slices, channels folded into the last axis",
    "planes": "the same, channels as a batch axis",
    "moments": "mean square less squared mean in sums of shifted slices, channels as a batch axis",
    "matrices": "mean square less squared mean in products with banded matrices, float32 by six passes of bfloat16",
}


# What is compiled.


def formulations():
    """1 - SSIM of each pair (n, height, width, channels) by the names of FORMULATIONS."""
    return {
        "library": lambda x, y: 2 * jaxssim.dssim(x, y, data_range=1.0),
        "planes": planes,
        "moments": functools.partial(by_moments, smooth=sums),
        "matrices": functools.partial(by_moments, smooth=products),
    }


def planes(x, y):
    """The library's, channels as a batch axis."""
    x, y = (jnp.moveaxis(image, -1, 1) for image in (x, y))
    return 2 * jaxssim.dssim(x, y, data_range=1.0, channel_axis=None).mean(1)


def by_moments(x, y, *, smooth):
    """By E[x²] - E[x]² of sum and difference, each image's mean taken off; `smooth` averages over windows."""
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
    """Sums over windows along the last two axes, one by one."""
    return sum_of_slices(sum_of_slices(field, -2), -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def sum_of_slices(field, axis):
    """The weighted sum of shifted slices along an axis, apart from what comes next; its transpose is the same."""
    length = field.shape[axis] - len(TAPS) + 1
    slices = (lax.slice_in_dim(field, k, k + length, axis=field.ndim + axis) for k in range(len(TAPS)))
    return lax.optimization_barrier(sum(tap * part for tap, part in zip(TAPS, slices, strict=True)))


def transposed(axis, _, cotangent):
    """Windows are symmetric, so that only the edge needs care."""
    widths = [(0, 0)] * cotangent.ndim
    widths[axis] = (len(TAPS) - 1,) * 2
    return (sum_of_slices(jnp.pad(cotangent, widths), axis),)


sum_of_slices.defvjp(lambda field, axis: (sum_of_slices(field, axis), None), transposed)


def products(field):
    """The same as products with banded matrices."""
    rows, columns = (banded(n) for n in field.shape[-2:])
    return jnp.einsum("ih,nchw,jw->ncij", rows, field, columns, precision="highest", optimize=[(1, 2), (0, 1)])


def banded(n):
    """The matrix that takes n pixels to the weighted sums of the windows among them."""
    windows = np.arange(n - len(TAPS) + 1)[:, None]
    matrix = np.zeros((len(windows), n), np.float32)
    matrix[windows, windows + np.arange(len(TAPS))] = TAPS
    return matrix


def program(name, images):
    """A function, the shapes of the arguments that every chip has whole, and of those that are spread over chips."""
    if name == "training step":
        return training_step()
    pair = (jax.ShapeDtypeStruct((images, 256, 256, 3), jnp.float32),) * 2
    if name == "ms_ssim":
        return functools.partial(jaxssim.ms_ssim, data_range=1.0), (), pair
    name, _, gradient = name.partition(", ")
    function = formulations()[name]
    return jax.value_and_grad(lambda x, y: function(x, y).mean(), 1) if gradient else function, (), pair


def training_step():
    """The autoencoder's, as `program`: its state is whole, its batch of 32 patches of 64x64x3 is spread."""
    from flax import nnx

    from examples.autoencoder import steps
    from examples.autoencoder.config import Config
    from examples.autoencoder.losses import loss_of

    config = Config()
    model, optimizer, _ = steps.initial_state(config)
    structure, state = nnx.split((model, optimizer))

    def step(state, batch):
        model, optimizer = nnx.merge(structure, state)
        loss = steps.train_step(model, optimizer, batch, loss_of(config), np.float32(np.nan))
        return nnx.state((model, optimizer)), loss

    batch = jax.ShapeDtypeStruct((config.batch_size, config.patch, config.patch, 3), jnp.uint8)
    return step, (state,), (batch,)


# What is found out, in processes of their own: libtpu reads its settings once, and its analysis may end them.


class Answers:
    """What a worker does, by the name of the request."""

    def compile(self, point):
        """What the compiler says of a program for one of four chips."""
        topology, name, images = point
        devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
        mesh = Mesh(np.asarray(devices), ("batch",))

        def placed(arrays, *axes):
            sharding = NamedSharding(mesh, PartitionSpec(*axes))
            return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), arrays)

        function, whole, spread = program(name, images)
        lowered = jax.jit(function).lower(*placed(whole), *placed(spread, "batch"))
        start = time.perf_counter()
        compiled = lowered.compile()
        seconds, text = time.perf_counter() - start, compiled.as_text()
        if " while(" in text:
            raise NotImplementedError("a loop, whose cycles the text holds once")
        scheduled = sum(map(int, SCHEDULED.findall(text)))
        return {
            "flops": compiled.cost_analysis()["flops"],
            "bytes": compiled.memory_analysis().temp_size_in_bytes,
            "sent": collections.Counter(COLLECTIVE.findall(text)),
            "scheduled": scheduled or None,
            "rough": sum(map(int, ROUGH.findall(text))),
            "seconds": seconds,
        }

    def errors(self, name):
        """How far float32 is from float64 at most, on a CPU, as a share of 1 - SSIM: an edge of each height, noise."""
        strengths = np.geomspace(1e-3, 0.3, 24)[:, None, None, None]
        noise = strengths * np.random.default_rng(0).standard_normal((2, 24, 128, 128, 3))
        found = []
        for height in HEIGHTS:
            x, y = (height * (np.arange(128) > 40)[:, None] + noise).astype(np.float32)
            exact = formulations()["library"](x.astype(np.float64), y.astype(np.float64))
            found.append(float(np.abs(formulations()[name](x, y) / exact - 1).max()))
        return found


def ask(point):
    """The worker's answer; without the estimate from the schedule where libtpu's analysis of it ends or halts."""
    with tempfile.TemporaryDirectory() as folder:
        for flags in (f"--xla_jf_dump_static_llo_profile_to={folder}", ""):
            environment = WITHOUT_TPU | {"LIBTPU_INIT_ARGS": flags}
            worker = measuring.Worker([sys.executable, __file__, "--worker"], environment)
            patience = threading.Timer(PATIENCE, worker.process.kill)
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
    """All that the results hold."""
    works = [f"{name}{work}" for work in ("", ", gradient") for name in FORMULATIONS]
    points = [(work, images) for work in works for images in options.images]
    points += [("ms_ssim", options.images[-1]), ("training step", 32)]
    rows = []
    for topology in options.topologies:
        for name, images in points:
            answer = ask([topology, name, images])
            if answer is not None:
                rows.append({"topology": topology, "program": name, "images": images} | answer)
            print(topology, name, images, flush=True)
    worker = measuring.Worker([sys.executable, __file__, "--worker"], WITHOUT_TPU | {"JAX_ENABLE_X64": "1"})
    errors = {name: worker.ask("errors", name) for name in FORMULATIONS}
    worker.close()
    return {"rows": rows, "errors": errors}


# What is said of it.


def tables(results):
    """A table for each topology, one of ratios, and one of the formulations."""
    for topology in dict.fromkeys(row["topology"] for row in results["rows"]):
        heads = ["program", "images", "Gflop a chip", "temporary, MiB", "sent", "cycles", "before", "compiled, s"]
        yield f"Compiled for {topology}", heads, [line(row) for row in results["rows"] if row["topology"] == topology]
    heads = ["topology", "images", "work", *FORMULATIONS]
    yield "Cycles relative to the library's", heads, list(ratios(results["rows"]))
    heads = ["", "how", *(f"1 - SSIM off, edge of {height}" for height in HEIGHTS)]
    lines = [[name, how, *(f"{error:.0e}" for error in results["errors"][name])] for name, how in FORMULATIONS.items()]
    yield "Formulations", heads, lines


def line(row):
    """A line of a topology's table."""
    sent = ", ".join(f"{count} {name}" for name, count in row["sent"].items()) or "nothing"
    sizes = f"{row['flops'] / 1e9:.2f}", f"{row['bytes'] / 2**20:.1f}"
    cycles = ("-" if row[key] is None else f"{row[key]:,}" for key in ("scheduled", "rough"))
    return [row["program"], str(row["images"]), *sizes, sent, *cycles, f"{row['seconds']:.0f}"]


def ratios(rows):
    """Lines of cycles relative to the library's; where the schedule's are missing, those from before are a bound."""
    groups = collections.defaultdict(dict)
    for row in rows:
        name, _, work = row["program"].partition(", ")
        groups[row["topology"], row["images"], work or "value"][name] = row["scheduled"], row["rough"]
    for (topology, images, work), found in groups.items():
        if "library" in found and found["library"][0]:
            whole = found["library"][0]
            of_each = (found.get(name, (None, None)) for name in FORMULATIONS)
            shares = (f"{a / whole:.2f}" if a else f"≤ {b / whole:.2f}" if b else "-" for a, b in of_each)
            yield [topology, str(images), work, *shares]


def about():
    """What the figures are."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "jaxlib", "libtpu"))
    return [
        f"{versions}, Python {platform.python_version()}, {datetime.date.today()}. Estimates, every one: nothing of "
        "this was run on a TPU.",
        "Cycles are one chip's, of four: libtpu's count over the instructions that it has scheduled, without waits for "
        "memory and for other chips. Before that, while it fuses, it assumes others, which count each slice as an "
        "array of its own to read: about right for matrix products, several times too many for sums of slices. A "
        "missing count is one that libtpu's analysis failed at. Fields mostly stay in the chip's vector memory, which "
        "is not among the temporary bytes.",
        "On a TPU jaxssim takes the row `library`, as elsewhere. Planes, which keep their digits too, take as long "
        "where a chip has eight images, and a quarter of it where it has two. The last table has what moments lose.",
    ]


def main():
    """Measure, print, keep."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--topologies", nargs="+", default=["v5e:2x2", "v6e:2x2"])
    parser.add_argument("--images", nargs="+", type=int, default=[8, 32], help="multiples of the number of chips")
    options = parser.parse_args()
    if options.worker is not None:
        measuring.serve(Answers())
        return
    results = measure(options)
    measuring.write(options.output / "tpu-compile", about(), list(tables(results)), results)


if __name__ == "__main__":
    main()
