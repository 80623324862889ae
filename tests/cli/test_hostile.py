"""The command on hostile names, broken files, folders of any kind, and wrong options: never a traceback."""

import csv
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

for name in ("rich", "skimage", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

from commands import crop, program, run, scores, write_many
from picture_files import png

from jaxssim._cli.csv_file import CsvFile

slow = pytest.mark.slow
NAMES = [
    "two\nlines",
    os.fsdecode(b"\xe9 [bold] :smile:"),
    "\x1b[2J\x07",
    "<script>&amp;",
    "back\\slash",
    "日本",
    "a,b\"c'",
]
SHOWN = [r"two\nlines", r"\xe9 [bold] :smile:", r"\x1b[2J\x07", "<script>&amp;", r"back\\slash", "日本", "a,b\"c'"]


@pytest.fixture
def folders(tmp_path):
    for which in ("ref", "test"):
        (tmp_path / which).mkdir()
    return tmp_path / "ref", tmp_path / "test"


def save(image, *paths):
    for path in paths:
        Image.fromarray(image).save(path)


@slow
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_hostile_names_are_scored_and_shown_on_one_line(folders, tmp_path, encoding):
    for name in NAMES:
        save(crop("coffee", 20, 24), *(folder / f"{name}.png" for folder in folders))
        (folders[0] / f"{name} broken.png").write_bytes(b"\x1b[31mwords\n")
        (folders[1] / f"{name} broken.png").write_bytes(b"")
        save(crop("coffee", 20, 24), folders[0] / f"{name} alone.png")
    files = {option: tmp_path / option for option in ("csv", "json", "junit", "maps")}
    options = [word for option, path in files.items() for word in (f"--{option}", path)]
    environment = {"PYTHONIOENCODING": encoding, "COLUMNS": "200"}
    status, out, err = program("compare", *folders, *options, environment=environment)
    assert status == 2
    assert err == ""
    assert all(c.isprintable() for c in out.replace("\n", ""))
    for shown in SHOWN:
        expected = shown.encode(encoding, "backslashreplace").decode(encoding)
        lines = [
            line for line in out.splitlines() if line.strip(" |").startswith((expected, str(folders[0] / expected)))
        ]
        assert len(lines) == 3, (expected, out)  # its scores, the error of the broken one, and the one alone
        assert out.count(f"{expected} alone.png") == 1
    content = json.loads(files["json"].read_text())
    by_name = {pair["name"]: pair for pair in content["pairs"]}
    assert by_name.keys() == {*SHOWN, *(f"{shown} broken" for shown in SHOWN)}
    for shown in SHOWN:
        assert by_name[shown]["values"]["ssim"] == 1
        assert by_name[f"{shown} broken"]["error"] == "reference: not an image"
        assert (files["maps"] / f"{shown}.png").is_file()
    assert len(content["without_partner"]) == len(NAMES)
    with files["csv"].open(newline="", encoding="utf-8") as file:
        assert {row["name"] for row in csv.DictReader(file)} == by_name.keys()
    cases = ElementTree.parse(files["junit"]).getroot().findall("testcase")
    assert {case.get("name") for case in cases if case.find("error") is None} == set(SHOWN)
    assert len(cases) == 3 * len(NAMES)


@slow
def test_maps_of_names_that_escapes_make_too_long(folders, tmp_path, capsys):
    for byte in (b"\xe8", b"\xe9"):
        name = os.fsdecode(b"\xff" * 80 + byte)
        save(crop("coffee", 20, 24), *(folder / f"{name}.png" for folder in folders))
    assert run(capsys, "compare", *folders, "--maps", tmp_path / "maps")[0] == 0
    long = os.fsdecode(b"\xff" * 80)
    for folder in folders:
        (folder / long).mkdir()
        save(crop("coffee", 20, 24), folder / long / "a.png")
    assert run(capsys, "compare", *folders, "--maps", tmp_path / "maps")[0] == 0
    assert len(list((tmp_path / "maps").iterdir())) == 3
    assert [path.name for path in (tmp_path / "maps").glob("*/*")] == ["a.png"]


def test_csv_follows_a_link_and_replaces_no_pipe(folders, tmp_path, capsys):
    save(crop("coffee", 20, 24), *(folder / "a.png" for folder in folders))
    link, pipe = tmp_path / "link.csv", tmp_path / "pipe"
    link.symlink_to("scores.csv")
    assert run(capsys, "compare", *folders, "--csv", link)[0] == 0
    assert link.is_symlink()
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 2
    os.mkfifo(pipe)
    for path in (pipe, folders[0]):
        status, _, err = run(capsys, "compare", *folders, "--csv", path)
        assert (status, "is not a regular file" in err.replace("\n", " ")) == (2, True)
    assert pipe.is_fifo()
    assert not list(tmp_path.glob("*.new"))


@slow
def test_a_full_disk_does_not_lose_the_table(tmp_path):
    """The real program, whose files may have 3000 bytes, and a device that is full."""
    write_many(tmp_path, 50)
    table, page = tmp_path / "scores.csv", tmp_path / "report.html"
    outputs = ("--csv", table, "--html", page, "--maps", tmp_path / "maps", "--json", "/dev/full")
    arguments = list(map(str, ("compare", tmp_path / "ref", tmp_path / "test", *outputs)))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))"
    code = f"{limit}; from jaxssim.__main__ import main; raise SystemExit(main({arguments}))"
    environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false", "COLUMNS": "300"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=environment)
    status, out, err = done.returncode, done.stdout, done.stderr
    assert status == 2
    assert "Traceback" not in out + err
    assert "50 pairs" in out
    for line in (f"{table}: File too large", "/dev/full: No space left on device"):
        assert out.splitlines().count(line) == 1, out
    assert out.count("File too large") >= 2
    rows = table.read_text().splitlines()
    assert 2 < len(rows) < 51
    shutil.rmtree(tmp_path / "maps")
    status, out, err = program("compare", tmp_path / "ref", tmp_path / "test", "--csv", table, "--resume")
    assert (status, err) == (0, "")
    assert len(table.read_text().splitlines()) == 51


def test_a_file_that_cannot_be_written_does_not_lose_the_table(folders, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "scores.csv")

    save(crop("coffee", 20, 24), *(folder / f"{name}.png" for folder in folders for name in "ab"))
    monkeypatch.setattr(CsvFile, "add", full)
    status, out, err = run(capsys, "compare", *folders, "--csv", tmp_path / "scores.csv")
    assert (status, err) == (2, "")
    assert "2 pairs" in out
    assert out.endswith("scores.csv: No space left on device\n")


def test_each_pair_that_cannot_be_scored_says_why(folders, capsys):
    ref, test = folders
    good = crop("coffee", 20, 24)
    for name in ("bomb", "cut", "folder", "link", "pipe", "raw", "small", "sizes", "twelve", "values"):
        save(good, ref / f"{name}.png")
    (test / "bomb.png").write_bytes(png(8, 2, [good], size=(60000, 60000)))
    (test / "cut.png").write_bytes((ref / "cut.png").read_bytes()[:100])
    (test / "folder.png").mkdir()
    (test / "link.png").symlink_to("nowhere")
    os.mkfifo(test / "pipe.png")
    (test / "raw.cr2").touch()
    save(good[:8], ref / "small.png", test / "small.png")
    save(good[:16], test / "sizes.png")
    save(good[..., 0].astype(np.uint16), test / "twelve.png")
    save(np.full((20, 24), np.nan, np.float32), test / "values.tif")
    save(good, ref / "good.png", test / "good.webp")
    content = scores(capsys, *folders, status=2)
    errors = {pair["name"]: pair["error"] for pair in content["pairs"]}
    expected = {
        "bomb": "test: Image size (3600000000 pixels) exceeds limit",
        "cut": "test: ",
        "good": "",
        "link": "test: a broken link: No such file or directory",
        "pipe": "test: not a regular file",
        "raw": "test: .cr2 is not read",
        "sizes": "the reference is 24x20, the test 24x16",
        "small": "ssim: the pictures are 24x8, smaller than the window of 11x11 pixels",
        "twelve": "test: its largest value",
        "values": "test: it holds NaN",
    }
    assert errors["twelve"].endswith("; --data-range gives it: 4095 for 12 bits, 65535 for 16")
    assert errors.keys() == expected.keys()
    assert [name for name in expected if not errors[name].startswith(expected[name])] == []
    assert {pair["name"]: [*pair["values"]] for pair in content["pairs"] if pair["values"]} == {
        "good": ["ssim", "psnr"],
        "small": ["psnr"],
    }
    assert content["without_partner"] == [str(ref / "folder.png")]


def test_a_folder_of_errors_alone_and_folders_in_folders(folders, capsys):
    ref, test = folders
    for folder in folders:
        (folder / "deep" / "deeper").mkdir(parents=True)
        (folder / "deep" / "deeper" / "x.png").write_bytes(b"words")
        (folder / "deep" / "loop").symlink_to(folder)
    inside = ref / "inside"  # the folder to compare, inside the references
    inside.mkdir()
    (inside / "y.png").write_bytes(b"words")
    status, out, _ = run(capsys, "compare", ref, test)
    assert status == 2
    assert "deep/deeper/x: reference: not an image" in out
    assert "inside/y.png" in out
    status, out, err = run(capsys, "compare", ref, inside)
    assert (status, out) == (2, "")
    assert "there are no pairs, but 2 pictures without a partner" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ref",), "pass REF and TEST, two files or two folders, or else --pairs FILE.csv"),
        (("ref", "test", "--pairs", "pairs.csv"), "pass REF and TEST"),
        (("ref", "test"), "ref and test hold no pictures\n"),
        (("ref", "nowhere"), "nowhere does not exist, and the other is a folder; pass two folders or two files"),
        (("ref", "a.png"), "a.png is a file, and the other is a folder"),
        (("a.png", "a.png", "--metrics", "vmaf"), "--metrics must be some of ssim, ms-ssim, "),
        (("a.png", "a.png", "--convention", "mine"), "--convention must be one of wang2004, "),
        (("a.png", "a.png", "--crop-border", "-1"), "--crop-border must be at least 0, got -1"),
        (("a.png", "a.png", "--data-range", "nan"), "--data-range must be positive and finite, got nan"),
        (("a.png", "a.png", "--rows", "-1"), "--rows must be at least 0, got -1"),
        (("a.png", "a.png", "--mask", "nowhere"), "--mask nowhere does not exist; pass a folder of masks, or one mask"),
        (("a.png", "a.png", "--json", "nowhere/a.json"), "nowhere/a.json: No such file or directory"),
        (("a.png", "a.png", "--resume"), "--resume goes on from the file of --csv; pass --csv too"),
        (("a.png", "a.png", "--distributed"), "--distributed keeps what each process scores beside the file of --csv"),
        (("a.png", "a.png", "--processes", "2"), "--coordinator, --processes and --process need --distributed"),
        (("a.png", "a.png", "--fail-below", "ssim"), "--fail-below takes METRIC=NUMBER, for example ssim=0.9, got"),
        (("a.png", "a.png", "--fail-below", "ssim=nan"), "--fail-below takes METRIC=NUMBER, for example ssim=0.9, got"),
        (("a.png", "a.png", "--fail-above", "vmaf=3"), "--fail-above names 'vmaf'; pass some of ssim, ms-ssim, "),
        (("a.png", "a.png", "--metrics", "iw-ssim", "--mask", "a.png"), "there is no iw-ssim with a mask"),
        (("a.png", "a.png", "--csv", "nowhere/scores.csv"), "nowhere/scores.csv.new: No such file or directory"),
        (("--pairs", "nowhere.csv"), "cannot read the pairs of nowhere.csv"),
        (("--pairs", "words.csv"), "line 2 of words.csv names no pair; pass a CSV with the columns reference and test"),
        (("--pairs", "empty.csv"), "empty.csv has no rows"),
        (("--pairs", "twice.csv"), "twice.csv has 2 pairs of the name a"),
        (("--pairs", "outside.csv"), "outside.csv has the name ../a"),
    ],
)
def test_wrong_options_end_with_one_line(folders, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    save(crop("coffee", 20, 24), "a.png")
    for name, text in {
        "empty": "reference,test\n",
        "words": "these\nare words\n",
        "twice": "reference,test,name\na.png,a.png,a\na.png,a.png,a\n",
        "outside": "reference,test,name\na.png,a.png,../a\n",
    }.items():
        (tmp_path / f"{name}.csv").write_text(text)
    status, out, err = run(capsys, "compare", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", ["--csv", "--json", "--junit", "--html", "--maps", "--pairs"])
def test_no_result_is_written_over_what_is_read(folders, tmp_path, capsys, option):
    save(crop("coffee", 20, 24), *(folder / "a.png" for folder in folders))
    before = (folders[1] / "a.png").read_bytes()
    output = folders[1] if option == "--maps" else folders[1] / "a.png"
    arguments = (*folders, option, output)
    if option == "--pairs":
        rows = tmp_path / "pairs.csv"
        rows.write_text(f"reference,test\n{folders[0] / 'a.png'},{folders[1] / 'a.png'}\n")
        arguments = ("--pairs", rows, "--csv", rows)
    status, out, err = run(capsys, "compare", *arguments)
    assert (status, out) == (2, "")
    assert "would overwrite" in err
    assert (folders[1] / "a.png").read_bytes() == before
    status, _, err = run(capsys, "video", folders[0] / "a.png", folders[1] / "a.png", "--csv", folders[1] / "a.png")
    assert (status, "would overwrite" in err) == (2, True)
    assert (folders[1] / "a.png").read_bytes() == before


def test_a_map_whose_name_is_shortened_is_written_beside_its_picture(folders, capsys):
    name = 210 * "a"
    save(crop("coffee", 20, 24), *(folder / f"{name}.png" for folder in folders))
    status, _, err = run(capsys, "compare", *folders, "--maps", folders[1])
    assert (status, err) == (0, "")
    written = {path.name for path in folders[1].iterdir()} - {f"{name}.png"}
    assert {path[:183] for path in written if path.startswith("aaa")} == {183 * "a"}


def test_rows_of_a_csv_are_pairs_with_numbers_where_stems_are_equal(folders, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(crop("coffee", 20, 24), "ref/a.png", "test/a.png")
    rows = b"test/a.png,ref/a.png\ntest/\xff\0.png,test/a.png\nref/a.png,\xff.png\n"
    (tmp_path / "pairs.csv").write_bytes(b"\xef\xbb\xbftest,reference\n" + rows)
    content = scores(capsys, "--pairs", "pairs.csv", "--metrics", "mse", status=2)
    first, second, third = content["pairs"]
    assert (first["name"], first["reference"], first["values"]) == ("1-a", "ref/a.png", {"mse": 0})
    assert (second["name"], second["test"]) == ("2-a", r"test/\xff\x00.png")
    assert re.fullmatch(r"test: .*embedded null (byte|character).*", second["error"])  # in the words of Python
    assert (third["name"], third["error"]) == (r"3-\xff", "reference: No such file or directory")


def test_without_the_extra_the_command_says_what_to_install(capsys, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("jaxssim._cli")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "tyro", None)
    status, out, err = run(capsys, "compare", "a", "b")
    assert (status, out) == (2, "")
    assert err == 'the command jaxssim needs the package tyro; install it with: pip install "jaxssim[cli]"\n'
    monkeypatch.delitem(sys.modules, "tyro")
    monkeypatch.setitem(sys.modules, "av", None)
    status, _, err = run(capsys, "video", "a", "b")
    assert (status, "needs the package av; install" in err) == (2, True)
