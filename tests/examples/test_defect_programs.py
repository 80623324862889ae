"""Tests the programs of defect segmentation, their scores and figures, and the messages of their errors."""

import csv
import io
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

for name in ("flax", "grain", "matplotlib", "optax", "orbax.checkpoint", "rich", "scipy", "skimage", "sklearn", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

from marks import slow_except
from rich.console import Console
from textures import untrained_network, wave, write

from examples.defect_segmentation import __main__ as program
from examples.defect_segmentation import data, detect, detector, figures, maps, painting, report, scores
from examples.defect_segmentation.config import Config
from examples.defect_segmentation.learning import Learning, measure_learning
from jaxssim._pictures import show_name

ROOT = Path(__file__).resolve().parents[2]


# Options, scores and figures.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be positive, got 0"),
        ({"stride": 129}, "stride must be between 1 and the window's 128 pixels, got 129"),
        ({"resize": 100}, "resize must be at least the window's 128 pixels, got 100"),
        ({"false_positives": 1}, "false_positives must be between 0 and 1, got 1"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"clip": 0.0}, "clip must be positive, got 0.0; pass None"),
        ({"textures": ()}, "textures must name at least one texture, got none"),
    ],
)
def test_options_out_of_range_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        Config(**options)


def test_a_network_is_scored_by_its_own_map_too():
    assert Config(residuals=("ms-ssim", "ssim")).maps_of("ssim") == ("ms-ssim", "ssim")
    assert Config(residuals=("ms-ssim",)).maps_of("l2") == ("l2", "ms-ssim")


def material_and_maps(residual_of):
    """Returns a material with two holes, two blurs and a good picture; `residual_of` maps a mask to a residual map."""
    masks = [painting.random_blob((160, 160), np.random.default_rng(seed)) for seed in range(4)]
    tests = [data.TestPicture("hole" if i < 2 else "blur", wave(160, 160), mask) for i, mask in enumerate(masks)]
    tests.append(data.TestPicture("good", wave(160, 160), np.zeros((160, 160), bool)))
    return data.Material("tile", [], [], tests, []), [residual_of(test.mask) for test in tests]


def inspections_of(material, residual_maps):
    """Returns for each loss the inspections of a perfect network that is said to have these residual maps."""
    return {
        loss: [
            maps.Inspection(test.pixels / np.float32(255), {loss: residual})
            for test, residual in zip(material.tests, residual_maps, strict=True)
        ]
        for loss in ("l2", "ssim")
    }


def untrained_detector(loss):
    """Returns a detector without a network: its thresholds are 0.5, and it has learned 0.6 of the structure."""
    return detector.Detector(None, loss, 32, None, {"l2": 0.5, "ssim": 0.5}, Learning(0.8, 0.5))


def score(residual_of):
    """Returns the scores of the residual maps and the fraction of defective pixels."""
    material, residual_maps = material_and_maps(residual_of)
    results = scores.score(material, untrained_detector("ssim"), residual_maps, "l2", 0)
    return results, np.mean([test.mask for test in material.tests])


def test_a_perfect_map_gets_perfect_scores():
    results, prevalence = score(lambda mask: mask.astype(np.float32))
    assert [one.defect for one in results] == ["hole", "blur", "all"]
    for one in results:
        assert (one.loss, one.residual, one.recall, one.false_positive_rate) == ("ssim", "l2", 1, 0)
        np.testing.assert_allclose((one.roc_auc, one.pr_auc, one.pro, one.image_roc_auc), 1)
    np.testing.assert_allclose(results[-1].prevalence, prevalence)


def test_a_random_map_gets_the_scores_of_chance():
    rng = np.random.default_rng(0)
    results, _ = score(lambda mask: rng.random(mask.shape))
    for one in results:
        assert abs(one.roc_auc - 0.5) < 0.04  # four standard deviations for some 800 defective pixels
        assert abs(one.pr_auc - one.prevalence) < 0.01
        assert abs(one.pro - scores.LARGEST_RATE / 2) < 0.03
        assert abs(one.false_positive_rate - 0.5) < 0.01


def test_an_inverted_map_gets_an_roc_auc_of_0():
    results, _ = score(lambda mask: 1.0 - mask)
    assert [(one.roc_auc, one.pro) for one in results] == [(0, 0)] * 3


def test_pro_counts_every_region_equally():
    """A map finds the large region and not the small one: half at a rate of 0, and all at a rate of 1."""
    mask = np.zeros((160, 160), bool)
    mask[:60, :60] = mask[100:103, 100:103] = True
    residual = np.where(np.arange(160) < 80, mask, 0.0)
    material = data.Material("tile", [], [], [data.TestPicture("hole", wave(160, 160), mask)], [])
    _, result = scores.score(material, untrained_detector("ssim"), [residual], "ssim", 0)
    np.testing.assert_allclose(result.pro, np.mean([0.5, 0.5 + 0.5 * scores.LARGEST_RATE]))
    assert result.roc_auc > 0.99
    assert result.image_roc_auc is None


def test_the_roc_auc_of_images_compares_their_residuals_with_those_of_good_pictures():
    """Of three good pictures two have a smaller residual than the hole and one has a larger one."""
    mask = np.eye(160, dtype=bool)
    tests = [
        data.TestPicture("hole", wave(160, 160), mask),
        *[data.TestPicture("good", wave(160, 160), mask & False)] * 3,
    ]
    residual_maps = [np.full(mask.shape, value) for value in (0.5, 0.1, 0.2, 0.9)]
    results = scores.score(
        data.Material("tile", [], [], tests, []), untrained_detector("ssim"), residual_maps, "ssim", 0
    )
    np.testing.assert_allclose([one.image_roc_auc for one in results], 2 / 3)


def test_good_pictures_alone_get_no_score():
    good = data.TestPicture("good", wave(), np.zeros((128, 128), bool))
    material = data.Material("tile", [], [], [good], [])
    assert scores.score(material, untrained_detector("ssim"), [wave()], "ssim", 0) == []


def test_the_table_shows_mean_and_deviation_over_the_seeds():
    one = scores.Score("tile", "hole", "l2", "l2", 0, 0.1, 0.8, 0.5, 0.4, None, 0.25, 0.01, 0.6)
    results = [one, one._replace(loss="ssim"), one._replace(seed=1, roc_auc=0.9), one._replace(seed=1, loss="ssim")]
    first, second = report.table_rows(results)
    assert first[:4] == ["tile", "hole", "AE(L2)", "l2"]
    assert first[5] == "0.850 ± 0.071"
    assert second[2:6] == ["AE(SSIM)", "l2", "0.100 ± 0.000", "0.800 ± 0.000"]
    assert first[8] == second[8] == "-"
    assert first[11] == "0.600 ± 0.000"
    assert [row[5] for row in report.table_rows(results[:2])] == ["0.800", "0.800"]


def test_scores_and_figures_are_written(tmp_path):
    config = Config(runs=tmp_path, steps=2, seeds=1)
    config.folder.mkdir()
    material, residual_maps = material_and_maps(lambda mask: mask + np.float32(0.1))
    results = [
        one
        for loss in ("l2", "ssim")
        for one in scores.score(material, untrained_detector(loss), residual_maps, loss, 0)
    ]
    report.write_scores(results, config)
    assert json.loads((config.folder / "scores.json").read_text()) == [one._asdict() for one in results]
    table = (config.folder / "results.md").read_text()
    assert table.count("| tile |") == 2 + 6
    assert "2 steps of 4 crops, learning rate 0.001, clip 1.0" in table
    assert "bottleneck 100, stride 32; seeds 0 to 0" in table
    figures.draw_material(material, inspections_of(material, residual_maps), tmp_path / "tile.png")
    curves = {loss: figures.roc_points(material.tests, residual_maps) for loss in ("l2", "ssim")}
    figures.draw_roc_curves({"tile": curves}, tmp_path / "roc.png")
    for name in ("tile.png", "roc.png"):
        with Image.open(tmp_path / name) as picture:
            picture.load()
            assert min(picture.size) > 300


# What a network has learned.


def test_a_network_that_reconstructs_grey_has_learned_nothing():
    picture = wave(150, 140)
    grey = np.full(picture.shape, picture.mean() / 255, np.float32)
    learned = [
        measure_learning([picture, wave()], [other, wave() / np.float32(255)]) for other in (grey, picture / 255)
    ]
    assert 0.4 < learned[0].fraction < 0.6  # one of two pictures
    np.testing.assert_allclose(learned[1].fraction, 1, atol=1e-6)
    nothing = measure_learning([picture], [grey])
    np.testing.assert_allclose(nothing.fraction, 0, atol=1e-6)
    assert "this detector will not work" in str(nothing)
    assert "will not work" not in str(learned[1])


# The programs with an untrained network.


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """The folder of a detector whose network is not trained; it marks a tenth of the pixels of a picture of waves."""
    folder = tmp_path_factory.mktemp("detector")
    network = untrained_network(8)
    residuals = maps.inspect(network, wave(), ["l2", "ssim"], 32).residuals
    thresholds = {name: maps.choose_threshold([residual], 0.1) for name, residual in residuals.items()}
    detector.Detector(network, "l2", 32, None, thresholds, Learning(network=0.25, grey=0.125)).save(folder)
    return folder


def test_a_name_too_long_for_a_detector_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(program, "train_detector", None)
    material = data.Material("n" * 250, [], [], [], [])
    with pytest.raises(SystemExit, match=r"File name too long; pass .* or rename the folder of --data"):
        program.evaluate(material, Config(runs=tmp_path), Console(quiet=True))


@pytest.mark.parametrize(
    "name", slow_except(["a$b$_|c"], ["wood[1]", "a$b$_|c", os.fsdecode(b"bad\xff"), "two\nlines", ":smile:"])
)
def test_tables_and_figures_show_any_name(tmp_path, name):
    material, residual_maps = material_and_maps(lambda mask: mask.astype(np.float32))
    tests = [test._replace(defect=name) for test in material.tests]
    material = material._replace(name=name, tests=tests)
    config = Config(runs=tmp_path)
    config.folder.mkdir()
    console = Console(record=True, width=200, file=io.StringIO())
    results = [
        one
        for loss in ("l2", "ssim")
        for one in scores.score(material, untrained_detector(loss), residual_maps, loss, 0)
    ]
    console.print(report.write_scores(results, config))
    shown = {os.fsdecode(b"bad\xff"): r"bad\udcff", "two\nlines": r"two\nlines"}.get(name, name)
    assert console.export_text().count(shown) == 2
    assert (config.folder / "results.md").read_text(encoding="utf-8").count(shown.replace("|", "\\|")) == 2 + 6
    figures.draw_material(material, inspections_of(material, residual_maps), tmp_path / "figure.png")
    figures.draw_roc_curves({name: {"l2": figures.roc_points(tests, residual_maps)}}, tmp_path / "roc.png")


def mark(run, *images, output, **options):
    detect.main(detect.Options(run, images, output, **options))


@pytest.mark.parametrize("name", ["a[b]|c.png", os.fsdecode(b"bad\xff.png"), "two\nlines.png"])
def test_the_rows_of_pictures_hold_their_names(untrained, tmp_path, capsys, name):
    write(tmp_path / name, wave())
    mark(untrained, tmp_path / name, tmp_path / f"absent-{name}", output=tmp_path / "out[1]")
    shown = show_name(tmp_path / name, "utf-8")
    with (tmp_path / "out[1]" / "defects.csv").open(encoding="utf-8", newline="") as file:
        assert [row["image"] for row in csv.DictReader(file)] == [shown]
    printed = capsys.readouterr().out
    assert f"absent-{shown.rsplit('/', 1)[1]} (No such file" in printed
    assert "out[1]/defects.csv" in printed


@pytest.mark.parametrize("name", ["detector", "runs [v2]/wood[1]*-ssim-0", os.fsdecode(b"back\\slash\xff")])
def test_a_detector_loads_as_it_was_saved(untrained, tmp_path, name):
    tmp_path = tmp_path / name
    loaded = detector.load_detector(untrained)
    residual = loaded.inspect(wave(), ["l2"]).residuals["l2"]
    np.testing.assert_allclose(np.mean(residual > loaded.thresholds["l2"]), 0.1, atol=1e-3)
    loaded.save(tmp_path)
    again = detector.load_detector(tmp_path)
    np.testing.assert_array_equal(again.inspect(wave(), ["l2"]).residuals["l2"], residual)
    assert again[1:] == loaded[1:]


def test_detect_writes_masks_overlays_and_a_table(untrained, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    spoiled, _ = painting.paint("hole", wave(150, 133, 7), wave(), np.random.default_rng(0))
    write(tmp_path / "spoiled.png", spoiled)
    write(tmp_path / "colour.jpg", np.stack([wave(128, 160, 8)] * 3, axis=-1))
    write(tmp_path / "small.png", wave(60, 60))
    (tmp_path / "broken.png").write_text("not a picture")
    paths = [tmp_path / name for name in ("spoiled.png", "broken.png", "colour.jpg", "small.png", "missing.png")]
    mark(untrained, *paths, output=tmp_path / "out")
    printed = capsys.readouterr().out
    assert "SSIM 0.25, uniform grey 0.12: the texture is not learned, this detector will not work" in printed
    assert_pictures_are_marked(printed, detector.load_detector(untrained), spoiled, tmp_path / "out")


def assert_pictures_are_marked(printed, expected, spoiled, output):
    """Asserts that two pictures were marked and three were skipped with a reason."""
    assert "3 unreadable" in printed
    for words in ("broken.png", "missing.png", "60x60 is smaller than the network's window of 128x128"):
        assert words in printed
    with (output / "defects.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["image"]).name for row in rows] == ["spoiled.png", "colour.jpg"]
    with Image.open(output / "spoiled_mask.png") as picture:
        marked = np.asarray(picture) == 255
    residual = expected.inspect(spoiled, [expected.loss]).residuals[expected.loss]
    np.testing.assert_array_equal(marked, residual > expected.thresholds[expected.loss])
    assert int(rows[0]["defective_pixels"]) == marked.sum()
    assert (int(rows[1]["width"]), int(rows[1]["height"])) == (160, 128)
    with Image.open(output / "spoiled_overlay.png") as picture:
        overlay = np.asarray(picture)
    np.testing.assert_array_equal(overlay[~marked], np.stack([spoiled] * 3, axis=-1)[~marked])
    assert (overlay[marked][:, 0] >= 127).all()
    assert (overlay[marked][:, 1] <= 127).all()


def test_detect_marks_by_the_residual_map_that_is_asked_for(untrained, tmp_path):
    write(tmp_path / "waves.png", wave())
    mark(untrained, tmp_path / "waves.png", output=tmp_path / "out", residual="ssim")
    loaded = detector.load_detector(untrained)
    residual = loaded.inspect(wave(), ["ssim"]).residuals["ssim"]
    with Image.open(tmp_path / "out" / "waves_mask.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture) == 255, residual > loaded.thresholds["ssim"])
    with pytest.raises(SystemExit, match=r"--residual cw-ssim has no threshold in .*; pass one of l2, ssim"):
        mark(untrained, tmp_path / "waves.png", output=tmp_path / "out", residual="cw-ssim")


def test_detect_names_what_is_wrong(untrained, tmp_path):
    (tmp_path / "broken.png").write_text("not a picture")
    with pytest.raises(SystemExit, match="none of IMAGES can be used; pass pictures of at least 128x128"):
        mark(untrained, tmp_path / "broken.png", output=tmp_path / "out")
    with pytest.raises(SystemExit, match="holds no detector; pass a trained network's folder"):
        mark(tmp_path, tmp_path / "broken.png", output=tmp_path / "out")
    with pytest.raises(SystemExit, match="several pictures named x; pass them in separate calls"):
        mark(untrained, tmp_path / "a" / "x.png", tmp_path / "x.jpg", output=tmp_path / "out")


# The programs as a user runs them.


def run(module, *arguments):
    """Runs a program in a process of its own, without installation."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "500"}  # wide, so that no message wraps
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run on a folder of good pictures and a broken file."""
    folder = tmp_path_factory.mktemp("run")
    for i in range(4):
        write(folder / "cloth" / f"{i}.png", wave(140, 150, i))
    (folder / "cloth" / "broken.png").write_text("not a picture")
    quick = ("--steps", 2, "--batch-size", 2, "--painted", 1, "--bottleneck", 8, "--false-positives", 0.05)
    paths = ("--data", folder / "cloth", "--runs", folder / "runs")
    return folder, run("examples.defect_segmentation", *paths, *quick, "--seeds", 2)


@pytest.mark.slow
def test_the_training_program_leaves_every_file(trained):
    folder, done = trained
    assert done.returncode == 0, done.stderr
    output = folder / "runs" / "defects"
    assert "1 unreadable" in done.stdout
    assert "broken.png" in done.stdout
    results = json.loads((output / "scores.json").read_text())
    keys = [(one["seed"], one["loss"], one["residual"], one["defect"]) for one in results]
    names = ("l2", "ssim")
    assert keys == [*itertools.product((0, 1), names, names, (*painting.DEFECTS, "all"))]
    assert all(0 <= one[key] <= 1 for one in results for key in report.COLUMNS if key != "learned")
    assert all(one["learned"] <= 1 for one in results)  # negative where uniform grey is better
    table = (output / "results.md").read_text()
    assert table.count("| cloth |") == 4 + 4 * 6
    assert done.stdout.count("reconstructions of good pictures have SSIM") == 4
    assert "2 steps of 2 crops, learning rate 0.001, clip 1.0, bottleneck 8, stride 32; seeds 0 to 1" in table
    assert "±" in done.stdout
    for name in ("cloth.png", "roc.png"):
        with Image.open(output / name) as picture:
            picture.load()
            assert min(picture.size) > 300
    for loss in ("l2", "ssim"):
        for seed in (0, 1):
            settings = json.loads((output / f"cloth-{loss}-{seed}" / "detector.json").read_text())
            assert (settings["loss"], settings["bottleneck"]) == (loss, 8)
    config = json.loads((output / "config.json").read_text())
    assert (config["steps"], config["false_positives"]) == (2, 0.05)


@pytest.mark.slow
def test_the_saved_threshold_marks_the_given_fraction_of_validation_pixels(trained):
    folder, _ = trained
    loaded = detector.load_detector(folder / "runs" / "defects" / "cloth-ssim-0")
    (material,) = data.load_materials(Config(data=folder / "cloth"))
    residuals = [loaded.inspect(picture, ["ssim"]).residuals["ssim"] for picture in material.validation]
    marked = np.mean(np.concatenate([residual.ravel() for residual in residuals]) > loaded.thresholds["ssim"])
    np.testing.assert_allclose(marked, 0.05, atol=1e-3)


@pytest.mark.slow
def test_the_detect_program_marks_pictures_with_a_trained_network(trained, tmp_path):
    folder, _ = trained
    network = folder / "runs" / "defects" / "cloth-ssim-0"
    spoiled, _ = painting.paint("hole", wave(150, 133, 7), wave(), np.random.default_rng(0))
    write(tmp_path / "spoiled.png", spoiled)
    write(tmp_path / "colour.jpg", np.stack([wave(128, 160, 8)] * 3, axis=-1))
    write(tmp_path / "small.png", wave(60, 60))
    (tmp_path / "broken.png").write_text("not a picture")
    paths = [tmp_path / name for name in ("spoiled.png", "broken.png", "colour.jpg", "small.png", "missing.png")]
    done = run("examples.defect_segmentation.detect", network, *paths, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert_pictures_are_marked(done.stdout, detector.load_detector(network), spoiled, tmp_path / "out")
