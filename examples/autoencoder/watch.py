"""What is seen of a run while it goes on: a progress bar, metrics.jsonl, TensorBoard's event files, a trace."""

import json
import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from tensorboardX import SummaryWriter

from examples.autoencoder.checkpoints import History
from examples.autoencoder.config import Config
from examples.progress import progress_bar

SHOWN = 8  # patches in TensorBoard
COMPILING = 2  # steps that are not timed
TRACED = 10  # steps in a trace
VALUES = "loss {task.fields[loss]:.4f}  test SSIM {task.fields[ssim]:.4f}  {task.fields[speed]:.0f} images/s"


class Clock:
    """Where the time of training goes: what lies between stretches of steps, and the first steps, are left out."""

    def __init__(self, batch_size: int) -> None:
        """Before any step."""
        self.batch_size = batch_size
        self.steps = 0
        self.timed: deque[tuple[float, float]] = deque(maxlen=1000)  # seconds of a step, and of waiting in it

    def start(self) -> None:
        """A stretch of steps begins."""
        self.waited = 0.0
        self.last = time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While there is no data."""
        start = time.perf_counter()
        yield
        self.waited += time.perf_counter() - start

    def step(self) -> None:
        """A step is done."""
        now = time.perf_counter()
        if self.steps == COMPILING:
            self.timed.clear()
        self.timed.append((now - self.last, self.waited))
        self.steps, self.waited, self.last = self.steps + 1, 0.0, now

    def speed(self) -> dict[str, float]:
        """Images a second, and the share of time in which a step waits for data."""
        seconds, waited = map(sum, zip(*self.timed, strict=True))
        return {"images_per_second": self.batch_size * len(self.timed) / seconds, "waiting_for_data": waited / seconds}


class Watch:
    """The first process's view; in others it shows and writes nothing."""

    def __init__(self, config: Config, console: Console, history: History) -> None:
        """Go on after the history of a run."""
        self.config = config
        self.clock = Clock(config.batch_size)
        self.first = jax.process_index() == 0
        self.tracing = False
        self.resumed = int(history[-1]["step"]) if history else 0
        self.ssim = history[-1]["ssim"] if history else math.nan
        self.board = SummaryWriter(
            str(config.folder / "tensorboard"), purge_step=self.resumed + 1, write_to_disk=self.first
        )
        self.bar = progress_bar(console, VALUES)
        self.task = self.bar.add_task(
            "training", total=config.steps, completed=self.resumed, loss=math.nan, ssim=self.ssim, speed=math.nan
        )
        if self.resumed < config.steps:
            self.bar.start()
        if self.first:
            write(config.folder / "config.json", config.to_json())

    def trace(self, step: int) -> None:
        """Begin or end the trace before this step, where there is to be one."""
        if self.config.profile and self.first and step == self.resumed + 1 + COMPILING:
            jax.profiler.start_trace(self.config.folder / "profile")
            self.tracing = True
        elif self.tracing and step == self.resumed + 1 + COMPILING + TRACED:
            self.stop_trace()

    def stop_trace(self) -> None:
        """Write the trace."""
        jax.profiler.stop_trace()
        self.tracing = False

    def step(self, loss: float) -> None:
        """Show a step."""
        self.clock.step()
        speed = self.clock.speed()["images_per_second"]
        self.bar.update(self.task, advance=1, loss=loss, ssim=self.ssim, speed=speed)

    def evaluation(self, history: History, patches: np.ndarray, reconstructed: np.ndarray) -> None:
        """Write an evaluation, the last one of the history, and pictures of it."""
        record = history[-1]
        self.ssim = record["ssim"]
        if not self.first:
            return
        step = int(record["step"])
        for name, value in (record | self.clock.speed()).items():
            self.board.add_scalar(name, value, step)
        self.board.add_images("reconstructions", np.concatenate([patches, reconstructed], 1), step, dataformats="NHWC")
        self.board.flush()
        folder = self.config.folder
        write(folder / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in history))
        metrics = {f"test_{name}": record[name] for name in ("ssim", "psnr", "mse")}
        metrics["images_per_second"] = self.clock.speed()["images_per_second"]
        write(folder / "metrics.json", json.dumps(metrics, indent=2))

    def close(self) -> None:
        """Leave the terminal and the files in order."""
        if self.tracing:
            self.stop_trace()
        self.bar.stop()
        self.board.close()


def write(path: Path, text: str) -> None:
    """Write a file so that it is never there in part."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
