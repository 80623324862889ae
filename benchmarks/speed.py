"""How long SSIM and its gradient take: jaxssim beside every library that is installed, on the same arrays.

    python benchmarks/speed.py [--all] [--peers tensorflow kornia ...] [--works forward gradient ...]
        [--shapes 8x256x256x3 ...] [--rounds 7] [--python ANOTHER/bin/python ...] [--output DIR]

Each library has a process of its own. They take turns: in each round each is asked for one burst of calls, while the
others wait. Images are float32 in [0, 1], in the layout that the library wants and on its device, y is x under noise;
each is called as its users would at best: `jax.jit`, `tf.function`, all cores, compiled before the clock starts.

Times are medians over rounds, with quartiles. The limit is the least that SSIM takes on this machine: to read each
image once and write each gradient once at the speed of a copy, or to multiply and add as a separable window does at the
speed of a matrix product, whichever takes longer. It counts four filtered images for a value (of the sum of the images
and of their difference, the mean and the square), three more for a derivative by one image, four for both.
"""

import argparse
import dataclasses
import functools
import importlib
import importlib.metadata
import itertools
import math
import os
import platform
import statistics
import sys
from pathlib import Path

import measuring
import numpy as np

BURST = 0.15  # seconds
WORKS = {
    "forward": "value",
    "gradient": "value and gradient",
    "both": "value and both gradients",
    "jvp": "value and jvp",
}
FILTERED = {"forward": 4, "gradient": 7, "both": 8, "jvp": 7}  # images that go through the window
MOVED = {"forward": 2, "gradient": 3, "both": 4, "jvp": 3}  # images read or written


@dataclasses.dataclass(frozen=True)
class Row:
    """What is measured: a line of the summary."""

    work: str
    shape: tuple[int, ...]
    metric: str = "ssim"
    size: int = 11
    sigma: float | None = 1.5  # None: uniform
    dtype: str = "float32"
    also: bool = False  # beyond the README's rows: not drawn, and asked of few libraries

    def __str__(self):
        """As the tables have it."""
        parts = ["MS-SSIM" if self.metric == "ms_ssim" else "SSIM", WORKS[self.work]]
        if self.size != 11:
            parts.append(f"window of {self.size}, {f'sigma {self.sigma:g}' if self.sigma else 'uniform'}")
        return ", ".join([*parts, *([self.dtype] if self.dtype != "float32" else [])])


PHOTOS, SCREEN, PATCHES = (8, 256, 256, 3), (1, 1080, 1920, 3), (64, 64, 64, 3)
HEADLINE = [Row(work, shape) for shape in (PHOTOS, SCREEN, PATCHES) for work in ("forward", "gradient")]
HEADLINE += [Row("gradient", PHOTOS, "ms_ssim")]
ALSO = [Row("forward", PHOTOS, "ms_ssim", also=True)]
ALSO += [Row(work, PHOTOS, also=True) for work in ("both", "jvp")]
ALSO += [
    Row(work, shape, **options, also=True)
    for shape, options in (
        (PHOTOS, {"size": 7, "sigma": None}),
        (PHOTOS, {"size": 31, "sigma": 5.0}),
        ((8, 256, 256, 1), {}),
        ((1, 4096, 4096, 1), {}),
        ((256, 16, 16, 1), {}),
        (PHOTOS, {"dtype": "float64"}),
    )
    for work in ("forward", "gradient")
]


def arrays(row):
    """Two images, and a direction for the jvp."""
    rng = np.random.default_rng(0)
    x = rng.random(row.shape, row.dtype)
    y = np.clip(x + 0.1 * rng.standard_normal(row.shape, row.dtype), 0, 1)
    return x, y, rng.standard_normal(row.shape, row.dtype)


# The libraries. Each is a function of a row that returns a call and how to wait for its result, or None where it has
# no such function. A result is a mean over the batch, then any derivatives.


def of_jax(row, value, loss):
    """JAX functions of two images."""
    import jax

    functions = {
        "forward": lambda x, y, direction: (value(x, y).mean(),),
        "gradient": lambda x, y, direction: jax.value_and_grad(loss, 1)(x, y),
        "both": lambda x, y, direction: jax.value_and_grad(loss, (0, 1))(x, y),
        "jvp": lambda x, y, direction: jax.jvp(functools.partial(loss, x), (y,), (direction,)),
    }
    given = [jax.numpy.asarray(array) for array in arrays(row)]
    return functools.partial(jax.jit(functions[row.work]), *given), jax.block_until_ready


def of_jaxssim(row):
    """This library."""
    import jaxssim

    window = jaxssim.Gaussian(row.size, row.sigma) if row.sigma else jaxssim.Uniform(row.size)
    convention = jaxssim.Convention(window=window, covariance="population" if row.sigma else "sample")
    options = dict(data_range=1.0, convention=convention, channel_axis=-1)
    value, loss = getattr(jaxssim, row.metric), getattr(jaxssim, f"{row.metric}_loss")
    return of_jax(row, functools.partial(value, **options), functools.partial(loss, **options))


def of_dm_pix(row):
    """JAX's own image processing library."""
    import dm_pix

    return of_jax(row, dm_pix.ssim, lambda x, y: 1 - dm_pix.ssim(x, y).mean()) if row.metric == "ssim" else None


def of_tensorflow(row):
    """`tf.image`. It has no uniform window: a Gaussian so wide that it is one stands for it."""
    import tensorflow as tf

    metric = tf.image.ssim if row.metric == "ssim" else tf.image.ssim_multiscale

    def mean(x, y):
        return tf.reduce_mean(metric(x, y, 1.0, filter_size=row.size, filter_sigma=row.sigma or 1e6))

    def gradients(x, y, by):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(by)
            loss = 1 - mean(x, y)
        return loss, tape.gradient(loss, by)

    def jvp(x, y, direction):
        with tf.autodiff.ForwardAccumulator(y, direction) as accumulator:
            loss = 1 - mean(x, y)
        return loss, accumulator.jvp(loss)

    functions = {
        "forward": lambda x, y, direction: (mean(x, y),),
        "gradient": lambda x, y, direction: gradients(x, y, [y]),
        "both": lambda x, y, direction: gradients(x, y, [x, y]),
        "jvp": jvp,
    }
    return functools.partial(tf.function(functions[row.work]), *map(tf.constant, arrays(row))), lambda result: None


def of_torch(row, mean):
    """A PyTorch function of two images, channels first."""
    import torch

    torch.set_num_threads(measuring.cores())
    gpu = torch.cuda.is_available()
    channels_first = (np.ascontiguousarray(np.moveaxis(array, -1, 1)) for array in arrays(row))
    x, y, _ = (torch.from_numpy(array).to("cuda" if gpu else "cpu") for array in channels_first)

    def forward():
        with torch.no_grad():
            return (mean(x, y),)

    def gradients(*by):
        loss = 1 - mean(x, y)
        return loss.detach(), torch.autograd.grad(loss, by)

    by = {"gradient": [y], "both": [x, y]}.get(row.work, [])
    for tensor in by:
        tensor.requires_grad_()
    call = forward if row.work == "forward" else functools.partial(gradients, *by)
    return None if row.work == "jvp" else (call, lambda result: torch.cuda.synchronize() if gpu else None)


def of_kornia(row):
    """The windows inside the image, as Wang has it, so that the number is the same."""
    import kornia

    each = functools.partial(kornia.metrics.ssim, window_size=11, padding="valid")
    return of_torch(row, lambda x, y: each(x, y).mean()) if row.metric == "ssim" else None


def of_pytorch_msssim(row):
    """`ssim` and `ms_ssim`, means of the batch."""
    import pytorch_msssim

    return of_torch(row, functools.partial(getattr(pytorch_msssim, row.metric), data_range=1.0))


def of_piq(row):
    """Without the shrinking that it does to large images by default, so that the work is the same."""
    import piq

    metric = functools.partial(piq.ssim, downsample=False) if row.metric == "ssim" else piq.multi_scale_ssim
    return of_torch(row, metric)


def of_torchmetrics(row):
    """Its definition, the windows over the edge included."""
    import torchmetrics.functional.image as functions

    name = "structural_similarity_index_measure"
    metric = getattr(functions, name if row.metric == "ssim" else f"multiscale_{name}")
    return of_torch(row, functools.partial(metric, data_range=1.0))


def of_images(row, similarity, scale=1):
    """A function of one pair of NumPy arrays, one pair after the other."""
    if (row.work, row.metric) != ("forward", "ssim"):
        return None
    pairs = [(scale * x, scale * y) for x, y in zip(*arrays(row)[:2], strict=True)]
    return lambda: (np.mean([similarity(x, y) for x, y in pairs]),), lambda result: None


def of_skimage(row):
    """Wang's definition, or with a uniform window scikit-image's own."""
    from skimage.metrics import structural_similarity

    wang = dict(gaussian_weights=True, sigma=row.sigma, use_sample_covariance=False) if row.sigma else {}
    options = dict(win_size=row.size, data_range=1.0, channel_axis=-1, **wang)
    return of_images(row, functools.partial(structural_similarity, **options))


def of_opencv(row):
    """The recipe that everybody copies: five blurs, and NumPy."""
    import cv2

    def similarity(x, y):
        mean_x, mean_y, xx, yy, xy = (
            cv2.GaussianBlur(image, (11, 11), 1.5)[5:-5, 5:-5] for image in (x, y, x * x, y * y, x * y)
        )
        luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        covariance, variances = xy - mean_x * mean_y, xx - mean_x**2 + yy - mean_y**2
        return (luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2)).mean()

    return of_images(row, similarity)


def of_opencv_contrib(row):
    """`cv2.quality`, for which images range to 255."""
    from cv2 import quality

    return of_images(row, lambda x, y: np.mean(quality.QualitySSIM_compute(x, y)[0][: row.shape[-1]]), scale=255)


PEERS = {  # by name: its function, and the modules whose versions count
    "jaxssim": (of_jaxssim, ("jaxssim", "jax", "jaxlib", "numpy")),
    "tensorflow": (of_tensorflow, ("tensorflow", "numpy")),
    "kornia": (of_kornia, ("kornia", "torch")),
    "pytorch-msssim": (of_pytorch_msssim, ("pytorch_msssim", "torch")),
    "piq": (of_piq, ("piq", "torch")),
    "torchmetrics": (of_torchmetrics, ("torchmetrics", "torch")),
    "dm-pix": (of_dm_pix, ("dm_pix", "jax")),
    "scikit-image": (of_skimage, ("skimage", "numpy")),
    "opencv": (of_opencv, ("cv2", "numpy")),
    "opencv-contrib": (of_opencv_contrib, ("cv2", "cv2.quality")),
}
CPU_ONLY = ("tensorflow", "scikit-image", "opencv", "opencv-contrib")
BESIDE = ("jaxssim", "tensorflow", "scikit-image")  # asked for the rows of `ALSO`
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
NOTES = """In brackets: how many times jaxssim's a time is, or how many times the limit jaxssim's is. All compute Wang's
definition, but for torchmetrics and opencv-contrib, which take windows over the edge too, and the rows with a uniform
window, where jaxssim and scikit-image take the sample covariance. piq has `downsample=False`, kornia `padding="valid"`.
TensorFlow has no uniform window: a Gaussian so wide that it is one stands for it. Gradients are by the second image
where nothing else is said. opencv is the recipe of five blurs."""


class Answers:
    """What a worker does, by the name of the request."""

    def __init__(self, peer):
        """For one library."""
        self.function, self.modules = PEERS[peer]

    def machine(self, dtype):
        """What only JAX knows: the machine, and how fast it is."""
        import jax

        about = {"header": measuring.header(), "stem": measuring.stem("speed"), "backend": jax.default_backend()}
        return about | {"limits": measuring.limits(dtype)}

    def start(self, backend):
        """Import the library, which the device must suit; its versions."""
        self.queued = backend != "cpu"
        modules = {name: importlib.import_module(name) for name in self.modules}
        if self.queued and "torch" in modules:
            modules["torch"].zeros(1, device="cuda")  # raises where there is none
        if "jax" in modules and modules["jax"].default_backend() != backend:
            raise RuntimeError(f"JAX has no {backend} in a second process")
        said = {name: getattr(module, "__version__", None) for name, module in modules.items() if "." not in name}
        versions = {name: version or importlib.metadata.version(name) for name, version in said.items()}
        return versions | {"Python": platform.python_version()}

    def prepare(self, row):
        """Compile, and find how many calls fill a burst; the value, or None where there is no such function."""
        self.call = None  # lets go of the last row's arrays
        offered = self.function(Row(**row | {"shape": tuple(row["shape"])}))
        if offered is None:
            return None
        self.call, self.wait = offered
        result = self.call()
        self.wait(result)
        self.calls = math.ceil(BURST / min(measuring.seconds(self.call, self.wait, 1, False) for _ in range(2)))
        return float(result[0])

    def burst(self):
        """Seconds a call. A call that does not count goes before short ones: the others' threads fall asleep."""
        if self.calls > 1:
            self.wait(self.call())
        return measuring.seconds(self.call, self.wait, self.calls, self.queued)


# The measurement.


def measure(rows, options):
    """All that the results hold. Each type has workers of its own, since JAX is set to float64 or is not."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    results = {"load": load, "limits": {}, "versions": {}, "missing": {}, "failed": {}, "rows": []}
    for dtype in dict.fromkeys(row.dtype for row in rows):
        group = [row for row in rows if row.dtype == dtype]
        environment = ENVIRONMENT | {"JAX_ENABLE_X64": str(int(dtype == "float64"))}
        worker, machine = started("jaxssim", [sys.executable], environment, "machine", dtype)
        worker.close()
        results |= machine | {"limits": results["limits"] | {dtype: machine["limits"]}}
        wanted = set(options.peers) & set(BESIDE if all(row.also for row in group) else PEERS)
        workers = team(wanted, options.python, environment, results)
        for row in group:
            record = measure_row(row, workers, options.rounds, results)
            results["rows"].append(record)
            print(
                f"{row}, {record['images']}, ms:",
                {n: ms(bursts) for n, bursts in record["seconds"].items()},
                flush=True,
            )
        for worker in workers.values():
            worker.close()
    return results


def team(wanted, pythons, environment, results):
    """A worker for each library that is there; notes the versions of these, and why the others are missing."""
    on_cpu, workers = results["backend"] == "cpu", {}
    environment = environment | ({"CUDA_VISIBLE_DEVICES": ""} if on_cpu else {})
    for name in (name for name in PEERS if name in wanted and (on_cpu or name not in CPU_ONLY)):
        try:
            found = started(name, [sys.executable, *pythons], environment, "start", results["backend"])
            workers[name], results["versions"][name] = found
        except measuring.WorkerError as error:
            results["missing"][name] = str(error)
    return workers


def started(name, interpreters, environment, request, argument):
    """A worker of the first interpreter that has the library, with its answer; raises what the last one said."""
    for interpreter in interpreters:
        worker = measuring.Worker([interpreter, __file__, "--worker", name], environment)
        try:
            return worker, worker.ask(request, argument)
        except measuring.WorkerError as error:
            worker.close()
            said = error
    raise said


def measure_row(row, workers, rounds, results):
    """By library the value, and the seconds a call of each round; the libraries take turns."""
    values, times = {}, {}

    def ask(name, *request):
        try:
            return workers[name].ask(*request)
        except measuring.WorkerError as error:
            results["failed"][f"{name}, {row}, {measuring.text_of(row.shape)}"] = str(error)

    for name in (name for name in workers if name in BESIDE or not row.also):
        value = ask(name, "prepare", dataclasses.asdict(row))
        values |= {} if value is None else {name: value}
    for name in rounds * list(values):
        burst = ask(name, "burst")
        times.setdefault(name, []).extend([] if burst is None else [burst])
    times = {name: bursts for name, bursts in times.items() if bursts}
    record = {"name": str(row), "images": measuring.text_of(row.shape), "also": row.also}
    return record | least(row, results["limits"][row.dtype]) | {"values": values, "seconds": times}


def least(row, limits):
    """The least seconds that the row takes on this machine, and what sets them."""
    values, taps = math.prod(row.shape), row.size if row.sigma else 1  # a running sum adds one and takes one off
    scales = 4 / 3 if row.metric == "ms_ssim" else 1
    traffic = MOVED[row.work] * values * np.dtype(row.dtype).itemsize / limits["bytes"]
    operations = FILTERED[row.work] * 2 * taps * 2 * scales * values  # along two axes; a tap multiplies and adds
    arithmetic = operations / limits["flops"]
    return {"limit": max(traffic, arithmetic), "limited_by": "memory" if traffic > arithmetic else "arithmetic"}


# The results.


def ms(seconds):
    """The median in milliseconds."""
    return measuring.number(1e3 * statistics.median(seconds))


def beside(seconds, record):
    """The median in milliseconds, and how many times jaxssim's that is."""
    ours = record["seconds"].get("jaxssim")
    ratio = f" ({measuring.number(statistics.median(seconds) / statistics.median(ours))}x)" if ours else ""
    return ms(seconds) + ratio


def summary(record):
    """A line: jaxssim, its limit, TensorFlow, and the fastest of the others."""
    seconds = dict(record["seconds"])
    ours, tensorflow = seconds.pop("jaxssim", None), seconds.pop("tensorflow", None)
    limit = f"{measuring.number(1e3 * record['limit'])}, {record['limited_by']}"
    fastest = min(seconds, key=lambda name: statistics.median(seconds[name]), default=None)
    yield from (record["name"], record["images"])
    yield ms(ours) if ours else ""
    yield f"{limit} ({measuring.number(statistics.median(ours) / record['limit'])}x)" if ours else limit
    yield beside(tensorflow, record) if tensorflow else ""
    yield f"{fastest}: {beside(seconds[fastest], record)}" if fastest else ""


def details(record):
    """A line for each library, the fastest first."""
    title = f"{record['name']}, {record['images']}"
    for name, seconds in sorted(record["seconds"].items(), key=lambda item: statistics.median(item[1])):
        low, high = (measuring.number(1e3 * quartile) for quartile in np.percentile(seconds, (25, 75)))
        yield [title, name, beside(seconds, record), f"{low} to {high}"]
        title = ""


def tables(records):
    """The summary, and every library's times."""
    heads = ["milliseconds", "images", "jaxssim", "limit", "TensorFlow", "fastest other"]
    yield "Summary", heads, [list(summary(record)) for record in records]
    heads = ["milliseconds", "library", "median", "quartiles"]
    yield "All", heads, [line for record in records for line in details(record)]


def about(results):
    """What must be known to read the tables."""
    yield f"{results['header']}; load average before it began: {results['load']:.1f}"
    for dtype, limits in results["limits"].items():
        yield f"Limits, {dtype}: {limits['bytes'] / 1e9:.0f} GB/s copied, {limits['flops'] / 1e9:.0f} GFLOP/s"
    for name, versions in results["versions"].items():
        yield f"{name}: {', '.join(f'{module} {version}' for module, version in versions.items())}"
    yield from (f"{name} is missing: {why}" for name, why in results["missing"].items())
    yield from (f"{what} failed: {why}" for what, why in results["failed"].items())
    yield NOTES


def draw(records, header, path):
    """A panel for each row, in two columns, and a bar for each library."""
    bars = [max(len(r["seconds"]) for r in records[i : i + 2]) for i in range(0, len(records), 2)]
    figure = measuring.picture(path, figsize=(8, 0.4 + sum(0.19 * count + 0.4 for count in bars)))
    if figure is None:
        return
    every = [1e3 * time for record in records for times in record["seconds"].values() for time in times]
    options = dict(squeeze=False, sharex=True, height_ratios=bars, subplot_kw={"xscale": "log"})
    for axes, record in itertools.zip_longest(figure.subplots(len(bars), 2, **options).flat, records):
        axes.set_axis_off() if record is None else panel(axes, record)
        axes.set_xlim(min(every) / 2, max(every) * 3)
    for row, count in enumerate(bars):
        for axes in figure.axes[2 * row : 2 * row + 2]:
            axes.set_ylim(count - 0.4, -0.6)  # bars are as thick in all panels
    figure.supxlabel(f"milliseconds, logarithmic; {header}", fontsize=6.5, color="#667078")
    measuring.save(figure, path)


def panel(axes, record):
    """The libraries, the fastest on top."""
    medians = {name: 1e3 * statistics.median(seconds) for name, seconds in record["seconds"].items()}
    names = sorted(medians, key=medians.get)
    colors = [measuring.OURS if name == "jaxssim" else measuring.THEIRS for name in names]
    drawn = axes.barh(names, [medians[name] for name in names], color=colors, height=0.75)
    axes.bar_label(drawn, [measuring.number(medians[name]) for name in names], padding=3, fontsize=8)
    axes.set_title(f"{record['name']}, {record['images']}", loc="left", fontsize=9.5)
    axes.tick_params(length=0, labelsize=8.5)
    axes.tick_params(axis="x", which="both", length=0, labelbottom=False)
    axes.spines[:].set_visible(False)


def parsed():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="more functions, windows, types and shapes")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="the libraries beside jaxssim")
    works = [prefix + work for prefix in ("", "ms_") for work in WORKS]
    parser.add_argument("--works", nargs="+", choices=works, help="instead of those of the README; ms_: of MS-SSIM")
    parser.add_argument("--shapes", nargs="+", help="instead of those of the README, as 8x256x256x3")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--python", nargs="+", default=[], help="more interpreters in which to look for libraries")
    parser.add_argument("--output", type=Path, default=measuring.RESULTS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.peers.append("jaxssim")
    return options


def planned(options):
    """The rows to measure."""
    if not (options.works or options.shapes):
        return [*HEADLINE, *(ALSO if options.all else ())]
    shapes = [tuple(map(int, shape.split("x"))) for shape in options.shapes or ()] or (PHOTOS, SCREEN, PATCHES)
    works = [
        ("ms_ssim" if "ms_" in w else "ssim", w.removeprefix("ms_")) for w in options.works or ("forward", "gradient")
    ]
    return [Row(work, shape, metric) for shape in shapes for metric, work in works]


def main():
    """Measure, print, keep."""
    options = parsed()
    if options.worker:
        measuring.serve(Answers(options.worker))
        return
    results = measure(planned(options), options)
    path = options.output / results["stem"]
    measuring.write(path, list(about(results)), list(tables(results["rows"])), results)
    drawn = [record for record in results["rows"] if record["seconds"] and not record["also"]]
    if drawn:
        draw(drawn, results["header"], f"{path}.png")


if __name__ == "__main__":
    main()
