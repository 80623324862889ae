"""Which pictures of Pillow are arrays as they stand: those whose numbers are the colours, and nothing beside these."""

from typing import Any

PLAIN_MODES = ("L", "RGB", "I;16", "I;16B", "F")
"""The modes whose numbers are the colours themselves."""
ADVICE = {
    "1": '{name}.convert("L")',
    "P": '{name}.convert("RGB")',
    "CMYK": '{name}.convert("RGB")',
    "YCbCr": '{name}.convert("RGB")',
    "HSV": '{name}.convert("RGB")',
    "I": "np.asarray({name}, np.float32) with the data_range of its values",
}
"""What to pass instead of a picture of another mode, where that loses nothing."""
OPACITY = 'its colours and its opacity apart: a = np.asarray({name}.convert("RGBA")), a[..., :3] with mask=a[..., 3]'
ORIENTATION = 0x0112  # the tag of EXIF


def check(name: str, picture: Any) -> None:
    """Raises a ValueError for a picture of Pillow that is not an array of colours alone; takes any other object."""
    mode = getattr(picture, "mode", None)
    if not (isinstance(mode, str) and hasattr(picture, "getbands")):
        return
    if name == "mask" and mode in ("1", "L"):
        return
    if getattr(picture, "has_transparency_data", False) or mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        raise ValueError(f"{name} is a picture with transparent pixels; pass {OPACITY.format(name=name)}")
    if mode not in PLAIN_MODES:
        instead = ADVICE.get(mode, "an array of its red, green and blue").format(name=name)
        raise ValueError(f"{name} is a picture of mode {mode!r}, whose numbers are not its colours; pass {instead}")
    if getattr(picture, "n_frames", 1) > 1:
        raise ValueError(f"{name} is a picture of {picture.n_frames} frames; pass the array of one: np.asarray({name})")
    if picture.getexif().get(ORIENTATION, 1) != 1:
        raise ValueError(f"{name} is a picture to be turned; pass PIL.ImageOps.exif_transpose({name})")
