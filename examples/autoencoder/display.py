"""What a run shows while it trains: a progress bar on a terminal, a line for each evaluation in a file or a pipe."""

from datetime import timedelta

from rich.console import Console

from examples.autoencoder.checkpoints import History
from examples.autoencoder.config import Config
from examples.autoencoder.timing import Timer
from jaxssim._cli.console import progress_bar, say


class Display:
    """The progress of a run on standard output."""

    def __init__(self, config: Config, console: Console, history: History, timer: Timer) -> None:
        """Shows the progress bar, on a terminal, where the history has not reached the last step."""
        self.config = config
        self.console = console
        self.timer = timer
        self.step_number = int(history[-1]["step"]) if history else 0
        self.record = history[-1] if history else {}
        self.bar = progress_bar(console, "{task.fields[values]}", time_left=False)
        self.task = self.bar.add_task("", total=config.steps, completed=self.step_number, values="compiling")
        self.has_bar = console.is_interactive and self.step_number < config.steps
        if self.has_bar:
            self.bar.start()

    def step(self, loss: float) -> None:
        """Shows the end of a step."""
        self.step_number += 1
        self.show(loss)

    def evaluation(self, record: dict[str, float]) -> None:
        """Shows an evaluation, of which `record` holds the step, the mean training loss, and the test scores."""
        self.record = record
        if self.has_bar:
            self.show(record["loss"])
            return
        parts = (
            f"loss {record['loss']:#.4g}",
            f"test loss {record['test_loss']:#.4g}",
            f"SSIM {record['ssim']:.4f}",
            f"PSNR {record['psnr']:.2f} dB",
            *self.speed(),
        )
        say(self.console, f"step {self.step_number} of {self.config.steps}: {', '.join(parts)}")

    def show(self, loss: float) -> None:
        """Draws the bar with a training loss and the scores of the last evaluation, in few enough characters for 80."""
        scores = (f"SSIM {self.record['ssim']:.4f}", f"{self.record['psnr']:.2f} dB") if self.record else ()
        values = ", ".join((f"loss {loss:#.3g}", *scores, *self.speed()))
        self.bar.update(self.task, completed=self.step_number, values=values.removesuffix(" left"))

    def speed(self) -> list[str]:
        """Returns the steps per second and the time left in hours, minutes and seconds, where these are known."""
        seconds = self.timer.step_seconds()
        if seconds is None:
            return []
        step, steps, every = self.step_number, self.config.steps, self.config.evaluate_every
        evaluations = steps // every - step // every + (steps % every > 0)
        left = timedelta(seconds=round(self.timer.seconds_left(steps - step, evaluations)))
        rate = float(f"{1 / seconds:.3g}")
        return [f"{rate:g} steps/s", *[f"{left} left"] * (step < steps)]

    def close(self) -> None:
        """Ends the progress bar."""
        if self.has_bar:
            self.bar.stop()
