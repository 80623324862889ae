"""Fuzzes jaxssim: compares 100,000 pairs of images of every kind with float64, and counts values that break a promise.

    python benchmarks/fuzz.py [--count 100000] [--seed 0] [--batch 17]

Every pair draws its own kind, contrast, offset, scale and data range (`fuzz_pairs.py`). Shapes, types and conventions
are few, because each of them compiles. The float64 values come from `reference.py`.

Promised for every pair of finite images, up to 1e15 data ranges from 0:
    values and gradients are finite; SSIM, its maps and MS-SSIM lie within [-1, 1], losses within [0, 2], DSSIM and
    IW-SSIM within [0, 1], SSIMULACRA 2 is at most 100.
Promised where images keep to their data range, at most 1,000 data ranges from 0, including images with dead pixels and
pairs up to 10 data ranges apart (wider images round x + y; the program prints their worst error, which has no limit):
    SSIM is within 2e-7 of float64, or within 2e-6 / sqrt(n) for n < 100 different windows, each within 2e-6;
    1 - SSIM has a relative error of at most 1e-5, or an absolute error of 1e-29 where squared differences underflow;
    maps are within 2e-6, or within 5e-6 beyond 10 data ranges from 0 and under masks. Where a pair has values of both
    signs, means cancel and luminance has a slope of 1 / k1: there the limits are 5e-6, 5e-5 (relative) and 2e-5.
    MS-SSIM, whose powers are infinitely steep at 0, is within the change that errors of this size in its factors cause.
    IW-SSIM is within 1e-4, or 0.02 where the original has nearly flat windows or a singular covariance; SSIMULACRA 2 is
    within 0.01 of 100 points; in float64 they are within 1e-8 and 1e-4.

The program prints each pair that breaks a promise with the number of its batch; `--batch` runs that batch alone,
whatever the count.
"""

import argparse
import dataclasses
import functools
import math
import sys
import time

import fuzz_originals
import jax
import measuring
import numpy as np
import reference
from fuzz_pairs import SETTINGS, SMALL, draw_batch, full_mask

import jaxssim

BATCH = 400
NEAR = 10.0  # maps are within 2e-6 up to this distance from 0, in data ranges
# Limits of the error of SSIM, the relative error of 1 - SSIM, and the errors of maps near 0 and far from 0.
ONE_SIGN = (2e-7, 1e-5, 2e-6, 5e-6)
BOTH_SIGNS = (5e-6, 5e-5, 2e-5, 2e-5)
TINY = 1e-24  # the squares of differences leave float32 where 1 - SSIM is smaller
SCALES = (0.4, 0.6)  # the weights of MS-SSIM's two scales
BOUNDS = {
    "ssim": (-1, 1),
    "ssim_map": (-1, 1),
    "ms_ssim": (-1, 1),
    "dssim": (0, 1),
    "ssim_loss": (0, 2),
    "ms_ssim_loss": (0, 1),
    "iw_ssim": (0, 1),
    "iw_ssim, float64": (0, 1),
    "iw_ssim_loss": (0, 1),
    "ssimulacra2": (-np.inf, 100),
    "ssimulacra2, float64": (-np.inf, 100),
    "ssimulacra2_loss": (0, np.inf),
}


# The values of jaxssim.


@functools.cache
def loss_function(setting, multiscale):
    """Returns a compiled function: the loss of each pair and, of floating images, its gradients by both."""

    def loss(x, y, data_range, mask):
        options = dict(data_range=data_range, mask=mask, **setting.layout)
        if multiscale:
            return jaxssim.ms_ssim_loss(x, y, weights=SCALES, convention=SMALL, **options)
        return jaxssim.ssim_loss(x, y, convention=setting.convention, **options)

    function = jax.value_and_grad(loss, (0, 1)) if setting.differentiable else lambda *args: (loss(*args), ())
    mask_axis = None if setting.mask in (None, "shared") else 0
    return jax.jit(jax.vmap(function, (0, 0, 0, mask_axis)))


def compute(batch, setting):
    """Returns what jaxssim computes for each pair, as float64 of shape (pairs, values), by function."""
    data_range = None if setting.types[0] == "uint8" else batch.data_range
    layout = dict(data_range=data_range, mask=batch.mask, **setting.layout)
    options = dict(convention=setting.convention, **layout)
    values = {
        "ssim": jaxssim.ssim(batch.x, batch.y, **options),
        "dssim": jaxssim.dssim(batch.x, batch.y, **options),
        "ssim_map": jaxssim.ssim_map(batch.x, batch.y, **options),
    }
    arrays = (batch.x, batch.y, batch.data_range, batch.mask)
    values["ssim_loss"], values["ssim_loss, gradient"] = loss_function(setting, False)(*arrays)
    if setting.multiscale:
        values["ms_ssim"] = jaxssim.ms_ssim(batch.x, batch.y, weights=SCALES, convention=SMALL, **layout)
        values["ms_ssim_loss"], values["ms_ssim_loss, gradient"] = loss_function(setting, True)(*arrays)
    flat = {name: flatten(value, len(batch.x)) for name, value in values.items()}
    return {name: value for name, value in flat.items() if value.size}


def flatten(value, n):
    """Returns an array or a tuple of arrays as float64 of shape (n, values)."""
    parts = value if isinstance(value, tuple) else (value,)
    return np.concatenate([np.zeros((n, 0)), *(np.asarray(part, np.float64).reshape(n, -1) for part in parts)], -1)


# The values of float64, and how far from them jaxssim may be.


def expect(batch, setting):
    """Returns by function the float64 values and the largest errors allowed, which broadcast to (pairs, values)."""
    n = len(batch.x)
    shape = (n, *setting.canonical)
    x, y = (np.asarray(image, np.float64).reshape(shape) for image in (batch.x, batch.y))
    # With a mask, the reference subtracts each window's mean before it squares: exact at any distance from 0.
    mask = np.broadcast_to(1.0 if batch.mask is None else full_mask(batch.mask, setting), shape)
    x, y = (np.where(mask > 0, image, 0) for image in (x, y))
    value, share, near, far = limits(x, y)
    images = reference.prepare(x, y, mask, setting.convention, setting.spatial_ndim)
    terms = reference.map_terms(*images, batch.data_range, setting.convention, setting.spatial_ndim)
    similarity_map = reference.product(*terms)
    counted = reference.counted_windows(similarity_map, images[2], setting.convention, setting.spatial_ndim)
    mean = reference.mean_over_windows(*counted, setting.spatial_ndim).mean(-1)[:, None]
    few = np.maximum(value, near / np.sqrt(effective_count(*counted)))
    distance = np.maximum(abs(x), abs(y)).reshape(n, -1).max(-1, keepdims=True) / batch.data_range[:, None].astype(
        float
    )
    relative = share * np.maximum(mean, TINY)
    expected = {
        "ssim": (1 - mean, few),
        "dssim": (mean / 2, relative / 2),
        "ssim_loss": (mean, relative),
        "ssim_map": (
            1 - reference.strided(similarity_map, setting.convention, setting.spatial_ndim).reshape(n, -1),
            np.where((distance > NEAR) | (batch.mask is not None), far, near),
        ),
    }
    if setting.multiscale:
        loss, slack = (array[:, None] for array in expect_multiscale(x, y, mask, batch.data_range, setting, value))
        expected["ms_ssim"] = (1 - loss, value + slack)
        expected["ms_ssim_loss"] = (loss, np.maximum(share * np.maximum(loss, TINY), slack))
    return expected


def limits(x, y):
    """Returns the limits ONE_SIGN or BOTH_SIGNS of each pair, four arrays of shape (pairs, 1)."""
    n = len(x)
    lowest, highest = np.minimum(x, y).reshape(n, -1).min(-1), np.maximum(x, y).reshape(n, -1).max(-1)
    both = lowest * highest < 0
    return np.where(both, *(np.asarray(limit)[:, None] for limit in (BOTH_SIGNS, ONE_SIGN)))[..., None]


def effective_count(similarity_map, weights):
    """Returns how many different windows a weighted mean amounts to, at least 1, of shape (pairs, 1).

    Windows of equal similarity, as those of a checkerboard, round alike, so that their mean is no better than one.
    """
    count = []
    for values, each in zip(similarity_map, np.broadcast_to(weights, similarity_map.shape), strict=True):
        _, which = np.unique(values.round(9), return_inverse=True)
        different = np.bincount(which.ravel(), each.ravel())
        count.append(different.sum() ** 2 / max((different**2).sum(), np.finfo(float).tiny))
    return np.maximum(count, 1)[:, None]


def expect_multiscale(x, y, mask, data_range, setting, tolerance):
    """Returns 1 - MS-SSIM of each pair in two scales, and how far off factors within `tolerance` may make it."""
    scales = reference.one_minus_scales(
        x, y, data_range, len(SCALES), SMALL, mask=mask, spatial_ndim=setting.spatial_ndim
    )

    def product(way):
        # Small factors have a limit on their relative error.
        factors = [d + way * np.minimum(tolerance, 1e-5 * d) for d in scales]
        logarithm = sum(w * np.log1p(-np.minimum(d, 1 - 1e-16)) for w, d in zip(SCALES, factors, strict=True))
        return np.where(np.maximum(*factors) < 1, -np.expm1(logarithm), 1).mean(-1)

    return product(0), product(1) - product(-1)


# The comparison.


@dataclasses.dataclass
class Tally:
    """Counts of one function."""

    pairs: int = 0
    values: int = 0
    not_finite: int = 0
    outside: int = 0
    mismatches: int = 0
    worst: float = 0.0  # the largest error as a share of its limit
    deviation: float = 0.0  # the same error itself
    where: str = "-"
    beyond: float = 0.0  # the largest share where nothing is promised

    @property
    def offences(self):
        """Returns how many values break a promise."""
        return self.not_finite + self.outside + self.mismatches


def compare(tally, name, values, expected, batch, labels):
    """Counts one function's values of a batch; yields a line for each pair that breaks a promise."""
    low, high = BOUNDS.get(name, (-np.inf, np.inf))
    finite = np.isfinite(values)
    offences = {"not finite": ~finite, "out of range": finite & ((values < low) | (values > high))}
    tally.not_finite += np.count_nonzero(offences["not finite"])
    tally.outside += np.count_nonzero(offences["out of range"])
    tally.pairs, tally.values = tally.pairs + len(values), tally.values + values.size
    if name in expected:
        exact, allowed = expected[name]
        deviation = np.where(finite, abs(values - exact), 0)
        share = deviation / allowed
        promised = np.broadcast_to(batch.promised[:, None], values.shape)
        offences["far from float64"] = promised & (share > 1)
        tally.mismatches += np.count_nonzero(offences["far from float64"])
        tally.beyond = max(tally.beyond, share[~promised].max(initial=0))
        promised_share = np.where(promised, share, 0)
        worst = np.unravel_index(promised_share.argmax(), promised_share.shape)
        if promised_share[worst] > tally.worst:
            tally.worst, tally.deviation = promised_share[worst], deviation[worst]
            tally.where = labels[worst[0]]
    for what, where in offences.items():
        for i in np.flatnonzero(where.any(-1)):
            extent = f", {share[i].max():.3g} of what is allowed" if what == "far from float64" else ""
            yield f"{name}: {what}{extent}: {labels[i]}"


def fuzz(count, seed, tallies, only=None):
    """Runs all batches, or one; yields a line for each pair that breaks a promise, and fills `tallies` by function."""
    for number in [only] if only is not None else range(math.ceil(count / BATCH)):
        setting = SETTINGS[number % len(SETTINGS)]
        # Each batch has its own generator, so that it can run alone.
        batch = draw_batch(np.random.default_rng([seed, number]), BATCH, setting)
        if setting.metric == "ssim":
            values, expected = compute(batch, setting), expect(batch, setting)
        else:
            values = fuzz_originals.compute(batch, setting)
            expected = fuzz_originals.expect(batch, setting, values)
        labels = [f"seed {seed}, batch {number}, pair {i} ({name})" for i, name in enumerate(batch.names)]
        for name, each in values.items():
            yield from compare(tallies.setdefault(name, Tally()), name, each, expected, batch, labels)


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


def main():
    """Fuzzes, prints the counts and exits with 1 where a pair breaks a promise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="pairs of images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, help="run this batch alone")
    options = parser.parse_args()
    start, tallies = time.perf_counter(), {}
    for printed, line in enumerate(fuzz(options.count, options.seed, tallies, options.batch)):
        if printed < 100 or options.batch is not None:
            print(line, flush=True)
    report(tallies, options, time.perf_counter() - start)
    sys.exit(any(tally.offences for tally in tallies.values()))


if __name__ == "__main__":
    main()
