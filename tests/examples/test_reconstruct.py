"""Reconstructing whole images: tiles blended without seams, scores, pictures, and the exported network."""

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

for name in ("flatbuffers", "flax", "grain", "matplotlib", "optax", "orbax.checkpoint", "rich", "skimage", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")
metrics = pytest.importorskip("skimage.metrics")

import jax
import matplotlib
from flax import nnx
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
from examples.autoencoder import reconstruct, steps
from examples.autoencoder.checkpoints import Checkpoints, array_bytes
from examples.autoencoder.config import Config
from examples.autoencoder.input_pipeline import training_batches
from examples.autoencoder.runs import load_run
from examples.autoencoder.train import train

PATCH = 32

LOAD = """
import sys
import jax, jax.export
import numpy as np
path, patches, output = sys.argv[1:]
model = jax.export.deserialize(bytearray(open(path, "rb").read()))
patches = np.load(patches)
np.savez(output, three=model.call(patches), one=model.call(patches[1:2]))
assert not {"flax", "examples", "jaxssim"} & set(sys.modules)
assert set(model.platforms) == {"cpu", "cuda", "tpu"}
"""


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The config and the result of a run of two steps on random images."""
    folder = tmp_path_factory.mktemp("run")
    np.save(folder / "images.npy", noise(10, 40, PATCH, 3))
    options = dict(steps=2, evaluate_every=2, batch_size=8, width=16, patch=PATCH, augment="flips")
    config = Config(data=folder / "images.npy", runs=folder, **options)
    return config, train(config, Console(quiet=True))


def run(*arguments):
    """Runs the program in its own process, without jaxssim installed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    command = [sys.executable, "-m", "examples.autoencoder.reconstruct", *arguments]
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=900)


@pytest.mark.parametrize("tile", [8, 9, 16])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 7), (8, 8), (8, 9), (16, 15), (33, 50)])
def test_the_identity_network_returns_the_image(size, tile):
    image = np.random.default_rng(0).random((*size, 3), np.float32)
    blended = reconstruct.reconstruct_image(lambda tiles: tiles, image, tile)
    assert blended.shape == image.shape
    np.testing.assert_allclose(blended, image, atol=1e-6)
    np.testing.assert_allclose(
        reconstruct.reconstruct_image(lambda tiles: 0 * tiles + 0.3, image, tile), 0.3, atol=1e-6
    )


def test_tiles_are_weighted_by_squared_sines():
    """A network that fills each tile with its number must give a squared-sine ramp from one number to the next."""
    numbers = iter(range(1000))

    def network(tiles):
        return np.stack([np.full_like(tile, next(numbers)) for tile in tiles])

    blended = reconstruct.reconstruct_image(network, np.zeros((8, 16, 1), np.float32), 8)
    across = np.sin(np.pi * (np.arange(4) + 0.5) / 8) ** 2  # from a tile's edge to its centre
    first = blended[0, :, 0] - blended[0, 0, 0]
    np.testing.assert_allclose(first, np.concatenate([i + across for i in range(4)]) - across[0], atol=1e-5)


def test_errors_at_the_edges_of_tiles_are_suppressed():
    """An error of 1 along the edges of each tile, where convolutions are worst, must fall below 0.02."""
    error = np.zeros((16, 16, 1), np.float32)
    error[[0, -1]] = error[:, [0, -1]] = 1
    blended = reconstruct.reconstruct_image(lambda tiles: tiles + error, np.zeros((50, 60, 3), np.float32), 16)
    assert 0 < blended.max() < 0.02


def test_a_loaded_run_equals_the_trained_one(trained):
    config, left = trained
    loaded, model = load_run(config.folder)
    assert loaded == config
    patches = left.patches[:4].astype(np.float32) / 255
    np.testing.assert_array_equal(model(patches), left.model(patches))
    assert Config.from_json(Config().to_json()) == Config()


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"holds no config\.json; pass a run's folder"):
        load_run(tmp_path)


def test_output_names_are_unique():
    paths = list(map(Path, ("a/x.png", "b/x.png", "b/X.jpg", "2-x.png", "y.png")))
    named = [name.casefold() for name in reconstruct.unique_names(paths)]
    assert len(set(named)) == len(paths)
    assert reconstruct.unique_names([Path("a/x.png"), Path("b/y.png")]) == ["x", "y"]


@pytest.mark.slow
def test_the_program_reconstructs_scores_and_exports(tmp_path, trained):
    config, left = trained
    network = jax.jit(lambda patches: left.model(patches))
    sizes = {"a/photo.png": (50, 71), "b/photo.png": (PATCH, PATCH), "b/small.png": (7, 90)}
    for i, (name, size) in enumerate(sizes.items()):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture = Image.fromarray(noise(4, 4, 3, seed=i)).resize(size[::-1], Image.Resampling.BICUBIC)
        picture.save(tmp_path / name)
    (tmp_path / "b" / "text [b].png").write_text("words")
    output = tmp_path / "output"
    done = run(config.folder, tmp_path / "a" / "photo.png", tmp_path / "b", "--export", "--output", output)
    assert done.returncode == 0, done.stderr
    assert "1 unreadable" in done.stdout
    assert "text [b].png (not an image)" in done.stdout
    with (output / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "file",
        "name",
        "height",
        "width",
        "ssim",
        "psnr",
        "mse",
        "pca_ssim",
        "pca_psnr",
        "pca_mse",
        "notes",
    ]
    assert [row["file"] for row in rows] == [str(tmp_path / name) for name in sizes]
    for row, size in zip(rows, sizes.values(), strict=True):
        original, reconstructed = (
            np.asarray(Image.open(path)) for path in (row["file"], output / "images" / f"{row['name']}.png")
        )
        assert (int(row["height"]), int(row["width"])) == original.shape[:2] == reconstructed.shape[:2] == size
        blended = reconstruct.reconstruct_image(network, original.astype(np.float32) / 255, PATCH)
        np.testing.assert_allclose(reconstructed, 255 * blended.clip(0, 1), atol=0.51)
        assert float(row["psnr"]) == pytest.approx(metrics.peak_signal_noise_ratio(original, reconstructed), rel=1e-5)
        error = metrics.mean_squared_error(original / 255, reconstructed / 255)
        assert float(row["mse"]) == pytest.approx(error, rel=1e-5)
        ssim_map = output / "ssim_maps" / f"{row['name']}.png"
        if min(size) < 11:
            assert row["ssim"] == "nan"
            assert row["notes"] == "no SSIM: smaller than its window of 11x11 pixels"
            assert not ssim_map.exists()
            continue
        options = dict(gaussian_weights=True, use_sample_covariance=False, channel_axis=-1, data_range=255, full=True)
        _, full = metrics.structural_similarity(original, reconstructed, **options)
        inside = full[5:-5, 5:-5]
        assert float(row["ssim"]) == pytest.approx(inside.mean(), abs=1e-5)
        colours = matplotlib.colormaps["magma"](inside.mean(-1).clip(0, 1), bytes=True)
        drawn = np.asarray(Image.open(ssim_map).convert("RGBA")).astype(int)
        assert drawn.shape == colours.shape
        assert abs(drawn - colours).max() <= 6  # at most a neighbouring colour of the 256

    patches = left.patches[:3].astype(np.float32) / 255
    np.save(tmp_path / "patches.npy", patches)
    exported = config.folder / "model.stablehlo"
    assert f"{exported}" in done.stdout
    command = [sys.executable, "-I", "-c", LOAD, exported, tmp_path / "patches.npy", tmp_path / "outputs.npz"]
    loaded = subprocess.run(list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert loaded.returncode == 0, loaded.stderr
    truth = network(patches)
    with np.load(tmp_path / "outputs.npz") as outputs:
        np.testing.assert_allclose(outputs["three"], truth, atol=1e-5)
        np.testing.assert_allclose(outputs["one"], truth[1:2], atol=1e-5)


def test_every_picture_has_scores_or_a_reason(tmp_path):
    """A network that returns its tiles reconstructs each file up to rounding to 8 bits, whatever its depth and name."""
    deep = np.random.default_rng(0).integers(0, 65536, (12, 20)).astype(np.uint16)
    names = {"deep.png": deep, "one\npixel.png": noise(1, 1), os.fsdecode(b"\xe9 [bold].png"): noise(3, 40, 3)}
    for name, pixels in names.items():
        Image.fromarray(pixels).save(tmp_path / name)
    paths = [tmp_path / name for name in names]
    report = reconstruct.Report()
    networks = reconstruct.Networks(lambda tiles: tiles, np.zeros_like, 8)
    scores = reconstruct.reconstruct_files(networks, [*paths, tmp_path / "none.png"], tmp_path / "out", report)
    assert scores.shape == (3, 6)
    (network, pca) = reconstruct.mean_lines(scores)  # only the first image is large enough for SSIM
    assert network.startswith("network: SSIM 1.0000, PSNR 5")
    assert pca.startswith("PCA: SSIM 0.")
    assert pca.endswith(f"MSE {np.mean((deep / 65535) ** 2):.6f}, mean of 1 images")
    assert [error.reason for error in report.unreadable] == ["No such file or directory"]
    with (tmp_path / "out" / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in rows] == ["deep.png", r"one\npixel.png", r"\xe9 [bold].png"]
    for row, path in zip(rows, paths, strict=True):
        assert (row["ssim"] == "nan") == ("no SSIM: smaller than its window of 11x11 pixels" in row["notes"])
        assert (tmp_path / "out" / "images" / path.name).exists()
        assert (tmp_path / "out" / "comparisons" / path.name).exists()
    error = np.mean((deep / 65535 - np.rint(deep / 257) / 255) ** 2)
    assert float(rows[0]["mse"]) == pytest.approx(error, rel=1e-3)


def test_a_command_without_images_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="there are no images to reconstruct; pass"):
        reconstruct.main(reconstruct.Options(run=tmp_path, images=(tmp_path,)))


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """The folder of a run that keeps the checkpoints of steps 1, 2 and 3, the best of which is that of step 2."""
    config = Config(runs=tmp_path_factory.mktemp("unfinished"), steps=9, width=16, patch=16)
    config.folder.mkdir(parents=True)
    history, checkpoints = [], Checkpoints(config, Console(quiet=True))
    for step, ssim in ((1, 0.5), (2, 0.9), (3, 0.7)):
        state = steps.initial_state(replace(config, seed=step))
        history.append({"step": step, "ssim": ssim})
        batches = training_batches([np.zeros((16, 16, 3), np.uint8)], config)
        checkpoints.save(state, batches, history)
    checkpoints.close()
    (config.folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in history))
    (config.folder / "config.json").write_text(config.to_json())
    (config.folder / "checkpoints" / "4.orbax-checkpoint-tmp").mkdir()  # one that the run is writing
    return config.folder


@pytest.mark.parametrize(("checkpoint", "seed"), [(None, 3), ("latest", 3), ("best", 2), (1, 1)])
def test_any_kept_checkpoint_of_an_unfinished_run_is_loaded(unfinished, checkpoint, seed):
    config, model = load_run(unfinished, checkpoint)
    expected = steps.initial_state(replace(config, seed=seed)).model
    assert list(array_bytes(nnx.state(model))) == list(array_bytes(nnx.state(expected)))
    assert (unfinished / "checkpoints" / "4.orbax-checkpoint-tmp").is_dir()


def test_the_program_exports_a_checkpoint(unfinished, capsys):
    reconstruct.main(reconstruct.Options(unfinished, export=True, checkpoint="best"))
    assert capsys.readouterr().out == f"network of step 2 of 9\n{unfinished}/model.stablehlo\n"


def test_a_checkpoint_that_is_not_kept_is_refused_with_those_that_are(unfinished, tmp_path):
    with pytest.raises(SystemExit, match=r"--checkpoint 7 is not kept; pass --checkpoint latest, best, .*: 1, 2, 3$"):
        load_run(unfinished, 7)
    copy = shutil.copytree(unfinished, tmp_path / "damaged")
    max((copy / "checkpoints" / "3").rglob("*"), key=lambda path: path.stat().st_size).write_bytes(b"")
    with pytest.raises(SystemExit, match=r"the checkpoint of step 3 cannot be read \(.*\); pass --checkpoint latest, "):
        load_run(copy)
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(SystemExit, match="holds no checkpoint; the first one follows the first evaluation"):
        load_run(copy, "latest")
