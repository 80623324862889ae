"""Fuzz jaxssim: 100,000 pairs of every kind, no value that is not finite or leaves its range, none far from float64.

    python benchmarks/fuzz.py [--count 100000] [--seed 0] [--batch 17]

Every pair draws its own kind, contrast, offset, scale and data range; shapes, types and conventions are few, since each
compiles. What float64 says is computed here by NumPy, in two passes: a window's mean first, then the squares about it.

Held to every pair of finite images, up to 1e15 data ranges from 0:
    values and gradients finite; SSIM, its maps and MS-SSIM within [-1, 1], losses within [0, 2], DSSIM within [0, 1].
Held where images keep to their data range, up to 1,000 of them from 0, dead pixels and a second image up to 10 data
ranges apart included (a wider image rounds x + y; the worst is printed, nothing is promised):
    SSIM within 2e-7 of float64, or 2e-6 / sqrt(n) where it is the mean of n < 100 windows, each known to 2e-6;
    1 - SSIM within 1e-5 of itself, or 1e-29 where its squares leave float32; maps within 2e-6, or 5e-6 beyond 10 data
    ranges from 0 and under masks. Where a pair has values of both signs, means cancel and luminance, of slope 1 / k1,
    tells: 5e-6, 5e-5 of itself and 2e-5 instead.
    MS-SSIM, whose powers have no bounded slope at 0: as far off as factors that far off make it.

An offender is printed with its batch and its place there: `--batch` runs that one alone, whatever the count.
"""

import argparse
import dataclasses
import functools
import itertools
import math
import sys
import time

import jax
import jax.numpy as jnp
import measuring
import numpy as np

import jaxssim
from jaxssim import Convention, Gaussian, Uniform, conventions

BATCH = 400
ACCURATE = 1e3  # in data ranges from 0: up to here accuracy is promised
NEAR = 10.0  # in data ranges from 0: up to here maps are within 2e-6
# Tolerances of SSIM, of 1 - SSIM as a share of itself, of maps near 0 and of maps far from 0.
ONE_SIGN = (2e-7, 1e-5, 2e-6, 5e-6)
BOTH_SIGNS = (5e-6, 5e-5, 2e-5, 2e-5)
TINY = 1e-24  # 1 - SSIM below which squares of differences leave float32
SCALES = (0.4, 0.6)  # the weights of MS-SSIM, for two scales
SMALL = Convention(window=Gaussian(5, 1.0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """What a batch has in common, since each of these compiles anew."""

    shape: tuple[int, ...]
    spatial_ndim: int = 2
    channels: bool = True
    types: tuple[str, str] = ("float32", "float32")
    convention: Convention = conventions.WANG2004
    mask: str | None = None  # "shared", "image" or "channel": of which shape
    multiscale: bool = False

    @property
    def layout(self):
        """The options that say what the axes are."""
        return dict(spatial_ndim=self.spatial_ndim, channel_axis=-1 if self.channels else None)

    @property
    def differentiable(self):
        """Whether the images are floating."""
        return not self.types[0].startswith("uint")

    @property
    def canonical(self):
        """The shape with a channel axis."""
        return self.shape if self.channels else (*self.shape, 1)


SETTINGS = (
    Setting(shape=(11, 11, 1), multiscale=True),
    Setting(shape=(16, 23, 3), multiscale=True),
    Setting(shape=(33, 20, 1), convention=conventions.SKIMAGE),
    Setting(shape=(12, 14, 2), convention=conventions.KORNIA),
    Setting(shape=(17, 13, 1), convention=conventions.SKIMAGE_GAUSSIAN),
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
)


# Images, (n, *spatial, channels) within [0, 1].


def noise(rng, n, shape):
    """Independent pixels."""
    return rng.random((n, *shape))


def gradient(rng, n, shape):
    """A slow wave."""
    return 0.5 + 0.5 * np.cos(_plane(rng, n, shape) + 6 * rng.random((n, *(1,) * len(shape))))


def constant(rng, n, shape):
    """The same everywhere, sometimes an end of the range."""
    level = np.clip(1.2 * rng.random((n, *(1,) * len(shape))) - 0.1, 0, 1)
    return np.broadcast_to(level, (n, *shape))


def step(rng, n, shape):
    """Two levels either side of a line."""
    return np.where(_plane(rng, n, shape) > 0, *rng.random((2, n, *(1,) * len(shape))))


def checkerboard(rng, n, shape):
    """Black and white cells of one to three pixels."""
    side = rng.integers(1, 4, (n, *(1,) * len(shape)))
    return (sum(index // side for index in np.indices(shape)[:, None]) % 2).astype(float)


def black(rng, n, shape):
    """Nothing."""
    return np.zeros((n, *shape))


def single(rng, n, shape):
    """Black but for one pixel."""
    image = np.zeros((n, math.prod(shape)))
    image[np.arange(n), rng.integers(0, image.shape[1], n)] = rng.random(n)
    return image.reshape(n, *shape)


def levels(rng, n, shape):
    """All levels of 8 bits in turn, where there are pixels enough."""
    start, stride = rng.integers(0, 256, n), 2 * rng.integers(0, 8, n) + 1
    ramp = (start[:, None] + stride[:, None] * np.arange(math.prod(shape))) % 256
    return ramp.reshape(n, *shape) / 255


def _plane(rng, n, shape):
    """A linear function of the coordinates, of mean 0."""
    slopes = rng.normal(0, 0.3, (n, len(shape)))
    centred = np.indices(shape) - np.reshape(shape, (-1, *(1,) * len(shape))) / 2
    return np.tensordot(slopes, centred, 1)


KINDS = (noise, gradient, constant, step, checkerboard, black, single, levels)


def drawn(rng, n, shape):
    """Images of all kinds in random order."""
    images, kinds = np.empty((n, *shape)), rng.integers(0, len(KINDS), n)
    for k, kind in enumerate(KINDS):
        images[kinds == k] = kind(rng, np.count_nonzero(kinds == k), shape)
    return images


RELATIONS = {
    "independent": lambda rng, x, z, amount: z,
    "identical": lambda rng, x, z, amount: x,
    "last bit": lambda rng, x, z, amount: x,  # moved later, once the type is known
    "negative": lambda rng, x, z, amount: 1 - x,
    "noisy": lambda rng, x, z, amount: x + amount * rng.standard_normal(x.shape),
    "darker": lambda rng, x, z, amount: x * rng.random((len(x), *(1,) * (x.ndim - 1))),
    "brighter": lambda rng, x, z, amount: x + amount,
    "patched": lambda rng, x, z, amount: np.where(rng.random(x.shape) < 0.05, z, x),
}


def related(rng, x):
    """A second image for each, and the name of what it has to do with the first."""
    n, z, y = len(x), drawn(rng, len(x), x.shape[1:]), np.empty(x.shape)
    names = rng.choice(list(RELATIONS), n)
    for name, relation in RELATIONS.items():
        chosen = names == name
        amount = 10 ** rng.uniform(-6, 0, (np.count_nonzero(chosen), *(1,) * (x.ndim - 1)))
        y[chosen] = relation(rng, x[chosen], z[chosen], amount)
    return y, names


# Where images lie: (offset, contrast, data range, whole numbers or not), each for n pairs.
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
# uint8 takes its data range from its type; float16 ends at 65504, and so do its gradients.
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


def placed(rng, x, y, kind):
    """Both images where some place has them, their data ranges as float32, whether accuracy is promised, the places."""
    n, names = len(x), rng.choice(FITTING.get(kind, list(PLACES)), len(x))
    numbers = np.empty((4, n))
    for name, place in PLACES.items():
        chosen = names == name
        for row, value in zip(numbers, place(rng, np.count_nonzero(chosen)), strict=True):
            row[chosen] = value
    offset, contrast, data_range, whole = (row.reshape(n, *(1,) * (x.ndim - 1)) for row in numbers)
    # Now and then the second image lies elsewhere, or a pixel is dead.
    apart = np.where(rng.random(offset.shape) < 0.1, 10 ** rng.uniform(-6, 1, offset.shape), 0) * data_range
    x, y = offset + contrast * x, offset + contrast * y + apart
    dead = rng.choice(n, n // 20)
    x.reshape(n, -1)[dead, rng.integers(0, math.prod(x.shape[1:]), len(dead))] = 0
    promised = (contrast <= data_range) & (abs(offset) <= ACCURATE * data_range)
    x, y = (np.where(whole, np.round(image), image) for image in (x, y))
    return x, y, np.float32(numbers[2]), promised.ravel(), names


def typed(image, kind):
    """The image in a type of JAX, held within it."""
    if kind.startswith("uint"):
        return np.clip(np.round(image), 0, np.iinfo(kind).max).astype(kind)
    largest = float(jnp.finfo(kind).max)
    return np.clip(image, -largest, largest).astype(jnp.dtype(kind))


def moved_in_the_last_bit(rng, image):
    """Every pixel one number up or down, or left as it is."""
    way = rng.integers(-1, 2, image.shape)
    if image.dtype.kind == "u":
        return np.clip(image.astype(int) + way, 0, np.iinfo(image.dtype).max).astype(image.dtype)
    to = np.select([way < 0, way > 0], [-np.inf, np.inf], image).astype(image.dtype)
    # Numbers that are not normal are 0 to XLA.
    return np.where(image == 0, image, np.nextafter(image, to)).astype(image.dtype)


def masks(rng, n, setting):
    """Weights or True and False, of the setting's shape: scattered, half the image, little, none, all."""
    canonical = setting.canonical
    shape = {"shared": canonical[:-1], "image": (n, *canonical[:-1]), "channel": (n, *canonical)}[setting.mask]
    spatial = shape if setting.mask == "shared" else shape[1:]
    count = 1 if setting.mask == "shared" else n
    density = rng.choice([0.01, 0.1, 0.5, 0.9, 1.0], (count, *(1,) * len(spatial)))
    inside = rng.random((count, *spatial)) < density
    inside = np.where(rng.random(density.shape) < 0.3, _plane(rng, count, spatial) > 0, inside)
    inside = np.where(rng.random(density.shape) < 0.02, False, inside)
    if rng.random() < 0.5:
        return inside.reshape(shape)
    weights = 10 ** rng.uniform(-6, 0, inside.shape) * 10 ** rng.uniform(-9, 9, density.shape)
    return np.where(inside, weights, 0).astype(np.float32).reshape(shape)


@dataclasses.dataclass
class Batch:
    """Pairs as jaxssim takes them, and what each is called."""

    x: np.ndarray
    y: np.ndarray
    data_range: np.ndarray
    mask: np.ndarray | None
    promised: np.ndarray  # whether a pair is among those whose accuracy is promised
    names: np.ndarray


def batch_of(rng, n, setting):
    """Pairs of all kinds in one setting."""
    first, second = setting.types
    x = drawn(rng, n, setting.canonical)
    y, relations = related(rng, x)
    x, y, data_range, promised, places = placed(rng, x, y, first)
    x, y = typed(x, first), typed(y, second)
    last = relations == "last bit"
    y[last] = moved_in_the_last_bit(rng, x[last].astype(y.dtype))
    y[relations == "identical"] = x[relations == "identical"].astype(y.dtype)
    mask = None
    if setting.mask:
        mask = masks(rng, n, setting)
        outside = ~np.broadcast_to(weights_of(mask, x.shape, setting) > 0, x.shape)
        for image in (x, y):
            image[outside & (rng.random(x.shape) < 0.1)] = rng.choice([np.nan, np.inf, 1e30])
    shape = (n, *setting.shape)
    names = np.char.add(np.char.add(relations, ", "), places)
    return Batch(x.reshape(shape), y.reshape(shape), data_range, mask, promised, names)


def weights_of(mask, shape, setting):
    """A mask of any of the three shapes as float64 (n or 1, *spatial, channels)."""
    if setting.mask == "channel":
        mask = mask.reshape(shape)
    elif setting.mask == "image":
        mask = mask[..., None]
    else:
        mask = mask[None, ..., None]
    return np.broadcast_to(mask, (len(mask), *shape[1:])).astype(np.float64)


# What float64 says, from the definition: weighted moments of every window, one tap after the other.


def moments(image, weight, taps):
    """Mean and variance of each window, about that mean, of (n, *spatial, channels); and its weight."""
    inner = [n - len(t) + 1 for n, t in zip(image.shape[1:-1], taps, strict=True)]
    places = list(itertools.product(*(range(len(t)) for t in taps)))
    tap_of = [math.prod(t[k] for t, k in zip(taps, place, strict=True)) for place in places]

    def under(array, place):
        return array[(slice(None), *(slice(k, k + m) for k, m in zip(place, inner, strict=True)))]

    total = sum(tap * under(weight, place) for tap, place in zip(tap_of, places, strict=True))
    total = np.where(total == 0, 1, total)
    mean, variance = np.zeros(under(image, places[0]).shape), np.zeros(under(image, places[0]).shape)
    for tap, place in zip(tap_of, places, strict=True):
        mean += tap * under(weight, place) * under(image, place)
    mean /= total
    for tap, place in zip(tap_of, places, strict=True):
        variance += tap * under(weight, place) * (under(image, place) - mean) ** 2
    return mean, variance / total


def shortfalls(x, y, weight, data_range, convention):
    """1 - contrast · structure and 1 - luminance at every window, from the moments of x, y and x - y."""
    taps = convention.window.taps(x.ndim - 2)
    count = math.prod(map(len, taps))
    bessel = count / (count - 1) if convention.covariance == "sample" else 1.0
    (mean_x, var_x), (mean_y, var_y), (mean_v, var_v) = (moments(image, weight, taps) for image in (x, y, x - y))
    unit = data_range.astype(np.float64).reshape(-1, *(1,) * (x.ndim - 1))
    structure = bessel * var_v / (bessel * (var_x + var_y) + (convention.k2 * unit) ** 2)
    return structure, mean_v**2 / (mean_x**2 + mean_y**2 + (convention.k1 * unit) ** 2)


def widened(array, widths, padding):
    """(n, *spatial, channels) continued beyond its edges."""
    return np.pad(array, [(0, 0), *((w, w) for w in widths), (0, 0)], mode=padding)


def central(array, widths):
    """(n, *spatial, channels) without its rim."""
    return array[(slice(None), *(slice(w, n - w) for w, n in zip(widths, array.shape[1:-1], strict=True)))]


def true_map(x, y, weight, data_range, convention):
    """1 - SSIM at every window of the map, (n, *spatial_out, channels), and the weight at its centre."""
    widths = [len(t) // 2 for t in convention.window.taps(x.ndim - 2)]
    if convention.padding != "valid":
        x, y, weight = (widened(array, widths, convention.padding) for array in (x, y, weight))
    structure, luminance = shortfalls(x, y, weight, data_range, convention)
    taps = convention.window.taps(x.ndim - 2)
    empty = moments(weight, np.ones_like(weight), taps)[0] <= 0
    return np.where(empty, 0, structure + luminance - structure * luminance), central(weight, widths)


def mean_over_windows(values, weight):
    """(n, channels), by the weights, which may have one image for all; 0 where there are none."""
    axes, weight = tuple(range(1, values.ndim - 1)), np.broadcast_to(weight, values.shape)
    total = weight.sum(axes)
    return (values * weight).sum(axes) / np.where(total == 0, 1, total)


def true_value(dissimilarity, weight, convention):
    """1 - SSIM of each pair, from its map; and how many windows that is the mean of, by their weights."""
    if convention.padding != "valid" and convention.average == "inside":
        widths = [len(t) // 2 for t in convention.window.taps(dissimilarity.ndim - 2)]
        dissimilarity, weight = central(dissimilarity, widths), central(weight, widths)
    each = np.broadcast_to(weight, dissimilarity.shape).reshape(len(dissimilarity), -1)
    count = each.sum(-1) ** 2 / np.maximum((each**2).sum(-1), np.finfo(float).tiny)
    return mean_over_windows(dissimilarity, weight).mean(-1), np.maximum(count, 1)


def halved(image, weight):
    """Means of 2 x .. x 2 pixels by weight, the last of an odd number doubled; and the mean weight."""
    spatial = image.shape[1:-1]
    parts, weights = [], []
    for place in itertools.product((0, 1), repeat=len(spatial)):
        index = np.ix_(*(np.minimum(np.arange(k, n + n % 2, 2), n - 1) for k, n in zip(place, spatial, strict=True)))
        weights.append(weight[(slice(None), *index)])
        parts.append(image[(slice(None), *index)] * weights[-1])
    total = sum(weights)
    return sum(parts) / np.where(total == 0, 1, total), total / len(weights)


def true_multiscale(x, y, weight, data_range, tolerance):
    """1 - MS-SSIM of each pair in two scales, and how far off factors within `tolerance` may make it."""
    d1 = mean_over_windows(*_inside(shortfalls(x, y, weight, data_range, SMALL)[0], weight))
    (x, _), (y, weight) = halved(x, weight), halved(y, weight)
    structure, luminance = shortfalls(x, y, weight, data_range, SMALL)
    d2 = mean_over_windows(*_inside(structure + luminance - structure * luminance, weight))

    def product(way):
        # Small ones are known by their share.
        factors = [d + way * np.minimum(tolerance, 1e-5 * d) for d in (d1, d2)]
        logarithm = sum(w * np.log1p(-np.minimum(d, 1 - 1e-16)) for w, d in zip(SCALES, factors, strict=True))
        return np.where(np.maximum(*factors) < 1, -np.expm1(logarithm), 1).mean(-1)

    return product(0), product(1) - product(-1)


def _inside(values, weight):
    """Values of windows and the weights at their centres; no window counts that holds no pixel."""
    widths = [len(t) // 2 for t in SMALL.window.taps(values.ndim - 2)]
    return values, central(weight, widths)


# What jaxssim says.


@functools.cache
def losses(setting, multiscale):
    """Each pair's loss and, where there are such, its gradients by both images: under vmap and jit."""

    def loss(x, y, data_range, mask):
        options = dict(data_range=data_range, mask=mask, **setting.layout)
        if multiscale:
            return jaxssim.ms_ssim_loss(x, y, weights=SCALES, convention=SMALL, **options)
        return jaxssim.ssim_loss(x, y, convention=setting.convention, **options)

    function = jax.value_and_grad(loss, (0, 1)) if setting.differentiable else lambda *args: (loss(*args), ())
    each = None if setting.mask in (None, "shared") else 0
    return jax.jit(jax.vmap(function, (0, 0, 0, each)))


def said(batch, setting):
    """By name, what jaxssim gives for each pair, as float64."""
    data_range = None if setting.types[0] == "uint8" else batch.data_range
    options = dict(data_range=data_range, mask=batch.mask, **setting.layout)
    own = dict(convention=setting.convention, **options)
    values = {
        "ssim": jaxssim.ssim(batch.x, batch.y, **own),
        "dssim": jaxssim.dssim(batch.x, batch.y, **own),
        "ssim_map": jaxssim.ssim_map(batch.x, batch.y, **own),
    }
    arrays = (batch.x, batch.y, batch.data_range, batch.mask)
    values["ssim_loss"], values["ssim_loss, gradient"] = losses(setting, False)(*arrays)
    if setting.multiscale:
        values["ms_ssim"] = jaxssim.ms_ssim(batch.x, batch.y, weights=SCALES, convention=SMALL, **options)
        values["ms_ssim_loss"], values["ms_ssim_loss, gradient"] = losses(setting, True)(*arrays)
    return {name: _flat(value, len(batch.x)) for name, value in values.items() if not isinstance(value, tuple) or value}


def _flat(value, n):
    """(n, values)."""
    parts = value if isinstance(value, tuple) else (value,)
    return np.concatenate([np.asarray(part, np.float64).reshape(n, -1) for part in parts], -1)


# The comparison.

BOUNDS = {
    "ssim": (-1, 1),
    "ssim_map": (-1, 1),
    "ms_ssim": (-1, 1),
    "dssim": (0, 1),
    "ssim_loss": (0, 2),
    "ms_ssim_loss": (0, 1),
}


def expected(batch, setting):
    """By name, what float64 says and how far off a value may be, both to be broadcast to (n, values)."""
    n = len(batch.x)
    shape = (n, *setting.canonical)
    x, y = (np.asarray(image, np.float64).reshape(shape) for image in (batch.x, batch.y))
    weight = np.ones((1, *shape[1:])) if batch.mask is None else weights_of(batch.mask, shape, setting)
    x, y = (np.where(weight > 0, image, 0) for image in (x, y))
    distance = np.maximum(abs(x), abs(y)).reshape(n, -1).max(-1, keepdims=True) / batch.data_range[:, None].astype(
        float
    )
    both = np.minimum(x, y).reshape(n, -1).min(-1) * np.maximum(x, y).reshape(n, -1).max(-1) < 0
    value, share, near, far = np.where(both, *(np.asarray(t)[:, None] for t in (BOTH_SIGNS, ONE_SIGN)))[..., None]
    dissimilarity, centres = true_map(x, y, weight, batch.data_range, setting.convention)
    mean, count = (array[:, None] for array in true_value(dissimilarity, centres, setting.convention))
    few = np.maximum(value, near / np.sqrt(count))
    near = near if batch.mask is None else far
    of_itself = share * np.maximum(mean, TINY)
    wanted = {
        "ssim": (1 - mean, few),
        "dssim": (mean / 2, of_itself / 2),
        "ssim_loss": (mean, of_itself),
        "ssim_map": (1 - dissimilarity.reshape(n, -1), np.where(distance > NEAR, far, near)),
    }
    if setting.multiscale:
        loss, slack = (array[:, None] for array in true_multiscale(x, y, weight, batch.data_range, value))
        wanted["ms_ssim"] = (1 - loss, value + slack)
        wanted["ms_ssim_loss"] = (loss, np.maximum(share * np.maximum(loss, TINY), slack))
    return wanted


@dataclasses.dataclass
class Tally:
    """What was counted of one function."""

    pairs: int = 0
    values: int = 0
    not_finite: int = 0
    outside: int = 0
    mismatches: int = 0
    worst: float = 0.0  # as a share of what is allowed
    deviation: float = 0.0  # the same, by itself
    where: str = "-"
    beyond: float = 0.0  # the worst share where nothing is promised

    @property
    def offences(self):
        """All that should not be."""
        return self.not_finite + self.outside + self.mismatches


def compare(tally, name, values, wanted, batch, labels):
    """Counts one function's values of a batch; yields a line for each pair that offends."""
    low, high = BOUNDS.get(name, (-np.inf, np.inf))
    finite = np.isfinite(values)
    bad = {"not finite": ~finite, "out of range": finite & ((values < low) | (values > high))}
    tally.not_finite += np.count_nonzero(bad["not finite"])
    tally.outside += np.count_nonzero(bad["out of range"])
    tally.pairs, tally.values = tally.pairs + len(values), tally.values + values.size
    if name in wanted:
        truth, allowed = wanted[name]
        deviation = np.where(finite, abs(values - truth), 0)
        share = deviation / allowed
        promised = np.broadcast_to(batch.promised[:, None], values.shape)
        bad["far from float64"] = promised & (share > 1)
        tally.mismatches += np.count_nonzero(bad["far from float64"])
        tally.beyond = max(tally.beyond, share[~promised].max(initial=0))
        held = np.where(promised, share, 0)
        at = np.unravel_index(held.argmax(), held.shape)
        if held[at] > tally.worst:
            tally.worst, tally.deviation, tally.where = held[at], deviation[at], labels[at[0]]
    for what, where in bad.items():
        for i in np.flatnonzero(where.any(-1)):
            extent = f", {share[i].max():.3g} of what is allowed" if what == "far from float64" else ""
            yield f"{name}: {what}{extent}: {labels[i]}"


def fuzz(count, seed, only=None):
    """Runs all batches, or one; yields offenders, and at last the tallies by function."""
    tallies = {}
    batches = [only] if only is not None else range(math.ceil(count / BATCH))
    for number in batches:
        setting = SETTINGS[number % len(SETTINGS)]
        # Each batch has a generator of its own, so that it can be run alone.
        batch = batch_of(np.random.default_rng([seed, number]), BATCH, setting)
        wanted = expected(batch, setting)
        labels = [f"seed {seed}, batch {number}, pair {i} ({name})" for i, name in enumerate(batch.names)]
        for name, values in said(batch, setting).items():
            tally = tallies.setdefault(name, Tally())
            yield from compare(tally, name, values, wanted, batch, labels)
    return tallies


def main():
    """Fuzzes, prints what was counted and exits with 1 where anything offends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="pairs of images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, help="run this batch alone")
    options = parser.parse_args()
    start, lines = time.perf_counter(), fuzz(options.count, options.seed, options.batch)
    printed = 0
    while True:
        try:
            line = next(lines)
        except StopIteration as end:
            tallies = end.value
            break
        printed += 1
        if printed <= 100 or options.batch is not None:
            print(line, flush=True)
    report(tallies, options, time.perf_counter() - start)
    sys.exit(any(tally.offences for tally in tallies.values()))


def report(tallies, options, seconds):
    """Prints the table."""
    print(f"{measuring.header()}; seed {options.seed}, {seconds:.0f} s")
    heads = ("function", "pairs", "values", "not finite", "out of range", "mismatches", "worst deviation")
    heads = (*heads, "of what is allowed", "where nothing is promised", "the worst")
    print("| " + " | ".join(heads) + " |")
    print("| --- |" + " --: |" * 8 + " --- |")
    for name, t in tallies.items():
        print(
            f"| {name} | {t.pairs:,} | {t.values:,} | {t.not_finite} | {t.outside} | {t.mismatches} "
            f"| {t.deviation:.2g} | {t.worst:.2g} | {t.beyond:.2g} | {t.where} |"
        )


if __name__ == "__main__":
    main()
