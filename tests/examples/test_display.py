"""What a run shows while it trains: lines in a log, a bar on a terminal, and the time left."""

import io
import re

import pytest

for name in ("flax", "grain", "optax", "orbax.checkpoint", "rich", "skimage", "tensorboardX", "tyro"):
    pytest.importorskip(name)

from rich.console import Console
from training_runs import launch

from examples.autoencoder import timing
from examples.autoencoder.config import Config
from examples.autoencoder.display import Display

CONFIG = Config(steps=500, evaluate_every=100, batch_size=8)
LINE = re.compile(
    r"step \d+ of \d+: loss \d\.\d+, test loss \d\.\d+, SSIM \d\.\d{4}, PSNR \d+\.\d\d dB"
    r"(, [\d.]+ steps/s)?(, \d:\d\d:\d\d left)?"
)


class Clock:
    """Replaces the clock of the timer by one that the test moves."""

    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def shown(clock, console):
    """Shows a run with a step of 0.5 s and an evaluation of 20 s, but for the first ones, which compile.

    Returns:
      What was printed, and the seconds left after each evaluation, by step.
    """
    timer, left = timing.Timer(CONFIG.batch_size, test_patches=80), {}
    display = Display(CONFIG, console, [], timer)
    timer.start()
    for step in range(1, CONFIG.steps + 1):
        clock.now += 60 if step == 1 else 0.5
        timer.step()
        display.step(0.25)
        if step == 1 or step % CONFIG.evaluate_every == 0:
            display.evaluation({"step": step, "loss": 0.2, "test_loss": 0.3, "ssim": step / 1000, "psnr": 31.5})
            left[step] = timer.seconds_left(CONFIG.steps - step, (CONFIG.steps - step) // CONFIG.evaluate_every)
            clock.now += 90 if step == 1 else 20
            timer.start()
    display.close()
    return plain(console), left


def plain(console):
    """Returns what a console printed without its control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())


def test_a_log_has_a_line_for_each_evaluation(clock):
    text, _ = shown(clock, Console(file=io.StringIO(), width=40))
    lines = text.splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert lines[0] == "step 1 of 500: loss 0.2000, test loss 0.3000, SSIM 0.0010, PSNR 31.50 dB"
    assert lines[2].endswith("SSIM 0.2000, PSNR 31.50 dB, 2 steps/s, 0:03:30 left")
    assert lines[-1] == "step 500 of 500: loss 0.2000, test loss 0.3000, SSIM 0.5000, PSNR 31.50 dB, 2 steps/s"
    assert len(lines) == 6


def test_a_bar_starts_without_nan_and_ends_with_the_last_evaluation(clock):
    text, _ = shown(clock, Console(file=io.StringIO(), width=78, force_terminal=True))
    lines = text.strip().splitlines()
    assert "0/500 compiling" in lines[0]
    assert "nan" not in text
    assert lines[-1].endswith("500/500 loss 0.200, SSIM 0.5000, 31.50 dB, 2 steps/s")
    assert max(map(len, lines)) <= 78
    assert "…" not in text


def test_the_time_left_counts_evaluations_but_no_compilation(clock):
    _, left = shown(clock, Console(file=io.StringIO()))
    assert left[100] == pytest.approx(400 * 0.5 + 4 * 10 * 0.5 / 3)  # ten batches, forwards alone
    assert left[200] == pytest.approx(300 * 0.5 + 3 * 20)
    assert left[500] == 0


def test_a_resumed_bar_starts_with_its_step(clock):
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    Display(CONFIG, console, [{"step": 200, "ssim": 0.9, "psnr": 30.0}], timing.Timer(8, 80)).close()
    assert "200/500 compiling" in plain(console)


@pytest.mark.slow
def test_a_line_reaches_the_log_at_once(tmp_path):
    """Reads from a pipe while the run still trains."""
    process = launch(tmp_path, steps=100_000)
    try:
        lines = iter(process.stdout.readline, "")
        assert LINE.fullmatch(next(line for line in lines if line.startswith("step 4 of 100000")).strip())
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
