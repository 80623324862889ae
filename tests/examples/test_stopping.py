"""Ctrl-C and SIGTERM end a run with one line, an exit status, and a whole checkpoint from which it resumes."""

import io
import signal
import time

import pytest

for name in ("flax", "grain", "optax", "orbax.checkpoint", "rich", "skimage", "tensorboardX", "tyro"):
    pytest.importorskip(name)

from rich.console import Console
from training_runs import content, finished, launch

from examples.autoencoder.stopping import between_steps, pending_signal, stoppable


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kept", [(), (4, 12)])
def test_a_signal_ends_with_one_line(tmp_path, number, kept):
    for step in kept:
        (tmp_path / "checkpoints" / str(step)).mkdir(parents=True)
    console, handler = Console(file=io.StringIO()), signal.getsignal(number)
    with pytest.raises(SystemExit) as stopped, stoppable(tmp_path, console):
        signal.raise_signal(number)
    assert stopped.value.code == 128 + number
    then = f"goes on from step 12, the last checkpoint in {tmp_path}" if kept else "starts from the first step"
    (line,) = console.file.getvalue().splitlines()
    assert line.startswith(f"stopped by {number.name}; ")
    assert line.endswith(f"the same command {then}")
    assert signal.getsignal(number) is handler


def test_a_signal_waits_for_the_end_of_a_step(tmp_path):
    done = []

    def train():
        for step in range(3):
            pending_signal.check()
            signal.raise_signal(signal.SIGINT)
            done.append(step)

    with pytest.raises(SystemExit), stoppable(tmp_path, Console(quiet=True)), between_steps():
        train()
    assert done == [0]


SETTINGS = {"steps": 30, "evaluate_every": 4}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The content of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    finished(launch(folder, **SETTINGS))
    return content(folder / "photographs")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on_with_the_same_bits(tmp_path, number, whole):
    """The signal comes while a checkpoint is being written."""
    process = launch(tmp_path / "stopped", **SETTINGS)
    folder = tmp_path / "stopped" / "photographs"
    while process.poll() is None and not any((folder / "checkpoints").glob("8*")):
        time.sleep(0.001)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    last = max(int(path.name) for path in (folder / "checkpoints").iterdir())  # each name is a whole checkpoint's
    assert output.splitlines()[-1] == (
        f"stopped by {number.name}; the same command goes on from step {last}, the last checkpoint in {folder}"
    )
    assert "Traceback" not in output
    assert f"resumed after step {last} of 30" in finished(launch(tmp_path / "stopped", **SETTINGS))
    assert content(folder) == whole
