"""The study of four pictures: the program as a user runs it, and its numbers against the libraries themselves."""

import dataclasses
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

for name in ("matplotlib", "rich", "skimage", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "four_images.py"
CASES = ("1 itself", "2 salt and pepper", "3 gray overlays", "4 value + 30")


def run(*arguments, path=()):
    """The program in a process of its own, uninstalled, on a screen of 80 columns."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT))), "COLUMNS": "80"}
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("four_images", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pictures(study):
    return study.four_pictures(study.load(None), seed=0)


@pytest.fixture(scope="module")
def scores(study, pictures):
    return {name: study.compare(pictures["1 itself"], picture) for name, picture in pictures.items()}


@pytest.fixture
def grey(tmp_path):
    """A picture file without colour, smooth and darker than the noise."""
    ramp = np.add.outer(np.arange(48), 2 * np.arange(60)).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "grey.png")
    return tmp_path / "grey.png"


def assert_figure(path, *, aspect):
    with Image.open(path) as figure:
        figure.load()
        assert 1200 <= figure.width <= 1600
        # Two rows of four pictures, with titles and a colour bar.
        assert figure.width * aspect / 2 < figure.height < figure.width * aspect / 2 + 300
        assert len(np.unique(np.asarray(figure.convert("L")))) > 50


def test_the_default_picture(tmp_path, scores):
    output = tmp_path / "new" / "figure.png"
    done = run("--output", output)
    assert done.returncode == 0, done.stderr
    for name in CASES:
        assert re.search(rf"{re.escape(name)} .*{scores[name].skimage:.6f}", done.stdout), done.stdout
    for name in CASES[1:]:
        assert re.search(rf"{re.escape(name)}: (holds|does not hold)\n", done.stdout), done.stdout
    assert_figure(output, aspect=1.0)


def test_a_grey_picture_without_tensorflow(tmp_path, grey):
    (tmp_path / "tensorflow.py").write_text("raise ImportError")
    done = run(grey, "--output", tmp_path / "figure.png", "--seed", "3", path=[tmp_path])
    assert done.returncode == 0, done.stderr
    for name in CASES:
        assert re.search(rf"{re.escape(name)} .*absent", done.stdout), done.stdout
    assert_figure(tmp_path / "figure.png", aspect=48 / 60)


@pytest.mark.parametrize("content", [None, b"not a picture"])
def test_an_unreadable_picture(tmp_path, content):
    path = tmp_path / "picture.png"
    if content is not None:
        path.write_bytes(content)
    done = run(path, "--output", tmp_path / "figure.png")
    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot read {path} as a picture: ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "figure.png").exists()


def test_grey_and_transparent_pictures_become_rgb(tmp_path, study, grey):
    Image.open(grey).convert("RGBA").save(tmp_path / "transparent.png")
    for path in (grey, tmp_path / "transparent.png"):
        picture = study.load(path)
        assert (picture.shape, picture.dtype) == ((48, 60, 3), np.uint8)
        np.testing.assert_array_equal(picture[..., 0], np.asarray(Image.open(grey)))


def test_the_distortions(study, pictures):
    original = pictures["1 itself"].astype(int)
    noisy, covered, raised = (pictures[name].astype(int) for name in CASES[1:])
    changed = noisy != original
    assert set(noisy[changed]) == {0, 255}
    assert 0.03 < changed.mean() < 0.05  # of the 5% that are struck, some were black or white before
    np.testing.assert_array_equal(noisy, study.four_pictures(pictures["1 itself"], seed=0)["2 salt and pepper"])
    assert 0.2 < (covered != original).any(-1).mean() < 0.4
    assert abs(covered - 128)[covered != original].max() <= 64
    np.testing.assert_allclose(raised.max(-1), np.minimum(original.max(-1) + 30, 255), atol=1)


@pytest.mark.parametrize("name", CASES)
def test_errors_against_numpy(pictures, scores, name):
    difference = pictures["1 itself"].astype(np.float64) - pictures[name]
    expected = np.mean(difference**2)
    np.testing.assert_allclose(scores[name].mse, expected, rtol=1e-6)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(scores[name].psnr, 10 * np.log10(255**2 / expected), rtol=1e-6)


def test_a_picture_is_itself(scores):
    assert (scores["1 itself"].tensorflow, scores["1 itself"].skimage) == (1, 1)


@pytest.mark.parametrize("name", CASES)
def test_against_scikit_image(scores, name):
    np.testing.assert_allclose(scores[name].skimage, scores[name].skimage_live, atol=2e-7)


@pytest.mark.parametrize("name", CASES)
def test_against_tensorflow(study, pictures, scores, name):
    tf = pytest.importorskip("tensorflow")
    # TensorFlow's mean is one running float32 sum, so that its own map is nearer to the truth than its value.
    similarity = tf.image.ssim(pictures["1 itself"], pictures[name], 255, return_index_map=True).numpy()
    np.testing.assert_allclose(scores[name].tensorflow, similarity.mean(dtype=np.float64), atol=5e-5)
    np.testing.assert_allclose(scores[name].tensorflow, scores[name].tensorflow_live, atol=2e-3)
    small = study.compare(pictures["1 itself"][:64, :64], pictures[name][:64, :64])
    np.testing.assert_allclose(small.tensorflow, small.tensorflow_live, atol=5e-5)


def test_verdicts_follow_the_numbers(study, scores):
    """Scores as the article found them make all of it hold, and those of one case made worse only the others."""
    found = {"2 salt and pepper": (15, 0.9), "3 gray overlays": (22, 0.97), "4 value + 30": (35, 0.96)}
    ideal = scores | {
        name: dataclasses.replace(scores[name], psnr=psnr, tensorflow=ssim) for name, (psnr, ssim) in found.items()
    }
    assert "does not hold" not in study.summary(ideal)
    for name in found:
        spoiled = ideal | {name: dataclasses.replace(ideal[name], tensorflow=0.7)}
        assert re.findall("(.*): does not hold", study.summary(spoiled)) == [name]


@pytest.mark.parametrize(
    ("value", "score", "grade"),
    [(18.69, "psnr", "bad"), (18.7, "psnr", "poor"), (float("inf"), "psnr", "excellent"), (0.88, "tensorflow", "fair")],
)
def test_a_grade_starts_at_its_limit(study, scores, value, score, grade):
    assert study.grade(dataclasses.replace(scores["1 itself"], **{score: value}), score) == grade
