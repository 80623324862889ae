"""Tests the clustering of images: its matrices and scores against known answers, the program, its errors."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

for name in ("matplotlib", "rich", "skimage", "sklearn", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

from commands import run
from sklearn.metrics import homogeneity_completeness_v_measure, silhouette_score

import jaxssim
from jaxssim._cli import cluster
from jaxssim._cli.clusters import clustering, datasets, figures
from jaxssim._cli.console import open_console
from jaxssim._cli.options import Cluster

ROOT = Path(__file__).resolve().parents[2]
METRICS = ("mse", "ssim", "ms-ssim", "cw-ssim")
SIZE = (200, 184)  # the five scales of MS-SSIM need 176 pixels
LABELS = [0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2]


def scene(label, member, size=SIZE):
    """Draws one of three patterns in colour; each member is noisier and brighter than the one before."""
    rng = np.random.default_rng((label, member))
    rows, columns = np.mgrid[: size[1], : size[0]]
    waves = np.random.default_rng(label).uniform(0.03, 0.3, (6, 2))
    pattern = np.mean([np.sin(down * rows + across * columns) for down, across in waves], axis=0)
    grey = 128 + (100 - 5 * member) * pattern + rng.normal(0, 5, pattern.shape)
    return Image.fromarray(np.stack([grey, 0.9 * grey, grey + 5], axis=-1).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def images():
    return [scene(label, member) for member, label in enumerate(LABELS)]


@pytest.fixture(
    scope="module",
    params=["mse", "ssim", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ms-ssim", "cw-ssim"))],
)
def metric(request):
    return request.param


@pytest.fixture(scope="module")
def comparison(images, metric):
    return clustering.compare(images, metric, color=False)


@pytest.fixture
def folder(tmp_path, images):
    """A folder of the images, larger than they are compared and not sorted by label, beside a text and a subfolder."""
    path = tmp_path / "images"
    (path / "subfolder").mkdir(parents=True)
    (path / "notes.txt").write_text("not an image")
    images[0].save(path / "subfolder" / "ignored.png")
    for k, image in enumerate(images):
        image.resize((250 + k, 230)).save(path / f"{(5 * k) % 12:02}.png")
    return path


@pytest.fixture
def labels_file(tmp_path):
    named = {f"{(5 * k) % 12:02}.png": label for k, label in enumerate(LABELS)}
    (tmp_path / "labels.json").write_text(json.dumps(named))
    return tmp_path / "labels.json"


def is_same_partition(first, second):
    """Returns whether two clusterings differ in the cluster numbers only."""
    return len(set(zip(first, second, strict=True))) == len(set(first)) == len(set(second))


def table_rows(output):
    """Returns the numbers of the printed table: (metric, method) -> columns."""
    rows = re.findall(r"^ *([\w-]+) +(spectral|affinity) +(.*?) *$", output, re.MULTILINE)
    return {(metric, method): columns.split() for metric, method, columns in rows}


@pytest.mark.slow
def test_the_program_finds_the_labelled_groups_of_a_folder(tmp_path, folder, labels_file):
    output = tmp_path / "new" / "output"
    command = [sys.executable, "-m", "jaxssim", "cluster", folder, "--labels", labels_file]
    command += ["--size", *SIZE, "--output", output]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "12 images of 200x184" in done.stdout
    table = table_rows(done.stdout)
    assert set(table) == {(metric, method) for metric in METRICS for method in ("spectral", "affinity")}
    truth = json.loads(labels_file.read_text())
    for (metric, method), (clusters, silhouette, *measures, seconds) in table.items():
        assert (clusters, *measures) == ("3", "1.000", "1.000", "1.000"), done.stdout
        assert 0.1 < float(silhouette) <= 1
        assert float(seconds) >= 0
        assigned = json.loads((output / f"{metric}_{method}.json").read_text())
        assert assigned.keys() == truth.keys()
        assert is_same_partition(assigned.values(), [truth[name] for name in assigned])
        for kind in ("matrix", "clusters"):
            with Image.open(output / f"{metric}_{method}_{kind}.png") as figure:
                figure.load()
                assert min(figure.size) > 500
                assert len(np.unique(np.asarray(figure.convert("L")))) > 50
    assert len(list(output.iterdir())) == len(table) * 3


@pytest.mark.slow
def test_cw_ssim_groups_the_default_photographs_better_than_mse(tmp_path, capsys):
    """Shifts and exposure change the MSE as much as another photograph does; they hardly change CW-SSIM."""
    cluster.main(Cluster(metrics=("mse", "cw-ssim"), size=(160, 120), output=tmp_path / "output"))
    printed = capsys.readouterr().out
    assert "42 images of 160x120" in printed
    table = table_rows(printed)
    assert len(table) == 4
    assert table["cw-ssim", "spectral"][0] == "6"
    assert float(table["cw-ssim", "spectral"][-2]) > max(0.9, float(table["mse", "spectral"][-2]))
    assert len(json.loads((tmp_path / "output" / "mse_affinity.json").read_text())) == 42


@pytest.mark.slow
def test_scores_that_need_labels_are_left_out_without_labels(tmp_path, capsys, folder):
    cluster.main(Cluster(folder, metrics=("ssim",), clusters=2, size=(64, 64), output=tmp_path / "output"))
    table = table_rows(capsys.readouterr().out)
    assert table["ssim", "spectral"][0] == "2"
    assert table["ssim", "affinity"][0] == "3"
    assert [columns[2:5] for columns in table.values()] == [["-"] * 3] * 2


@pytest.mark.parametrize("count", [3, None])
def test_both_methods_recover_the_labels(comparison, count):
    assignments = clustering.cluster(comparison, count, seed=1)
    assert set(assignments) == {"spectral", "affinity"}
    for assignment in assignments.values():
        assert is_same_partition(assignment.tolist(), LABELS)
        silhouette, *measures = clustering.score(assignment, comparison.distance, LABELS)
        assert 0.1 < silhouette < 1
        np.testing.assert_allclose(measures, 1)


def test_similarity_affinity_and_distance_order_the_images_alike(images, metric, comparison):
    x, y = (np.asarray(image.convert("L"), np.float32)[..., None] for image in images[:2])
    options = {"data_range": 255} if metric in ("ssim", "ms-ssim") else {}
    sign = -1 if metric == "mse" else 1
    np.testing.assert_allclose(
        comparison.similarity[0, 1], sign * getattr(jaxssim, metric.replace("-", "_"))(x, y, **options), rtol=1e-4
    )
    order = np.argsort(comparison.similarity[0], kind="stable")
    for matrix, direction in ((comparison.similarity, 1), (comparison.affinity, 1), (comparison.distance, -1)):
        assert (matrix.shape, matrix.dtype) == ((12, 12), np.float64)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-5)
        assert np.all(direction * np.diff(matrix[0, order]) >= 0)
    assert comparison.affinity.min() > 0
    np.testing.assert_allclose(np.diag(comparison.affinity), 1, atol=1e-5)
    np.testing.assert_allclose(np.diag(comparison.distance), 0, atol=1e-5)


def test_the_mse_affinity_of_the_median_pair_is_1_over_e(images):
    comparison = clustering.compare(images, "mse", color=False)
    pairs = np.triu_indices(12, 1)
    np.testing.assert_allclose(np.median(comparison.affinity[pairs]), np.exp(-1), rtol=0.02)
    np.testing.assert_allclose(comparison.distance**2, -comparison.similarity, rtol=1e-6)
    identical = clustering.compare([images[0]] * 3, "mse", color=False)
    np.testing.assert_array_equal(identical.affinity, 1)


def test_hue_counts_only_in_colour():
    """Three hues of one brightness are equal in grey."""
    hues = [Image.new("RGB", (32, 32), color) for color in ((100, 100, 100), (200, 64, 22), (30, 150, 30))]
    assert abs(clustering.compare(hues, "mse", color=False).similarity).max() < 4
    assert abs(clustering.compare(hues, "mse", color=True).similarity[0, 1]) > 1000


@pytest.mark.parametrize(
    ("labels", "assignment", "expected"),
    [
        ([0, 0, 1, 1], [7, 7, 3, 3], (1, 1, 1)),
        ([0, 0, 1, 1], [0, 0, 0, 0], (0, 1, 0)),
        # The clusters have an entropy of 1.5 bits, of which the labels leave 0.5 open: completeness 1 - 0.5 / 1.5.
        ([0, 0, 1, 1], [0, 0, 1, 2], (1, 2 / 3, 0.8)),
        ([0, 1, 2, 2], [0, 0, 1, 1], (2 / 3, 1, 0.8)),
    ],
)
def test_scores_equal_known_answers(labels, assignment, expected):
    points = np.array([0.0, 1.0, 5.0, 7.0])
    distance = abs(np.subtract.outer(points, points))
    silhouette, *measures = clustering.score(np.array(assignment), distance, labels)
    np.testing.assert_allclose(measures, expected, atol=1e-12)
    np.testing.assert_allclose(measures, homogeneity_completeness_v_measure(labels, assignment))
    if len(set(assignment)) == 1:
        assert silhouette is None
    else:
        np.testing.assert_allclose(silhouette, silhouette_score(points[:, None], assignment))


def test_undefined_scores_are_none():
    assert clustering.score(np.arange(4), np.ones((4, 4)), None) == [None] * 4


def test_shifted_and_rotated_variants_fill_the_frame():
    """All variants of a white image are white: no border comes into view."""
    white = Image.new("RGB", (300, 260), "white")
    variants = datasets.variants(white, (160, 120), np.random.default_rng(0))
    assert {image.size for image in variants.values()} == {(160, 120)}
    for name in ("original", "right", "up", "rotated"):
        assert np.asarray(variants[name]).min() == 255, name
    assert 0 < np.asarray(variants["noisy"]).std() < 15


def test_each_variant_changes_what_its_name_says(images):
    variants = datasets.variants(images[0], (200, 150), np.random.default_rng(0))
    arrays = {name: np.asarray(image.convert("L"), int) for name, image in variants.items()}
    original, right, up = (arrays[name] for name in ("original", "right", "up"))
    np.testing.assert_allclose(right[:, 20:-20], np.roll(original, 3, axis=1)[:, 20:-20], atol=25)
    np.testing.assert_allclose(up[20:-20], np.roll(original, -3, axis=0)[20:-20], atol=25)
    assert arrays["bright"].mean() > original.mean() + 20
    assert arrays["flat"].std() < 0.6 * original.std()
    assert abs(arrays["rotated"] - original).mean() > 5


def test_the_seed_determines_the_noise_of_the_default_photographs():
    first, again, other = (datasets.variants_of_photographs((64, 48), seed) for seed in (0, 0, 1))
    assert len(set(first.names)) == len(first.images) == len(first.labels) == 42
    for name, image, same, changed in zip(first.names, first.images, again.images, other.images, strict=True):
        assert image.tobytes() == same.tobytes()
        assert (image.tobytes() != changed.tobytes()) == name.endswith("-noisy")
    assert [name.split("-")[0] for name in first.names[::7]] == list(datasets.PHOTOGRAPHS)
    assert first.labels == sorted(list(range(6)) * 7)


def test_grey_transparent_16_bit_and_rotated_files_give_the_same_image(tmp_path, images):
    grey = images[0].convert("L")
    grey.save(tmp_path / "a.png")
    grey.convert("RGBA").save(tmp_path / "b.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(tmp_path / "c.png")
    rotated = grey.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # viewers rotate the image clockwise
    rotated.save(tmp_path / "d.PNG", exif=exif)
    dataset = cluster.load_dataset(Cluster(tmp_path, size=SIZE), open_console())
    assert dataset.names == ["a.png", "b.png", "c.png", "d.PNG"]
    assert dataset.labels is None
    for image in dataset.images:
        assert (image.size, image.mode) == (SIZE, "RGB")
        np.testing.assert_array_equal(np.asarray(image)[..., 1], np.asarray(grey))


def test_resizing_averages(tmp_path):
    """A fine checkerboard becomes grey when it shrinks, not black or white."""
    checkerboard = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    for name in "abc":
        Image.fromarray(checkerboard).save(tmp_path / f"{name}.png")
    for shrunk in cluster.load_dataset(Cluster(tmp_path, size=(64, 64)), open_console()).images:
        np.testing.assert_allclose(np.asarray(shrunk), 127.5, atol=3)


@pytest.fixture
def bad_inputs(tmp_path, monkeypatch):
    """Folders and label files in the working directory, most of which the program must reject."""
    monkeypatch.chdir(tmp_path)
    for name, count in (("two", 2), ("three", 3), ("broken", 3)):
        Path(name).mkdir()
        for k in range(count):
            scene(k, k, (64, 64)).save(f"{name}/{k}.png")
    Path("broken/1.png").write_bytes(Path("broken/1.png").read_bytes()[:200])
    for name, content in {
        "list": [0, 1, 2],
        "words": {"0.png": "cat", "1.png": "cat", "2.png": "dog"},
        "few": {"0.png": 0},
        "many": {f"{k}.png": k for k in range(4)},
        "one": dict.fromkeys(["0.png", "1.png", "2.png"], 0),
    }.items():
        Path(f"{name}.json").write_text(json.dumps(content))
    Path("text.json").write_text("0.png is a cat")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing",), r"missing is not a folder; pass a folder of images"),
        (("two",), r"two holds 2 images; pass a folder of at least 3"),
        (("broken",), r"broken holds 2 images, and 1 that cannot be read; pass"),
        (("three", "--labels", "missing.json"), r"cannot read the labels .*missing\.json: "),
        (("three", "--labels", "text.json"), r"cannot read the labels .*text\.json: "),
        (("three", "--labels", "list.json"), r'list\.json must hold one object .* integers: {"0\.png": 0'),
        (("three", "--labels", "words.json"), r"words\.json must hold one object"),
        (("three", "--labels", "few.json"), r"few\.json has no label for 1\.png, 2\.png; add one for each"),
        (("three", "--labels", "many.json"), r"many\.json has labels for 3\.png, which the folder lacks; remove"),
        (("three", "--labels", "one.json"), r"cannot form 1 clusters of 3 images; pass --clusters with 2 to 2"),
        (("three", "--clusters", "3"), r"cannot form 3 clusters of 3 images; pass --clusters with 2 to 2"),
        (("three", "--size", "64", "8"), r"--size needs .* of at least 16, got \(64, 8\); pass"),
        (("--labels", "one.json"), r"one\.json needs the folder .*; pass FOLDER too"),
        (("three", "--metrics", "ms-ssim", "--size", "64", "64"), r"ms-ssim: .*64"),
    ],
)
def test_errors_name_the_input_and_what_to_pass(bad_inputs, capsys, arguments, message):
    status, _, err = run(capsys, "cluster", *arguments, "--output", "output")
    assert status == 2
    assert re.search(message, err)
    assert not list(Path().glob("output/*"))


HOSTILE = ["a.png", "two\nlines.png", os.fsdecode(b"\xe9 [bold] :smile:.png"), "\x1b[2J.png"]
BROKEN = "broken [red] 大\n.png"


@pytest.fixture
def hostile(tmp_path, images):
    """A folder of four different pictures and a broken one, all with hostile names."""
    path = tmp_path / "pictures [red]"
    path.mkdir()
    for name, image in zip(HOSTILE, images, strict=False):
        image.save(path / name)
    (path / BROKEN).write_bytes(b"words")
    return path


def test_clusters_of_hostile_names_are_written(hostile, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    (tmp_path / "labels.json").write_text(json.dumps(dict.fromkeys([*HOSTILE, BROKEN], 0)))
    options = Cluster(hostile, labels=tmp_path / "labels.json", size=(32, 32))
    dataset = cluster.load_dataset(options, open_console())
    assert sorted(dataset.names) == sorted(HOSTILE)
    assert dataset.labels == [0] * len(HOSTILE)
    assert re.fullmatch(r"1 unreadable: .*\(not an image\)\n", capsys.readouterr().out)
    figures.write_results(dataset, np.eye(4), np.array([0, 0, 1, 1]), "title", tmp_path / "out")
    assert json.loads((tmp_path / "out.json").read_text()).keys() == set(HOSTILE)
