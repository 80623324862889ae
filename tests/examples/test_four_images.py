"""Tests the comparison of four pictures: its distortions, its scores against other libraries, and the program."""

import dataclasses
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

from examples import four_images

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("1 itself", "2 salt and pepper", "3 grey overlays", "4 value + 30")


@pytest.fixture(scope="module")
def pictures():
    return four_images.distort(four_images.load_picture(None), seed=0)


@pytest.fixture(scope="module")
def scores(pictures):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(sys.modules, "tensorflow", None)  # whose import takes seconds
        return {name: four_images.compare(pictures["1 itself"], picture) for name, picture in pictures.items()}


@pytest.fixture
def grey_file(tmp_path):
    """A smooth grey picture, darker than the noise."""
    ramp = np.add.outer(np.arange(48), 2 * np.arange(60)).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "grey.png")
    return tmp_path / "grey.png"


def run_main(*arguments):
    four_images.tyro.cli(four_images.main, args=list(map(str, arguments)))


def assert_is_figure(path, *, aspect):
    with Image.open(path) as figure:
        figure.load()
        assert 1200 <= figure.width <= 1600
        # Two rows of four pictures, with titles and a colour bar.
        assert figure.width * aspect / 2 < figure.height < figure.width * aspect / 2 + 300
        assert len(np.unique(np.asarray(figure.convert("L")))) > 50


@pytest.mark.slow
def test_the_program_compares_the_astronaut_by_default(tmp_path, scores):
    output = tmp_path / "new" / "figure.png"
    command = [sys.executable, "-m", "examples.four_images", "--output", output]
    # A terminal of 80 columns holds the tables.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        assert re.search(rf"{re.escape(name)} .*{scores[name].ssim_skimage:.6f}", done.stdout), done.stdout
    for name in NAMES[1:]:
        assert re.search(rf"{re.escape(name)}: (holds|does not hold)\n", done.stdout), done.stdout
    assert_is_figure(output, aspect=1.0)


def test_the_program_takes_a_grey_picture_and_needs_no_tensorflow(tmp_path, monkeypatch, capsys, grey_file):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setenv("COLUMNS", "80")
    run_main(grey_file, "--output", tmp_path / "figure.png", "--seed", "3")
    printed = capsys.readouterr().out
    for name in NAMES:
        assert re.search(rf"{re.escape(name)} .*absent", printed), printed
    assert_is_figure(tmp_path / "figure.png", aspect=48 / 60)


@pytest.mark.parametrize("content", [None, b"not a picture"])
def test_the_program_names_a_missing_or_unreadable_picture(tmp_path, content):
    path = tmp_path / "picture.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit, match=f"^{re.escape(f'cannot read {path} as a picture: ')}"):
        run_main(path, "--output", tmp_path / "figure.png")
    assert not (tmp_path / "figure.png").exists()


def test_grey_transparent_turned_and_deep_pictures_become_rgb(tmp_path, grey_file, capsys):
    grey = np.asarray(Image.open(grey_file))
    Image.fromarray(grey).convert("RGBA").save(tmp_path / "opaque.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(grey / np.float32(255)).save(tmp_path / "float.tif")
    exif = Image.Exif()
    exif[0x0112] = 6  # viewers rotate the picture clockwise
    Image.fromarray(np.rot90(grey).copy()).save(tmp_path / "turned.png", exif=exif)
    names = ("opaque.png", "deep.png", "float.tif", "turned.png")
    for path in (grey_file, *(tmp_path / name for name in names)):
        picture = four_images.load_picture(path)
        assert (picture.shape, picture.dtype) == ((48, 60, 3), np.uint8)
        np.testing.assert_array_equal(picture[..., 0], grey)
    assert "white is taken to be 1" in " ".join(capsys.readouterr().out.split())
    Image.fromarray(grey.astype(np.uint16)).save(tmp_path / "dark.png")
    with pytest.raises(SystemExit, match="at most 12 of its 16 bits"):
        four_images.load_picture(tmp_path / "dark.png")
    np.testing.assert_array_equal(four_images.load_picture(tmp_path / "dark.png", 255)[..., 0], grey)


def test_hidden_colours_do_not_count(tmp_path):
    hidden = np.random.default_rng(0).integers(0, 256, (20, 20, 4), np.uint8)
    hidden[..., 3] = 0
    Image.fromarray(hidden).save(tmp_path / "hidden.png")
    assert (four_images.load_picture(tmp_path / "hidden.png") == 255).all()


def test_a_picture_smaller_than_the_window_is_refused(tmp_path):
    Image.new("L", (1, 1)).save(tmp_path / "one.png")
    with pytest.raises(SystemExit, match=r"one\.png is 1x1, smaller than SSIM's window; pass at least 11x11 pixels"):
        four_images.load_picture(tmp_path / "one.png")


def test_each_distortion_changes_the_pixels_that_it_names(pictures):
    original = pictures["1 itself"].astype(int)
    noisy, covered, raised = (pictures[name].astype(int) for name in NAMES[1:])
    changed = noisy != original
    assert set(noisy[changed]) == {0, 255}
    assert 0.03 < changed.mean() < 0.05  # the noise draws 5% of the pixels, some of which were black or white before
    np.testing.assert_array_equal(noisy, four_images.distort(pictures["1 itself"], seed=0)["2 salt and pepper"])
    assert 0.2 < (covered != original).any(-1).mean() < 0.4
    assert abs(covered - 128)[covered != original].max() <= 64
    np.testing.assert_allclose(raised.max(-1), np.minimum(original.max(-1) + 30, 255), atol=1)


@pytest.mark.parametrize("name", NAMES)
def test_mse_and_psnr_equal_those_of_numpy(pictures, scores, name):
    difference = pictures["1 itself"].astype(np.float64) - pictures[name]
    expected = np.mean(difference**2)
    np.testing.assert_allclose(scores[name].mse, expected, rtol=1e-6)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(scores[name].psnr, 10 * np.log10(255**2 / expected), rtol=1e-6)


def test_ssim_of_a_picture_with_itself_is_1(scores):
    assert (scores["1 itself"].ssim_tensorflow, scores["1 itself"].ssim_skimage) == (1, 1)


@pytest.mark.parametrize("name", NAMES)
def test_ssim_equals_that_of_scikit_image(scores, name):
    np.testing.assert_allclose(scores[name].ssim_skimage, scores[name].skimage_itself, atol=2e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_ssim_equals_that_of_tensorflow(pictures, name):
    tf = pytest.importorskip("tensorflow")
    scores = four_images.compare(pictures["1 itself"], pictures[name])
    # TensorFlow's mean is one running float32 sum. The mean of its map in float64 is nearer to the truth.
    tensorflow_map = tf.image.ssim(pictures["1 itself"], pictures[name], 255, return_index_map=True).numpy()
    np.testing.assert_allclose(scores.ssim_tensorflow, tensorflow_map.mean(dtype=np.float64), atol=5e-5)
    np.testing.assert_allclose(scores.ssim_tensorflow, scores.tensorflow_itself, atol=2e-3)
    small = four_images.compare(pictures["1 itself"][:64, :64], pictures[name][:64, :64])
    np.testing.assert_allclose(small.ssim_tensorflow, small.tensorflow_itself, atol=5e-5)


def test_a_verdict_depends_on_the_scores_of_its_picture_alone(scores):
    """With the article's scores all conclusions hold; with one picture's SSIM lowered, only that picture's fails."""
    article = {"2 salt and pepper": (15, 0.9), "3 grey overlays": (22, 0.97), "4 value + 30": (35, 0.96)}
    all_hold = scores | {
        name: dataclasses.replace(scores[name], psnr=psnr, ssim_tensorflow=ssim)
        for name, (psnr, ssim) in article.items()
    }
    assert "does not hold" not in four_images.summarize(all_hold)
    for name in article:
        one_fails = all_hold | {name: dataclasses.replace(all_hold[name], ssim_tensorflow=0.7)}
        assert re.findall("(.*): does not hold", four_images.summarize(one_fails)) == [name]


@pytest.mark.parametrize(
    ("value", "score", "grade"),
    [
        (18.69, "psnr", "bad"),
        (18.7, "psnr", "poor"),
        (float("inf"), "psnr", "excellent"),
        (0.88, "ssim_tensorflow", "fair"),
    ],
)
def test_a_grade_starts_at_its_lowest_score(value, score, grade):
    assert four_images.grade(value, score) == grade
