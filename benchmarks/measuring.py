"""What these programs share: the names and limits of the machine, timing, workers, and how results are kept."""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
OURS, THEIRS = "#d1495b", "#b8c4cc"  # the colours of pictures


def cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def processor():
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def header():
    """One line of versions and machine, with which every result begins."""
    import jax
    import numpy as np

    import jaxssim

    backend = jax.default_backend()
    device = [] if backend == "cpu" else [f"{jax.device_count()} {jax.devices()[0].device_kind}"]
    return ", ".join(
        (
            f"jaxssim {jaxssim.__version__}, jax {jax.__version__}, numpy {np.__version__}",
            f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {backend}",
            *device,
            f"{cores()} cores, {processor()}, {datetime.date.today()}",
        )
    )


def stem():
    """How this machine's results are named: `cpu-jax0.12`."""
    import jax

    return f"{jax.default_backend()}-jax{'.'.join(jax.__version__.split('.')[:2])}"


def text_of(shape):
    """(8, 256, 256, 3) as 8x256x256x3."""
    return "x".join(map(str, shape))


def number(value):
    """Three digits, or all of a large number."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def parser(program):
    """The command line that all programs have; `program` is the docstring of one."""
    made = argparse.ArgumentParser(description=program.splitlines()[0])
    made.add_argument("--output", type=Path, default=RESULTS, metavar="DIR")
    made.add_argument("--worker", nargs="?", const="", help=argparse.SUPPRESS)
    return made


# Time.


def seconds(call, wait, calls, queued):
    """The mean duration of `calls` calls, waiting for each or, where they may queue up, for the last alone."""
    start = time.perf_counter()
    for _ in range(calls):
        result = call()
        if not queued:
            wait(result)
    wait(result)
    return (time.perf_counter() - start) / calls


def limits(dtype="float32"):
    """What the device reaches at best, each a second: bytes read and written, and multiplications and additions.

    The first by `x + 1` in place, over 1 GiB, which each core has a thread and a share of; the second by a product of
    matrices of 4096 x 4096.
    """
    import jax
    import jax.numpy as jnp

    threads, steps = cores() if jax.default_backend() == "cpu" else 1, 4
    increment = jax.jit(lambda x: x + 1, donate_argnums=0)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    shares = [jnp.zeros(2**30 // jnp.dtype(dtype).itemsize // threads, dtype) for _ in range(threads)]
    matrix = jnp.ones((4096, 4096), dtype)

    def incremented(share):
        for _ in range(steps):
            share = increment(share)
        return jax.block_until_ready(share)

    copying, multiplying = [], []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(4):  # the first compiles
            start = time.perf_counter()
            shares = list(pool.map(incremented, shares))
            copying.append(time.perf_counter() - start)
    for _ in range(4):
        multiplying.append(seconds(lambda: product(matrix), jax.block_until_ready, 1, False))
    return {"bytes": steps * 2**31 / min(copying), "flops": 2 * 4096**3 / min(multiplying)}


# Workers: other processes, of any interpreter, which answer one line of JSON with another.


class WorkerError(RuntimeError):
    """What went wrong in a worker, in a line."""


class Worker:
    """A process that runs `serve`."""

    def __init__(self, command, environment):
        """Start it, silent but for its answers."""
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.process = subprocess.Popen(command, env=os.environ | environment, **pipes)

    def ask(self, request, argument=None):
        """Its answer to a request."""
        try:
            print(json.dumps([request, argument]), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"its process ended with {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply["answer"]

    def close(self):
        """Let it end."""
        self.process.communicate()


def serve(answers):
    """Answer requests by the methods of their names, until there are no more."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between
    for line in sys.stdin:
        request, argument = json.loads(line)
        try:
            reply = {"answer": getattr(answers, request)(*([] if argument is None else [argument]))}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {(str(error).strip().splitlines() or ['-'])[-1].strip()}"[:200]}
        print(json.dumps(reply), file=replies, flush=True)


# Results.


def show(title, heads, rows):
    """Print a table."""
    try:
        from rich import box, console, table
    except ImportError:
        print(markdown(title, heads, rows))
        return
    drawn = table.Table(title=title, box=box.SIMPLE, title_justify="left")
    for head in heads:
        drawn.add_column(head, justify="right" if drawn.columns else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(*row)
    console.Console(width=max(150, console.Console().width)).print(drawn)


def markdown(title, heads, rows):
    """The same as Markdown."""
    lines = (heads, ["---", *["--:"] * (len(heads) - 1)], *rows)
    return "\n".join((f"## {title}\n", *("| " + " | ".join(line) + " |" for line in lines), ""))


def write(path, about, tables, data):
    """Print the tables, and keep them as Markdown and the data as JSON. `path` has no suffix, `about` is lines."""
    for table in tables:
        show(*table)
    print("\n".join(about))
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join((*(f"{line}\n" for line in about), *(markdown(*table) for table in tables)))
    path.with_name(f"{path.name}.md").write_text(text)
    path.with_name(f"{path.name}.json").write_text(json.dumps(data, indent=1) + "\n")
    print(f"written: {path}.md, {path}.json")


def picture(path, **options):
    """A Matplotlib figure, or None, said, where that is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print(f"not drawn, since Matplotlib is not installed: {path}")
        return None
    return Figure(layout="constrained", **options)


def save(figure, path):
    """As a PNG of 64 colours, a third as large."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(160)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB").quantize(64).save(path)
    print(f"drawn: {path}")
