"""Decodes pictures of 8 bits, and grey ones of 16 bits, with Pillow."""

from typing import IO

import numpy as np
from PIL import Image

from jaxssim._pictures.colours import convert_profile
from jaxssim._pictures.samples import Samples

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "AVIF", "JPEG2000")
GREY = ("1", "L", "LA", "La")


def open_image(file: IO[bytes]) -> Image.Image:
    """Opens an image of one of the formats, as far as this Pillow knows them; no other, for EPS runs programs."""
    Image.init()
    return Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN])


def check_exif(image: Image.Image, notes: list[str]) -> None:
    """Drops EXIF data that cannot be parsed, with a note: the picture itself may be whole."""
    try:
        image.getexif()
    except Exception:  # Pillow's parser raises errors of any kind on damaged data
        image.info.pop("exif", None)
        notes.append("the EXIF data are damaged, the orientation is left as it is")


def from_pillow(image: Image.Image, notes: list[str]) -> Samples:
    """Returns the samples of an upright image whose depth Pillow has kept: uint8, or one channel of any type."""
    if image.mode.startswith(("I", "F")):
        return one_channel(image, notes)
    profile, alpha = image.info.get("icc_profile"), None
    if image.has_transparency_data:
        whole = image.convert("LA" if image.mode in GREY else "RGBA")
        alpha = np.asarray(whole.getchannel("A"))[..., None] / 255
        image = Image.merge("L" if whole.mode == "LA" else "RGB", whole.split()[:-1])  # the colours as they are stored
    if image.mode == "CMYK":
        image = convert_cmyk(image, profile, notes)
    elif image.mode == "LAB":
        notes.append("converted from L*a*b* to sRGB")
        image = image.convert("RGB")
    else:
        image = convert_profile(image.convert("L" if image.mode in GREY else "RGB"), profile, notes)
    array = np.asarray(image)
    return Samples(array[..., None] if array.ndim == 2 else array, 255, alpha, notes=notes)


def convert_cmyk(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """Converts CMYK to RGB by its ICC profile, or else by Pillow's formula."""
    converted = convert_profile(image, profile, notes)
    if converted.mode == "RGB":
        return converted
    notes.append("converted from CMYK by a plain formula, without an ICC profile")
    return image.convert("RGB")


def one_channel(image: Image.Image, notes: list[str]) -> Samples:
    """Returns the samples of a grey image of integers or floats; the white of 16 bits is 65535."""
    array = np.asarray(image)[..., None]
    white = 65535 if array.dtype.type is np.uint16 else None
    key = image.info.get("transparency")  # the value of a PNG's transparent pixels
    alpha = None if key is None else np.where(array == key, 0.0, 1.0)
    return Samples(array, white, alpha, profile=image.info.get("icc_profile"), notes=notes)
