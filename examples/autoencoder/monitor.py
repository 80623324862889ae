"""What a run shows and records while it trains: a progress bar, metrics.jsonl, TensorBoard files, a trace."""

import json
import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from tensorboardX import SummaryWriter

from examples.autoencoder.checkpoints import History
from examples.autoencoder.config import Config
from examples.progress import progress_bar
from examples.saving import plain_path

IMAGES_SHOWN = 8  # test patches in TensorBoard
UNTIMED_STEPS = 2  # they include the compilation
TRACED_STEPS = 10
BAR_VALUES = "loss {task.fields[loss]:.4f}  test SSIM {task.fields[ssim]:.4f}  {task.fields[speed]:.0f} images/s"


class StepTimer:
    """Measures the duration of the last 1000 steps, without the evaluations between them and the first steps."""

    def __init__(self, batch_size: int) -> None:
        """Creates a timer for steps of `batch_size` images."""
        self.batch_size = batch_size
        self.steps = 0
        self.durations: deque[tuple[float, float]] = deque(maxlen=1000)  # seconds of a step, and of its wait for data

    def start(self) -> None:
        """Starts to time, after an evaluation or at the beginning."""
        self.waited = 0.0
        self.last = time.perf_counter()

    @contextmanager
    def waiting_for_data(self) -> Iterator[None]:
        """Times a wait for the next batch."""
        start = time.perf_counter()
        yield
        self.waited += time.perf_counter() - start

    def step(self) -> None:
        """Records the end of a step."""
        now = time.perf_counter()
        if self.steps == UNTIMED_STEPS:
            self.durations.clear()
        self.durations.append((now - self.last, self.waited))
        self.steps, self.waited, self.last = self.steps + 1, 0.0, now

    def summary(self) -> dict[str, float]:
        """Returns the images per second, and the fraction of the time spent waiting for data."""
        seconds, waited = map(sum, zip(*self.durations, strict=True))
        images = self.batch_size * len(self.durations)
        return {"images_per_second": images / seconds, "waiting_for_data": waited / seconds}


class Monitor:
    """Shows and records the progress of a run in the first process; in other processes it shows and writes nothing."""

    def __init__(self, config: Config, console: Console, history: History) -> None:
        """Starts the progress bar and the TensorBoard log after the last step of the history."""
        self.config = config
        self.timer = StepTimer(config.batch_size)
        self.is_first_process = jax.process_index() == 0
        self.tracing = ExitStack()  # what ends with the trace
        self.resumed = int(history[-1]["step"]) if history else 0
        self.ssim = history[-1]["ssim"] if history else math.nan
        self.board = SummaryWriter(
            str(config.folder / "tensorboard"), purge_step=self.resumed + 1, write_to_disk=self.is_first_process
        )
        self.bar = progress_bar(console, BAR_VALUES)
        self.task = self.bar.add_task(
            "training", total=config.steps, completed=self.resumed, loss=math.nan, ssim=self.ssim, speed=math.nan
        )
        if self.resumed < config.steps:
            self.bar.start()
        if self.is_first_process:
            write_atomically(config.folder / "config.json", config.to_json())

    def trace(self, step: int) -> None:
        """Starts or stops the trace before this step, where `config.profile` asks for a trace."""
        first = self.resumed + 1 + UNTIMED_STEPS
        if self.config.profile and self.is_first_process and step == first:
            jax.profiler.start_trace(self.tracing.enter_context(plain_path(self.config.folder)) / "profile")
            self.tracing.callback(jax.profiler.stop_trace)
        elif step == first + TRACED_STEPS:
            self.tracing.close()

    def step(self, loss: float) -> None:
        """Shows the end of a step."""
        self.timer.step()
        speed = self.timer.summary()["images_per_second"]
        self.bar.update(self.task, advance=1, loss=loss, ssim=self.ssim, speed=speed)

    def evaluation(self, history: History, patches: np.ndarray, reconstructed: np.ndarray) -> None:
        """Records the evaluation at the end of the history, and test patches above their reconstructions."""
        record = history[-1]
        self.ssim = record["ssim"]
        if not self.is_first_process:
            return
        step, timing = int(record["step"]), self.timer.summary()
        for name, value in (record | timing).items():
            self.board.add_scalar(name, value, step)
        self.board.add_images("reconstructions", np.concatenate([patches, reconstructed], 1), step, dataformats="NHWC")
        self.board.flush()
        folder = self.config.folder
        write_atomically(folder / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in history))
        metrics = {f"test_{name}": record[name] for name in ("ssim", "psnr", "mse")}
        metrics["images_per_second"] = timing["images_per_second"]
        write_atomically(folder / "metrics.json", json.dumps(metrics, indent=2))

    def close(self) -> None:
        """Ends the trace, the progress bar and the log."""
        self.tracing.close()
        self.bar.stop()
        self.board.close()


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that no reader ever sees a part of it, even if the process is killed."""
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    temporary.replace(path)
