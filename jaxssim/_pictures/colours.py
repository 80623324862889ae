"""Converts colours to sRGB by their ICC profile, and lays transparent pictures over white."""

import io
import struct
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from jaxssim._pictures.samples import Samples

SRGB_GAMMA = 1 / 2.2  # as PNG files give it
SRGB_PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)  # white, red, green, blue: x and y of each
SRGB_CODES = (1, 2, 6, 13)  # of BT.709, unspecified, BT.601, and sRGB
INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
GREY_FLAGS = FLAGS | ImageCms.Flags.NOOPTIMIZE  # the table that replaces a grey curve is off by up to 7 of 255


def convert_profile(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """Converts an 8-bit image without alpha to sRGB by its ICC profile, if that changes any colour."""
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip()
        flags = GREY_FLAGS if image.mode == "L" else FLAGS
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), image.mode, "RGB", INTENT, flags)
    except (ImageCms.PyCMSError, OSError) as error:
        notes.append(f"the ICC profile cannot be used ({error}), the colours are left as they are")
        return image
    if image.mode in ("L", "RGB") and changes_little(transform, image.mode):
        return image
    notes.append(f"converted to sRGB by the ICC profile {name}")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # it is None for an image that is converted in place
    return converted.getchannel("G") if image.mode == "L" else converted


def changes_little(transform: Any, mode: str) -> bool:
    """Returns whether a transform to sRGB changes test colours by 1 of 255 at most, as sRGB's own profile does."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(81, 9, 3)
    image = Image.fromarray(cube if mode == "RGB" else cube[..., 0])
    converted = ImageCms.applyTransform(image, transform)
    return bool(np.abs(np.asarray(converted, int) - np.asarray(image.convert("RGB"), int)).max() <= 1)


def convert_deep_profile(samples: Samples) -> None:
    """Converts integers of more than 8 bits to sRGB by their ICC profile, if that changes colours."""
    profile, samples.profile = samples.profile, None
    mode = "L" if samples.colours.shape[2] == 1 else "RGB"
    probe, notes = Image.new(mode, (1, 1)), list[str]()
    if (
        profile is None or convert_profile(probe, profile, notes) is probe
    ):  # there is none, or it is sRGB, or it cannot be used
        samples.notes += notes
    elif samples.colours.dtype != np.uint16 or not samples.white:
        samples.notes.append("the ICC profile is left out: the values of floats stay as they are")
    else:
        samples.notes += notes
        samples.colours = transform_uint16(samples.colours, samples.white, profile)


def transform_uint16(colours: np.ndarray, white: float, profile: bytes) -> np.ndarray:
    """Returns colours (height, width, 1 or 3) of uint16, converted to sRGB by imagecodecs."""
    try:
        import imagecodecs
    except ImportError:
        raise ValueError("an ICC profile beside 16 bits needs imagecodecs; install jaxssim[pictures]") from None
    full = np.rint(colours * (65535 / white)).astype(np.uint16)
    is_grey = colours.shape[2] == 1
    converted = imagecodecs.cms_transform(
        np.squeeze(full, -1) if is_grey else full,
        profile,
        imagecodecs.cms_profile("srgb"),
        colorspace="gray" if is_grey else "rgb",
        outcolorspace="rgb",
        intent=int(INTENT),
        flags=int(GREY_FLAGS if is_grey else FLAGS),
    )
    return np.rint(converted[..., : colours.shape[2]] * (white / 65535)).astype(np.uint16)


def name_colour_space(image: Image.Image, header: bytes, notes: list[str]) -> None:
    """Notes a gamma, primaries or Adobe RGB named without an ICC profile; the colours stay as they are."""
    info = image.info
    name_code_points(image.format, header, notes)
    if "icc_profile" in info or "srgb" in info:
        return
    gamma, primaries = info.get("gamma"), info.get("chromaticity")
    if gamma and abs(gamma - SRGB_GAMMA) > 0.01:
        notes.append(f"gamma {gamma:.4g} in place of sRGB's {SRGB_GAMMA:.4g}, the values are left as they are")
    if primaries and np.abs(np.subtract(primaries, SRGB_PRIMARIES)).max() > 0.005:
        notes.append("primaries other than sRGB's, the colours are left as they are")
    if str(image.getexif().get_ifd(0xA005).get(1, "")).startswith("R03"):  # the interoperability index of Adobe RGB
        notes.append("Adobe RGB by its EXIF data, the colours are left as they are")


def name_code_points(kind: str | None, header: bytes, notes: list[str]) -> None:
    """Notes the code points (ITU-T H.273) of a PNG or AVIF file that name other colours than sRGB's, as in HDR."""
    mark, form = (b"cICP", ">BB") if kind == "PNG" else (b"colrnclx", ">HH")
    start = header.find(mark) + len(mark)
    if kind not in ("PNG", "AVIF") or start < len(mark) or len(header) < start + 4:
        return
    primaries, transfer = struct.unpack_from(form, header, start)
    if primaries not in SRGB_CODES or transfer not in SRGB_CODES:
        notes.append(f"primaries {primaries} and transfer {transfer} of H.273, the colours are left as they are")


def lay_over_white(samples: Samples) -> None:
    """Puts white behind transparent pixels, so that their hidden colours do not count."""
    alpha, samples.alpha = samples.alpha, None
    white = samples.white
    if alpha is None or white is None or (alpha >= 1).all():
        return
    shown = samples.colours if samples.multiplied else samples.colours * alpha
    blended = (shown + white * (1 - alpha)).clip(0, white)
    is_float = np.issubdtype(samples.colours.dtype, np.floating)
    samples.colours = (blended if is_float else np.rint(blended)).astype(samples.colours.dtype)
    samples.notes.append("laid over white where it is transparent")
