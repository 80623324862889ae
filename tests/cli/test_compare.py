"""`jaxssim compare` against the definitions in float64, and each of its options."""

import csv
import json
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

for name in ("rich", "skimage", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

import reference
from commands import NAMES, crop, program, read_pairs, run, scores, write_folders
from skimage.metrics import structural_similarity

import jaxssim
from jaxssim._cli.junit import write_junit
from jaxssim._cli.metrics import METRICS
from jaxssim._cli.pairing import Pairing
from jaxssim._pictures import Unreadable

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_folders(tmp_path_factory.mktemp("pictures"))


def truth(x, y):
    """The metrics of a pair in float64, by the names of the command."""
    mse = np.mean((x - y) ** 2)
    return {
        "ssim": 1 - float(reference.one_minus_ssim(x, y, 255)),
        "psnr": 10 * math.log10(255**2 / mse),
        "mse": mse,
        "mae": np.mean(abs(x - y)),
    }


def check(values, expected):
    assert values.keys() == expected.keys()
    for name in expected:
        assert values[name] == pytest.approx(expected[name], rel=1e-6, abs=2e-7), name


def test_values_of_all_outputs_are_those_of_the_definitions(folders, tmp_path, capsys):
    table, maps = tmp_path / "scores.csv", tmp_path / "maps"
    content = scores(capsys, *folders, "--metrics", "ssim", "psnr", "mse", "mae", "--csv", table, "--maps", maps)
    pairs = read_pairs(*folders)
    expected = {name: truth(*pair) for name, pair in pairs.items()}
    assert [pair["name"] for pair in content["pairs"]] == ["astronaut", "coffee", "deep/rocket"]
    for pair in content["pairs"]:
        check(pair["values"], expected[pair["name"]])
        assert (pair["height"], pair["width"]) == pairs[pair["name"]][0].shape[:2]
        assert pair["error"] == ""
        assert all((folders[i].parent / pair[which]).is_file() for i, which in enumerate(("reference", "test")))
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [[float(row[name]) for name in ("ssim", "mae")] for row in rows] == [
        [pair["values"][name] for name in ("ssim", "mae")] for pair in content["pairs"]
    ]
    for name in METRICS.keys() & content["summary"]:
        values = np.array([each[name] for each in expected.values()])
        for key, value in (("mean", values.mean()), ("median", np.median(values)), ("least", values.min())):
            assert content["summary"][name][key] == pytest.approx(value, rel=1e-6)
    assert content["finished"] is True
    assert content["versions"]["jaxssim"] == jaxssim.__version__
    assert content["options"]["metrics"] == ["ssim", "psnr", "mse", "mae"]
    for name, (x, y) in pairs.items():
        drawn = np.asarray(Image.open(maps / f"{name}.png"), float)[..., :3].sum(-1)
        expected_map = 1 - reference.one_minus_ssim_map(x, y, 255).mean(-1)
        assert drawn.shape == expected_map.shape
        assert np.corrcoef(drawn.ravel(), expected_map.ravel())[0, 1] > 0.95  # colours are not linear


def test_the_table_has_the_worst_pair_first_and_limits_give_the_exit_status(folders, tmp_path, capsys):
    expected = {name: truth(*pair) for name, pair in read_pairs(*folders).items()}
    by_ssim = sorted(expected, key=lambda name: expected[name]["ssim"])
    bound = np.mean([expected[name]["ssim"] for name in by_ssim[:2]])  # between the worst and the next
    junit = tmp_path / "junit.xml"
    status, out, _ = run(capsys, "compare", *folders, "--fail-below", f"ssim={bound}", "--junit", junit)
    assert status == 1
    assert [out.index(name) for name in by_ssim] == sorted(out.index(name) for name in by_ssim)
    for values in expected.values():
        assert f"{values['ssim']:.6f}" in out
        assert f"{values['psnr']:#.6g}" in out
    assert f"1 of 3 pairs break a limit, first {by_ssim[0]}: ssim" in out
    suite = ElementTree.parse(junit).getroot()
    assert suite.attrib == {"name": "jaxssim compare", "tests": "3", "failures": "1", "errors": "0"}
    assert [case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None] == by_ssim[:1]
    passing = ("--fail-below", "ssim=-1", f"psnr={min(v['psnr'] for v in expected.values()) - 0.01}")
    assert run(capsys, "compare", *folders, *passing)[0] == 0
    assert run(capsys, "compare", *folders, "--rows", "1")[1].count(by_ssim[2]) == 0


def test_junit_has_an_error_for_each_file_and_folder_that_was_left_out(tmp_path):
    pairing = Pairing([], [Path("left.png")], [Unreadable(Path("locked"), "Permission denied")])
    write_junit([], [], pairing, tmp_path / "junit.xml")
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("errors")) == ("2", "2")
    errors = {case.get("name"): case.find("error").get("message") for case in suite.iter("testcase")}
    assert errors == {"left.png": "it has no partner", "locked": "Permission denied"}


def test_the_metric_of_a_limit_is_computed_too(folders, capsys):
    expected = {name: truth(*pair)["mae"] for name, pair in read_pairs(*folders).items()}
    content = scores(
        capsys, *folders, "--metrics", "mse", "--fail-above", f"mae={max(expected.values()) - 1e-3}", status=1
    )
    for pair in content["pairs"]:
        assert pair["values"].keys() == {"mse", "mae"}
        assert pair["values"]["mae"] == pytest.approx(expected[pair["name"]], rel=1e-6)


def test_a_metric_that_does_not_fit_leaves_the_values_of_the_others(tmp_path, capsys):
    """MS-SSIM needs larger pictures; the limit of another metric still counts."""
    ref, test = write_folders(tmp_path)
    table = tmp_path / "scores.csv"
    arguments = (ref, test, "--metrics", "ms-ssim", "psnr", "--csv", table)
    expected = {name: truth(*pair)["psnr"] for name, pair in read_pairs(ref, test).items()}
    content = scores(capsys, *arguments, "--fail-below", "psnr=99", status=1)
    for pair in content["pairs"]:
        assert pair["values"] == {"psnr": pytest.approx(expected[pair["name"]], rel=1e-6)}
        size = f"{pair['width']}x{pair['height']}"
        assert pair["error"].startswith(f"ms-ssim: the pictures are {size}, but 5 scales need at least"), pair["error"]
    assert content["summary"].keys() == {"psnr"}
    with table.open(newline="") as file:
        assert [(row["ms-ssim"], float(row["psnr"])) for row in csv.DictReader(file)] == [
            ("", pair["values"]["psnr"]) for pair in content["pairs"]
        ]
    status, out, _ = run(capsys, "compare", *arguments)
    assert status == 2
    assert f"{expected['coffee']:#.6g}" in out


@slow
def test_fail_above_and_orders_of_metrics_of_which_less_is_better(folders, capsys):
    expected = {name: truth(*pair)["mse"] for name, pair in read_pairs(*folders).items()}
    names = sorted(expected, key=expected.get, reverse=True)
    first, second = (expected[name] for name in names[:2])
    command = ("compare", *folders, "--metrics", "mse", "--fail-above")
    status, out, _ = run(capsys, *command, f"mse={(first + second) / 2}")
    assert status == 1
    assert "1 of 3 pairs" in out
    assert [out.index(name) for name in names] == sorted(out.index(name) for name in names)
    assert run(capsys, *command, f"mse={first + 0.01}")[0] == 0


@slow
def test_ms_ssim_and_cw_ssim(tmp_path, capsys):
    folders = write_folders(tmp_path, 170, 180)
    for folder in folders:  # too small for MS-SSIM, between two that are not
        Image.fromarray(crop("coffee", 164, 180)).save(folder / "between.png")
    content = scores(capsys, *folders, "--metrics", "ms-ssim", "cw-ssim", "--crop-border", "2", status=2)
    between = content["pairs"].pop(1)
    assert (between["name"], between["values"]) == ("between", {"cw-ssim": 1})
    assert between["error"].startswith("ms-ssim: the pictures are 176x160, but 5 scales need")
    for pair in content["pairs"]:
        assert pair["error"] == ""
        x, y = (image[2:-2, 2:-2] for image in read_pairs(*folders)[pair["name"]])
        ms_ssim = 1 - reference.one_minus_ms_ssim(x, y, 255, jaxssim.MS_SSIM_WEIGHTS)
        assert pair["values"]["ms-ssim"] == pytest.approx(float(ms_ssim), abs=2e-7)
        cw_ssim = float(jaxssim.cw_ssim(x.astype(np.uint8), y.astype(np.uint8)))  # the function has tests of its own
        assert pair["values"]["cw-ssim"] == pytest.approx(cw_ssim, abs=1e-6)


@slow
def test_metrics_that_compile_for_each_size(tmp_path, capsys):
    """The functions have tests of their own; here, which picture is the reference, border, mask and colours."""
    for which in ("ref", "test"):
        (tmp_path / which).mkdir()
        Image.fromarray(crop("coffee", 170, 180)).save(tmp_path / which / f"rgb.{'png' if which == 'ref' else 'jpg'}")
        grey = Image.fromarray(crop("coffee", 170, 180)).convert("L")
        grey.save(tmp_path / which / f"grey.{'png' if which == 'ref' else 'jpg'}", quality=30)
    mask = np.zeros((170, 180), np.uint8)
    mask[:, :60] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    folders, border = (tmp_path / "ref", tmp_path / "test"), ("--crop-border", "2")
    plain = scores(capsys, *folders, "--metrics", "iw-ssim", "ssimulacra2", *border)
    masked = scores(capsys, *folders, "--metrics", "cw-ssim", "ssim", *border, "--mask", tmp_path / "mask.png")
    for pair, other in zip(plain["pairs"], masked["pairs"], strict=True):
        x, y = (
            np.asarray(Image.open(pair[which]))[2:-2, 2:-2].reshape(166, 176, -1) for which in ("reference", "test")
        )
        for name, function in (("iw-ssim", jaxssim.iw_ssim), ("ssimulacra2", jaxssim.ssimulacra2)):
            assert pair["values"][name] == pytest.approx(float(function(x, y)), rel=1e-6)
            assert pair["values"][name] != pytest.approx(float(function(y, x)), rel=1e-6)
        expected = float(jaxssim.cw_ssim(x, y, mask=mask[2:-2, 2:-2] / np.float32(255)))
        assert other["values"]["cw-ssim"] == pytest.approx(expected, abs=1e-6)
        assert other["values"]["cw-ssim"] != pytest.approx(float(jaxssim.cw_ssim(x, y)), abs=1e-6)


@slow
@pytest.mark.parametrize("name", ["skimage", "SKIMAGE_GAUSSIAN"])
def test_conventions_are_those_of_scikit_image(folders, capsys, name):
    content = scores(capsys, *folders, "--metrics", "ssim", "--convention", name)
    for pair in content["pairs"]:
        x, y = read_pairs(*folders)[pair["name"]]
        options = {"gaussian_weights": "GAUSSIAN" in name, "data_range": 255, "channel_axis": -1}
        assert pair["values"]["ssim"] == pytest.approx(structural_similarity(x, y, **options), abs=2e-7)


@slow
def test_luma_and_crop_border_follow_matlab(folders, capsys):
    content = scores(capsys, *folders, "--luma", "--crop-border", "3")
    for pair in content["pairs"]:
        x, y = (
            np.floor(16 + image @ [65.481 / 255, 128.553 / 255, 24.966 / 255] + 0.5)[3:-3, 3:-3, None]
            for image in read_pairs(*folders)[pair["name"]]
        )
        expected = truth(x, y)
        check(pair["values"], {name: expected[name] for name in ("ssim", "psnr")})


@slow
@pytest.mark.parametrize("kind", ["folder", "file", "column"])
def test_masks_leave_black_pixels_out(tmp_path, capsys, kind):
    ref, test = write_folders(tmp_path, 64, 80)
    pairs = read_pairs(ref, test)
    rng = np.random.default_rng(0)
    masks = {}
    for name, (x, _) in pairs.items():
        masks[name] = np.zeros(x.shape[:2], np.uint8)
        masks[name][:, : 30 + rng.integers(20)] = 255
        masks[name][:20] = 51
        (tmp_path / "masks" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(masks[name]).save(tmp_path / "masks" / f"{name}.png")
    arguments = (ref, test, "--mask", tmp_path / "masks")
    if kind == "file":
        arguments = (ref / "coffee.png", test / "coffee.jpg", "--mask", tmp_path / "masks" / "coffee.png")
    if kind == "column":
        lines = [f"{name},{ref}/{name}.png,{test}/{name}.jpg,{tmp_path}/masks/{name}.png" for name in pairs]
        (tmp_path / "pairs.csv").write_text("\n".join(["name,reference,test,mask", *lines]))
        arguments = ("--pairs", tmp_path / "pairs.csv")
    content = scores(capsys, *arguments)
    assert len(content["pairs"]) == (1 if kind == "file" else 3)
    for pair in content["pairs"]:
        (x, y), mask = pairs[pair["name"]], masks[pair["name"]] / 255
        weights = np.broadcast_to(mask[..., None], x.shape)
        mse = np.average((x - y) ** 2, weights=weights)
        ssim = 1 - float(reference.one_minus_ssim(x, y, 255, mask=mask[..., None]))
        check(pair["values"], {"ssim": ssim, "psnr": 10 * math.log10(255**2 / mse)})


def test_pairs_of_other_depths_and_colours_are_scored_as_such(tmp_path, capsys):
    """16 bits beside 8, grey beside RGB, equal floats: no value is rounded to 8 bits."""
    grey = crop("camera")[..., 0].clip(0, 250)
    deep = grey.astype(np.uint16) * 257 + np.arange(80, dtype=np.uint16)  # 8 bits would lose the ramp
    for which in ("ref", "test"):
        (tmp_path / which).mkdir()
    Image.fromarray(deep).save(tmp_path / "ref" / "deep.png")
    Image.fromarray(grey).save(tmp_path / "test" / "deep.png")
    Image.fromarray(grey).save(tmp_path / "ref" / "grey.png")
    Image.fromarray(np.dstack([grey, grey, 255 - grey])).save(tmp_path / "test" / "grey.png")
    Image.fromarray(grey / np.float32(255)).save(tmp_path / "ref" / "same.tif")
    Image.fromarray(grey / np.float32(255)).save(tmp_path / "test" / "same.tif")
    content = scores(capsys, tmp_path / "ref", tmp_path / "test", "--metrics", "mse", "psnr")
    deep_pair, grey_pair, same = (pair["values"] for pair in content["pairs"])
    assert deep_pair["mse"] == pytest.approx(np.mean(np.arange(80.0) ** 2), rel=1e-4)  # float32 has steps of 0.004
    assert grey_pair["mse"] == pytest.approx(np.mean((255 - 2.0 * grey) ** 2) / 3, rel=1e-6)
    assert same == {"mse": 0, "psnr": "Infinity"}
    assert content["summary"]["psnr"]["median"] == deep_pair["psnr"]


@slow
@pytest.mark.parametrize("which", ["reference", "test"])
def test_sizes_that_differ_are_an_error_unless_one_is_resized(tmp_path, capsys, which):
    x = crop("coffee", 60, 90)
    Image.fromarray(x).save(tmp_path / "x.png")
    Image.fromarray(x[:50, :70]).save(tmp_path / "y.png")
    files = (tmp_path / "x.png", tmp_path / "y.png")
    (pair,) = scores(capsys, *files, status=2)["pairs"]
    assert pair["error"] == "the reference is 90x60, the test 70x50; --resize resizes one of them"
    (pair,) = scores(capsys, *files, "--resize", which, "--filter", "bicubic")["pairs"]
    images = [Image.fromarray(x), Image.fromarray(x[:50, :70])]
    size = images[which == "reference"].size
    resized = [np.asarray(image.resize(size, Image.Resampling.BICUBIC), float) for image in images]
    assert (pair["width"], pair["height"]) == size
    assert pair["values"]["psnr"] == pytest.approx(truth(*resized)["psnr"], abs=0.02)  # Pillow rounds after each axis


@slow
def test_a_stopped_run_goes_on_where_it_was(folders, tmp_path, capsys):
    table = tmp_path / "scores.csv"
    whole = scores(capsys, *folders, "--csv", table)
    lines = table.read_text().splitlines(keepends=True)
    marked = lines[1].replace(lines[1].split(",")[5], "0.125")  # a value that only the file has
    failed = "coffee,a,b,,,,,,an error\n"
    table.write_text("".join([lines[0], marked, failed, lines[3][:-9]]))  # the last row is cut short
    again = scores(capsys, *folders, "--csv", table, "--resume")
    assert [pair["name"] for pair in again["pairs"]] == [pair["name"] for pair in whole["pairs"]]
    assert again["pairs"][0]["values"]["ssim"] == 0.125
    assert [pair["values"] for pair in again["pairs"][1:]] == [pair["values"] for pair in whole["pairs"][1:]]
    assert sorted(table.read_text().splitlines(True)) == sorted([lines[0], marked, *lines[2:]])
    status, _, err = run(capsys, "compare", *folders, "--csv", table, "--resume", "--metrics", "mse")
    assert status == 2
    assert "pass the options of the first run, or another file" in err


@pytest.mark.parametrize(
    "options",
    [
        ("--convention", "skimage"),
        pytest.param(("--luma",), marks=slow),
        ("--crop-border", "2"),
        pytest.param(("--mask", "mask.png"), marks=slow),
        ("--data-range", "4095.0"),
        ("--resize", "test", "--filter", "box"),
    ],
)
def test_values_of_other_options_are_not_resumed(tmp_path, capsys, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    for name in ("a.png", "mask.png"):
        Image.fromarray(crop("coffee", 20, 24)).save(name)
    command = ("compare", "a.png", "a.png", "--metrics", "mse", "--csv", "scores.csv")
    assert run(capsys, *command, *options)[0] == 0
    with (tmp_path / "scores.csv").open(newline="") as file:
        assert [row["options"] for row in csv.DictReader(file)] == [" ".join(options)]
    assert run(capsys, *command, *options, "--resume")[0] == 0
    before = (tmp_path / "scores.csv").read_bytes()
    status, out, err = run(capsys, *command, "--resume")
    assert (status, out) == (2, "")
    assert err == (
        f"scores.csv holds values with {' '.join(options)}, and this run is with the default options; pass the options "
        "of the first run, or another file\n"
    )
    assert (tmp_path / "scores.csv").read_bytes() == before


@slow
@pytest.mark.parametrize("form", ["page.html", "folder"])
def test_the_report_has_each_pair_also_those_of_an_earlier_run(folders, tmp_path, capsys, form):
    table, report = tmp_path / "scores.csv", tmp_path / form
    convention = ("--convention", "wang-autodownsample")
    scores(capsys, *folders, "--csv", table, *convention)
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:2]))
    scores(capsys, *folders, "--csv", table, "--resume", "--html", report, *convention)
    text = (report if form == "page.html" else report / "index.html").read_text()
    assert all(name in text for name in ("astronaut", "coffee", "deep/rocket", "--convention"))
    if form == "folder":
        pictures = [np.asarray(Image.open(path)) for path in (report / "pictures").glob("*-reference.png")]
        expected = [x for x, _ in read_pairs(*folders).values()]
        assert sorted(picture.sum() for picture in pictures) == sorted(x.sum() for x in expected)
    else:
        assert text.count("data:image/webp;base64,") >= 2 * 3  # thumbnails, and perhaps pictures


@slow
def test_the_report_lists_files_without_a_partner(tmp_path, capsys):
    folders = write_folders(tmp_path)
    (folders[1] / "coffee.jpg").rename(folders[1] / "tea.jpg")
    assert run(capsys, "compare", *folders, "--html", tmp_path / "page.html")[0] == 2
    text = (tmp_path / "page.html").read_text()
    assert "2 without a partner" in text
    assert all(f"<li>{path}</li>" in text for path in (folders[0] / "coffee.png", folders[1] / "tea.jpg"))


@slow
def test_the_map_of_a_convention_that_shrinks_is_as_large_as_the_picture(tmp_path, capsys):
    ref, test = (tmp_path / which for which in ("ref.png", "test.png"))
    image = crop("astronaut", 390, 390)
    for path, picture in ((ref, image), (test, np.where(np.arange(390) < 195, image.swapaxes(1, 2), 0).swapaxes(1, 2))):
        Image.fromarray(picture.astype(np.uint8)).save(path)
    run(capsys, "compare", ref, test, "--maps", tmp_path / "maps", "--convention", "wang-autodownsample")
    drawn = np.asarray(Image.open(tmp_path / "maps" / "ref.png"), float)
    height, width = drawn.shape[:2]
    assert (height, width) == (2 * 195 - 20, 2 * 195 - 20)
    bright = drawn[..., :3].sum(-1)
    assert bright[:, : width // 2 - 20].min() == bright.max()
    assert bright[:, width // 2 + 20 :].mean() < bright.max() / 2


@slow
def test_the_program_itself(folders, tmp_path):
    """The real program: a table with names on standard output; nothing but JSON there with --json -."""
    status, out, err = program("compare", *folders, "--fail-below", "ssim=0.99999")
    assert (status, err) == (1, "")
    assert all(name in out for name in NAMES)
    status, out, err = program("compare", *folders, "--json", "-", "--csv", tmp_path / "scores.csv")
    assert status == 0
    assert len(json.loads(out)["pairs"]) == 3
    assert "astronaut" in err
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 4
