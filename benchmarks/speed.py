"""Measures the time of SSIM and its gradient in jaxssim and every installed library, on the same arrays.

    python benchmarks/speed.py [--all] [--peers tensorflow kornia ...] [--works forward gradient ...]
        [--shapes 8x256x256x3 ...] [--rounds 7] [--passes 1] [--python ANOTHER/bin/python ...] [--output DIR]

Each library runs in its own process. They take turns: in each round, each runs one burst of calls while the others
wait. Images are float32 in [0, 1], in the layout that the library expects and on its device; y is x with noise. Each
library is called in its fastest way (`jax.jit`, `tf.function`, all cores) and compiles before the measurement.

Times are medians over the rounds of all passes, with quartiles; a pass goes through all rows, so that the slow minutes
of a machine reach few rounds of each. The limit is the shortest possible time on this machine, the longer of
two: reading each image and writing each gradient once at the speed of a copy; the arithmetic of a separable window at
the speed of a matrix product. It counts four filtered images for a value (the means and the squares of the sum and of
the difference of the images), three more for a derivative by one image, and four more for both.
"""

import dataclasses
import itertools
import math
import os
import statistics
import time

import measuring
import numpy as np
import peers
import workers

BURST = 0.15  # seconds
WORKS = {
    "forward": "value",
    "gradient": "value and gradient",
    "both": "value and both gradients",
    "jvp": "value and jvp",
}
METRICS = {"ssim": "SSIM", "ms_ssim": "MS-SSIM", "iw_ssim": "IW-SSIM", "ssimulacra2": "SSIMULACRA 2", "psnr": "PSNR"}
FILTERED = {"forward": 4, "gradient": 7, "both": 8, "jvp": 7}  # images that go through the window
IMAGES_READ_OR_WRITTEN = {"forward": 2, "gradient": 3, "both": 4, "jvp": 3}  # images read or written


@dataclasses.dataclass(frozen=True)
class Row:
    """One measurement: a line of the summary."""

    work: str
    shape: tuple[int, ...]
    metric: str = "ssim"
    size: int = 11
    sigma: float | None = 1.5  # None: uniform
    dtype: str = "float32"
    also: bool = False  # with --all only: not drawn, and measured for few libraries

    def images(self):
        """Returns the two images in float64."""
        return peers.noise(self.shape)

    def __str__(self):
        """Returns the name in the tables."""
        parts = [METRICS[self.metric], WORKS[self.work]]
        if self.size != 11:
            parts.append(f"window of {self.size}, {f'sigma {self.sigma:g}' if self.sigma else 'uniform'}")
        return ", ".join([*parts, *([self.dtype] if self.dtype != "float32" else [])])


PREFIXES = {"": "ssim", "ms_": "ms_ssim", "iw_": "iw_ssim", "ssimulacra2_": "ssimulacra2", "psnr_": "psnr"}  # of works
FEW = ("iw_ssim", "ssimulacra2")  # which one other library has; its limit counts the windows of MS-SSIM alone
PHOTOS, SCREEN, PATCHES = (8, 256, 256, 3), (1, 1080, 1920, 3), (64, 64, 64, 3)
HEADLINE = [Row(work, shape) for shape in (PHOTOS, SCREEN, PATCHES) for work in ("forward", "gradient")]
HEADLINE += [Row("gradient", PHOTOS, "ms_ssim")]
ALSO = [Row(*what, also=True) for what in (("forward", PHOTOS, "ms_ssim"), ("both", PHOTOS), ("jvp", PHOTOS))]
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
KODAK = (1, 512, 768, 3)
ALSO += [Row(work, KODAK, metric, also=True) for metric in ("ms_ssim", *FEW) for work in ("forward", "gradient")]
GREY = (1, 1080, 1920, 1)
ALSO += [
    Row(work, shape, metric, also=True)
    for shape in (SCREEN, GREY)
    for metric in ("ssim", "ms_ssim", "psnr")
    for work in ("forward", "gradient")
    if (shape, metric) != (SCREEN, "ssim")
]
ALSO += [Row("forward", shape, size=7, sigma=None, also=True) for shape in (SCREEN, GREY)]
BESIDE = (
    "jaxssim",
    "tensorflow",
    "scikit-image",
    "fast-ssim",
    "blazediff",
)  # the libraries measured for the rows of `ALSO`
NOTES = """In brackets: a library's time divided by jaxssim's, or jaxssim's time divided by the limit. All follow Wang's
definition, except torchmetrics and opencv-contrib, which include windows over the edge, and the rows with a uniform
window, where jaxssim, scikit-image and fast-ssim use the sample covariance. Options: `downsample=False` for piq,
`padding="valid"` for kornia. TensorFlow has no uniform window; a very wide Gaussian takes its place. fast-ssim and
blazediff have no derivatives; blazediff reads the luma of 8-bit pixels, a third of the values of colour images.
Gradients are by the second image unless a row says otherwise. opencv is the recipe of five blurs."""


class RequestHandler(workers.RequestHandler):
    """The requests that a worker answers."""

    def limits(self, dtype):
        """Returns the highest speed of the machine."""
        return measuring.limits(dtype)

    def prepare(self, row):
        """Prepares a row: returns its value and the seconds of the first call, which compiles.

        Returns None where the library has no such function. Chooses how many calls make a burst.
        """
        self.call = None  # frees the arrays of the previous row
        functions = self.function(Row(**row | {"shape": tuple(row["shape"])}))
        if functions is None:
            return None
        self.call, self.wait = functions
        start = time.perf_counter()
        result = self.call()
        self.wait(result)
        first = time.perf_counter() - start
        self.calls = math.ceil(BURST / min(measuring.seconds(self.call, self.wait, 1, False) for _ in range(2)))
        return float(result[0]), first

    def burst(self):
        """Returns the seconds of a call. Short calls follow an unmeasured one, which lets other threads go to sleep."""
        if self.calls > 1:
            self.wait(self.call())
        return measuring.seconds(self.call, self.wait, self.calls, self.queued)


# The measurement.


def measure(rows, options):
    """Measures all rows and returns the results. Each type has its own workers, because JAX enables x64 per process."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    results = {"load": load, "limits": {}, "versions": {}, "missing": {}, "failed": {}, "rows": []}
    results |= workers.ask_jaxssim("machine", "float32")
    for dtype in dict.fromkeys(row.dtype for row in rows):
        group = [row for row in rows if row.dtype == dtype]
        results["limits"][dtype] = workers.ask_jaxssim("limits", dtype, dtype)
        every = any(not row.also or row.metric in FEW for row in group)
        wanted = set(options.peers) & set(peers.PEERS if every else BESIDE)
        team = workers.start_workers(wanted, options.python, dtype, results)
        records = [measure_row(row, team, options.rounds, results) for row in group]
        for _ in range(options.passes - 1):  # minutes later, since a machine has slow minutes
            for row, record in zip(group, records, strict=True):
                for name, bursts in measure_row(row, team, options.rounds, results)["seconds"].items():
                    record["seconds"].setdefault(name, []).extend(bursts)
        for row, record in zip(group, records, strict=True):
            results["rows"].append(record)
            print(
                f"{row}, {record['images']}, ms:",
                {n: ms(bursts) for n, bursts in record["seconds"].items()},
                flush=True,
            )
        for worker in team.values():
            worker.close()
    return results


def measure_row(row, team, rounds, results):
    """Returns a row's values, the seconds of the first calls and the seconds per call of each round, by library."""
    values, first, times = {}, {}, {}

    def ask(name, *request):
        try:
            return team[name].ask(*request)
        except measuring.WorkerError as error:
            results["failed"][f"{name}, {row}, {measuring.text_of(row.shape)}"] = str(error)

    for name in (name for name in team if name in BESIDE or not row.also or row.metric in FEW):
        prepared = ask(name, "prepare", dataclasses.asdict(row))
        if prepared is not None:
            values[name], first[name] = prepared
    for name in rounds * list(values):
        burst = ask(name, "burst")
        times.setdefault(name, []).extend([] if burst is None else [burst])
    times = {name: bursts for name, bursts in times.items() if bursts}
    record = {"name": str(row), "images": measuring.text_of(row.shape), "also": row.also}
    return record | limit(row, results["limits"][row.dtype]) | {"values": values, "first": first, "seconds": times}


def limit(row, limits):
    """Returns the shortest possible time of a row on this machine, and whether memory or arithmetic limits it."""
    values, taps = math.prod(row.shape), row.size if row.sigma else 1  # a running sum adds one value and subtracts one
    scales = 1 if row.metric == "ssim" else 4 / 3
    traffic = IMAGES_READ_OR_WRITTEN[row.work] * values * np.dtype(row.dtype).itemsize / limits["bytes"]
    filtered = 0 if row.metric == "psnr" else FILTERED[row.work]
    operations = filtered * 2 * taps * 2 * scales * values  # along two axes; a tap multiplies and adds
    arithmetic = operations / limits["flops"]
    return {"limit": max(traffic, arithmetic), "limited_by": "memory" if traffic > arithmetic else "arithmetic"}


# The results.


def ms(seconds):
    """Formats the median in milliseconds."""
    return measuring.number(1e3 * statistics.median(seconds))


def beside(seconds, record):
    """Formats the median in milliseconds, and its ratio to jaxssim's."""
    ours = record["seconds"].get("jaxssim")
    ratio = f" ({measuring.number(statistics.median(seconds) / statistics.median(ours))}x)" if ours else ""
    return ms(seconds) + ratio


def summary(record):
    """Yields the cells of a line: jaxssim, its limit, TensorFlow, and the fastest of the others."""
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
    """Yields a line for each library, the fastest first."""
    title = f"{record['name']}, {record['images']}"
    for name, seconds in sorted(record["seconds"].items(), key=lambda item: statistics.median(item[1])):
        low, high = (measuring.number(1e3 * quartile) for quartile in np.percentile(seconds, (25, 75)))
        first = measuring.number(1e3 * record["first"][name])
        yield [title, name, beside(seconds, record), f"{low} to {high}", first]
        title = ""


def tables(records):
    """Yields the summary and the times of every library."""
    heads = ["milliseconds", "images", "jaxssim", "limit", "TensorFlow", "fastest other"]
    yield "Summary", heads, [list(summary(record)) for record in records]
    heads = ["milliseconds", "library", "median", "quartiles", "first call"]
    yield "All", heads, [line for record in records for line in details(record)]


def header_lines(results):
    """Yields the lines that explain the tables."""
    yield f"{results['header']}; load average at the start: {results['load']:.1f}"
    yield f"import jaxssim adds {1e3 * results['import']:.0f} ms to import jax"
    for dtype, limits in results["limits"].items():
        yield f"Limits, {dtype}: {limits['bytes'] / 1e9:.0f} GB/s copied, {limits['flops'] / 1e9:.0f} GFLOP/s"
    yield from workers.header_lines(results)
    yield NOTES


def draw(records, header, path):
    """Draws a panel for each row, in two columns, with a bar for each library: its time divided by jaxssim's."""
    bars = [max(len(r["seconds"]) for r in records[i : i + 2]) for i in range(0, len(records), 2)]
    figure = measuring.picture(path, figsize=(8, 0.4 + sum(0.19 * count + 0.4 for count in bars)))
    if figure is None:
        return
    for axes, record in itertools.zip_longest(
        figure.subplots(len(bars), 2, squeeze=False, height_ratios=bars).flat, records
    ):
        axes.set_axis_off() if record is None else panel(axes, record)
    for row, count in enumerate(bars):
        for axes in figure.axes[2 * row : 2 * row + 2]:
            axes.set_ylim(count - 0.4, -0.6)  # equally thick bars in all panels
    figure.supxlabel(f"times as slow as jaxssim, and milliseconds; {header}", fontsize=6.5, color="#667078")
    measuring.save(figure, path)


def panel(axes, record):
    """Draws the libraries of one row, the fastest at the top."""
    medians = {name: statistics.median(seconds) for name, seconds in record["seconds"].items()}
    names = sorted(medians, key=medians.get)
    ratios = [medians[name] / medians["jaxssim"] for name in names]
    colors = [measuring.OURS if name == "jaxssim" else measuring.THEIRS for name in names]
    labels = [
        f"{measuring.number(ratio)}  ({measuring.number(1e3 * medians[name])} ms)"
        for name, ratio in zip(names, ratios, strict=True)
    ]
    axes.bar_label(axes.barh(names, ratios, color=colors, height=0.75), labels, padding=3, fontsize=7.5)
    axes.set_xlim(0, 1.45 * max(ratios))
    axes.set_title(f"{record['name']}, {record['images']}", loc="left", fontsize=9.5)
    axes.tick_params(length=0, labelsize=8.5)
    axes.tick_params(axis="x", which="both", length=0, labelbottom=False)
    axes.spines[:].set_visible(False)


def parse():
    """Parses the command line."""
    parser = workers.parser(__doc__)
    parser.add_argument("--all", action="store_true", help="more functions, windows, types and shapes")
    works = [prefix + work for prefix in PREFIXES for work in WORKS]
    parser.add_argument(
        "--works", nargs="+", choices=works, help="replaces the works of the README; ms_ for MS-SSIM, .."
    )
    parser.add_argument("--shapes", nargs="+", help="replaces the shapes of the README; for example 8x256x256x3")
    parser.add_argument("--rounds", type=int, default=7, help="of one pass over all rows")
    parser.add_argument("--passes", type=int, default=1)
    return parser.parse_args()


def choose_rows(options):
    """Returns the rows to measure."""
    if not (options.works or options.shapes):
        return [*HEADLINE, *(ALSO if options.all else ())]
    shapes = [tuple(map(int, shape.split("x"))) for shape in options.shapes or ()] or (PHOTOS, SCREEN, PATCHES)
    works = [
        (metric, work)
        for chosen in options.works or ("forward", "gradient")
        for prefix, metric in PREFIXES.items()
        for work in WORKS
        if chosen == prefix + work
    ]
    return [Row(work, shape, metric) for shape in shapes for metric, work in works]


def main():
    """Measures, prints and writes the results."""
    options = parse()
    if options.worker:
        measuring.serve(RequestHandler(options.worker))
        return
    results = measure(choose_rows(options), options)
    path = options.output / f"speed-{results['stem']}"
    measuring.write(path, list(header_lines(results)), list(tables(results["rows"])), results)
    drawn = [record for record in results["rows"] if "jaxssim" in record["seconds"] and not record["also"]]
    if drawn:
        draw(drawn, results["header"], f"{path}.png")


if __name__ == "__main__":
    main()
