"""The benchmark programs run from a clone, without installing jaxssim and with no other library."""

import json
import os
import subprocess
import sys
from pathlib import Path

import accuracy
import fuzz
import measuring
import pytest
from marks import slow

ROOT = Path(__file__).resolve().parents[2]


def run(script, *arguments):
    """Runs a program as a user does from a clone."""
    command = [sys.executable, ROOT / "benchmarks" / script, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=600)


@slow
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


@slow
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


@slow
def test_worker_reports_its_error():
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


@pytest.mark.parametrize("metric", ["ssim", *(pytest.param(name, marks=slow) for name in ("iw_ssim", "ssimulacra2"))])
def test_fuzz_finds_nothing_in_a_batch(metric):
    number = next(i for i, setting in enumerate(fuzz.SETTINGS) if setting.metric == metric)
    tallies = {}
    assert list(fuzz.fuzz(fuzz.BATCH, 0, tallies, only=number)) == []
    assert tallies[metric].pairs == fuzz.BATCH
    assert 0 < tallies[metric].worst < 1


def test_fuzz_finds_a_wrong_value(monkeypatch):
    compute = fuzz.compute
    monkeypatch.setattr(fuzz, "compute", lambda *args: {name: value + 1e-5 for name, value in compute(*args).items()})
    lines = list(fuzz.fuzz(fuzz.BATCH, 0, {}, only=0))
    assert any("ssim: far from float64" in line for line in lines)
    assert any("ssim: out of range" in line for line in lines)
