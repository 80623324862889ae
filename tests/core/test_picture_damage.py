"""Refuses damaged files, and kinds whose library is missing, each with a reason; nothing else ends a run."""

import contextlib
import subprocess
import sys
import warnings

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
from picture_files import FLOAT, GREY, GREY16, RGB, RGB16, check, png, save, write_tiff

from jaxssim._pictures import Unreadable, read, show_name


def reason(path):
    with pytest.raises(Unreadable) as refused:
        read(path)
    assert refused.value.path == path
    assert str(refused.value) == f"{show_name(path)} ({refused.value.reason})"
    return refused.value.reason


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp", "gif", "jp2", "pgm", "ppm", "pfm", "avif"])
def test_truncated_files_are_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"x.{suffix}"
    if suffix == "pfm":
        path.write_bytes(b"PF\n64 64\n-1\n" + (noise / np.float32(255)).tobytes())
    else:
        save(path, noise[..., 0] if suffix == "pgm" else noise)
    read(path)
    whole = path.read_bytes()
    for kept in (len(whole) // 2, 20, 3):
        path.write_bytes(whole[:kept])
        assert reason(path)


def test_every_damaged_byte_gives_a_picture_or_a_reason(tmp_path):
    """Decoders raise errors of any kind on damaged files; none ends a run, and no warning becomes one."""
    rng = np.random.default_rng(0)
    files = [save(tmp_path / f"x.{suffix}", RGB) for suffix in ("png", "gif", "tif", "bmp", "webp", "ppm", "jpg")]
    files.append(write_tiff(tmp_path / "deep.tif", RGB16, photometric="rgb"))
    for path in files:
        whole = bytearray(path.read_bytes())
        for _ in range(60):
            damaged = whole.copy()
            for place in rng.integers(0, min(len(whole), 300), 3):
                damaged[place] = rng.integers(256)
            path.write_bytes(damaged)
            with contextlib.suppress(Unreadable):
                picture = read(path)
                assert picture.pixels.dtype in (np.uint8, np.uint16, np.float32)
                assert picture.pixels.ndim == 3


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "text.png").write_text("words")
    (tmp_path / "empty.gif").touch()
    (tmp_path / "drawing.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\nshowpage\n")
    for name in ("text.png", "empty.gif", "drawing.png"):
        assert reason(tmp_path / name) == "not an image"
    save(tmp_path / "whole.jpg", RGB)
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:20])
    assert reason(tmp_path / "cut.jpg") == "a damaged JPEG, or one of a kind that is not read"
    assert reason(tmp_path / "nowhere.png") == "No such file or directory"
    assert reason(tmp_path) == "not a regular file"
    (tmp_path / "thread.pgm").write_bytes(b"P5 1000000 1000000 255\n12")
    assert "it has 2 of 1000000000000 values" in reason(tmp_path / "thread.pgm")
    (tmp_path / "over.pgm").write_bytes(b"P5 8 6 100\n" + bytes([200] * 48))
    assert "a value of 200, more than its maxval of 100" in reason(tmp_path / "over.pgm")
    raw = write_tiff(tmp_path / "raw.tif", RGB, photometric="rgb").rename(tmp_path / "raw.DNG")
    assert reason(raw) == ".DNG is not read; convert the file to PNG or TIFF"


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_a_decompression_bomb_is_refused_under_any_warning_filter(tmp_path, action):
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        for side in (10_000, 50_000):
            path = tmp_path / "bomb.png"
            path.write_bytes(png(8, 2, RGB, size=(side, side)))
            assert f"{side**2} pixels" in reason(path)


def test_pillow_alone_reads_most_kinds_and_names_what_the_others_need(tmp_path, monkeypatch):
    deep_png = tmp_path / "deep.png"
    deep_png.write_bytes(png(16, 2, RGB16.astype(">u2")))
    deep_tiff = write_tiff(tmp_path / "deep.tif", RGB16, photometric="rgb")
    grey, floats = write_tiff(tmp_path / "16.tif", GREY16), write_tiff(tmp_path / "f.tif", FLOAT)
    inverted = write_tiff(tmp_path / "inverted.tif", GREY16, photometric="miniswhite")
    for name in ("imagecodecs", "tifffile", "pillow_heif"):
        monkeypatch.setitem(sys.modules, name, None)
    check(grey, GREY16, 65535)
    check(inverted, 65535 - GREY16, 65535)
    check(floats, FLOAT, 1, "floats within [0, 1]")
    check(save(tmp_path / "8.tif", RGB), RGB, 255)
    check(save(tmp_path / "16.png", GREY16), GREY16, 65535)
    check(save(tmp_path / "8.jp2", GREY), GREY, 255)
    assert reason(deep_png) == "PNG of 16 bits needs imagecodecs; install jaxssim[pictures]"
    assert reason(deep_tiff) == "this kind of TIFF needs tifffile; install jaxssim[pictures]"


def test_an_older_pillow_reads_what_it_knows(tmp_path, monkeypatch):
    known, avif = save(tmp_path / "x.png", RGB), tmp_path / "x.avif"
    avif.write_bytes(b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf")
    Image.init()
    monkeypatch.delitem(Image.OPEN, "AVIF", raising=False)
    check(known, RGB, 255)
    assert "Pillow is older than 11.3" in reason(avif)


def test_jaxssim_alone_does_not_import_the_reader():
    code = "import sys, jaxssim; print(*sorted(name for name in sys.modules if 'pictures' in name or name == 'PIL'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
