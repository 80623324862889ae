"""Defect segmentation: exact masks, parts never trained on, the paper's network, maps and scores, and the programs."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

for name in ("flax", "grain", "matplotlib", "optax", "orbax.checkpoint", "rich", "skimage", "sklearn", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

import jax
import jax.numpy as jnp
from flax import nnx
from rich.progress import Progress
from skimage import data as textures

ROOT = Path(__file__).resolve().parents[2]
import jaxssim
from examples.defect_segmentation import data as pictures
from examples.defect_segmentation import detect as program
from examples.defect_segmentation import maps, painting, report, training
from examples.defect_segmentation import model as models
from examples.defect_segmentation.config import Config


def run(module, *arguments):
    """A program as a user runs it, in a process of its own, uninstalled."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=900)


def wave(height=128, width=128, seed=0):
    """A grey picture with something to learn in it."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = np.sin(rows * rng.uniform(0.2, 0.6)) * np.cos(columns * rng.uniform(0.2, 0.6))
    return (127 * (1 + 0.8 * waves) + rng.uniform(-5, 5, waves.shape)).astype(np.uint8)


def write(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


@pytest.fixture
def mvtec(tmp_path):
    """A category in MVTec AD's layout: two defects, one of them with pictures of another size, and good ones."""
    folder = tmp_path / "tile"
    for i in range(5):
        write(folder / "train" / "good" / f"{i:03}.png", wave(130, 140, i))
    truth = {}
    for i, (defect, shape) in enumerate([("crack", (130, 140)), ("crack", (130, 140)), ("oil", (150, 128))]):
        mask = np.zeros(shape, np.uint8)
        mask[20 + i : 40, 30:60] = 255
        write(folder / "test" / defect / f"{i:03}.png", np.where(mask > 0, 255, wave(*shape, 10 + i)).astype(np.uint8))
        write(folder / "ground_truth" / defect / f"{i:03}_mask.png", mask)
        truth[defect, shape, i] = mask > 0
    write(folder / "test" / "good" / "000.png", wave(130, 140, 20))
    return folder


# Painted defects.


@pytest.mark.parametrize("defect", painting.DEFECTS)
@pytest.mark.parametrize("name", pictures.TEXTURES)
def test_masks_are_exact(name, defect):
    texture, inside = getattr(textures, name)(), []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        picture = pictures.crop(texture, 160, rng)
        before = picture.copy()
        painted, mask = painting.paint(defect, picture, textures.gravel(), rng)
        np.testing.assert_array_equal(picture, before)
        assert painted.dtype == np.uint8
        assert mask.dtype == bool
        assert mask.shape == painted.shape == picture.shape
        differs = painted != picture
        assert not differs[~mask].any()
        inside.append(differs[mask])
        assert 0.001 < mask.mean() < 0.1
    assert np.concatenate(inside).mean() > (0.6 if (name, defect) == ("brick", "blur") else 0.9)  # brick is flat


@pytest.mark.parametrize("defect", ["stain", "patch"])
def test_defects_of_equal_brightness(defect):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        picture = pictures.crop(textures.grass(), 160, rng)
        painted, mask = painting.paint(defect, picture, textures.brick(), rng)
        tolerance = 0.5 if defect == "stain" else 3  # a patch's darkest and brightest pixels are clipped
        assert abs(painted[mask].mean() - picture[mask].mean()) < tolerance
        if defect == "stain":
            np.testing.assert_allclose(painted[mask].std(), 0.3 * picture[mask].std(), atol=0.5)


def test_holes_are_dark_and_blur_smooths():
    picture = pictures.crop(textures.gravel(), 160, np.random.default_rng(0))
    hole, mask = painting.paint("hole", picture, picture, np.random.default_rng(1))
    assert (hole[mask] <= 0.15 * picture[mask] + 0.5).all()
    blurred, mask = painting.paint("blur", picture, picture, np.random.default_rng(1))
    assert blurred[mask].std() < 0.7 * picture[mask].std()


def test_another_texture_wraps_around():
    small = np.arange(12, dtype=np.uint8).reshape(3, 4)
    seen = painting.anywhere(small, (7, 9), np.random.default_rng(0))
    assert seen.shape == (7, 9)
    np.testing.assert_array_equal(seen[3:], seen[:4])
    np.testing.assert_array_equal(seen[:, 4:], seen[:, :5])
    assert set(seen.ravel()) == set(range(12))


# Data.


@pytest.mark.parametrize("name", pictures.TEXTURES)
def test_tests_come_from_parts_never_trained_on(name, monkeypatch):
    """Of a picture whose pixels are their own columns and rows, no number is in two parts."""
    rows, columns = np.mgrid[:512, :512]
    numbered = rows * 512 + columns
    monkeypatch.setattr(pictures.data, name, lambda: numbered)
    monkeypatch.setattr(pictures, "paint", lambda defect, picture, other, rng: (picture, np.zeros(picture.shape, bool)))
    parts = pictures.texture(name, Config(painted=30))
    trained, good, tested = (
        set(np.concatenate([picture.ravel() for picture in part]).tolist())
        for part in (parts.training, parts.good, [test.picture for test in parts.tests])
    )
    assert len(trained) == 320 * 512
    assert trained.isdisjoint(good)
    assert trained.isdisjoint(tested)
    assert good.isdisjoint(tested)
    assert [test.defect for test in parts.tests[::30]] == list(painting.DEFECTS)


def test_the_default_is_three_textures_and_follows_the_seed():
    default = pictures.materials(Config(painted=2))
    assert [material.name for material in default] == ["brick", "grass", "gravel"]
    again, other = (pictures.materials(Config(painted=2, seed=seed))[1] for seed in (0, 1))
    for test, same in zip(default[1].tests, again.tests, strict=True):
        np.testing.assert_array_equal(test.picture, same.picture)
    assert any((test.picture != moved.picture).any() for test, moved in zip(again.tests, other.tests, strict=True))


def test_the_layout_of_mvtec(mvtec):
    (tile,) = pictures.materials(Config(data=mvtec))
    assert (tile.name, len(tile.training), len(tile.good), tile.skipped) == ("tile", 4, 1, [])
    read = np.stack(sorted([*tile.training, *tile.good], key=lambda picture: picture.tobytes()))
    np.testing.assert_array_equal(
        read, np.stack(sorted((wave(130, 140, i) for i in range(5)), key=lambda picture: picture.tobytes()))
    )
    assert [test.defect for test in tile.tests] == ["crack", "crack", "good", "oil"]
    for test, i in zip(tile.tests, (0, 1, None, 2), strict=True):
        expected = np.zeros(test.picture.shape, bool)
        if i is not None:
            expected[20 + i : 40, 30:60] = True
        np.testing.assert_array_equal(test.mask, expected)
        assert (test.picture[expected] == 255).all()
    assert report.defects(tile.tests) == ["crack", "oil", "all"]
    assert [material.name for material in pictures.materials(Config(data=mvtec.parent))] == ["tile"]
    (larger,) = pictures.materials(Config(data=mvtec, resize=260))
    assert larger.tests[0].picture.shape == larger.tests[0].mask.shape == (260, 280)
    np.testing.assert_array_equal(larger.tests[0].mask[::2, ::2], tile.tests[0].mask)


def test_a_missing_mask_is_named(mvtec):
    (mvtec / "ground_truth" / "oil" / "002_mask.png").unlink()
    with pytest.raises(SystemExit, match=r"002_mask.png is missing; add it"):
        pictures.materials(Config(data=mvtec))


def test_good_pictures_alone(tmp_path):
    for i in range(10):
        write(tmp_path / "deeper" / f"{i}.png", wave(128 + i, 140, i))
    write(tmp_path / "small.png", wave(100, 200))
    (tmp_path / "broken.jpg").write_text("no picture")
    (material,) = pictures.materials(Config(data=tmp_path, held_out=0.4, painted=3))
    assert (len(material.training), len(material.good), len(material.tests)) == (6, 2, 15)
    backgrounds = {test.picture.shape for test in material.tests}
    shapes = [{picture.shape for picture in part} for part in (material.training, material.good)]
    assert len(backgrounds) == 2
    assert set.union(backgrounds, *shapes) == {(128 + i, 140) for i in range(10)}
    assert len(material.skipped) == 2
    assert "small.png: 200x100 is less than the network's window of 128x128" in material.skipped[1]
    assert "broken.jpg" in material.skipped[0]
    (enlarged,) = pictures.materials(Config(data=tmp_path, resize=128))
    assert len(enlarged.skipped) == 1
    assert all(min(picture.shape) == 128 for picture in enlarged.training)


def test_16_bits_transparency_and_turned_pictures(tmp_path):
    deep = np.linspace(0, 65535, 128 * 128).reshape(128, 128).astype(np.uint16)
    write(tmp_path / "deep.png", deep)
    np.testing.assert_array_equal(pictures.read(tmp_path / "deep.png"), deep // 257)
    clear = np.zeros((128, 128, 4), np.uint8)
    clear[:, 64:] = (90, 90, 90, 255)
    write(tmp_path / "clear.png", clear)
    seen = np.asarray(pictures.read(tmp_path / "clear.png"))
    assert (seen[:, :64] == 255).all()
    assert (seen[:, 64:] == 90).all()
    turned = Image.fromarray(wave(128, 150))
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by a quarter
    turned.save(tmp_path / "turned.png", exif=exif)
    assert pictures.fit(pictures.read(tmp_path / "turned.png"), None).shape == (150, 128)


@pytest.mark.parametrize(("augment", "kinds"), [("none", 1), ("flip", 4), ("rotate", 8)])
def test_crops_vary_as_they_are_told(augment, kinds):
    picture = wave()
    rng = np.random.default_rng(0)
    assert len({pictures.varied(picture, augment, rng).tobytes() for _ in range(100)}) == kinds


def test_batches_follow_the_seed():
    parts = [wave(200, 300), wave(128, 128, 1)]
    streams = [pictures.training_batches(parts, Config(seed=seed, batch_size=6)) for seed in (0, 0, 1)]
    first, same, other = (next(stream) for stream in streams)
    assert first.shape == (6, 128, 128, 1)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


# The network.


@pytest.fixture(scope="module")
def network():
    return models.Autoencoder(100, nnx.Rngs(0))


def sizes(layers, x):
    """The shapes that layers give, one after the other."""
    shapes = []
    for layer in layers:
        x = jax.eval_shape(layer, x)
        shapes.append(x.shape[1:])
    return shapes


def test_the_network_is_the_papers(network):
    crops = jnp.zeros((2, 128, 128, 1))
    paper = [(64, 32), (32, 32), (32, 32), (16, 64), (16, 64), (8, 128), (8, 64), (8, 32)]
    assert sizes(network.encoder, crops) == [(side, side, channels) for side, channels in paper]
    mirror = [*paper[6::-1], (128, 1)]
    coarsest = jnp.zeros((2, *models.COARSEST))
    assert sizes([*network.decoder, network.paint], coarsest) == [(side, side, channels) for side, channels in mirror]
    assert sizes([network.encode, network.decode], crops) == [(100,), (128, 128, 1)]
    assert jax.eval_shape(lambda: models.Autoencoder(500, nnx.Rngs(0)).encode(crops)).shape == (2, 500)
    np.testing.assert_allclose(models.activate(jnp.asarray([-1.0, 2.0])), [-0.2, 2.0], rtol=1e-6)


def test_the_bottleneck_is_all_that_the_decoder_sees(network):
    one, other = np.random.default_rng(0).random((2, 1, 128, 128, 1), np.float32)
    code, moved = (nnx.jit(models.Autoencoder.encode)(network, crop) for crop in (one, other))
    assert np.abs(code - moved).max() > 1e-3
    decoded = nnx.jit(models.Autoencoder.decode)(network, code)
    np.testing.assert_allclose(nnx.jit(models.Autoencoder.__call__)(network, one), decoded, atol=1e-5)


def test_a_plain_convolution():
    layer = models.Conv(3, 5, 7, 1, nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (2, 9, 6, 5))
    layout = ("NHWC", "HWIO", "NHWC")
    expected = jax.lax.conv_general_dilated(x, layer.kernel[...], (1, 1), "SAME", dimension_numbers=layout)
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_strided_layers_are_4x4_convolutions_and_their_transposes():
    rng = np.random.default_rng(0)
    layout = ("NHWC", "HWIO", "NHWC")
    kernel = rng.standard_normal((4, 4, 3, 5)).astype(np.float32)
    x = rng.standard_normal((2, 12, 16, 3)).astype(np.float32)
    down = models.Down(3, 5, nnx.Rngs(0))
    # The blocks' kernel: row and column of the block, then of the pixel in it.
    blocks = kernel.reshape(2, 2, 2, 2, 3, 5).transpose(0, 2, 1, 3, 4, 5).reshape(2, 2, 12, 5)
    down.blocks.kernel[...] = blocks

    def strided(x):
        return jax.lax.conv_general_dilated(x, kernel, (2, 2), [(1, 1)] * 2, dimension_numbers=layout)

    np.testing.assert_allclose(down(x), strided(x), atol=1e-4)

    up = models.Up(5, 3, nnx.Rngs(0))
    y = rng.standard_normal((2, 6, 8, 5)).astype(np.float32)
    (expected,) = jax.linear_transpose(strided, x)(y)
    # The transpose of the blocks' convolution: its kernel turned by half, inputs and outputs exchanged.
    up.blocks.kernel[...] = blocks[::-1, ::-1].swapaxes(2, 3)
    np.testing.assert_allclose(up(y), expected, atol=1e-4)


# Maps, thresholds, scores.


class Shift(nnx.Module):
    """Stands for a network whose reconstruction depends on where a pixel lies in the window."""

    def __call__(self, x):
        return 0.5 * x + jnp.linspace(0, 0.5, 128)[:, None, None] * jnp.linspace(0, 1, 128)[:, None]


@pytest.mark.parametrize("loss", ["l2", "ssim"])
def test_sliding_windows_average_as_a_plain_loop(loss):
    picture, stride, model = wave(170, 143), 16, Shift()
    seen = maps.slide(model, picture, loss, stride)
    values = [[[] for _ in range(143)] for _ in range(170)]
    for top in (0, 16, 32, 42):
        for left in (0, 15):
            window = picture[top : top + 128, left : left + 128, None] / np.float32(255)
            other = np.asarray(model(window[None]))[0]
            residual = (window - other) ** 2
            if loss == "ssim":
                mirrored = [np.pad(one, ((5, 5), (5, 5), (0, 0)), "reflect") for one in (window, other)]
                residual = 1 - np.asarray(jaxssim.ssim_map(*mirrored, data_range=1.0))
            for i in range(128):
                for j in range(128):
                    values[top + i][left + j].append((other[i, j, 0], residual[i, j, 0]))
    expected = np.asarray([[np.mean(cell, axis=0) for cell in row] for row in values])
    np.testing.assert_allclose(seen.reconstruction, expected[..., 0], atol=1e-5)
    np.testing.assert_allclose(seen.residual, expected[..., 1], atol=1e-5)


def test_windows_cover_every_side():
    assert maps.starts(128, 32) == [0]
    assert maps.starts(160, 32) == [0, 32]
    assert maps.starts(161, 32) == [0, 32, 33]
    for side in (129, 200, 383):
        covered = {i for start in maps.starts(side, 30) for i in range(start, start + 128)}
        assert covered == set(range(side))
    with pytest.raises(ValueError, match=r"must hold the window of 128x128 pixels, got \(100, 200\)"):
        maps.slide(Shift(), wave(100, 200), "l2", 32)


@pytest.mark.parametrize("loss", ["l2", "ssim"])
def test_training_minimises_the_mean_of_the_map(loss):
    x, y = np.random.default_rng(0).random((2, 3, 128, 128, 1), np.float32)
    residual = maps.residual_map(x, y, loss)
    assert residual.shape == x.shape
    np.testing.assert_allclose(
        maps.training_loss(x, y, loss), np.mean(np.asarray(residual), dtype=np.float64), rtol=1e-5
    )
    np.testing.assert_allclose(maps.residual_map(x, x, loss), 0, atol=1e-6)


@pytest.mark.parametrize("rate", [0.01, 0.2])
def test_the_threshold_marks_this_share_of_good_pictures(rate):
    rng = np.random.default_rng(0)
    residuals = [rng.exponential(1, (130, 140)), rng.exponential(2, (200, 150))]
    limit = maps.threshold(residuals, rate)
    marked = np.concatenate([(one > limit).ravel() for one in residuals])
    np.testing.assert_allclose(marked.mean(), rate, atol=1 / marked.size)


def scored(residual_of):
    """The scores of a map that `residual_of` makes of a mask."""
    masks = [painting.blob((160, 160), np.random.default_rng(seed)) for seed in range(4)]
    tests = [pictures.Test("hole" if i < 2 else "blur", wave(160, 160), mask) for i, mask in enumerate(masks)]
    tests.append(pictures.Test("good", wave(160, 160), np.zeros((160, 160), bool)))
    seen = [maps.Seen(test.picture, residual_of(test.mask)) for test in tests]
    material = pictures.Material("tile", [], [], tests, [])
    return report.score(material, seen, 0.5, "ssim", 0), np.mean([test.mask for test in tests])


def test_scores_of_a_perfect_and_of_a_random_map():
    perfect, share = scored(lambda mask: mask.astype(np.float32))
    assert [(one.defect, one.roc_auc, one.pr_auc, one.found, one.false) for one in perfect] == [
        (defect, 1, 1, 1, 0) for defect in ("hole", "blur", "all")
    ]
    np.testing.assert_allclose(perfect[-1].share, share)
    rng = np.random.default_rng(0)
    random, _ = scored(lambda mask: rng.random(mask.shape))
    for one in random:
        assert abs(one.roc_auc - 0.5) < 0.04  # four standard deviations of some 800 defective pixels
        assert abs(one.pr_auc - one.share) < 0.01
        assert abs(one.false - 0.5) < 0.01
    wrong, _ = scored(lambda mask: 1.0 - mask)
    assert [one.roc_auc for one in wrong] == [0, 0, 0]


def test_the_table_has_the_mean_and_the_spread_of_the_seeds():
    one = report.Score("tile", "hole", "l2", 0, 0.1, 0.8, 0.5, 0.25, 0.01)
    scores = [one, one._replace(loss="ssim"), one._replace(seed=1, roc_auc=0.9), one._replace(seed=1, loss="ssim")]
    first, second = report.rows(scores)
    assert first[:3] == ["tile", "hole", "AE(L2)"]
    assert first[4] == "0.850 ± 0.071"
    assert second[2:5] == ["AE(SSIM)", "0.100 ± 0.000", "0.800 ± 0.000"]
    assert [row[4] for row in report.rows(scores[:2])] == ["0.800", "0.800"]


# Training.


@pytest.mark.parametrize("loss", ["l2", "ssim"])
def test_training_lowers_the_loss_and_follows_the_seed(loss):
    config = Config(steps=12, batch_size=2, bottleneck=8, learning_rate=1e-3)
    batch = np.stack([wave(seed=seed)[..., None] for seed in (0, 1)])
    model = models.Autoencoder(config.bottleneck, nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, training.adam(config.learning_rate, config.steps), wrt=nnx.Param)
    values = [float(training.train_step(model, optimizer, batch, loss)) for _ in range(12)]
    assert values[-1] < 0.97 * values[0]
    with Progress(disable=True) as bar:
        twins = [training.train([wave(150, 150)], loss, config, "", bar) for _ in range(2)]
    seen = [maps.slide(twin, wave(), loss, 32) for twin in twins]
    np.testing.assert_array_equal(seen[0].residual, seen[1].residual)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps must be positive"),
        ({"stride": 129}, "stride must lie between 1 and"),
        ({"resize": 100}, "resize must leave a window"),
        ({"false_positives": 1}, "false_positives must lie between 0 and 1"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_configs_check_themselves(options, words):
    with pytest.raises(ValueError, match=words):
        Config(**options)


# The programs.


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of main.py on a folder of good pictures, with a file that is none."""
    folder = tmp_path_factory.mktemp("run")
    for i in range(4):
        write(folder / "cloth" / f"{i}.png", wave(140, 150, i))
    (folder / "cloth" / "broken.png").write_text("no picture")
    quick = ("--steps", 2, "--batch-size", 2, "--painted", 1, "--bottleneck", 8, "--false-positives", 0.05)
    return folder, run(
        "examples.defect_segmentation", "--data", folder / "cloth", "--runs", folder / "runs", *quick, "--seeds", 2
    )


def test_the_main_job_leaves_every_file(trained):
    folder, done = trained
    assert done.returncode == 0, done.stderr
    left = folder / "runs" / "defects"
    assert "1 skipped" in done.stdout
    assert "broken.png" in done.stdout
    scores = json.loads((left / "scores.json").read_text())
    found = [(one["defect"], one["loss"], one["seed"]) for one in scores]
    defects = (*painting.DEFECTS, "all")
    assert found == [(defect, loss, seed) for seed in (0, 1) for loss in ("l2", "ssim") for defect in defects]
    assert all(0 <= one[key] <= 1 for one in scores for key in report.NUMBERS)
    table = (left / "results.md").read_text()
    assert table.count("| cloth |") == 12
    assert "2 steps of 2 crops, bottleneck 8, stride 32; seeds 0 to 1" in table
    assert "±" in done.stdout
    for name in ("cloth.png", "roc.png"):
        with Image.open(left / name) as picture:
            picture.load()
            assert min(picture.size) > 300
    for loss in ("l2", "ssim"):
        for seed in (0, 1):
            detector = json.loads((left / f"cloth-{loss}-{seed}" / "detector.json").read_text())
            assert (detector["loss"], detector["bottleneck"]) == (loss, 8)
    config = json.loads((left / "config.json").read_text())
    assert (config["steps"], config["false_positives"]) == (2, 0.05)


def test_a_detector_loads_as_it_was_saved(trained, tmp_path):
    folder, _ = trained
    detector = maps.load(folder / "runs" / "defects" / "cloth-ssim-0")
    (material,) = pictures.materials(Config(data=folder / "cloth"))
    residuals = [detector.see(picture).residual for picture in material.good]
    marked = np.mean(np.concatenate([one.ravel() for one in residuals]) > detector.threshold)
    np.testing.assert_allclose(marked, 0.05, atol=1e-3)  # the rate that it was chosen for, on these pictures
    detector.save(tmp_path)
    again = maps.load(tmp_path)
    np.testing.assert_array_equal(again.see(wave()).residual, detector.see(wave()).residual)
    assert again[1:] == detector[1:]


def test_detect_marks_new_pictures(trained, tmp_path):
    folder, _ = trained
    detector = folder / "runs" / "defects" / "cloth-ssim-0"
    spoiled, _ = painting.paint("hole", wave(150, 133, 7), wave(), np.random.default_rng(0))
    write(tmp_path / "spoiled.png", spoiled)
    write(tmp_path / "colour.jpg", np.stack([wave(128, 160, 8)] * 3, axis=-1))
    write(tmp_path / "small.png", wave(60, 60))
    (tmp_path / "broken.png").write_text("no picture")
    paths = [tmp_path / name for name in ("spoiled.png", "broken.png", "colour.jpg", "small.png", "missing.png")]
    done = run("examples.defect_segmentation.detect", detector, *paths, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    text = done.stdout.replace("\n", "")
    assert "3 of 5 skipped" in text
    for words in ("broken.png", "missing.png", "60x60 is less than the network's window of 128x128"):
        assert words in text
    with (tmp_path / "out" / "defects.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["image"]).name for row in rows] == ["spoiled.png", "colour.jpg"]
    expected = maps.load(detector)
    with Image.open(tmp_path / "out" / "spoiled_mask.png") as drawn:
        marked = np.asarray(drawn) == 255
    np.testing.assert_array_equal(marked, expected.see(spoiled).residual > expected.threshold)
    assert int(rows[0]["defective_pixels"]) == marked.sum()
    assert (int(rows[1]["width"]), int(rows[1]["height"])) == (160, 128)
    with Image.open(tmp_path / "out" / "spoiled_overlay.png") as drawn:
        overlay = np.asarray(drawn)
    np.testing.assert_array_equal(overlay[~marked], np.stack([spoiled] * 3, axis=-1)[~marked])
    assert (overlay[marked][:, 0] >= 127).all()
    assert (overlay[marked][:, 1] <= 127).all()


def test_detect_says_what_is_wrong(trained, tmp_path):
    detector = trained[0] / "runs" / "defects" / "cloth-l2-0"
    (tmp_path / "broken.png").write_text("no picture")

    def detect(run, *images):
        program.main(program.Options(run, images, tmp_path / "out"))

    with pytest.raises(SystemExit, match="none of IMAGES could be used"):
        detect(detector, tmp_path / "broken.png")
    with pytest.raises(SystemExit, match="holds no detector; pass a trained network"):
        detect(tmp_path, tmp_path / "broken.png")
    with pytest.raises(SystemExit, match="several pictures of one name, x"):
        detect(detector, tmp_path / "a" / "x.png", tmp_path / "x.jpg")


def test_folders_without_enough(tmp_path):
    for i in range(2):
        write(tmp_path / "few" / f"{i}.png", wave(seed=i))
    with pytest.raises(SystemExit, match="holds 2 usable pictures; pass a folder with at least 3"):
        pictures.materials(Config(data=tmp_path / "few"))
    write(tmp_path / "tile" / "train" / "good" / "0.png", wave())
    with pytest.raises(SystemExit, match="holds 1 usable pictures; at least 2 are needed"):
        pictures.materials(Config(data=tmp_path / "tile"))
    with pytest.raises(SystemExit, match="is not a folder; pass a category"):
        pictures.materials(Config(data=tmp_path / "nowhere"))
