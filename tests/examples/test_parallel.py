"""Training on several devices and processes: the same loss curve, shared batches, and the end of a killed job."""

import signal
import time

import jax
import numpy as np
import pytest

for name in ("flax", "grain", "matplotlib", "optax", "orbax.checkpoint", "rich", "skimage", "tensorboardX", "tyro"):
    pytest.importorskip(name)

from training_runs import SMALL, finished, job, launch, records

from examples.autoencoder import input_pipeline, parallel
from examples.autoencoder.images import load_images


@pytest.mark.slow
def test_any_number_of_devices_gives_the_same_curve(tmp_path):
    """Compares one device, four devices of one process, and two devices of each of two processes, with loss ssim.

    With loss mse, most gradients of such small patches are rounding errors, which Adam's first steps amplify.
    """
    processes = [launch(tmp_path / "1", loss="ssim"), launch(tmp_path / "4", devices=4, loss="ssim")]
    for process in (*processes, *job(tmp_path / "2x2 [job]", loss="ssim")):
        finished(process)
    curves = {
        name: [
            [record[key] for key in ("loss", "test_loss", "ssim", "psnr", "mse")]
            for record in records(tmp_path / name / "photographs")
        ]
        for name in ("1", "4", "2x2 [job]")
    }
    assert len(curves["1"]) == 4
    np.testing.assert_allclose(curves["4"], curves["1"], rtol=1e-4)
    np.testing.assert_allclose(curves["2x2 [job]"], curves["1"], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "number"), [(0, signal.SIGKILL), (1, signal.SIGTERM)])
def test_a_killed_process_ends_the_job_with_one_line_each(tmp_path, victim, number):
    processes = job(tmp_path, steps=100_000)
    while processes[victim].poll() is None and not (tmp_path / "photographs" / "checkpoints" / "4").exists():
        time.sleep(0.05)
    processes[victim].send_signal(number)
    usual = ("waiting for 2 processes", "pictures: ", "network: ", "step ")
    for i in (1 - victim, victim):
        output, _ = processes[i].communicate(timeout=120)
        assert processes[i].returncode != 0
        (line,) = (line for line in output.splitlines() if not line.startswith(usual))
        assert line.startswith(f"process {i} of 2 ended before the job was done")
        assert line.endswith("the run resumes from its last checkpoint.")
    assert processes[victim].returncode == (128 + number if number == signal.SIGTERM else -number)


def test_processes_share_each_batch():
    images = load_images(SMALL).training
    whole = input_pipeline.training_batches(images, SMALL)
    shares = [input_pipeline.training_batches(images, SMALL, process, 4) for process in range(4)]
    for _ in range(5):
        parts = [next(share) for share in shares]
        assert parts[0].shape == (2, 16, 16, 3)
        np.testing.assert_array_equal(np.stack(parts, 1).reshape(8, 16, 16, 3), next(whole))


def test_a_batch_size_that_devices_cannot_share_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 3)
    with pytest.raises(
        SystemExit, match=r"--batch-size 32 cannot be divided evenly among 3 devices; .* --batch-size 33"
    ):
        parallel.device_mesh(32)
