"""Pairs of 8-bit images on which jaxssim is compared with other libraries; every machine draws the same pairs."""

import hashlib

import numpy as np

SMALL = ((11, 11, 1), (16, 23, 3), (64, 64, 3), (129, 75, 1))
# Shorter sides of 384, 521 and 640: ssim.m shrinks them by 2, 2 and 3, piq by 2, 2 and 2 (it rounds a half to even).
LARGE = ((384, 400, 1), (521, 603, 1), (640, 648, 1))
# Photographs of scikit-image stored as PNG, which all decoders read alike, with the height and width to crop them to.
PHOTOGRAPHS = (
    *(("astronaut", 512, 512), ("immunohistochemistry", 512, 512)),
    *((name, 512, 512) for name in ("camera", "moon", "brick", "grass", "gravel")),
    *((name, 160, 360) for name in ("page", "text", "coins", "clock")),
)


def noise(image, rng, amount):
    """Adds uniform noise of whole numbers up to `amount`."""
    return np.clip(image + rng.integers(-amount, amount + 1, image.shape), 0, 255).astype(np.uint8)


def blur(image, radius):
    """Returns the mean of a box around each pixel; the edge pixels are repeated outside the image."""
    size = 2 * radius + 1
    wide = np.pad(image, ((radius, radius), (radius, radius), (0, 0)), mode="edge").astype(np.int64)
    for axis in (0, 1):
        wide = np.lib.stride_tricks.sliding_window_view(wide, size, axis).sum(-1)
    return ((wide + size**2 // 2) // size**2).astype(np.uint8)


def contrast(image, percent):
    """Scales the differences from mid-grey to `percent`."""
    return np.clip(128 + (image.astype(np.int64) - 128) * percent // 100, 0, 255).astype(np.uint8)


def brighter(image, levels):
    """Adds `levels` to every value, up to white."""
    return np.minimum(image.astype(np.int64) + levels, 255).astype(np.uint8)


def gradient(shape, rng):
    """Draws a slope from near black to near white, in another direction for each channel, with faint noise."""
    rows, columns = np.arange(shape[0])[:, None, None], np.arange(shape[1])[None, :, None]
    down, across = rng.integers(1, 9, (2, shape[2]))
    slope = rows * down + columns * across
    return noise(slope * 255 // slope.max((0, 1)), rng, 2)


def texture(shape, rng):
    """Draws blobs of a few pixels, of every brightness."""
    return contrast(blur(rng.integers(0, 256, shape).astype(np.uint8), 2), 350)


def pairs():
    """Yields (name, x, y) with uint8 arrays (height, width, channels); pairs of one shape follow each other."""
    for seed, shape in enumerate(SMALL):
        rng = np.random.default_rng(seed)
        size = "x".join(map(str, shape))
        smooth, rough = gradient(shape, rng), texture(shape, rng)
        white, other = rng.integers(0, 256, (2, *shape)).astype(np.uint8)
        yield f"{size} noise", rough, noise(rough, rng, 40)
        yield f"{size} faint noise", rough, noise(rough, rng, 2)
        yield f"{size} gradient, noise", smooth, noise(smooth, rng, 12)
        yield f"{size} blur", rough, blur(rough, 1)
        yield f"{size} noise, blur", white, blur(white, 3)
        yield f"{size} inverted", rough, 255 - rough
        yield f"{size} gradient, inverted", smooth, 255 - smooth
        yield f"{size} brighter", smooth, brighter(smooth, 30)
        yield f"{size} contrast", rough, contrast(rough, 60)
        yield f"{size} unrelated", white, other
        yield f"{size} identical", white, white.copy()
        yield f"{size} constant", np.full(shape, 90, np.uint8), np.full(shape, 140, np.uint8)
        yield f"{size} constant, noise", np.full(shape, 90, np.uint8), noise(np.full(shape, 90, np.uint8), rng, 5)
        yield f"{size} black, dim", np.zeros(shape, np.uint8), np.full(shape, 3, np.uint8)
        yield f"{size} black", np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for seed, shape in enumerate(LARGE, len(SMALL)):
        rng = np.random.default_rng(seed)
        size = "x".join(map(str, shape))
        rough = texture(shape, rng)
        yield f"{size} noise", rough, noise(rough, rng, 60)
        smooth = gradient(shape, rng)
        yield f"{size} gradient, blur", noise(smooth, rng, 30), blur(smooth, 2)
    yield from photographs()


def photographs():
    """Yields the photographs among `pairs()`."""
    from skimage import data

    distortions = (
        ("blur", lambda image, rng: blur(image, 2)),
        ("noise", lambda image, rng: noise(image, rng, 50)),
        ("contrast", lambda image, rng: contrast(image, 60)),
    )
    for seed, (name, height, width) in enumerate(PHOTOGRAPHS, 100):
        image = getattr(data, name)()
        image = (image if image.ndim == 3 else image[..., None])[:height, :width]
        distortion, distort = distortions[seed % len(distortions)]
        yield f"{name} {distortion}", image, distort(image, np.random.default_rng(seed))


def checksum(pairs):
    """Returns a short hash of names and pixels, which tells whether the libraries were given these pairs."""
    digest = hashlib.sha256()
    for name, x, y in pairs:
        digest.update(f"{name} {x.shape}".encode() + x.tobytes() + y.tobytes())
    return digest.hexdigest()[:16]
