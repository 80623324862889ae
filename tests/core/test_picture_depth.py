"""Reads picture files of every depth: the samples stay as they are, with the file's own white."""

import sys

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
from picture_files import FLOAT, FLOATS, GREY, GREY16, RGB, RGB16, RNG, check, png, save, write_tiff
from PIL import features

from jaxssim._pictures import Unreadable, read


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "webp", "jp2"])
def test_8_bits_stay(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    check(save(tmp_path / f"rgb.{suffix}", RGB, **options), RGB, 255)
    if suffix != "webp":  # it has no grey
        check(save(tmp_path / f"grey.{suffix}", GREY), GREY, 255)


def test_bitmaps_and_palettes(tmp_path):
    check(save(tmp_path / "1.png", GREY > 99), np.where(GREY > 99, 255, 0).astype(np.uint8), 255)
    check(save(tmp_path / "1.pbm", Image.fromarray(GREY > 99)), np.where(GREY > 99, 255, 0).astype(np.uint8), 255)
    palette = Image.fromarray(RGB).quantize(16)
    check(save(tmp_path / "p.png", palette), np.asarray(palette.convert("RGB")), 255)
    check(save(tmp_path / "p.gif", palette), np.asarray(palette.convert("RGB")), 255)


def test_16_bit_png(tmp_path):
    check(save(tmp_path / "grey.png", GREY16), GREY16, 65535)
    (tmp_path / "rgb.png").write_bytes(png(16, 2, RGB16.astype(">u2")))
    pytest.importorskip("imagecodecs")
    check(tmp_path / "rgb.png", RGB16, 65535)


@pytest.mark.parametrize("white", [65535, 1023, 4095, 255, 100])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("plain", [False, True])
def test_netpbm_keeps_its_maxval(tmp_path, white, colours, plain):
    values = RNG.integers(0, white + 1, (6, 8, colours)).astype(np.uint8 if white < 256 else np.uint16)
    kind = {1: 5, 3: 6}[colours] - 3 * plain
    stored = values.astype(">u2") if white > 255 else values
    body = " ".join(map(str, values.ravel())).encode() if plain else stored.tobytes()
    (tmp_path / "x.pnm").write_bytes(b"P%d\n# a comment 9 9\n8 6\n%d\n" % (kind, white) + body)
    check(tmp_path / "x.pnm", values, white)


def test_netpbm_of_several_pictures_or_a_maxval_of_1(tmp_path):
    one = b"P5 8 6 255\n" + GREY.tobytes()
    (tmp_path / "two.pgm").write_bytes(one + one)
    check(tmp_path / "two.pgm", GREY, 255, "what follows the first picture in the file is left out")
    (tmp_path / "bits.pgm").write_bytes(b"P5 8 6 1\n" + (GREY & 1).tobytes())
    check(tmp_path / "bits.pgm", 255 * (GREY & 1), 255)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pfm_is_float(tmp_path, order):
    scale = {"<": -1, ">": 1}[order]
    for kind, truth in ((b"Pf", FLOAT), (b"PF", FLOATS)):
        body = truth[::-1].astype(f"{order}f4").tobytes()
        (tmp_path / "x.pfm").write_bytes(kind + b"\n8 6\n%.1f\n" % scale + body)
        check(tmp_path / "x.pfm", truth, 1, "floats within [0, 1]")


@pytest.mark.parametrize("dtype", ["f4", "f2", "f8"])
def test_float_tiff(tmp_path, dtype):
    for truth in (FLOAT.astype(dtype), FLOATS.astype(dtype)):
        options = {"photometric": "rgb"} if truth.ndim == 3 else {}
        path = write_tiff(tmp_path / "x.tif", truth, **options)
        check(path, truth.astype(np.float32), 1, "floats within [0, 1]")
    path = write_tiff(tmp_path / "wide.tif", (200 * FLOAT).astype(dtype))
    with pytest.raises(Unreadable, match=r"range from .* outside \[0, 1\]; pass the data range"):
        read(path)
    check(path, (200 * FLOAT).astype(dtype).astype(np.float32), 255, data_range=255)
    with pytest.raises(Unreadable, match="outside the data range 100"):
        read(path, data_range=100)
    with pytest.raises(Unreadable, match="NaN or infinite"):
        read(write_tiff(tmp_path / "nan.tif", np.full((6, 8), np.nan, dtype)))


def test_integer_tiff(tmp_path):
    check(write_tiff(tmp_path / "16.tif", GREY16), GREY16, 65535)
    for options in ({}, {"compression": "lzw"}, {"compression": "zlib", "predictor": True}):
        if options.get("compression") == "lzw":
            pytest.importorskip("imagecodecs")
        check(write_tiff(tmp_path / "rgb.tif", RGB16, photometric="rgb", **options), RGB16, 65535)
    planar = write_tiff(tmp_path / "planar.tif", RGB16.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    check(planar, RGB16, 65535)
    signed = write_tiff(tmp_path / "signed.tif", (GREY16 >> 1).astype(np.int16))
    for path in (signed, write_tiff(tmp_path / "32.tif", GREY16.astype(np.uint32))):
        with pytest.raises(Unreadable, match="pass the data range"):
            read(path)
    check(signed, GREY16 >> 1, 32767, data_range=32767)
    with pytest.raises(Unreadable, match="int8 values"):
        read(write_tiff(tmp_path / "8.tif", GREY.astype(np.int8)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_both_byte_orders_of_tiff(tmp_path, order, compression):
    options = dict(byteorder=order, compression=compression)
    check(write_tiff(tmp_path / "f.tif", FLOAT, **options), FLOAT, 1, "floats within [0, 1]")
    check(write_tiff(tmp_path / "16.tif", GREY16, **options), GREY16, 65535)
    check(write_tiff(tmp_path / "rgb.tif", RGB16, photometric="rgb", **options), RGB16, 65535)
    check(write_tiff(tmp_path / "8.tif", GREY, **options), GREY, 255)


def test_min_is_white_is_inverted(tmp_path):
    for name, truth, white, notes in (("8", GREY, 255, ()), ("16", GREY16, 65535, ()), ("f", FLOAT, 1, ("floats",))):
        path = write_tiff(tmp_path / f"{name}.tif", truth, photometric="miniswhite")
        check(path, (white - truth).astype(truth.dtype), white, *notes)
    path = write_tiff(tmp_path / "12.tif", GREY16 >> 4, photometric="miniswhite")
    with pytest.raises(Unreadable, match="at most 12 of its 16 bits"):
        read(path)
    check(path, 4095 - (GREY16 >> 4), 4095, data_range=4095)


def test_12_bits(tmp_path):
    pytest.importorskip("imagecodecs")
    check(write_tiff(tmp_path / "packed.tif", GREY16 >> 4, bitspersample=12), GREY16 >> 4, 4095)
    check(write_tiff(tmp_path / "10.tif", RGB16 >> 6, photometric="rgb", bitspersample=10), RGB16 >> 6, 1023)
    for path in (write_tiff(tmp_path / "x.tif", GREY16 >> 4), save(tmp_path / "x.png", GREY16 >> 4)):
        with pytest.raises(Unreadable, match=r"at most 12 of its 16 bits.*pass a data range: 4095"):
            read(path)
        for white in (4095, 65535):
            check(path, GREY16 >> 4, white, data_range=white)
    check(write_tiff(tmp_path / "14.tif", GREY16 >> 2), GREY16 >> 2, 65535, "at most 14 of its 16 bits")
    check(write_tiff(tmp_path / "14.tif", GREY16 >> 2), GREY16 >> 2, 16383, data_range=16383)
    check(save(tmp_path / "black.png", np.zeros((6, 8), np.uint16)), np.zeros((6, 8), np.uint16), 65535)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("truth", [GREY16, RGB16], ids=["grey", "rgb"])
def test_jpeg_2000(tmp_path, bits, truth):
    imagecodecs = pytest.importorskip("imagecodecs")
    truth = (truth >> (16 - bits)).astype(np.uint8 if bits == 8 else np.uint16)
    options = dict(level=0, reversible=True, bitspersample=bits)
    for codec in ("jp2", "j2k"):
        (tmp_path / f"x.{codec}").write_bytes(imagecodecs.jpeg2k_encode(truth, codecformat=codec, **options))
        check(tmp_path / f"x.{codec}", truth, 2**bits - 1)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif(tmp_path, bits):
    imagecodecs = pytest.importorskip("imagecodecs")
    truth = (RGB16 >> (16 - bits)).astype(np.uint8 if bits == 8 else np.uint16)
    (tmp_path / "x.avif").write_bytes(imagecodecs.avif_encode(truth, level=100, bitspersample=bits))
    check(tmp_path / "x.avif", truth, 2**bits - 1)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_fewer_than_8_bits(tmp_path, bits):
    values = RNG.integers(0, 2**bits, (6, 8)).astype(np.uint8)
    rows = np.packbits(((values[..., None] >> np.arange(bits)[::-1]) & 1).reshape(6, -1), axis=1)
    (tmp_path / "x.png").write_bytes(png(bits, 0, rows))
    check(tmp_path / "x.png", values * (255 // (2**bits - 1)), 255)


def test_a_data_range_is_positive_and_finite(tmp_path):
    path = save(tmp_path / "x.png", GREY16)
    for white in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="data_range must be positive and finite"):
            read(path, data_range=white)


def test_avif_by_pillow(tmp_path):
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    picture = read(save(tmp_path / "x.avif", np.full((6, 8, 3), 90, np.uint8)))
    np.testing.assert_allclose(picture.pixels, 90, atol=2)


def test_heic(tmp_path, monkeypatch):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.fromarray(RGB)).save(
        tmp_path / "8.heic", quality=-1, matrix_coefficients=0, chroma=444
    )
    check(tmp_path / "8.heic", RGB, 255)
    deep = pillow_heif.from_bytes(mode="RGB;16", size=(8, 6), data=(RGB16 >> 6 << 6).tobytes())
    deep.save(tmp_path / "10.heic", quality=-1, matrix_coefficients=0, chroma=444)
    check(tmp_path / "10.heic", RGB16 >> 6, 1023)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(Unreadable, match="HEIC needs pillow-heif; install pillow-heif or convert"):
        read(tmp_path / "8.heic")


def test_netpbm_values_beyond_the_maxval_and_other_scales(tmp_path):
    (tmp_path / "x.pgm").write_bytes(b"P2\n2 1\n255\n-5 3")
    with pytest.raises(Unreadable, match="a value of -5, less than 0"):
        read(tmp_path / "x.pgm")
    (tmp_path / "x.pfm").write_bytes(b"Pf\n2 1\n-2.0\n" + np.array([0.25, 0.5], "<f4").tobytes())
    picture = read(tmp_path / "x.pfm")
    assert picture.pixels.ravel().tolist() == [0.25, 0.5]
    assert any("scale of 2" in note for note in picture.notes)
