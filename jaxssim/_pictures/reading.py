"""Reads a picture file: finds its decoder, then settles the range, the colours and the transparency."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from jaxssim._pictures.colours import convert_deep_profile, lay_over_white, name_colour_space
from jaxssim._pictures.deep import decode_deep, decode_heic, depth, is_heic
from jaxssim._pictures.folders import NOT_READ, not_read, why_closed
from jaxssim._pictures.names import show_text
from jaxssim._pictures.netpbm import decode_netpbm, is_netpbm
from jaxssim._pictures.picture import Picture, Unreadable
from jaxssim._pictures.pillow import check_exif, from_pillow, open_image
from jaxssim._pictures.samples import Samples
from jaxssim._pictures.tiff import MAGIC, count_pictures, decode_tiff, is_deep

HEADER = 65536  # bytes that are searched for the depth
STARTS = {b"\xff\xd8": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP"}
TWELVE_BITS, FOURTEEN_BITS = 4095, 16383


def read(path: Path | str, *, data_range: float | None = None) -> Picture:
    """Reads a picture file at its own depth; the package's table says what becomes of each kind.

    Args:
        path: the file.
        data_range: the value of white in files that do not say theirs for certain: 16-bit and 32-bit integers, floats.

    Raises:
        ValueError: the data range is not positive and finite.
        Unreadable: the file is no picture, is damaged, needs a package that is not installed, or does not say which
            value is white.
    """
    if data_range is not None and not 0 < data_range < np.inf:
        raise ValueError(f"data_range must be positive and finite, got {data_range}; pass the value of white")
    path = Path(path)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            samples = decode(path)
            settle_range(samples, data_range)
            convert_deep_profile(samples)
            lay_over_white(samples)
    except Exception as error:  # decoders raise errors of any kind on damaged files
        raise Unreadable(path, reason(error)) from error
    messages = dict.fromkeys(str(warning.message) for warning in caught if warning.category is UserWarning)
    notes = tuple(show_text(note, "utf-8") for note in (*samples.notes, *messages))  # a profile's name may be hostile
    return Picture(np.ascontiguousarray(samples.colours), float(samples.white or 1), notes)


def decode(path: Path) -> Samples:
    """Decodes a file by the library that keeps its depth."""
    if closed := why_closed(path):
        raise ValueError(closed)
    if path.suffix.lower() in NOT_READ:  # Pillow would take the thumbnail of a camera's raw file for its picture
        raise ValueError(not_read(path))
    with path.open("rb") as file:
        header = file.read(HEADER)
        file.seek(0)
        if is_netpbm(header):
            return decode_netpbm(file.read(), [])
        try:
            # Given a path, Pillow maps an uncompressed grey TIFF whose orientation swaps its sides with wrong rows.
            image = open_image(file)
        except UnidentifiedImageError:
            return decode_without_pillow(path, header)
        return decode_image(path, image, header)


def decode_without_pillow(path: Path, header: bytes) -> Samples:
    """Decodes a TIFF or HEIC file that Pillow does not know; raises ValueError with what else the file may be."""
    if header.startswith(MAGIC):
        return decode_tiff(path, None, [])
    if is_heic(header):
        return decode_heic(path, [])
    if header[4:8] == b"ftyp":
        raise ValueError("a damaged AVIF, or Pillow is older than 11.3; install jaxssim[pictures]")
    for start, kind in STARTS.items():
        if header.startswith(start):
            raise ValueError(f"a damaged {kind}, or one of a kind that is not read")
    raise ValueError("not an image")


def decode_image(path: Path, image: Image.Image, header: bytes) -> Samples:
    """Decodes an image that Pillow has opened, by another library where Pillow would cut its depth."""
    count = count_pictures(image) if image.format == "TIFF" else getattr(image, "n_frames", 1)
    notes = [f"the first of {count} pictures in the file"] if count > 1 else []
    check_exif(image, notes)
    name_colour_space(image, header, notes)
    if image.format == "TIFF" and is_deep(image):
        return decode_tiff(path, image, notes)
    if (bits := depth(header, image.format)) > 8:
        return decode_deep(path.read_bytes(), image, bits, notes)
    return from_pillow(ImageOps.exif_transpose(image), notes)


def settle_range(samples: Samples, data_range: float | None) -> None:
    """Settles the value of white, makes 0 black, and converts to uint8, uint16 or float32."""
    dtype = samples.colours.dtype.newbyteorder("=")  # of this machine, not of the file
    colours = samples.colours.astype(np.float32 if np.issubdtype(dtype, np.floating) else dtype, copy=False)
    if samples.white is None or (samples.white == 65535 and data_range is not None):
        samples.white = checked_range(colours, data_range, samples.notes)
    elif samples.white == 65535:
        doubt_16_bits(int(colours.max()), samples.notes)
    if colours.dtype.type not in (np.uint8, np.uint16, np.float32):
        colours = colours.astype(np.uint16 if colours.max() <= 65535 else np.float32)
    samples.colours = np.asarray(samples.white - colours, colours.dtype) if samples.inverted else colours


def doubt_16_bits(largest: int, notes: list[str]) -> None:
    """Raises ValueError where 16-bit values may well be 12-bit ones, and notes where they may be 14-bit ones."""
    if 0 < largest <= TWELVE_BITS:
        raise ValueError(
            f"its largest value, {largest}, needs at most 12 of its 16 bits, so that its white is not certain; "
            "pass a data range: 4095 for 12 bits, 65535 for 16"
        )
    if 0 < largest <= FOURTEEN_BITS:
        notes.append("at most 14 of its 16 bits are used, whose white is taken to be 65535")


def checked_range(colours: np.ndarray, data_range: float | None, notes: list[str]) -> float:
    """Returns the given data range, or 1 for floats in [0, 1], if all values lie within."""
    low, high = colours.min(), colours.max()
    is_float = colours.dtype == np.float32
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("it holds NaN or infinite values")
    if data_range is None and not is_float:
        raise ValueError(f"its {colours.dtype} values range from {low} to {high}; pass the data range, its white")
    if low < 0 or high > (data_range or 1):
        given = f"the data range {data_range:g}" if data_range else "[0, 1]"
        raise ValueError(f"its values range from {low:g} to {high:g}, outside {given}; pass the data range, its white")
    if data_range is None:
        notes.append("floats within [0, 1], whose white is taken to be 1")
    return data_range or 1.0


def reason(error: Exception) -> str:
    """Returns why a file is unreadable, without its name."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__
