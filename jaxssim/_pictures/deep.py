"""Decodes PNG, JPEG 2000, AVIF and HEIC files of more than 8 bits, which Pillow cuts to 8."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxssim._pictures.pillow import from_pillow
from jaxssim._pictures.samples import Samples, split, upright

GREY_PNG = 0  # the colour type


def depth(header: bytes, kind: str | None) -> int:
    """Returns the bits of a sample, where they are more than Pillow gives; otherwise 8."""
    match kind:
        case "PNG":
            return header[24] if header[25] != GREY_PNG else 8  # the image header is always the first chunk
        case "JPEG2000":
            start = header.find(
                b"\xff\x4f\xff\x51"
            )  # the markers of the start and the size; the bits of each channel follow
            return (header[start + 42] & 0x7F) + 1 if start >= 0 else 8
        case "AVIF":
            start = header.find(b"av1C")  # the decoder configuration; bits 6 and 5 say more than 8 and more than 10
            flags = header[start + 6] if start >= 0 else 0
            return 8 + 2 * bool(flags & 0x40) + 2 * bool(flags & 0x20)
    return 8


def decode_deep(content: bytes, image: Image.Image, bits: int, notes: list[str]) -> Samples:
    """Decodes a file of more than 8 bits by imagecodecs."""
    try:
        import imagecodecs
    except ImportError:
        raise ValueError(f"{image.format} of {bits} bits needs imagecodecs; install jaxssim[pictures]") from None
    decoders = {"PNG": imagecodecs.png_decode, "JPEG2000": imagecodecs.jpeg2k_decode, "AVIF": imagecodecs.avif_decode}
    array = decoders[image.format or ""](content)
    if np.issubdtype(array.dtype, np.signedinteger):
        raise ValueError("its samples are signed, and it does not say which value is white")
    samples = split(upright(array, image.getexif().get(0x0112, 1)), 2**bits - 1, notes)
    samples.profile = image.info.get("icc_profile")
    key = image.info.get("transparency")  # the colour of a PNG's transparent pixels
    if isinstance(key, tuple) and samples.alpha is None:
        hidden = (samples.colours == np.asarray(key)).all(axis=-1, keepdims=True)
        samples.alpha = np.where(hidden, 0.0, 1.0)
    return samples


def is_heic(header: bytes) -> bool:
    """Returns whether a file that Pillow does not know may be HEIC."""
    return header[4:8] == b"ftyp" and b"avif" not in header[8:40]


def decode_heic(path: Path, notes: list[str]) -> Samples:
    """Decodes a HEIC file by pillow-heif, which turns it upright."""
    try:
        import pillow_heif
    except ImportError:
        raise ValueError("HEIC needs pillow-heif; install pillow-heif or convert the file to PNG") from None
    file: Any = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
    if len(file) > 1:
        notes.append(f"the first of {len(file)} pictures in the file")
    bits = file.info["bit_depth"]
    if bits == 8:
        return from_pillow(file.to_pillow(), notes)
    samples = split(np.asarray(file) >> (16 - bits), 2**bits - 1, notes)  # pillow-heif shifts samples to 16 bits
    samples.profile = file.info.get("icc_profile")
    return samples
