"""Writes small picture files of every kind, and checks what is read from them."""

import struct
import zlib

import numpy as np
import pytest

from jaxssim._pictures import read

RNG = np.random.default_rng(0)
GREY16 = RNG.integers(0, 65536, (6, 8)).astype(np.uint16)
RGB16 = RNG.integers(0, 65536, (6, 8, 3)).astype(np.uint16)
GREY, RGB = (GREY16 >> 8).astype(np.uint8), (RGB16 >> 8).astype(np.uint8)
FLOAT, FLOATS = (GREY16 / 65535).astype(np.float32), (RGB16 / 65535).astype(np.float32)
ALPHA = np.array([0, 60, 128, 255] * 12).reshape(6, 8)


def over_white(colours, opacity, white):
    """Returns the definition of colours over white, rounded."""
    return np.rint(colours.astype(float) * opacity + white * (1 - opacity)).astype(colours.dtype)


def check(path, pixels, white, *notes, **options):
    """Asserts that a file is read as these pixels, of this type, and that each note holds its words, in order."""
    picture = read(path, **options)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    assert picture.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.data_range == white
    assert len(picture.notes) == len(notes), picture.notes
    assert all(words in note for words, note in zip(notes, picture.notes, strict=True)), picture.notes


def write_tiff(path, array, **options):
    """Writes an array by tifffile, if that is installed."""
    pytest.importorskip("tifffile").imwrite(path, array, **options)
    return path


def save(path, image, **options):
    """Writes an array or an image by Pillow."""
    from PIL import Image

    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)
    return path


def png(bits, colour_type, rows, *chunks, size=(8, 6)):
    """Returns a PNG with the given image data and further chunks before it."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", *size, bits, colour_type, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
