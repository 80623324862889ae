"""What a run records while it trains, beside what it shows: metrics.jsonl, TensorBoard files, a trace."""

import json
from contextlib import ExitStack
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from tensorboardX import SummaryWriter

from examples.autoencoder.checkpoints import History
from examples.autoencoder.config import Config
from examples.autoencoder.display import Display
from examples.autoencoder.timing import UNTIMED_STEPS, Timer
from examples.saving import plain_path
from examples.stuck import WHAT, Watch
from jaxssim._cli.console import say

IMAGES_SHOWN = 8  # test patches in TensorBoard
TRACED_STEPS = 10
ADVICE = "Under another --name, try a lower --learning-rate, or --loss dssim-l1 or l1."


class Monitor:
    """Shows and records the progress of a run in the first process; in other processes it shows and writes nothing."""

    def __init__(self, config: Config, console: Console, history: History, test_patches: int) -> None:
        """Starts the display and the TensorBoard log after the last step of the history."""
        self.config = config
        self.timer = Timer(config.batch_size, test_patches)
        self.is_first_process = jax.process_index() == 0
        self.tracing = ExitStack()  # what ends with the trace
        self.resumed = int(history[-1]["step"]) if history else 0
        self.board = SummaryWriter(
            str(config.folder / "tensorboard"), purge_step=self.resumed + 1, write_to_disk=self.is_first_process
        )
        self.display = Display(config, console, history, self.timer)
        self.console = console
        self.watch = Watch(config.steps)
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
        self.display.step(loss)

    def evaluation(self, history: History, patches: np.ndarray, reconstructed: np.ndarray) -> None:
        """Records the evaluation at the end of the history, and test patches above their reconstructions."""
        record = history[-1]
        self.display.evaluation(record)
        self.tell_failure(int(record["step"]), patches, reconstructed)
        if not self.is_first_process:
            return
        step, timing = int(record["step"]), self.timer.summary()
        for name, value in (record | timing).items():
            if name != "loss" or step > 1:  # the loss of step 1 is that of a single batch
                self.board.add_scalar(name, value, step)
        self.board.add_images("reconstructions", np.concatenate([patches, reconstructed], 1), step, dataformats="NHWC")
        self.board.flush()
        folder = self.config.folder
        write_atomically(folder / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in history))
        metrics = {f"test_{name}": record[name] for name in ("ssim", "psnr", "mse")}
        metrics["images_per_second"] = timing["images_per_second"]
        write_atomically(folder / "metrics.json", json.dumps(metrics, indent=2))

    def tell_failure(self, step: int, patches: np.ndarray, reconstructed: np.ndarray) -> None:
        """Says in a line what to do where the run is stuck or has diverged."""
        told = self.watch.tells(step, patches, reconstructed)
        if told != "healthy":
            say(self.console, f"step {step}: {WHAT[told]}. {ADVICE}", style="yellow")

    def close(self) -> None:
        """Ends the trace, the display and the log."""
        self.tracing.close()
        self.display.close()
        self.board.close()


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that no reader ever sees a part of it, even if the process is killed."""
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    temporary.replace(path)
