"""Decodes the TIFF files that Pillow cuts to 8 bits, refuses or inverts."""

import math
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from jaxssim._pictures.pillow import one_channel
from jaxssim._pictures.samples import Samples, upright

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
BITS, COMPRESSION, PHOTOMETRIC, DESCRIPTION, ORIENTATION = 258, 259, 262, 270, 274  # tags
CHANNELS, FORMAT, PROFILE, DEPTH = 277, 339, 34675, 32997
UNCOMPRESSED = 1
MIN_IS_WHITE, MIN_IS_BLACK, RGB = 0, 1, 2
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
ASSOCIATED, UNASSOCIATED = 1, 2  # kinds of alpha: colours multiplied by alpha, and not


def is_deep(image: Image.Image) -> bool:
    """Returns whether Pillow's 8 bits are not all that a TIFF image holds."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    return max(tags.get(BITS, (1,))) > 8 or SIGNED in tags.get(FORMAT, ())


def count_pictures(image: Image.Image) -> int:
    """Returns the number of pictures in a TIFF file: its pages, or the slices that its one page is said to stand for.

    ImageJ and tifffile may write a whole stack behind one page and give its size in the description alone.

    Raises:
        ValueError: the first page is a volume.
    """
    tags = image.tag_v2  # type: ignore[attr-defined]
    if tags.get(DEPTH, 1) > 1:
        raise ValueError(f"its first page is a volume of {tags[DEPTH]} slices; write them as pages or as files")
    text, pages = str(tags.get(DESCRIPTION, "")), int(getattr(image, "n_frames", 1))
    if pages > 1:
        return pages
    if text.startswith("ImageJ=") and (images := re.search(r"^images=(\d+)", text, re.MULTILINE)):
        return int(images[1])
    if shape := re.match(r'{"shape": \[([\d, ]+)\]', text):
        return max(1, math.prod(map(int, shape[1].split(","))) // (math.prod(image.size) * tags.get(CHANNELS, 1)))
    return pages


def decode_tiff(path: Path, image: Image.Image | None, notes: list[str]) -> Samples:
    """Decodes a deep TIFF file: grey of up to 16 bits or of float32 by Pillow, all else by tifffile."""
    if image is None or not image.mode.startswith(("I;16", "F")):
        return by_tifffile(path, notes)
    tags = image.tag_v2  # type: ignore[attr-defined]
    if image.mode == "F" and tags.prefix == b"MM" and tags.get(COMPRESSION, 1) != UNCOMPRESSED:
        return by_tifffile(path, notes)  # Pillow swaps the bytes of such floats once too often
    bits, inverted = tags[BITS][0], tags.get(PHOTOMETRIC) == MIN_IS_WHITE
    samples = one_channel(ImageOps.exif_transpose(image), notes)
    if samples.white is not None:
        samples.white = 2**bits - 1
    samples.inverted = inverted
    return samples


def by_tifffile(path: Path, notes: list[str]) -> Samples:
    """Decodes the first page of a TIFF file by tifffile."""
    try:
        import tifffile
    except ImportError:
        raise ValueError("this kind of TIFF needs tifffile; install jaxssim[pictures]") from None
    with tifffile.TiffFile(path) as file:
        if len(file.pages) > 1 and not any(note.startswith("the first of") for note in notes):
            notes.append(f"the first of {len(file.pages)} pictures in the file")
        page = file.pages.first
        photometric, shape = int(page.photometric), page.shape
        if photometric not in (MIN_IS_WHITE, MIN_IS_BLACK, RGB) or page.axes not in ("YX", "YXS", "SYX"):
            kind = getattr(page.photometric, "name", photometric)
            raise ValueError(
                f"it holds {kind} colours of {page.bitspersample} bits and axes {page.axes}, not grey or RGB"
            )
        if np.prod(shape) > 4 * (Image.MAX_IMAGE_PIXELS or np.inf):
            raise ValueError(f"it claims {shape} values, which could be a decompression bomb")
        array = page.asarray()
        array = np.moveaxis(array, 0, -1) if page.axes == "SYX" else array
        array = upright(array[..., None] if array.ndim == 2 else array, int(page.tags.valueof(ORIENTATION, 1)))
        samples = divide(array, 3 if photometric == RGB else 1, page, notes)
        samples.profile = page.tags.valueof(PROFILE)
    samples.inverted = photometric == MIN_IS_WHITE
    return samples


def divide(array: np.ndarray, count: int, page: object, notes: list[str]) -> Samples:
    """Divides the channels of a page into `count` colours, alpha, and others, which are left out."""
    extra = [int(kind) for kind in getattr(page, "extrasamples", ())]
    is_alpha = bool(extra) and extra[0] in (ASSOCIATED, UNASSOCIATED)
    left_out = array.shape[2] - count - is_alpha
    if left_out:
        notes.append(f"{left_out} channels beside {'grey' if count == 1 else 'RGB'} are left out")
    bits = int(getattr(page, "bitspersample", 8))
    largest = 2**bits - 1 if np.issubdtype(array.dtype, np.integer) else 1
    white = largest if array.dtype.kind == "u" and array.itemsize <= 2 else None
    alpha = array[..., count : count + 1] / np.float64(largest) if is_alpha else None
    multiplied = is_alpha and extra[0] == ASSOCIATED
    return Samples(array[..., :count], white, alpha, multiplied=multiplied, notes=notes)
