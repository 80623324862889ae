"""Clustering by similarity: the program as a user runs it, its scores and forms against known answers, its errors."""

import importlib.util
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

from sklearn.metrics import homogeneity_completeness_v_measure, silhouette_score

import jaxssim

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "cluster_images.py"
METRICS = ("mse", "ssim", "ms_ssim", "cw_ssim")
SIZE = (200, 184)  # MS-SSIM's five scales need 176
GROUPS = [0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2]


def run(*arguments):
    """The program in a process of its own, uninstalled, on a screen of 80 columns."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    command = list(map(str, (sys.executable, SCRIPT, *arguments)))
    environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "80"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("cluster_images", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scene(group, member, size=SIZE):
    """One of three landscapes in colour, each member a little noisier and brighter than the one before."""
    rng = np.random.default_rng((group, member))
    rows, columns = np.mgrid[: size[1], : size[0]]
    waves = np.random.default_rng(group).uniform(0.03, 0.3, (6, 2))
    pattern = np.mean([np.sin(down * rows + across * columns) for down, across in waves], axis=0)
    grey = 128 + (100 - 5 * member) * pattern + rng.normal(0, 5, pattern.shape)
    return Image.fromarray(np.stack([grey, 0.9 * grey, grey + 5], axis=-1).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def pictures():
    return [scene(group, member) for member, group in enumerate(GROUPS)]


@pytest.fixture(scope="module", params=METRICS)
def metric(request):
    return request.param


@pytest.fixture(scope="module")
def found(study, pictures, metric):
    return study.compare(pictures, metric, color=False)


@pytest.fixture
def folder(tmp_path, pictures):
    """The groups' pictures as files in no order of groups, larger than they will be compared, beside other things."""
    path = tmp_path / "pictures"
    (path / "deeper").mkdir(parents=True)
    (path / "notes.txt").write_text("no picture")
    pictures[0].save(path / "deeper" / "not-looked-at.png")
    for k, picture in enumerate(pictures):
        picture.resize((250 + k, 230)).save(path / f"{(5 * k) % 12:02}.png")
    return path


@pytest.fixture
def labels(tmp_path):
    named = {f"{(5 * k) % 12:02}.png": group for k, group in enumerate(GROUPS)}
    (tmp_path / "labels.json").write_text(json.dumps(named))
    return tmp_path / "labels.json"


def same_partition(first, second):
    """Whether two clusterings agree but for the clusters' numbers."""
    return len(set(zip(first, second, strict=True))) == len(set(first)) == len(set(second))


def rows(output):
    """The table's numbers: (metric, method) -> columns."""
    found = re.findall(r"^ *(\w+) +(spectral|affinity) +(.*?) *$", output, re.MULTILINE)
    return {(metric, method): columns.split() for metric, method, columns in found}


def test_the_program_on_a_folder_with_labels(tmp_path, folder, labels):
    output = tmp_path / "new" / "output"
    done = run(folder, "--labels", labels, "--size", *SIZE, "--output", output)
    assert done.returncode == 0, done.stderr
    assert "12 images of 200x184" in done.stdout
    table = rows(done.stdout)
    assert set(table) == {(metric, method) for metric in METRICS for method in ("spectral", "affinity")}
    truth = json.loads(labels.read_text())
    for (metric, method), (clusters, silhouette, *measures, seconds) in table.items():
        assert (clusters, *measures) == ("3", "1.000", "1.000", "1.000"), done.stdout
        assert 0.1 < float(silhouette) <= 1
        assert float(seconds) >= 0
        found = json.loads((output / f"{metric}_{method}.json").read_text())
        assert found.keys() == truth.keys()
        assert same_partition(found.values(), [truth[name] for name in found])
        for kind in ("matrix", "clusters"):
            with Image.open(output / f"{metric}_{method}_{kind}.png") as figure:
                figure.load()
                assert min(figure.size) > 500
                assert len(np.unique(np.asarray(figure.convert("L")))) > 50
    assert len(list(output.iterdir())) == len(table) * 3


def test_the_default_photographs(tmp_path, capsys, study):
    study.main(metrics=("mse", "cw_ssim"), size=(160, 120), output=tmp_path / "output")
    printed = capsys.readouterr().out
    assert "42 images of 160x120" in printed
    table = rows(printed)
    assert len(table) == 4
    assert table["cw_ssim", "spectral"][0] == "6"
    # Shifts and changes of exposure are to the error what another photograph is; not to complex wavelets.
    assert float(table["cw_ssim", "spectral"][-2]) > max(0.9, float(table["mse", "spectral"][-2]))
    assert len(json.loads((tmp_path / "output" / "mse_affinity.json").read_text())) == 42


def test_no_labels_no_scores(tmp_path, capsys, study, folder):
    study.main(folder, metrics=("ssim",), clusters=2, size=(64, 64), output=tmp_path / "output")
    table = rows(capsys.readouterr().out)
    assert table["ssim", "spectral"][0] == "2"
    assert table["ssim", "affinity"][0] == "3"
    assert [columns[2:5] for columns in table.values()] == [["-"] * 3] * 2


@pytest.mark.parametrize("count", [3, None])
def test_known_groups_are_found(study, found, count):
    clusterings = study.cluster(found, count, seed=1)
    assert set(clusterings) == {"spectral", "affinity"}
    for labels in clusterings.values():
        assert same_partition(labels.tolist(), GROUPS)
        silhouette, *measures = study.scores(labels, found.distance, GROUPS)
        assert 0.1 < silhouette < 1
        np.testing.assert_allclose(measures, 1)


def test_what_scikit_learn_gets(pictures, metric, found):
    x, y = (np.asarray(picture.convert("L"), np.float32)[..., None] for picture in pictures[:2])
    options = {"data_range": 255} if metric in ("ssim", "ms_ssim") else {}
    sign = -1 if metric == "mse" else 1
    np.testing.assert_allclose(found.similarity[0, 1], sign * getattr(jaxssim, metric)(x, y, **options), rtol=1e-4)
    order = np.argsort(found.similarity[0], kind="stable")
    for matrix, rising in ((found.similarity, 1), (found.affinity, 1), (found.distance, -1)):
        assert (matrix.shape, matrix.dtype) == ((12, 12), np.float64)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-5)
        assert np.all(rising * np.diff(matrix[0, order]) >= 0)  # what is nearer by one is nearer by all
    assert found.affinity.min() > 0
    np.testing.assert_allclose(np.diag(found.affinity), 1, atol=1e-5)
    np.testing.assert_allclose(np.diag(found.distance), 0, atol=1e-5)


def test_the_error_as_an_affinity(study, pictures):
    """Its kernel is as wide as the median pair: that pair's affinity is 1 / e, at any scale of the values."""
    found = study.compare(pictures, "mse", color=False)
    pairs = np.triu_indices(12, 1)
    np.testing.assert_allclose(np.median(found.affinity[pairs]), np.exp(-1), rtol=0.02)
    np.testing.assert_allclose(found.distance**2, -found.similarity, rtol=1e-6)
    same = study.compare([pictures[0]] * 3, "mse", color=False)
    np.testing.assert_array_equal(same.affinity, 1)


def test_grey_unless_asked(study, pictures):
    """A change of hue that keeps the brightness is nothing in grey."""
    hues = [Image.new("RGB", (32, 32), color) for color in ((100, 100, 100), (200, 64, 22), (30, 150, 30))]
    assert abs(study.compare(hues, "mse", color=False).similarity).max() < 4
    assert abs(study.compare(hues, "mse", color=True).similarity[0, 1]) > 1000


@pytest.mark.parametrize(
    ("groups", "labels", "expected"),
    [
        ([0, 0, 1, 1], [7, 7, 3, 3], (1, 1, 1)),
        ([0, 0, 1, 1], [0, 0, 0, 0], (0, 1, 0)),
        # Two bits of clusters, half a bit of which the groups do not tell: 1 - 0.5 / 1.5.
        ([0, 0, 1, 1], [0, 0, 1, 2], (1, 2 / 3, 0.8)),
        ([0, 1, 2, 2], [0, 0, 1, 1], (2 / 3, 1, 0.8)),
    ],
)
def test_scores_of_known_answers(study, groups, labels, expected):
    points = np.array([0.0, 1.0, 5.0, 7.0])
    distance = abs(np.subtract.outer(points, points))
    silhouette, *measures = study.scores(np.array(labels), distance, groups)
    np.testing.assert_allclose(measures, expected, atol=1e-12)
    np.testing.assert_allclose(measures, homogeneity_completeness_v_measure(groups, labels))
    if len(set(labels)) == 1:
        assert silhouette is None
    else:
        np.testing.assert_allclose(silhouette, silhouette_score(points[:, None], labels))


def test_scores_that_cannot_be_told(study):
    assert study.scores(np.arange(4), np.ones((4, 4)), None) == [None] * 4


def test_versions_fill_the_frame(study):
    """White all over stays white where a photograph is moved or turned: nothing from outside comes in."""
    white = Image.new("RGB", (300, 260), "white")
    seen = study.versions(white, (160, 120), np.random.default_rng(0))
    assert {picture.size for picture in seen.values()} == {(160, 120)}
    for name in ("itself", "right", "up", "turned"):
        assert np.asarray(seen[name]).min() == 255, name
    assert 0 < np.asarray(seen["noisy"]).std() < 15


def test_versions_move_what_they_say(study, pictures):
    seen = study.versions(pictures[0], (200, 150), np.random.default_rng(0))
    images = {name: np.asarray(picture.convert("L"), int) for name, picture in seen.items()}
    still, right, up = (images[name] for name in ("itself", "right", "up"))
    np.testing.assert_allclose(right[:, 20:-20], np.roll(still, 3, axis=1)[:, 20:-20], atol=25)
    np.testing.assert_allclose(up[20:-20], np.roll(still, -3, axis=0)[20:-20], atol=25)
    assert images["bright"].mean() > still.mean() + 20
    assert images["flat"].std() < 0.6 * still.std()
    assert abs(images["turned"] - still).mean() > 5


def test_the_photographs_and_their_seed(study):
    first, again, other = (study.photographs((64, 48), seed) for seed in (0, 0, 1))
    assert len(set(first.names)) == len(first.pictures) == len(first.groups) == 42
    for name, picture, same, changed in zip(first.names, first.pictures, again.pictures, other.pictures, strict=True):
        assert picture.tobytes() == same.tobytes()
        assert (picture.tobytes() != changed.tobytes()) == name.endswith("-noisy")
    assert [name.split("-")[0] for name in first.names[::7]] == list(study.PHOTOGRAPHS)
    assert first.groups == sorted(list(range(6)) * 7)


def test_files_of_every_kind(tmp_path, study, pictures):
    """Grey, transparent, 16-bit and turned files come out as the same picture."""
    grey = pictures[0].convert("L")
    grey.save(tmp_path / "a.png")
    grey.convert("RGBA").save(tmp_path / "b.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(tmp_path / "c.png")
    turned = grey.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned.save(tmp_path / "d.PNG", exif=exif)
    album = study.from_folder(tmp_path, None, SIZE)
    assert album.names == ["a.png", "b.png", "c.png", "d.PNG"]
    assert album.groups is None
    for picture in album.pictures:
        assert (picture.size, picture.mode) == (SIZE, "RGB")
        np.testing.assert_array_equal(np.asarray(picture)[..., 1], np.asarray(grey))


def test_small_copies_are_averages(tmp_path, study):
    """A fine chequer is grey when it shrinks, not black or white."""
    chequer = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(chequer).save(tmp_path / "chequer.png")
    np.testing.assert_allclose(np.asarray(study.read(tmp_path / "chequer.png", (64, 64))), 127.5, atol=3)


def test_a_contact_sheet(study):
    """Each cluster's pictures and no others stand in its rows, of which a large cluster has several."""
    red, blue = (255, 0, 0), (0, 0, 255)
    labels = np.array([4, 1, *[4] * 8])
    album = study.Album(
        list("abcdefghij"), [Image.new("RGB", (64, 48), blue if k == 1 else red) for k in range(10)], None
    )
    sheet = np.asarray(study.contact_sheet(album, labels, "title"))
    reds, blues = (np.argwhere((sheet == color).all(-1)) for color in (red, blue))
    assert blues[:, 0].max() < reds[:, 0].min()
    assert len(reds) == 9 * len(blues)
    assert len(blues) == 192 * 144
    starts = np.flatnonzero(np.diff((sheet == red).all(-1).any(1).astype(int)) == 1)
    assert len(starts) == -(-9 // study.COLUMNS)


def test_a_heat_map(study):
    """The matrix is ordered by cluster, so that a block per cluster lies on the diagonal, under its thumbnails."""
    labels = np.array([1, 0] * 6)
    album = study.Album(list("abcdefghijkl"), [Image.new("RGB", (64, 48), (20 * k, 0, 0)) for k in range(12)], None)
    similarity = np.equal.outer(labels, labels) + np.linspace(0, 0.1, 12)
    figure = study.heat_map(album, similarity, labels, "title")
    axes = figure.axes[0]
    drawn = np.asarray(axes.images[0].get_array())
    np.testing.assert_array_equal(np.round(drawn), np.kron(np.eye(2), np.ones((6, 6))))
    assert [line.get_ydata()[0] for line in axes.lines[::2]] == [5.5]
    down, across = (np.asarray(inset.images[0].get_array()) for inset in axes.child_axes[:2])
    assert (down.shape, across.shape) == ((12 * 48, 48, 3), (48, 12 * 48, 3))
    for strip in (across, down.swapaxes(0, 1)):
        np.testing.assert_array_equal(strip[24, 24::48, 0], 20 * np.argsort(labels, kind="stable"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing",), r"missing is not a folder; pass one"),
        (("two",), r"two holds 2 images .*; pass a folder with at least 3"),
        (("broken",), r"cannot read .*1\.png as a picture: .*; mend it"),
        (("three", "--labels", "missing.json"), r"cannot read the labels .*missing\.json: "),
        (("three", "--labels", "text.json"), r"cannot read the labels .*text\.json: "),
        (("three", "--labels", "list.json"), r'list\.json must hold one object .* as {"0\.png": 0'),
        (("three", "--labels", "words.json"), r"words\.json must hold one object"),
        (("three", "--labels", "few.json"), r"few\.json does not name 1\.png, 2\.png; it must name each"),
        (("three", "--labels", "many.json"), r"many\.json names unknown 3\.png; it must"),
        (("three", "--labels", "one.json"), r"1 clusters of 3 images: pass --clusters, 2 to 2"),
        (("three", "--clusters", "3"), r"3 clusters of 3 images: pass --clusters, 2 to 2"),
        (("three", "--size", "64", "8"), r"--size must be .* at least 16, got \(64, 8\); pass"),
        (("--labels", "one.json"), r"one\.json needs the folder"),
        (("three", "--metrics", "ms_ssim", "--size", "64", "64"), r"ms_ssim: .*64"),
    ],
)
def test_errors_that_teach(tmp_path, monkeypatch, study, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name, count in (("two", 2), ("three", 3), ("broken", 3)):
        Path(name).mkdir()
        for k in range(count):
            scene(k, k, (64, 64)).save(f"{name}/{k}.png")
    Path("broken/1.png").write_bytes(Path("broken/1.png").read_bytes()[:200])
    named = {f"{k}.png": k for k in range(4)}
    for name, content in {
        "list": [0, 1, 2],
        "words": {"0.png": "cat", "1.png": "cat", "2.png": "dog"},
        "few": {"0.png": 0},
        "many": named,
        "one": dict.fromkeys(["0.png", "1.png", "2.png"], 0),
    }.items():
        Path(f"{name}.json").write_text(json.dumps(content))
    Path("text.json").write_text("0.png is a cat")
    with pytest.raises(SystemExit, match=message):
        study.tyro.cli(study.main, args=[*arguments, "--output", "output"])
    assert not list(Path().glob("output/*"))
