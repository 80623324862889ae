"""What SSIM makes of the statistics of one window: how far its factors fall short of 1.

With u = x + y and v = x - y, and without cancellation,

    1 - contrast · structure = var v / (var x + var y + C2)      1 - luminance = (mean v)² / (mean² x + mean² y + C1)
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxssim.conventions import Convention
from jaxssim.filtering import kept
from jaxssim.statistics import Local
from jaxssim.windows import Windows

Formula = Callable[[Local, Convention, Windows], jax.Array]
Ratio = tuple[jax.Array, jax.Array]


def contrast_structure(local: Local, convention: Convention, taps: Windows) -> jax.Array:
    """1 - contrast · structure, within [0, 2]."""
    return quotient(*of_variances(local, convention, taps))


def luminance(local: Local, convention: Convention, taps: Windows) -> jax.Array:
    """1 - luminance, within [0, 2]."""
    return quotient(*of_means(local, convention))


def dissimilarity(local: Local, convention: Convention, taps: Windows) -> jax.Array:
    """1 - SSIM, within [0, 2]."""
    return union(luminance(local, convention, taps), of_variances(local, convention, taps))


def of_variances(local: Local, convention: Convention, taps: Windows) -> Ratio:
    """1 - contrast · structure, as numerator and denominator."""
    # Bessel's correction of every variance is the same as its inverse of C2, and rounds nothing.
    return local.var_v, (local.var_u + local.var_v) / 2 + convention.k2**2 / correction(convention, taps)


def of_means(local: Local, convention: Convention) -> Ratio:
    """1 - luminance, as numerator and denominator."""
    return local.mean_v**2, (local.mean_u**2 + local.mean_v**2) / 2 + convention.k1**2


@jax.custom_jvp
def union(a: jax.Array, ratio: Ratio) -> jax.Array:
    """1 - (1 - a)(1 - n / d), within [0, 2].

    XLA takes quotients for expensive, and does not fuse what uses one twice: here 1 - n / d is another.
    """
    n, d = ratio
    found = n / d + a * ((d - n) / d)
    return jnp.where(found < 0, 0, jnp.where(found > 2, 2, found))  # as it may round


@union.defjvp
def _union_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    """In the form whose derivative has no difference but 1 - a and 1 - b, and which needs no bounds."""

    def of_both(a: jax.Array, ratio: Ratio) -> jax.Array:
        return a + quotient(*ratio) * (1 - a)

    return jax.jvp(of_both, primals, tangents)


def correction(convention: Convention, taps: Windows) -> float:
    """What a window's variance is multiplied by: Bessel's correction, or 1."""
    count = math.prod(map(len, taps))
    return count / (count - 1) if convention.covariance == "sample" else 1.0


@jax.custom_jvp
def quotient(n: jax.Array, d: jax.Array) -> jax.Array:
    """n / d, whose derivatives never square d: at 1e15 times the data range float32 could not hold that."""
    return n / d


@quotient.defjvp
def _quotient_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    (n, d), (dn, dd) = primals, tangents
    inverse = kept(quotient(jnp.ones_like(d), d))
    value = n * inverse
    return value, (dn - value * dd) * inverse
