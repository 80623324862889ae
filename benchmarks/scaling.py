"""Measures how the time and memory of jaxssim grow with pixels, batch, channels, window, devices and shared rows.

    python benchmarks/scaling.py [--series pixels batch ...] [--rounds 7] [--output DIR]

It measures the value of `ssim`, and the value and gradient of `ssim_loss` by one image, in float32. Times are medians
over rounds. Memory is XLA's count of the temporary bytes of a device, without the images and the gradient. On a CPU the
devices are virtual and share its cores, so that the series "devices" and "rows" show the cost of sharing a batch, and
of sharing one image by its rows.
"""

import functools
import math
import os
import statistics
import sys

import measuring

BURST = 0.1  # seconds
SERIES = {  # the number that varies; then shape, window and devices
    "pixels": [(n * n, (1, n, n, 3), 11, 1) for n in (64, 128, 256, 512, 1024, 2048, 4096)],
    "batch": [(n, (n, 64, 64, 3), 11, 1) for n in (1, 2, 4, 8, 16, 32, 64)],
    "channels": [(n, (1, 512, 512, n), 11, 1) for n in (1, 2, 3, 4, 8, 16)],
    "window": [(n, (1, 512, 512, 3), n, 1) for n in (3, 5, 7, 11, 15, 21, 31, 41)],
    "devices": [(n, (8, 256, 256, 3), 11, n) for n in (1, 2, 4)],
    "rows": [(n, (1, 2048, 1024, 3), 11, n) for n in (1, 2, 4)],  # one image, shared by its rows
}


class RequestHandler:
    """The requests that a worker answers."""

    def machine(self):
        """Returns JAX's description of the machine."""
        return {"header": measuring.header(), "stem": measuring.stem()}

    def measure(self, point):
        """Returns seconds and temporary bytes by function of images that devices share, or None for too few devices."""
        import jax
        from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

        import jaxssim

        series, shape, size, devices, rounds = point
        if devices > jax.device_count():
            return None
        # On an explicit axis devices exchange the rows that windows need; a batch needs none.
        axis_type, spec = (AxisType.Explicit, (None, "of")) if series == "rows" else (AxisType.Auto, ("of",))
        mesh = Mesh(jax.devices()[:devices], "of", axis_types=(axis_type,))
        jax.set_mesh(mesh)
        sharding = NamedSharding(mesh, PartitionSpec(*spec))
        x, y = (jax.device_put(jax.random.uniform(jax.random.key(seed), shape), sharding) for seed in (0, 1))
        convention = jaxssim.Convention(window=jaxssim.Gaussian(size, size * 1.5 / 11))
        options = dict(data_range=1.0, convention=convention, channel_axis=-1)
        value, loss = (functools.partial(function, **options) for function in (jaxssim.ssim, jaxssim.ssim_loss))
        functions = {"value": value, "value and gradient": jax.value_and_grad(loss, 1)}
        compiled = {name: jax.jit(function).lower(x, y).compile() for name, function in functions.items()}
        return {
            name: {
                "seconds": timed(functools.partial(function, x, y), rounds),
                "bytes": function.memory_analysis().temp_size_in_bytes,
            }
            for name, function in compiled.items()
        }


def timed(call, rounds):
    """Returns the seconds per call of each round."""
    import jax

    measured = functools.partial(measuring.seconds, call, jax.block_until_ready)
    measured(1, False)  # the first call is slow
    calls = math.ceil(BURST / measured(1, False))
    return [measured(calls, jax.default_backend() != "cpu") for _ in range(rounds)]


def measure(options):
    """Measures all points. Each number of devices needs its own process, because XLA reads it once."""
    results = {"rows": []}
    points = [(name, *point) for name in options.series for point in SERIES[name]]
    for devices in dict.fromkeys(point[-1] for point in points):
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
        worker = measuring.Worker([sys.executable, __file__, "--worker"], {"XLA_FLAGS": flags})
        results |= worker.ask("machine")
        for name, number, shape, size, _ in (point for point in points if point[-1] == devices):
            for work, measured in (worker.ask("measure", [name, shape, size, devices, options.rounds]) or {}).items():
                record = {"series": name, "number": number, "images": measuring.text_of(shape), "window": size}
                results["rows"].append(record | {"devices": devices, "work": work} | measured)
            print(name, number, flush=True)
        worker.close()
    return results


def lines(records):
    """Yields a line of the table for each point of a series: times, then memory."""
    for first, second in zip(records[::2], records[1::2], strict=True):
        times = [measuring.number(1e3 * statistics.median(r["seconds"])) for r in (first, second)]
        memory = [measuring.number(r["bytes"] / 2**20) for r in (first, second)]
        yield [first["series"], str(first["number"]), first["images"], str(first["window"]), *times, *memory]


def draw(records, path):
    """Draws time and memory in two rows of panels, a column for each series and a line for each function."""
    names = list(dict.fromkeys(record["series"] for record in records))
    figure = measuring.picture(path, figsize=(8, 4))
    if figure is None:
        return
    options = dict(squeeze=False, sharex="col", sharey="row", subplot_kw={"xscale": "log", "yscale": "log"})
    grid = figure.subplots(2, len(names), **options)
    for column, name in zip(grid.T, names, strict=True):
        for work, color in (("value", measuring.OURS), ("value and gradient", "#4a6274")):
            chosen = [record for record in records if (record["series"], record["work"]) == (name, work)]
            numbers = [record["number"] for record in chosen]
            style = dict(color=color, marker=".", linewidth=1.4, label=work)
            column[0].plot(numbers, [1e3 * statistics.median(record["seconds"]) for record in chosen], **style)
            column[1].plot(numbers, [record["bytes"] / 2**20 for record in chosen], **style)
        for axes in column:
            axes.set_xticks(numbers[::2], [f"{math.isqrt(n)}²" if name == "pixels" else n for n in numbers[::2]])
            axes.yaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
            axes.tick_params(length=0, labelsize=7.5)
            axes.grid(color="#e3e8eb", linewidth=0.6)
            axes.spines[:].set_visible(False)
        column[0].set_title(name, fontsize=9.5)
    grid[0, 0].set_ylabel("milliseconds", fontsize=8.5)
    grid[1, 0].set_ylabel("temporary MiB", fontsize=8.5)
    grid[0, -1].legend(fontsize=7, frameon=False, loc="upper right")
    measuring.save(figure, path)


def main():
    """Measures, prints and writes the results."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.worker is not None:
        measuring.serve(RequestHandler())
        return
    results = measure(options)
    path = options.output / f"scaling-{results['stem']}"
    heads = [
        "series",
        "number",
        "images",
        "window",
        "value, ms",
        "with gradient, ms",
        "value, MiB",
        "with gradient, MiB",
    ]
    measuring.write(path, [results["header"]], [("Scaling", heads, list(lines(results["rows"])))], results)
    draw(results["rows"], f"{path}.png")


if __name__ == "__main__":
    main()
