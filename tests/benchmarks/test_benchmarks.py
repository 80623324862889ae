"""The benchmarks: that they run where only jaxssim is installed, and that their truth is the truth."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import truth

pytest.importorskip("scipy")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import accuracy
import measuring
import peers

import jaxssim


def run(script, *arguments):
    """A program as a user runs it, uninstalled."""
    command = [sys.executable, ROOT / "benchmarks" / script, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize(
    "case", [accuracy.CASES[0], *accuracy.CASES[5:12]], ids=lambda case: f"{case.group}-{case.name}"
)
def test_the_truth_of_accuracy(case):
    x, y, _ = (array[0] for array in peers.arrays(case))
    taps = jaxssim.Gaussian().taps(2)
    expected = 1 - truth.dissimilarity(x, y, taps, 1.0).mean()
    np.testing.assert_allclose(accuracy.truth(case)["inside"], expected, rtol=1e-9)


def test_accuracy_of_jaxssim_alone(tmp_path):
    done = run("accuracy.py", "--peers", "jaxssim", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    (kept,) = tmp_path.glob("accuracy-*.json")
    results = json.loads(kept.read_text())
    assert not results["failed"]
    assert [case["name"] for case in results["cases"]] == [case.name for case in accuracy.CASES]
    for case in results["cases"]:
        assert case["errors"]["jaxssim"] < 1e-6
    assert results["kept"]


def test_speed_of_jaxssim_alone(tmp_path):
    done = run("speed.py", "--peers", "jaxssim", "--shapes", "1x24x24x1", "--rounds", 2, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    (kept,) = tmp_path.glob("speed-*.json")
    results = json.loads(kept.read_text())
    assert not results["failed"]
    assert [row["name"] for row in results["rows"]] == ["SSIM, value", "SSIM, value and gradient"]
    for row in results["rows"]:
        assert len(row["seconds"]["jaxssim"]) == 2
        assert 0 < row["values"]["jaxssim"] < 1
    assert kept.with_suffix(".md").read_text().count("| SSIM, value |") == 1


def test_a_worker_that_fails_says_why():
    program = f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r})\nimport measuring, os\n"
    program += (
        "class Answers:\n def noisy(self, x): print('noise'); return x\n def wrong(self): raise ValueError('why')\n"
    )
    program += " def die(self): os._exit(7)\nmeasuring.serve(Answers())"
    worker = measuring.Worker([sys.executable, "-c", program], {})
    assert worker.ask("noisy", [1, 2]) == [1, 2]
    with pytest.raises(measuring.WorkerError, match="ValueError: why"):
        worker.ask("wrong")
    with pytest.raises(measuring.WorkerError, match="ended with 7"):
        worker.ask("die")
    worker.close()
