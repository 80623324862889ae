"""Draws the pairs of images for `fuzz.py`: every kind, contrast, offset, scale, type and mask."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np

from jaxssim import Convention, Gaussian, Uniform, conventions

ACCURATE = 1e3  # accuracy is promised up to this distance from 0, in data ranges
SMALL = Convention(window=Gaussian(5, 1.0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """The properties that all pairs of a batch share, because each of them needs a new compilation."""

    shape: tuple[int, ...]
    spatial_ndim: int = 2
    channels: bool = True
    types: tuple[str, str] = ("float32", "float32")
    convention: Convention = conventions.WANG2004
    mask: str | None = None  # "shared": one for all images; "image": one for each; "channel": one for each channel
    multiscale: bool = False
    metric: str = "ssim"  # or one of those in `fuzz_originals.py`

    @property
    def layout(self):
        """Returns the options that describe the axes."""
        return dict(spatial_ndim=self.spatial_ndim, channel_axis=-1 if self.channels else None)

    @property
    def differentiable(self):
        """Returns whether the images are floating point."""
        return not self.types[0].startswith("uint")

    @property
    def canonical(self):
        """Returns the shape of an image with its channel axis."""
        return self.shape if self.channels else (*self.shape, 1)


SETTINGS = (
    Setting(shape=(11, 11, 1), multiscale=True),
    Setting(shape=(16, 23, 3), multiscale=True),
    Setting(shape=(33, 20, 1), convention=conventions.SKIMAGE),
    Setting(shape=(12, 14, 2), convention=conventions.KORNIA),
    Setting(shape=(17, 13, 1), convention=conventions.SKIMAGE_GAUSSIAN),
    Setting(shape=(12, 14, 2), convention=conventions.MATLAB),
    Setting(shape=(17, 13, 1), convention=conventions.FUSED_SSIM),
    Setting(shape=(33, 20, 1), convention=Convention(window=Uniform(7), covariance="sample", stride=4)),
    Setting(shape=(64,), spatial_ndim=1, channels=False, multiscale=True),
    Setting(shape=(9, 10, 11), spatial_ndim=3, channels=False, convention=SMALL, multiscale=True),
    Setting(shape=(16, 23, 3), types=("uint8", "uint8")),
    Setting(shape=(33, 20, 1), types=("uint16", "uint16"), convention=conventions.SKIMAGE),
    Setting(shape=(16, 23, 3), types=("float16", "float16")),
    Setting(shape=(33, 20, 1), types=("bfloat16", "bfloat16")),
    Setting(shape=(17, 13, 1), types=("bfloat16", "float32"), convention=SMALL),
    Setting(shape=(16, 23, 3), mask="channel", multiscale=True),
    Setting(shape=(33, 20, 1), mask="image", convention=Convention(window=Uniform(7), padding="symmetric")),
    Setting(shape=(12, 14, 2), mask="shared", convention=conventions.KORNIA),
    Setting(shape=(200, 2), mask="image", spatial_ndim=1),
    Setting(shape=(7, 9, 8, 2), mask="channel", spatial_ndim=3, convention=SMALL),
    Setting(shape=(24, 27), channels=False, metric="iw_ssim"),
    Setting(shape=(16, 19, 3), metric="ssimulacra2"),
)


# Each function draws n images (n, *spatial, channels) within [0, 1].


def noise(rng, n, shape):
    """Draws independent pixels."""
    return rng.random((n, *shape))


def gradient(rng, n, shape):
    """Draws a slow wave."""
    return 0.5 + 0.5 * np.cos(draw_plane(rng, n, shape) + 6 * rng.random((n, *(1,) * len(shape))))


def constant(rng, n, shape):
    """Draws one value for all pixels, sometimes an end of the range."""
    level = np.clip(1.2 * rng.random((n, *(1,) * len(shape))) - 0.1, 0, 1)
    return np.broadcast_to(level, (n, *shape))


def step(rng, n, shape):
    """Draws two levels, one on each side of a line."""
    return np.where(draw_plane(rng, n, shape) > 0, *rng.random((2, n, *(1,) * len(shape))))


def checkerboard(rng, n, shape):
    """Draws black and white cells of one to three pixels."""
    side = rng.integers(1, 4, (n, *(1,) * len(shape)))
    return (sum(index // side for index in np.indices(shape)[:, None]) % 2).astype(float)


def black(rng, n, shape):
    """Returns zeros."""
    return np.zeros((n, *shape))


def single(rng, n, shape):
    """Draws zeros except for one pixel."""
    image = np.zeros((n, math.prod(shape)))
    image[np.arange(n), rng.integers(0, image.shape[1], n)] = rng.random(n)
    return image.reshape(n, *shape)


def levels(rng, n, shape):
    """Draws a ramp that repeats all levels of 8 bits, if the image has enough pixels."""
    start, stride = rng.integers(0, 256, n), 2 * rng.integers(0, 8, n) + 1
    ramp = (start[:, None] + stride[:, None] * np.arange(math.prod(shape))) % 256
    return ramp.reshape(n, *shape) / 255


def draw_plane(rng, n, shape):
    """Draws a linear function of the coordinates of mean 0."""
    slopes = rng.normal(0, 0.3, (n, len(shape)))
    centred = np.indices(shape) - np.reshape(shape, (-1, *(1,) * len(shape))) / 2
    return np.tensordot(slopes, centred, 1)


KINDS = (noise, gradient, constant, step, checkerboard, black, single, levels)


def draw_images(rng, n, shape):
    """Draws images of all kinds in random order."""
    images, kinds = np.empty((n, *shape)), rng.integers(0, len(KINDS), n)
    for k, kind in enumerate(KINDS):
        images[kinds == k] = kind(rng, np.count_nonzero(kinds == k), shape)
    return images


RELATIONS = {
    "independent": lambda rng, x, z, amount: z,
    "identical": lambda rng, x, z, amount: x,
    "last bit": lambda rng, x, z, amount: x,  # `draw_batch` changes it once the type is known
    "negative": lambda rng, x, z, amount: 1 - x,
    "noisy": lambda rng, x, z, amount: x + amount * rng.standard_normal(x.shape),
    "darker": lambda rng, x, z, amount: x * rng.random((len(x), *(1,) * (x.ndim - 1))),
    "brighter": lambda rng, x, z, amount: x + amount,
    "patched": lambda rng, x, z, amount: np.where(rng.random(x.shape) < 0.05, z, x),
}


def draw_second(rng, x):
    """Draws a second image for each, and returns the name of its relation to the first too."""
    n, z, y = len(x), draw_images(rng, len(x), x.shape[1:]), np.empty(x.shape)
    names = rng.choice(list(RELATIONS), n)
    for name, relation in RELATIONS.items():
        chosen = names == name
        amount = 10 ** rng.uniform(-6, 0, (np.count_nonzero(chosen), *(1,) * (x.ndim - 1)))
        y[chosen] = relation(rng, x[chosen], z[chosen], amount)
    return y, names


# The values of the images: (offset, contrast, data range, whether they are whole numbers), each for n pairs.
PLACES = {
    "unit": lambda rng, n: (0, 1, 1, False),
    "signed": lambda rng, n: (-1, 2, 2, False),
    "8 bits": lambda rng, n: (0, 255, 255, True),
    "16 bits": lambda rng, n: (0, 65535, 65535, True),
    "60000 +- 3 of 255": lambda rng, n: (59997, 6, 255, True),
    "60000 +- 3 of 65535": lambda rng, n: (59997, 6, 65535, True),
    "low contrast": lambda rng, n: (rng.random(n), 10 ** rng.uniform(-6, 0, n), 1, False),
    "offset": lambda rng, n: (rng.choice([-1, 1], n) * 10 ** rng.uniform(0, 2.9, n), 1, 1, False),
    "dark": lambda rng, n: (0, 10 ** rng.uniform(-20, 0, n), 1, False),
    "scaled": lambda rng, n: (0, (s := 10 ** rng.uniform(-20, 15, n)), s, False),
    "scaled, offset": lambda rng, n: (rng.uniform(-9, 9, n) * (s := 10 ** rng.uniform(-20, 15, n)), s, s, False),
    "far": lambda rng, n: (10 ** rng.uniform(3, 15, n), 10 ** rng.uniform(0, 3, n), 1, False),
    "beyond": lambda rng, n: (0, 10 ** rng.uniform(0, 15, n), 1, False),
    "beyond, scaled": lambda rng, n: (0, 1e15 * (s := 10 ** rng.uniform(-20, 15, n)), s, False),
}
# The data range of uint8 is that of its type; the largest float16, and the largest gradient, is 65504.
FITTING = {
    "uint8": ["8 bits"],
    "uint16": ["16 bits", "60000 +- 3 of 255", "60000 +- 3 of 65535"],
    "float16": [
        "unit",
        "signed",
        "8 bits",
        "60000 +- 3 of 255",
        "60000 +- 3 of 65535",
        "low contrast",
        "offset",
        "dark",
    ],
}


def draw_values(rng, x, y, kind):
    """Returns both images at drawn values, data ranges as float32, whether accuracy is promised, and names."""
    n, names = len(x), rng.choice(FITTING.get(kind, list(PLACES)), len(x))
    numbers = np.empty((4, n))
    for name, place in PLACES.items():
        chosen = names == name
        for row, value in zip(numbers, place(rng, np.count_nonzero(chosen)), strict=True):
            row[chosen] = value
    offset, contrast, data_range, whole = (row.reshape(n, *(1,) * (x.ndim - 1)) for row in numbers)
    # Sometimes the second image has another offset, or a pixel is dead.
    apart = np.where(rng.random(offset.shape) < 0.1, 10 ** rng.uniform(-6, 1, offset.shape), 0) * data_range
    x, y = offset + contrast * x, offset + contrast * y + apart
    dead = rng.choice(n, n // 20)
    x.reshape(n, -1)[dead, rng.integers(0, math.prod(x.shape[1:]), len(dead))] = 0
    promised = (contrast <= data_range) & (abs(offset) <= ACCURATE * data_range)
    x, y = (np.where(whole, np.round(image), image) for image in (x, y))
    return x, y, np.float32(numbers[2]), promised.ravel(), names


def cast(image, kind):
    """Returns the image in a type of JAX, clipped to its range."""
    if kind.startswith("uint"):
        return np.clip(np.round(image), 0, np.iinfo(kind).max).astype(kind)
    largest = float(jnp.finfo(kind).max)
    return np.clip(image, -largest, largest).astype(jnp.dtype(kind))


def change_last_bit(rng, image):
    """Changes every pixel to the next number above or below it, or leaves it."""
    way = rng.integers(-1, 2, image.shape)
    if image.dtype.kind == "u":
        return np.clip(image.astype(int) + way, 0, np.iinfo(image.dtype).max).astype(image.dtype)
    to = np.select([way < 0, way > 0], [-np.inf, np.inf], image).astype(image.dtype)
    # XLA treats subnormal numbers as 0.
    return np.where(image == 0, image, np.nextafter(image, to)).astype(image.dtype)


def draw_masks(rng, n, setting):
    """Draws weights or booleans in the setting's shape: scattered, half of the image, few, none or all pixels."""
    canonical = setting.canonical
    shape = {"shared": canonical[:-1], "image": (n, *canonical[:-1]), "channel": (n, *canonical)}[setting.mask]
    spatial = shape if setting.mask == "shared" else shape[1:]
    count = 1 if setting.mask == "shared" else n
    density = rng.choice([0.01, 0.1, 0.5, 0.9, 1.0], (count, *(1,) * len(spatial)))
    inside = rng.random((count, *spatial)) < density
    inside = np.where(rng.random(density.shape) < 0.3, draw_plane(rng, count, spatial) > 0, inside)
    inside = np.where(rng.random(density.shape) < 0.02, False, inside)
    if rng.random() < 0.5:
        return inside.reshape(shape)
    weights = 10 ** rng.uniform(-6, 0, inside.shape) * 10 ** rng.uniform(-9, 9, density.shape)
    return np.where(inside, weights, 0).astype(np.float32).reshape(shape)


@dataclasses.dataclass
class Batch:
    """Pairs of images, their arguments and a name for each."""

    x: np.ndarray
    y: np.ndarray
    data_range: np.ndarray
    mask: np.ndarray | None
    promised: np.ndarray  # whether a pair is among those whose accuracy is promised
    names: np.ndarray


def draw_batch(rng, n, setting):
    """Draws pairs of all kinds in one setting."""
    first, second = setting.types
    x = draw_images(rng, n, setting.canonical)
    y, relations = draw_second(rng, x)
    x, y, data_range, promised, places = draw_values(rng, x, y, first)
    x, y = cast(x, first), cast(y, second)
    last = relations == "last bit"
    y[last] = change_last_bit(rng, x[last].astype(y.dtype))
    y[relations == "identical"] = x[relations == "identical"].astype(y.dtype)
    mask = None
    if setting.mask:
        mask = draw_masks(rng, n, setting)
        outside = ~np.broadcast_to(full_mask(mask, setting) > 0, x.shape)
        for image in (x, y):
            image[outside & (rng.random(x.shape) < 0.1)] = rng.choice([np.nan, np.inf, 1e30])
    shape = (n, *setting.shape)
    names = np.char.add(np.char.add(relations, ", "), places)
    return Batch(x.reshape(shape), y.reshape(shape), data_range, mask, promised, names)


def full_mask(mask, setting):
    """Returns a mask of any of the three shapes as float64 that broadcasts to (n, *spatial, channels)."""
    mask = np.asarray(mask, np.float64)
    if setting.mask == "channel":
        return mask if setting.channels else mask[..., None]
    return mask[..., None] if setting.mask == "image" else mask[None, ..., None]
