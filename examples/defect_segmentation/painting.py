"""Defects to test on, painted onto good pictures, with masks that are exact: no pixel outside one is touched."""

from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Defect = Literal["scratch", "hole", "stain", "patch", "blur"]
DEFECTS: tuple[Defect, ...] = get_args(Defect)


def paint(
    defect: Defect, picture: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A picture (height, width) of uint8 with one defect, and its mask of bool; `other` is another texture."""
    mask = line(picture.shape, rng) if defect == "scratch" else blob(picture.shape, rng)
    inside = picture[mask].astype(np.float64)
    match defect:
        case "scratch":  # dark or bright, the texture shining through
            painted = 0.4 * inside + 0.6 * rng.choice((0, 255))
        case "hole":
            painted = 0.15 * inside
        case "stain":  # less contrast, the same mean
            painted = inside.mean() + 0.3 * (inside - inside.mean())
        case "patch":  # the same mean and contrast, another structure
            foreign = anywhere(other, picture.shape, rng)[mask].astype(np.float64)
            painted = inside.mean() + (foreign - foreign.mean()) * inside.std() / max(foreign.std(), 1.0)
        case "blur":
            painted = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(2)))[mask].astype(np.float64)
    result = picture.copy()
    result[mask] = painted.round().clip(0, 255).astype(np.uint8)
    return result, mask


def blob(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A roundish region that lies within the picture, an eighth to a quarter of its shorter side across."""
    radius = rng.uniform(0.06, 0.12) * min(shape)
    top, left = (rng.uniform(1.4 * radius, side - 1.4 * radius) for side in shape)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    angle = np.arctan2(rows - top, columns - left)
    waves = [0.1 * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5)]
    return np.hypot(rows - top, columns - left) < radius * (1 + np.sum(waves, axis=0))


def line(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A thin line that starts in the middle half of the picture and wavers, a third to two thirds of its side long."""
    side, segments = min(shape), 12
    length = rng.uniform(0.3, 0.6) * side / segments
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.2, segments))
    start = rng.uniform(0.25, 0.75, 2) * shape
    points = start + length * np.cumsum(np.stack([np.sin(heading), np.cos(heading)], axis=-1), axis=0)
    drawn = Image.new("1", (shape[1], shape[0]))
    ImageDraw.Draw(drawn).line([(x, y) for y, x in (start, *points)], fill=1, width=max(2, side // 50), joint="curve")
    return np.asarray(drawn)


def anywhere(texture: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A picture of this shape from anywhere in a texture, which goes on at the other side where it ends."""
    rows, columns = (
        (rng.integers(end) + np.arange(side)) % end for end, side in zip(texture.shape, shape, strict=True)
    )
    return texture[np.ix_(rows, columns)]
