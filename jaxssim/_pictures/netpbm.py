"""Decodes PGM, PPM and PFM files, whose maxval Pillow scales away; the values stay as they are."""

import re

import numpy as np

from jaxssim._pictures.samples import Samples

SPACE = rb"(?:\s|#[^\n\r]*[\n\r])+"
INTEGER_HEADER = re.compile(rb"P([2356])" + SPACE + rb"(\d+)" + SPACE + rb"(\d+)" + SPACE + rb"(\d+)(?:#[^\n\r]*)?\s")
FLOAT_HEADER = re.compile(rb"P([Ff])\s+(\d+)\s+(\d+)\s+([-+.\deE]+)\s")


def is_netpbm(header: bytes) -> bool:
    """Returns whether a file that starts with `header` is one of these; bitmaps, P1 and P4, are left to Pillow."""
    return re.match(rb"P[2356Ff]\s", header) is not None


def decode_netpbm(content: bytes, notes: list[str]) -> Samples:
    """Decodes a whole file."""
    if match := INTEGER_HEADER.match(content):
        return decode_integers(match, content[match.end() :], notes)
    if match := FLOAT_HEADER.match(content):
        return decode_floats(match, content[match.end() :], notes)
    raise ValueError("the header is damaged")


def decode_integers(match: re.Match[bytes], body: bytes, notes: list[str]) -> Samples:
    """Decodes the values of a PGM or PPM file."""
    kind, (width, height, white) = int(match[1]), map(int, match.groups()[1:])
    if not 0 < white < 65536:
        raise ValueError(f"its maxval is {white}, which must be 1 to 65535")
    shape = height, width, 3 if kind in (3, 6) else 1
    size, dtype = height * width * shape[2], np.dtype("u1" if white < 256 else ">u2")
    if kind in (2, 3):
        texts = re.sub(rb"#[^\n\r]*", b"", body).split()
        values, rest = np.array(list(map(int, texts[:size]))), b"".join(texts[size:])
    else:
        values = np.frombuffer(body, dtype, min(size, len(body) // dtype.itemsize))
        rest = body[size * dtype.itemsize :]
    check_size(values, size)
    if rest.strip():
        notes.append("what follows the first picture in the file is left out")
    if values.max() > white:
        raise ValueError(f"it holds a value of {values.max()}, more than its maxval of {white}")
    if values.min() < 0:
        raise ValueError(f"it holds a value of {values.min()}, less than 0")
    if white == 1:  # a bitmap; a data range of 1 is a mistake for integers everywhere else
        values, white = 255 * values, 255
    return Samples(values.reshape(shape).astype(np.uint8 if white < 256 else np.uint16), white, notes=notes)


def decode_floats(match: re.Match[bytes], body: bytes, notes: list[str]) -> Samples:
    """Decodes the values of a PFM file, which stores the lowest row first; a negative scale means little-endian."""
    if abs(float(match[4])) != 1:
        notes.append(f"its scale of {abs(float(match[4])):g} is left out: the values stay as they are")
    width, height = int(match[2]), int(match[3])
    shape = height, width, 3 if match[1] == b"F" else 1
    dtype = np.dtype("<f4" if float(match[4]) < 0 else ">f4")
    size = height * width * shape[2]
    values = np.frombuffer(body, dtype, min(size, len(body) // 4))
    check_size(values, size)
    return Samples(values.reshape(shape)[::-1].astype(np.float32), None, notes=notes)


def check_size(values: np.ndarray, size: int) -> None:
    """Raises ValueError unless there are `size` values, and at least one."""
    if not 0 < size == len(values):
        raise ValueError(f"the file is truncated: it has {len(values)} of {size} values" if size else "it has no pixel")
