"""The autoencoder: its photographs, its network, its losses and schedules, and the programs that train it."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

for name in ("flax", "grain", "matplotlib", "optax", "orbax.checkpoint", "rich", "skimage", "tensorboardX", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

import jax
from flax import nnx
from marks import slow, slow_except
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
from examples.autoencoder import images, input_pipeline, steps
from examples.autoencoder.__main__ import parse
from examples.autoencoder.block_dct import block_dct, dct_basis, inverse_block_dct
from examples.autoencoder.config import PRESETS, Config
from examples.autoencoder.losses import loss_of
from examples.autoencoder.model import Autoencoder
from examples.autoencoder.train import train
from examples.saving import load_parameters

SMALL = Config(steps=20, evaluate_every=10, batch_size=8, width=16, patch=32)


def run(module, *arguments):
    """Runs a program in its own process, without jaxssim installed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=900)


def quick(runs, *arguments):
    return ("--runs", runs, "--steps", 6, "--evaluate-every", 3, "--width", 16, "--batch-size", 8, *arguments)


def smooth(height, width, seed=0):
    """Returns an image (height, width, 3) with a pattern to learn."""
    waves = np.random.default_rng(seed).uniform(0.05, 0.3, (2, 3))
    rows, columns = np.mgrid[:height, :width, :1][:2]
    return (127 * (1 + np.sin(rows * waves[0]) * np.cos(columns * waves[1]))).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A nested folder of images of mixed sizes and formats, with two broken files and one of another suffix."""
    folder = tmp_path / "pictures"
    (folder / "deeper" / "still").mkdir(parents=True)
    Image.fromarray(smooth(80, 100)).save(folder / "rgb.png")
    Image.fromarray(smooth(70, 64, 1)).save(folder / "deeper" / "photo.JPG", format="JPEG")
    Image.fromarray(smooth(64, 90, 2)[..., 0]).save(folder / "deeper" / "grey.webp")
    Image.fromarray(smooth(90, 64, 3)).convert("RGBA").save(folder / "deeper" / "still" / "alpha.tiff")
    Image.fromarray(smooth(20, 30, 4)).save(folder / "small.png")
    (folder / "broken.png").write_bytes((folder / "rgb.png").read_bytes()[:200])
    (folder / "text.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("ignored")
    return folder


def test_a_folder_of_mixed_images_is_read(folder):
    config = Config(data=folder)
    loaded = images.load_images(config)
    assert (len(loaded.training), len(loaded.test)) == (4, 1)
    assert [unreadable.path.name for unreadable in loaded.report.unreadable] == ["broken.png", "text.jpg"]
    for image in loaded.training + loaded.test:
        assert image.dtype == np.uint8
        assert min(image.shape[:2]) >= config.patch
        assert image.shape[2] == 3
    sizes = {image.shape[:2] for image in loaded.training + loaded.test}
    assert sizes == {(80, 100), (70, 64), (64, 90), (90, 64), (64, 96)}


@pytest.mark.parametrize("files", [0, 1])
def test_a_folder_of_fewer_than_two_images_is_refused(tmp_path, files):
    for i in range(files):
        Image.fromarray(smooth(64, 64)).save(tmp_path / f"{i}.png")
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.raises(SystemExit, match=f"{files} readable and 1 unreadable images; pass a folder with at least 2"):
        images.load_images(Config(data=tmp_path))


def test_transparency_16_bit_values_and_orientation_are_handled(tmp_path):
    clear = np.zeros((64, 64, 4), np.uint8)
    clear[:, 32:] = (200, 100, 50, 255)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    image, notes = images.read_image(tmp_path / "clear.png", 64, None)
    assert "laid over white" in notes[0]
    assert (image[:, :32] == 255).all()
    assert (image[:, 32:] == (200, 100, 50)).all()
    deep = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(images.read_image(tmp_path / "deep.png", 64, None)[0][..., 0], np.rint(deep / 257))
    turned = Image.fromarray(smooth(64, 80))
    exif = turned.getexif()
    exif[0x0112] = 6  # rotated by a quarter turn
    turned.save(tmp_path / "turned.png", exif=exif)
    assert images.read_image(tmp_path / "turned.png", 64, None)[0].shape == (80, 64, 3)


def test_images_without_a_certain_white_are_refused_unless_it_is_given(tmp_path):
    for name in "ab":
        Image.fromarray(smooth(64, 64)).save(tmp_path / f"{name}.png")
    floats = np.linspace(0, 200, 64 * 64, dtype=np.float32).reshape(64, 64)
    Image.fromarray(floats).save(tmp_path / "float.tiff")
    loaded = images.load_images(Config(data=tmp_path))
    assert [unreadable.path.name for unreadable in loaded.report.unreadable] == ["float.tiff"]
    loaded = images.load_images(Config(data=tmp_path, data_range=255))
    assert not loaded.report.unreadable
    assert any(np.array_equal(image[..., 0], np.rint(floats)) for image in loaded.training + loaded.test)
    with pytest.raises(SystemExit, match="is not a folder"):
        images.load_images(Config(data=tmp_path / "nowhere"))


def test_the_default_photographs_are_split_into_training_and_test_images():
    loaded = images.load_images(Config())
    assert not set(images.TRAINING_PHOTOGRAPHS) & set(images.TEST_PHOTOGRAPHS)
    assert (len(loaded.training), len(loaded.test)) == (13, 4)
    tiles = input_pipeline.test_patches(loaded.test, 64)
    assert tiles.shape == (64 + 28 + 54 + 60, 64, 64, 3)
    np.testing.assert_array_equal(tiles[1], loaded.test[0][:64, 64:128])
    many = input_pipeline.test_patches(loaded.test, 16)
    assert input_pipeline.MAX_TEST_PATCHES / 2 < len(many) <= input_pipeline.MAX_TEST_PATCHES


def test_the_seed_determines_the_training_batches():
    training = images.load_images(Config()).training
    streams = [input_pipeline.training_batches(training, Config(seed=seed, batch_size=16)) for seed in (0, 0, 1)]
    batches = [np.stack([next(stream) for _ in range(3)]) for stream in streams]
    assert batches[0].shape == (3, 16, 64, 64, 3)
    assert batches[0].dtype == np.uint8
    np.testing.assert_array_equal(batches[0], batches[1])
    assert (batches[0] != batches[2]).any()
    assert len(np.unique(batches[0].reshape(48, -1), axis=0)) == 48


def test_the_block_dct_is_an_invertible_orthonormal_transform():
    images = np.random.default_rng(0).random((2, 24, 16, 3), np.float32)
    basis, scale = dct_basis(8)
    np.testing.assert_allclose(np.float64(basis).T @ basis, np.eye(192), atol=1e-6)
    coefficients = block_dct(images, 8)
    assert coefficients.shape == (2, 3, 2, 192)
    np.testing.assert_allclose(inverse_block_dct(coefficients, 8), images, atol=1e-5)
    # The first coefficient is proportional to the mean lightness of the block.
    lightness = images[0, 8:16, :8].mean() * 8 * np.sqrt(3)
    np.testing.assert_allclose(coefficients[0, 1, 0, 0], lightness * scale[0], rtol=1e-5)


@slow
def test_the_bottleneck_has_one_value_for_every_32_of_a_patch():
    config = Config()
    model = Autoencoder(config, nnx.Rngs(0))
    patches, other = np.zeros((1, config.patch, config.patch, 3), np.float32), np.zeros((2, 40, 56, 3), np.float32)
    code = jax.eval_shape(model.encode, patches)
    assert code.shape == (1, 8, 8, 6)
    assert code.size * 32 == patches.size
    assert jax.eval_shape(model, patches).shape == patches.shape
    assert jax.eval_shape(model, other).shape == other.shape


def test_a_network_of_no_width_is_linear():
    model = Autoencoder(dataclasses.replace(SMALL, width=0), nnx.Rngs(0))
    x, y = np.random.default_rng(0).random((2, 1, 32, 32, 3), np.float32)
    np.testing.assert_allclose(model((x + y) / 2), (model(x) + model(y)) / 2, atol=1e-5)


def test_the_untrained_network_keeps_the_first_coefficients_of_each_block():
    config = dataclasses.replace(SMALL, bottleneck=5)
    x = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    kept = block_dct(x - 0.5, 8) * (np.arange(192) < 5)
    np.testing.assert_allclose(Autoencoder(config, nnx.Rngs(0))(x), inverse_block_dct(kept, 8) + 0.5, atol=1e-5)


@pytest.mark.parametrize("loss", slow_except(["ssim"], ["ssim", "dssim-l1", "l1", "mse"]))
def test_twenty_steps_lower_the_loss(loss):
    config = dataclasses.replace(SMALL, loss=loss)
    loaded = images.load_images(config)
    model, optimizer, _ = steps.initial_state(dataclasses.replace(config, schedule="constant"))
    batch = next(input_pipeline.training_batches(loaded.training, config))
    function = loss_of(config)
    values = [float(steps.train_step(model, optimizer, batch, function, np.nan)) for _ in range(20)]
    assert values[-1] < 0.8 * values[0]


@slow
def test_evaluation_does_not_depend_on_the_batch_size(tmp_path):
    config = dataclasses.replace(SMALL, runs=tmp_path)
    patches = input_pipeline.test_patches(images.load_images(config).test, config.patch)[:19]
    model = Autoencoder(config, nnx.Rngs(0))
    patches[0] = 0
    scores = [steps.evaluate(model, patches, batch_size, loss_of(config)) for batch_size in (8, 19)]
    for name in ("ssim", "psnr", "mse"):
        assert np.isfinite(scores[0][name])
        np.testing.assert_allclose(scores[0][name], scores[1][name], rtol=1e-4)


@pytest.mark.slow
def test_runs_of_one_seed_are_identical_and_their_parameters_load(tmp_path):
    console = Console(quiet=True)
    runs = [train(dataclasses.replace(SMALL, steps=6, runs=tmp_path / name), console) for name in "ab"]
    assert runs[0].history == runs[1].history
    folder = tmp_path / "a" / SMALL.name
    model = Autoencoder(SMALL, nnx.Rngs(1))
    load_parameters(model, folder)
    scores = steps.evaluate(model, runs[0].patches, SMALL.batch_size, loss_of(SMALL))
    for name, value in scores.items():
        np.testing.assert_allclose(value, runs[0].history[-1][name], rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"patch": 60}, "patch must be a multiple"),
        ({"patch": 8}, "11 pixels"),
        ({"steps": 0}, "steps must be positive"),
        ({"width": -1}, "width must be at least 0, got -1"),
        ({"bottleneck": 193}, "at most the 192 values of a block, got 193; pass 6"),
    ],
)
def test_invalid_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Config(**options)


@pytest.mark.slow
def test_the_program_writes_every_file(tmp_path):
    done = run("examples.autoencoder", *quick(tmp_path))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "photographs"
    config = json.loads((folder / "config.json").read_text())
    assert (config["steps"], config["loss"], config["data"]) == (6, "dssim-l1", None)
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 3, 6]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) == {"test_ssim", "test_psnr", "test_mse", "images_per_second"}
    assert metrics["test_ssim"] == records[-1]["ssim"]
    assert all(np.isfinite(list(metrics.values())))
    assert any((folder / "parameters").iterdir())
    for name in ("curves.png", "reconstructions.png"):
        with Image.open(folder / name) as picture:
            picture.load()
            assert min(picture.size) > 300
        assert f"{folder / name}" in done.stdout
    assert f"{metrics['test_ssim']:.4f}" in done.stdout
    assert "PCA, 6 values a block" in done.stdout.splitlines()[-2]


@pytest.mark.slow
def test_the_program_lists_broken_files_and_trains_on_the_others(tmp_path, folder):
    options = ("--data", folder, "--name", "mine", "--loss", "dssim-l1", "--schedule", "step")
    done = run("examples.autoencoder", *quick(tmp_path), *options)
    assert done.returncode == 0, done.stderr
    text = done.stdout.replace("\n", "")
    assert "2 unreadable" in text
    assert "broken.png" in text
    assert "text.jpg" in text
    assert (tmp_path / "mine" / "reconstructions.png").exists()


@pytest.mark.slow
def test_an_empty_folder_is_an_error_without_a_traceback(tmp_path):
    done = run("examples.autoencoder", "--data", tmp_path, "--runs", tmp_path / "runs")
    assert done.returncode == 1
    assert "holds 0 readable and 0 unreadable images" in done.stderr
    assert "Traceback" not in done.stderr


def test_options_change_the_preset(capsys):
    assert parse([]) == Config()
    assert parse(["--preset", "long", "--steps", "7"]) == dataclasses.replace(PRESETS["long"], steps=7)
    with pytest.raises(SystemExit):
        parse(["--preset", "short"])
    assert "--preset: invalid choice: 'short'" in capsys.readouterr().err


@pytest.mark.slow
def test_the_help_lists_the_options():
    done = run("examples.autoencoder", "--help")
    assert done.returncode == 0
    options = ("--data", "--loss", "--preset {default,long}", "--schedule", "--learning-rate", "--seed")
    for words in (*options, "The training loss"):
        assert words in done.stdout
