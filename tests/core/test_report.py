"""What a report's writer leaves on disk, checked against the pictures and values that went in."""

import base64
import html
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from PIL import Image

from jaxssim._cli.results import MetricInfo, PairResult
from jaxssim._report import ReportWriter, writer
from jaxssim._report.pictures import COMPACT, THUMBNAIL

SSIM = MetricInfo("ssim", "SSIM", True, "")
MSE = MetricInfo("mse", "MSE", False, "")
RNG = np.random.default_rng(0)
REFERENCE, TEST = RNG.integers(0, 256, (2, 40, 60, 3), dtype=np.uint8)
MAP = RNG.uniform(-1, 1, (30, 50))


def result(name, **values):
    return PairResult(name, Path("a") / name, Path("b") / name, (60, 40), values, "" if values else "damaged")


def page_data(page):
    """Returns what the page's scripts read, and its embedded files by name."""
    text = page.read_text("utf-8")
    (data,) = re.findall(r'<script type="application/json" id="report">(.*?)</script>', text, re.S)
    files = re.findall(r'<script type="text/plain" id="([^"]*)">data:([^;]*);base64,([^<]*)</script>', text)
    return json.loads(data), {name: (kind, base64.b64decode(content)) for name, kind, content in files}


def decode(path_or_bytes):
    source = io.BytesIO(path_or_bytes) if isinstance(path_or_bytes, bytes) else path_or_bytes
    return np.asarray(Image.open(source))


def test_folder_holds_every_pixel(tmp_path):
    with ReportWriter(tmp_path / "new" / "report", [SSIM], {}) as report:
        report.add(result("one", ssim=0.5), REFERENCE, TEST, MAP)
    (pair,) = page_data(tmp_path / "new" / "report" / "index.html")[0]["pairs"]
    reference, test, coded = (decode(tmp_path / "new" / "report" / "pictures" / name) for name in pair["pictures"])
    np.testing.assert_array_equal(reference, REFERENCE)
    np.testing.assert_array_equal(test, TEST)
    inside = np.pad(np.ones(MAP.shape, bool), 5)
    np.testing.assert_array_equal(coded[..., 1], np.where(inside, 255, 0))
    decoded = 1 - 2 * (coded[..., 0] / 255.0) ** 2
    step = 4 * np.sqrt((1 - MAP) / 2) / 255 / 2 + 2 * (0.5 / 255) ** 2  # half a step of the code, in SSIM
    assert (np.abs(decoded[5:-5, 5:-5] - MAP) <= step + 1e-12).all()


def test_a_map_with_unknown_values_is_transparent_there(tmp_path):
    with ReportWriter(tmp_path, [SSIM], {}) as report:
        report.add(result("one", ssim=0.5), REFERENCE, TEST, np.where(MAP > 0, MAP, np.nan))
    (pair,) = page_data(tmp_path / "index.html")[0]["pairs"]
    coded = decode(tmp_path / "pictures" / pair["pictures"][2])
    np.testing.assert_array_equal(coded[5:-5, 5:-5, 1], np.where(MAP > 0, 255, 0))


def test_grey_pictures_are_shown_from_a_view_of_one_channel(tmp_path):
    grey = np.broadcast_to(REFERENCE[..., :1], REFERENCE.shape)  # as the reader gives grey pictures
    with ReportWriter(tmp_path, [SSIM], {}) as report:
        report.add(result("one", ssim=0.5), grey, TEST[::-1, ::-1], None)
    first, second = (
        decode(tmp_path / "pictures" / name) for name in page_data(tmp_path / "index.html")[0]["pairs"][0]["pictures"]
    )
    np.testing.assert_array_equal(first, grey)
    np.testing.assert_array_equal(second, TEST[::-1, ::-1])


def test_file_holds_scaled_pictures(tmp_path):
    large = np.repeat(np.repeat(REFERENCE, 30, 0), 30, 1)  # 1200 x 1800
    with ReportWriter(tmp_path / "report.html", [SSIM], {}) as report:
        report.add(result("one", ssim=0.5), large, large[::-1], np.ones((1190, 1790)))
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    data, files = page_data(tmp_path / "report.html")
    (pair,) = data["pairs"]
    assert pair["shown"] == [1800, 1200]
    for names, longest in ((pair["pictures"][:2], 1024), (pair["pictures"][2:], 512), (pair["thumbnails"], 160)):
        for name in names:
            kind, content = files[name]
            assert Image.open(io.BytesIO(content)).get_format_mimetype() == kind
            assert max(decode(content).shape) == longest
    shown = decode(files[pair["pictures"][0]][1]).astype(float)
    truth = np.asarray(Image.fromarray(large).resize((1024, 683), Image.Resampling.LANCZOS), float)
    assert np.abs(shown - truth).mean() < 12


def test_limits_are_those_of_the_page_of_the_site():
    text = (Path(__file__).parents[2] / "docs" / "report.md").read_text()
    limits = [f"{encoding.longest} pixels" for encoding in (COMPACT["test"], COMPACT["map"], THUMBNAIL)]
    assert [limit for limit in (*limits, f"{writer.BUDGET // 2**20} MiB") if limit not in text] == []


def test_the_worst_pairs_keep_their_pictures(tmp_path, monkeypatch):
    with ReportWriter(tmp_path / "report.html", [SSIM], {}) as report:
        report.add(result("alone", ssim=0.5), REFERENCE, TEST, MAP)
    data, files = page_data(tmp_path / "report.html")
    size = sum(len(files[name][1]) for name in data["pairs"][0]["pictures"])
    monkeypatch.setattr(writer, "BUDGET", size * 3 // 2)
    for metric, worst in ((SSIM, "low"), (MSE, "high")):
        with ReportWriter(tmp_path / "report.html", [metric], {}) as report:
            for name, value in (("middle", 0.5), ("low", 0.1), ("high", 0.9)):
                report.add(result(name, **{metric.name: value}), REFERENCE, TEST, MAP)
            assert len([*report.album.folder.iterdir()]) == 3 * 3 + 3  # the disk holds no more either
        data, files = page_data(tmp_path / "report.html")
        kept = [pair for pair in data["pairs"] if "pictures" in pair]
        assert [pair["name"] for pair in kept] == [worst]
        assert set(files) == {*kept[0]["pictures"], *(name for pair in data["pairs"] for name in pair["thumbnails"])}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_run_leaves_what_was_scored(tmp_path, error):
    page = tmp_path / "report.html"

    def scores_one():
        with ReportWriter(page, [SSIM], {}) as report:
            report.add(result("one", ssim=0.5), REFERENCE, TEST, MAP)
            raise error

    with pytest.raises(error):
        scores_one()
    assert [pair["name"] for pair in page_data(page)[0]["pairs"]] == ["one"]


def test_an_earlier_report_stays_until_the_end(tmp_path):
    page = tmp_path / "report.html"
    page.touch()
    with ReportWriter(page, [SSIM], {}) as report:
        report.add(result("first", ssim=0.5), REFERENCE, TEST, MAP)
    earlier = page.read_bytes()
    with ReportWriter(page, [SSIM], {}) as report:
        assert page.read_bytes() == earlier
        report.add(result("second"), None, None, None)
    assert [pair["name"] for pair in page_data(page)[0]["pairs"]] == ["second"]
    assert page_data(page)[0]["pairs"][0]["error"] == "damaged"


@pytest.mark.parametrize("target", ["site.html", "site"])
def test_pages_of_others_stay(tmp_path, target):
    page = tmp_path / target if target.endswith(".html") else tmp_path / target / "index.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text("<title>My own</title>")
    with pytest.raises(FileExistsError, match="pass another path"), ReportWriter(tmp_path / target, [SSIM], {}):
        raise AssertionError("the report was entered")
    assert page.read_text() == "<title>My own</title>"


def test_a_path_that_cannot_be_written_fails_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), ReportWriter(tmp_path / "file" / "report.html", [SSIM], {}):
        raise AssertionError("the report was entered")


def test_values_and_names_keep_their_meaning(tmp_path):
    names = [
        "</script><script>x</script>",
        "two\nlines",
        "\udcff.png",
        "a\u2028b",
        "\u202egnp.exe",
        "<!--",
        "ä &amp; 中",
    ]
    with ReportWriter(tmp_path / "report.html", [SSIM, MSE], {"<b>": "</script>"}) as report:
        for name in names:
            report.add(result(name, ssim=float("inf"), mse=float("nan")), None, None, None)
    text = (tmp_path / "report.html").read_bytes().decode("utf-8")
    data, _ = page_data(tmp_path / "report.html")
    shown = [
        "</script><script>x</script>",
        "two\\nlines",
        "\\xff.png",
        "a\\u2028b",
        "\\u202egnp.exe",
        "<!--",
        "ä &amp; 中",
    ]
    assert [pair["name"] for pair in data["pairs"]] == shown
    assert data["pairs"][0]["values"] == ["Infinity", "NaN"]
    assert "<script>x" not in text
    assert "<b>" not in text
    assert html.escape("</script>") in text
