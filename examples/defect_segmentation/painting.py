"""Paints defects on good pictures. The masks are exact: no pixel outside a mask changes."""

from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Defect = Literal["scratch", "hole", "stain", "patch", "blur"]
DEFECTS: tuple[Defect, ...] = get_args(Defect)


def paint(
    defect: Defect, picture: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Paints one defect at a random place of a picture.

    Args:
        defect: The kind of defect.
        picture: (height, width) of uint8; not changed.
        other: Another texture, (any height, any width) of uint8, from which the defect "patch" is taken.
        rng: Determines the place, the shape and the texture of the defect.

    Returns:
        The picture with the defect, and the mask of the defect, (height, width) of bool.
    """
    mask = random_line(picture.shape, rng) if defect == "scratch" else random_blob(picture.shape, rng)
    inside = picture[mask].astype(np.float64)
    match defect:
        case "scratch":  # a half transparent line, dark or bright
            painted = 0.4 * inside + 0.6 * rng.choice((0, 255))
        case "hole":  # darker
            painted = 0.15 * inside
        case "stain":  # less contrast, the same mean
            painted = inside.mean() + 0.3 * (inside - inside.mean())
        case "patch":  # another texture, the same mean and contrast
            foreign = random_window(other, picture.shape, rng)[mask].astype(np.float64)
            painted = inside.mean() + (foreign - foreign.mean()) * inside.std() / max(foreign.std(), 1.0)
        case "blur":
            painted = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(2)))[mask].astype(np.float64)
    result = picture.copy()
    result[mask] = painted.round().clip(0, 255).astype(np.uint8)
    return result, mask


def random_blob(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Returns the mask of a roundish region within a picture; its diameter is 1/8 to 1/4 of the shorter side."""
    radius = rng.uniform(0.06, 0.12) * min(shape)
    top, left = (rng.uniform(1.4 * radius, side - 1.4 * radius) for side in shape)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    angle = np.arctan2(rows - top, columns - left)
    waves = [0.1 * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5)]
    return np.hypot(rows - top, columns - left) < radius * (1 + np.sum(waves, axis=0))


def random_line(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Returns the mask of a thin curve that starts near the centre; its length is 0.3 to 0.6 of the shorter side."""
    side, segments = min(shape), 12
    length = rng.uniform(0.3, 0.6) * side / segments
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.2, segments))
    start = rng.uniform(0.25, 0.75, 2) * shape
    points = start + length * np.cumsum(np.stack([np.sin(heading), np.cos(heading)], axis=-1), axis=0)
    drawn = Image.new("1", (shape[1], shape[0]))
    ImageDraw.Draw(drawn).line([(x, y) for y, x in (start, *points)], fill=1, width=max(2, side // 50), joint="curve")
    return np.asarray(drawn)


def random_window(texture: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Returns a random window of a texture, which repeats periodically if it is smaller than the window."""
    rows, columns = (
        (rng.integers(period) + np.arange(side)) % period for period, side in zip(texture.shape, shape, strict=True)
    )
    return texture[np.ix_(rows, columns)]
