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

import dataclasses
import itertools
import math
import os
import statistics
import time

import measuring
import numpy as np
import peers
import team

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

    def images(self):
        """The two images."""
        return peers.noise(self.shape)

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


BESIDE = ("jaxssim", "tensorflow", "scikit-image")  # asked for the rows of `ALSO`
NOTES = """In brackets: how many times jaxssim's a time is, or how many times the limit jaxssim's is. All compute Wang's
definition, but for torchmetrics and opencv-contrib, which take windows over the edge too, and the rows with a uniform
window, where jaxssim and scikit-image take the sample covariance. piq has `downsample=False`, kornia `padding="valid"`.
TensorFlow has no uniform window: a Gaussian so wide that it is one stands for it. Gradients are by the second image
where nothing else is said. opencv is the recipe of five blurs."""


class Answers(team.Answers):
    """What a worker does, by the name of the request."""

    def limits(self, dtype):
        """How fast the machine is."""
        return measuring.limits(dtype)

    def prepare(self, row):
        """The value and the seconds of the first call, which compiles, or None where there is no such function.

        Finds how many calls fill a burst.
        """
        self.call = None  # lets go of the last row's arrays
        offered = self.function(Row(**row | {"shape": tuple(row["shape"])}))
        if offered is None:
            return None
        self.call, self.wait = offered
        start = time.perf_counter()
        result = self.call()
        self.wait(result)
        first = time.perf_counter() - start
        self.calls = math.ceil(BURST / min(measuring.seconds(self.call, self.wait, 1, False) for _ in range(2)))
        return float(result[0]), first

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
    results |= team.ask_jaxssim("machine", "float32")
    for dtype in dict.fromkeys(row.dtype for row in rows):
        group = [row for row in rows if row.dtype == dtype]
        results["limits"][dtype] = team.ask_jaxssim("limits", dtype, dtype)
        wanted = set(options.peers) & set(BESIDE if all(row.also for row in group) else peers.PEERS)
        workers = team.gathered(wanted, options.python, dtype, results)
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


def measure_row(row, workers, rounds, results):
    """By library the value, the seconds of the first call, and those a call of each round; they take turns."""
    values, first, times = {}, {}, {}

    def ask(name, *request):
        try:
            return workers[name].ask(*request)
        except measuring.WorkerError as error:
            results["failed"][f"{name}, {row}, {measuring.text_of(row.shape)}"] = str(error)

    for name in (name for name in workers if name in BESIDE or not row.also):
        prepared = ask(name, "prepare", dataclasses.asdict(row))
        if prepared is not None:
            values[name], first[name] = prepared
    for name in rounds * list(values):
        burst = ask(name, "burst")
        times.setdefault(name, []).extend([] if burst is None else [burst])
    times = {name: bursts for name, bursts in times.items() if bursts}
    record = {"name": str(row), "images": measuring.text_of(row.shape), "also": row.also}
    return record | least(row, results["limits"][row.dtype]) | {"values": values, "first": first, "seconds": times}


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
        first = measuring.number(1e3 * record["first"][name])
        yield [title, name, beside(seconds, record), f"{low} to {high}", first]
        title = ""


def tables(records):
    """The summary, and every library's times."""
    heads = ["milliseconds", "images", "jaxssim", "limit", "TensorFlow", "fastest other"]
    yield "Summary", heads, [list(summary(record)) for record in records]
    heads = ["milliseconds", "library", "median", "quartiles", "first call"]
    yield "All", heads, [line for record in records for line in details(record)]


def about(results):
    """What must be known to read the tables."""
    yield f"{results['header']}; load average before it began: {results['load']:.1f}"
    yield f"import jaxssim adds {1e3 * results['import']:.0f} ms to import jax"
    for dtype, limits in results["limits"].items():
        yield f"Limits, {dtype}: {limits['bytes'] / 1e9:.0f} GB/s copied, {limits['flops'] / 1e9:.0f} GFLOP/s"
    yield from team.about(results)
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
    parser = team.parser(__doc__)
    parser.add_argument("--all", action="store_true", help="more functions, windows, types and shapes")
    works = [prefix + work for prefix in ("", "ms_") for work in WORKS]
    parser.add_argument("--works", nargs="+", choices=works, help="instead of those of the README; ms_: of MS-SSIM")
    parser.add_argument("--shapes", nargs="+", help="instead of those of the README, as 8x256x256x3")
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


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
    path = options.output / f"speed-{results['stem']}"
    measuring.write(path, list(about(results)), list(tables(results["rows"])), results)
    drawn = [record for record in results["rows"] if record["seconds"] and not record["also"]]
    if drawn:
        draw(drawn, results["header"], f"{path}.png")


if __name__ == "__main__":
    main()
