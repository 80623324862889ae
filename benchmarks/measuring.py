"""Shared by all benchmarks: the description of the machine, timing, worker processes, and result files."""

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
OURS, THEIRS = "#d1495b", "#b8c4cc"  # colours in the pictures


def cores():
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def processor():
    """Returns the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def header():
    """Returns one line of versions and hardware, the first line of every result."""
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
    """Returns the backend and JAX version for file names: `cpu-jax0.12`."""
    import jax

    return f"{jax.default_backend()}-jax{'.'.join(jax.__version__.split('.')[:2])}"


def text_of(shape):
    """Returns (8, 256, 256, 3) as "8x256x256x3"."""
    return "x".join(map(str, shape))


def number(value):
    """Formats a number with three digits, or all digits of a large one."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def parser(program):
    """Returns the parser of the options that all programs share; `program` is the docstring of the program."""
    made = argparse.ArgumentParser(description=program.splitlines()[0])
    made.add_argument("--output", type=Path, default=RESULTS, metavar="DIR")
    made.add_argument("--worker", nargs="?", const="", help=argparse.SUPPRESS)
    return made


# Time.


def seconds(call, wait, calls, queued):
    """Returns the mean duration of `calls` calls; waits after each, or only after the last if calls may queue."""
    start = time.perf_counter()
    for _ in range(calls):
        result = call()
        if not queued:
            wait(result)
    wait(result)
    return (time.perf_counter() - start) / calls


def limits(dtype="float32"):
    """Measures the highest speed of the device: bytes copied and floating-point operations, each per second.

    The first is measured by `x + 1` in place over 1 GiB, shared among one thread per core; the second by a product of
    4096 x 4096 matrices.
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
        for _ in range(4):  # the first call compiles
            start = time.perf_counter()
            shares = list(pool.map(incremented, shares))
            copying.append(time.perf_counter() - start)
    for _ in range(4):
        multiplying.append(seconds(lambda: product(matrix), jax.block_until_ready, 1, False))
    return {"bytes": steps * 2**31 / min(copying), "flops": 2 * 4096**3 / min(multiplying)}


# Workers: processes of any Python interpreter, which answer one line of JSON with another.


class WorkerError(RuntimeError):
    """An error in a worker process, in one line."""


class Worker:
    """A process that runs `serve`."""

    def __init__(self, command, environment):
        """Starts the process; only its answers are read, and its output is dropped."""
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.process = subprocess.Popen(command, env=os.environ | environment, **pipes)

    def ask(self, request, argument=None):
        """Sends a request and returns the answer."""
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
        """Closes the input of the process, which ends it, and waits."""
        self.process.communicate()


def serve(answers):
    """Answers each request by the method of its name, until the input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print to stderr from here on, not between the answers
    for line in sys.stdin:
        request, argument = json.loads(line)
        try:
            reply = {"answer": getattr(answers, request)(*([] if argument is None else [argument]))}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {(str(error).strip().splitlines() or ['-'])[-1].strip()}"[:200]}
        print(json.dumps(reply), file=replies, flush=True)


# Results.


def show(title, heads, rows):
    """Prints a table."""
    try:
        from rich import box, console, table, text
    except ImportError:
        print(markdown(title, heads, rows))
        return
    drawn = table.Table(title=text.Text(title, "table.title"), box=box.SIMPLE, title_justify="left")
    for head in heads:
        drawn.add_column(text.Text(head), justify="right" if drawn.columns else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(*map(text.Text, row))
    console.Console(width=max(150, console.Console().width)).print(drawn)


def markdown(title, heads, rows):
    """Returns the table as Markdown."""
    lines = (heads, ["---", *["--:"] * (len(heads) - 1)], *rows)
    return "\n".join((f"## {title}\n", *("| " + " | ".join(line) + " |" for line in lines), ""))


def write(path, about, tables, data):
    """Prints the tables and writes them as Markdown, after the lines of `about`, and the data as JSON."""
    for table in tables:
        show(*table)
    print("\n".join(about))
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join((*(f"{line}\n" for line in about), *(markdown(*table) for table in tables)))
    path.with_name(f"{path.name}.md").write_text(text)
    path.with_name(f"{path.name}.json").write_text(json.dumps(data, indent=1) + "\n")
    print(f"written: {path}.md, {path}.json")


def picture(path, **options):
    """Returns a Matplotlib figure, or prints a line and returns None where Matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print(f"no picture, because Matplotlib is not installed: {path}")
        return None
    return Figure(layout="constrained", **options)


def save(figure, path):
    """Writes a PNG of 64 colours, a third of the size of one in full colour."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(160)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB").quantize(64).save(path)
    print(f"drawn: {path}")
