"""The Keras example: it trains on the JAX backend, lowers its learning rate, and prints the scores it reached."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

for name in ("grain", "matplotlib", "skimage", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")
if not importlib.util.find_spec("keras"):  # not imported, because this process may use another backend
    pytest.skip("could not import 'keras'", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_keras_example_trains_prints_and_draws(tmp_path):
    picture = tmp_path / "deeper" / "keras.png"
    options = ("--epochs", "4", "--steps", "3", "--output", picture)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow", "KERAS_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "examples.keras_autoencoder", *options]
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    losses, tests = (list(map(float, re.findall(rf"\b{name}: (\S+)", done.stdout))) for name in ("loss", "val_loss"))
    assert len(losses) == len(tests) == 4
    assert losses[-1] < losses[0]
    rates = list(map(float, re.findall(r"learning_rate: (\S+)", done.stdout)))
    assert rates == [1e-3, 1e-3, 1e-3, 1e-4]
    ssim, psnr = (float(re.search(rf"test {name} (\S+)", done.stdout)[1]) for name in ("SSIM", "PSNR"))
    assert ssim == pytest.approx(1 - tests[-1], abs=2e-4)
    assert 5 < psnr < 40
    assert str(picture) in done.stdout
    with Image.open(picture) as drawn:
        drawn.load()
        assert min(drawn.size) > 300
