"""The comparison of losses: its measures, its tables and its program."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reference_iw_ssim
import reference_ssimulacra2

for name in ("flax", "grain", "matplotlib", "optax", "orbax.checkpoint", "rich", "skimage", "tensorboardX", "tyro"):
    pytest.importorskip(name)

from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from examples.autoencoder import loss_tables, measures
from examples.autoencoder.compare_losses import Study, check_same_study
from examples.autoencoder.loss_tables import Result

ROOT = Path(__file__).resolve().parents[2]
LUMA = (0.299, 0.587, 0.114)


@pytest.mark.slow
def test_measures_are_means_over_the_patches(monkeypatch):
    x, y = np.random.default_rng(0).integers(0, 256, (2, 3, 192, 192, 3), np.uint8)
    y = (y / 8 + x * 0.8).astype(np.uint8)
    monkeypatch.setattr(measures, "reconstruct", lambda network, batch: (batch / np.float32(255), next(outputs)))
    monkeypatch.setattr(measures, "BATCH", 2)
    outputs = iter(np.split(y / np.float32(255), [2]))
    reconstructed, values = measures.measure(None, x)
    np.testing.assert_array_equal(reconstructed, y / np.float32(255))
    options = dict(gaussian_weights=True, use_sample_covariance=False, channel_axis=-1, full=True)
    inside = [structural_similarity(a, b, **options)[1][5:-5, 5:-5].mean() for a, b in zip(x, y, strict=True)]
    assert values["SSIM"] == pytest.approx(np.mean(inside), abs=1e-6)
    psnr = [peak_signal_noise_ratio(a, b) for a, b in zip(x, y, strict=True)]
    assert values["PSNR, dB"] == pytest.approx(np.mean(psnr), abs=1e-4)
    assert values["L1"] == pytest.approx(np.abs(x / 255 - y / 255).mean(), rel=1e-5)
    assert values["SSIM"] < values["MS-SSIM"] < 1
    iw_ssim = [reference_iw_ssim.iw_ssim(a @ LUMA, b @ LUMA) for a, b in zip(x, y, strict=True)]
    assert values["IW-SSIM"] == pytest.approx(np.mean(iw_ssim), abs=1e-5)
    ssimulacra2 = [reference_ssimulacra2.ssimulacra2(a / 255, b / 255) for a, b in zip(x, y, strict=True)]
    assert values["SSIMULACRA 2"] == pytest.approx(np.mean(ssimulacra2), abs=1e-2)


def test_tables_show_mean_spread_and_the_best_loss(tmp_path):
    def values(ssim, l1):
        return dict.fromkeys(measures.MEASURES, 0.0) | {"SSIM": ssim, "SSIMULACRA 2": -100 * l1, "L1": l1}

    results = [
        Result("mse", 3, 0, values(0.6, 0.02)),
        Result("ssim", 3, 0, values(0.8, 0.04)),
        Result("mse", 3, 1, values(0.7, 0.03)),
        Result("ssim", 3, 1, values(0.8, 0.05)),
        Result("mse", 12, 0, values(0.9, 0.01)),
    ]
    mse, ssim = loss_tables.rows(results, 3)
    assert mse[:2] == ["mse", "0.6500 ± 0.0707"]
    assert mse[-1] == "**0.0250** ± 0.0071"
    assert mse[5] == "**-2.50** ± 0.71"
    assert ssim[:2] == ["ssim", "**0.8000** ± 0.0000"]
    (only,) = loss_tables.rows(results, 12)
    assert only[:2] == ["mse", "**0.9000**"]
    assert len(list(loss_tables.tables(results))) == 2
    loss_tables.write(results, "100 steps", tmp_path)
    assert "| ssim | **0.8000** ± 0.0000 |" in (tmp_path / "losses.md").read_text()
    with (tmp_path / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["loss"], row["bottleneck"], row["seed"], row["SSIM"]) for row in rows][2] == ("mse", "3", "1", "0.7")


def compare(*arguments):
    """Runs the program in its own process, without jaxssim installed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    command = [sys.executable, "-m", "examples.autoencoder.compare_losses", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)


@pytest.mark.slow
def test_the_program_trains_scores_and_draws_each_loss(tmp_path):
    options = (
        "--steps",
        4,
        "--batch-size",
        8,
        "--width",
        16,
        "--seeds",
        2,
        "--bottlenecks",
        3,
        "--losses",
        "ssim",
    )
    done = compare("--runs", tmp_path, *options)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "losses"
    with (folder / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    runs = [(row["loss"], row["seed"]) for row in rows]
    assert runs == [(loss, seed) for seed in "01" for loss in ("PCA", "ssim")]
    assert (folder / "losses.png").exists()
    assert "3 values a block of 192" in done.stdout
    again = compare("--runs", tmp_path, *options)
    assert again.returncode == 0, again.stderr
    with (folder / "losses.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == rows  # of finished runs, which are not trained again


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seeds": 0}, "--seeds is 0; pass at least one of the seeds"),
        ({"losses": ()}, "pass at least one of the losses"),
        ({"bottlenecks": (6, 0)}, "bottleneck must be positive, got 0"),
    ],
)
def test_a_study_of_nothing_is_refused(options, words):
    with pytest.raises(SystemExit, match=words):
        Study(**options)


def test_another_study_does_not_replace_the_tables(tmp_path):
    check_same_study(Study(runs=tmp_path))
    check_same_study(Study(runs=tmp_path))
    with pytest.raises(SystemExit, match="losses holds a study with other options; pass another --name"):
        check_same_study(Study(runs=tmp_path, seeds=1))


@pytest.mark.slow
def test_images_that_are_too_small_to_measure_are_refused(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((9, 64, 64, 3), np.uint8))
    done = compare("--runs", tmp_path, "--data", tmp_path / "images.npy")
    assert done.returncode == 1
    assert "images.npy has no test image of at least 192x192 pixels; pass larger images" in done.stderr
