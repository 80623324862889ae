"""Generates pictures of two textures from a seed: a woven cloth and a stitched fibre mat. No two pictures are equal.

The pictures are synthetic. Threads and bundles vary in place, course and brightness, the light is uneven, the camera is
turned a little, and the sensor adds noise.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

Generator = Callable[[int, np.random.Generator], np.ndarray]  # maps a side in pixels to a picture (side, side) of uint8

CLOTH_PITCH = 3.5  # pixels from one thread to the next
MAT_PITCH = 10  # pixels from one bundle to the next
STITCH = 20  # pixels from one stitch to the next
JITTER = 0.015  # pitches, the standard deviation of a thread's place in the row
SHADES = 0.04  # the standard deviation of a thread's brightness
SWAY = 80  # pixels over which a thread's way from a straight line varies
TURN = 0.01  # radians, the standard deviation of the camera's angle


def cloth(side: int, rng: np.random.Generator) -> np.ndarray:
    """Generates a twill, as of jeans: a bright warp thread passes over three dark weft threads and under the fourth.

    The place where it passes under moves by one thread from row to row, so that the cloth has diagonal ribs.
    """
    y, x = turned_grid(side, rng)
    warp, across_warp = nearest_thread(x + sway(side, rng), CLOTH_PITCH, rng)
    weft, across_weft = nearest_thread(y + sway(side, rng), CLOTH_PITCH, rng)
    warp_on_top = (warp + weft) % 4 > 0
    height = thread_height(np.where(warp_on_top, across_warp, across_weft))
    shade = np.where(warp_on_top, 0.7 * brightness(warp, rng), 0.3 * brightness(weft, rng))
    return photograph(shade * (0.75 + 0.25 * height), rng)


def mat(side: int, rng: np.random.Generator) -> np.ndarray:
    """Generates a mat of fibres: bundles side by side, which a thin thread holds together by zigzag stitches."""
    y, x = turned_grid(side, rng)
    x = x + sway(side, rng)
    bundle, across = nearest_thread(x, MAT_PITCH, rng)
    fibres = gaussian_filter(rng.normal(size=(side, side)), (12, 0.7), mode="wrap")
    shade = brightness(bundle, rng) * (0.15 + 0.55 * thread_height(across) + 0.02 * fibres / fibres.std())
    along = (y + sway(side, rng)) / STITCH
    zigzag = 2 * np.abs(2 * (along % 1) - 1) - 1  # from -1 to 1 and back over one stitch
    from_stitch = MAT_PITCH * (across - 0.5 * zigzag * np.where(bundle % 2, 1, -1))
    thread = 0.25 * np.exp(-((from_stitch / 1.5) ** 2))
    return photograph(shade * (1 - thread) + 0.8 * thread, rng)


GENERATORS: dict[str, Generator] = {"cloth": cloth, "mat": mat}


def turned_grid(side: int, rng: np.random.Generator) -> np.ndarray:
    """Returns the row and the column of each pixel in the turned coordinates of the material, (2, side, side)."""
    angle = rng.normal(0, TURN)
    rows, columns = np.mgrid[:side, :side] - side / 2
    turned = np.stack([np.cos(angle) * rows - np.sin(angle) * columns, np.sin(angle) * rows + np.cos(angle) * columns])
    return turned + rng.uniform(0, 64, (2, 1, 1))


def nearest_thread(position: np.ndarray, pitch: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Returns the number of the thread at each pixel, and the pixel's distance from the thread's middle in pitches.

    Args:
        position: The coordinate across the threads in pixels.
        pitch: The distance between neighbouring threads in pixels.
        rng: Determines how far each thread lies from its place in a regular row.
    """
    number = np.floor(position / pitch).astype(int)
    return number, position / pitch - number - 0.5 + per_thread(number, JITTER, rng)


def per_thread(number: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Returns at each pixel the random number of its thread, of mean 0."""
    return rng.normal(0, deviation, np.ptp(number) + 1)[number - number.min()]


def thread_height(across: np.ndarray) -> np.ndarray:
    """Returns the height of a round thread, 1 in the middle and 0 half a pitch away."""
    return np.sqrt(np.maximum(0, 1 - (2 * across) ** 2))


def brightness(number: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns the brightness of the thread at each pixel, near 1."""
    return 1 + per_thread(number, SHADES, rng)


def sway(side: int, rng: np.random.Generator) -> np.ndarray:
    """Returns by how many pixels the material is drawn out of place at each pixel, (side, side); about 1."""
    knots = rng.normal(size=[math.ceil(side / SWAY)] * 2)
    return zoom(knots, SWAY, mode="reflect", grid_mode=True)[:side, :side]


def photograph(reflectance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns the picture (side, side) of uint8 under uneven light, slightly out of focus and with noise."""
    side = len(reflectance)
    light = 1 + rng.uniform(-0.12, 0.12, (2, 1, 1)) * np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    exposed = gaussian_filter(reflectance * light.sum(0) / 2, 1.0) * rng.uniform(0.92, 1.08)
    return (255 * exposed + rng.normal(0, 3, exposed.shape)).round().clip(0, 255).astype(np.uint8)
