"""Lists folders of pictures: links, loops, closed files, and names that a terminal would obey."""

import doctest
import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL.Image")
from picture_files import RGB, save

from jaxssim import _pictures
from jaxssim._pictures import Report, Unreadable, list_pictures, names, read, show_name, to_grey, to_rgb, to_uint8


def listed(folder, **options):
    """Returns the files of a listing relative to the folder, and the reasons by name."""
    listing = list_pictures(folder, **options)
    files = [str(path.relative_to(folder)) for path in listing.files]
    return files, {str(unreadable.path.relative_to(folder)): unreadable.reason for unreadable in listing.unreadable}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "pictures"
    (path / "a").mkdir(parents=True)
    (path / "notes.txt").touch()
    for name in ("b.png", "a/c.JPG"):
        (path / name).touch()
    return path


def test_links_to_folders_and_files_are_followed(folder, tmp_path):
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "deep" / "d.png").touch()
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "e.png").symlink_to(tmp_path / "elsewhere" / "deep" / "d.png")
    assert listed(folder) == (["a/c.JPG", "b.png", "e.png", "link/deep/d.png"], {})
    assert listed(folder, subfolders=False) == (["b.png", "e.png"], {})


def test_loops_of_links_end(folder):
    (folder / "a" / "self").symlink_to(folder / "a")
    (folder / "a" / "up").symlink_to(folder)
    (folder / "x").mkdir()
    (folder / "x" / "to_a").symlink_to(folder / "a")
    (folder / "a" / "to_x").symlink_to(folder / "x")
    (folder / "round.png").symlink_to(folder / "round.png")
    files, reasons = listed(folder)
    assert files == ["a/c.JPG", "b.png", "x/to_a/c.JPG"]
    assert "broken link" in reasons["round.png"]


def test_what_cannot_be_opened_is_named(folder, tmp_path):
    (folder / "broken.png").symlink_to(tmp_path / "nowhere")
    (folder / "photo.cr2").touch()
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    assert listed(folder) == (
        ["a/c.JPG", "b.png"],
        {
            "broken.png": "a broken link: No such file or directory",
            "photo.cr2": ".cr2 is not read; convert the file to PNG or TIFF",
            "pipe.png": "not a regular file",
        },
    )
    assert [str(one) for one in list_pictures(tmp_path / "nowhere").unreadable] == [
        f"{tmp_path / 'nowhere'} (No such file or directory)"
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_closed_folder_is_named(folder):
    (folder / "a").chmod(0)
    files, reasons = listed(folder)
    (folder / "a").chmod(0o700)
    assert (files, reasons) == (["b.png"], {"a": "Permission denied"})


HOSTILE = {
    b"two\nlines.png": r"two\nlines.png",
    b"latin-\xe9.png": r"latin-\xe9.png",
    b"\x1b[31mred\r.png": r"\x1b[31mred\r.png",
    b"[bold]x[bold] :smile:.png": "[bold]x[bold] :smile:.png",
    "over\u202eridden\u2028.png".encode(): r"over\u202eridden\u2028.png",
    rb"two\nlines.png": r"two\\nlines.png",
    "Größe 大.png".encode(): "Größe 大.png",
}


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_shown_on_one_line_and_read(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    save(path, RGB)
    assert list_pictures(tmp_path).files == [path]
    np.testing.assert_array_equal(read(path).pixels, RGB)
    assert show_name(path.name, "utf-8") == HOSTILE[name]
    show_name(path).encode("utf-8")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_names_are_shown_on_any_terminal(monkeypatch, encoding):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    shown = [show_name(os.fsdecode(name)) for name in HOSTILE]
    shown.append(str(Unreadable(Path("大\n.png"), "2 大 of\nlines")))
    print(*shown, sep="\n")
    terminal.flush()
    assert len(terminal.buffer.getvalue().splitlines()) == len(shown)
    assert shown[-1] == r"\u5927\n.png (2 \u5927 of\nlines)"


def test_names_are_distinct():
    assert len({show_name(os.fsdecode(name)) for name in HOSTILE}) == len(HOSTILE)


def test_a_report_counts_and_names():
    report = Report([Unreadable(Path("x.png"), "not an image")])
    for name in "abcd":
        report.add(Path(f"{name}.png"), ["laid over white"] if name != "b" else [])
    report.add(Path("e.png"), ["laid over white", "another"])
    assert report.lines() == [
        "1 unreadable: x.png (not an image)",
        "laid over white: 4 files (a.png, c.png, d.png, ...)",
        "another: 1 file (e.png)",
    ]
    assert Report().lines() == []
    report = Report()
    report.add(Path("x.png"), ["the profile \x1b[31m\n"])
    assert report.lines() == [r"the profile \x1b[31m\n: 1 file (x.png)"]


@pytest.mark.parametrize("white", [255, 4095, 65535])
def test_8_bits_are_rounded(white):
    values = np.arange(white + 1, dtype=np.uint8 if white == 255 else np.uint16)
    exact = (2 * 255 * values.astype(int) + white) // (2 * white)  # whole numbers, rounded to the nearest
    np.testing.assert_array_equal(to_uint8(values, white), exact)
    np.testing.assert_array_equal(to_uint8((values / white).astype(np.float32), 1.0), exact)


def test_grey_and_rgb():
    np.testing.assert_array_equal(to_rgb(RGB[..., :1]), np.repeat(RGB[..., :1], 3, axis=-1))
    np.testing.assert_array_equal(to_rgb(RGB[..., 0]), np.repeat(RGB[..., :1], 3, axis=-1))
    assert to_rgb(RGB) is not None
    np.testing.assert_array_equal(to_grey(RGB[..., :1]), RGB[..., 0])
    np.testing.assert_allclose(to_grey(RGB), RGB @ np.array([0.299, 0.587, 0.114]), atol=0.51)
    assert to_grey(RGB).dtype == np.uint8


def test_examples_of_the_docstrings_run():
    assert doctest.testmod(names).failed == 0
    assert "| CMYK |" in _pictures.__doc__
