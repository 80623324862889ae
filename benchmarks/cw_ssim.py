"""Measures the time of CW-SSIM: one 256x256 pair in jaxssim and pyssim, and all pairs of 20 images.

    python benchmarks/cw_ssim.py

pyssim (`pip install pyssim`) uses a wavelet along the rows. Both get the same images and take turns; times are medians.
"""

import argparse
import functools
import statistics
import time

import jax
import measuring
import numpy as np

import jaxssim

TARGET_SPEEDUP = 30  # jaxssim should be this many times as fast as pyssim


def milliseconds(*functions, rounds=20):
    """Returns the median time of each function; the functions take turns, and the first call of each does not count."""
    times = [[] for _ in functions]
    for turn in range(rounds + 1):
        for function, record in zip(functions, times, strict=True):
            start = time.perf_counter()
            jax.block_until_ready(function())
            if turn:
                record.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(record) for record in times]


def pair():
    """Returns a picture with edges and texture, and the same with more noise, as (256, 256) uint8."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256] / 256
    picture = 128 + 60 * np.sin(40 * x * y) + 40 * (np.hypot(x - 0.5, y - 0.4) < 0.25)
    return tuple(np.clip(picture + sigma * rng.standard_normal(x.shape), 0, 255).astype(np.uint8) for sigma in (3, 20))


def time_one_pair():
    """Times one pair, also in pyssim if it is installed."""
    x, y = pair()
    ours = functools.partial(jaxssim.cw_ssim, x, y, levels=4, orientations=8, channel_axis=None)
    try:
        import ssim
        from PIL import Image
    except ImportError:
        print(f"256x256, one pair: jaxssim {milliseconds(ours)[0]:.2f} ms (pip install pyssim to compare with it)")
        return
    theirs = functools.partial(ssim.SSIM(Image.fromarray(x)).cw_ssim_value, Image.fromarray(y))
    fast, slow = milliseconds(ours, theirs)
    verdict = "fast enough" if slow / fast >= TARGET_SPEEDUP else f"too slow: the aim is {TARGET_SPEEDUP}"
    print(f"256x256, one pair: jaxssim {fast:.2f} ms, pyssim {slow:.0f} ms: {slow / fast:.0f} times as fast, {verdict}")


def time_all_pairs(count=20, height=480, width=640):
    """Times the matrix of all pairs of a set by each metric."""
    images = np.random.default_rng(0).random((count, height, width), np.float32)
    for metric, options in (
        ("mse", {}),
        ("ssim", {"data_range": 1.0}),
        ("ms_ssim", {"data_range": 1.0}),
        ("cw_ssim", {}),
    ):
        call = functools.partial(jaxssim.pairwise, images, metric=metric, channel_axis=None, **options)
        start = time.perf_counter()
        jax.block_until_ready(call())
        first = time.perf_counter() - start
        taken = milliseconds(call, rounds=3)[0] / 1e3
        print(
            f"{width}x{height}, the matrix of {count} images by {metric}: {taken:.2f} s, the first time {first:.1f} s"
        )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print(measuring.header())
    time_one_pair()
    time_all_pairs()
