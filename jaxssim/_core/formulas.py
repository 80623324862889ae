"""1 - SSIM from the statistics of a window.

SSIM is luminance · contrast · structure, where

    luminance = (2 mean x mean y + C1) / ((mean x)² + (mean y)² + C1)
    contrast · structure = (2 cov(x, y) + C2) / (var x + var y + C2)

With v = x - y, nothing cancels in

    d1 = 1 - luminance            = (mean v)² / ((mean x)² + (mean y)² + C1)
    d2 = 1 - contrast · structure = var v / (var x + var y + C2)
    1 - SSIM = d1 + d2 - d1 · d2

and with u = x + y, var x + var y = (var u + var v) / 2, and likewise for squared means. A mean of 1 - SSIM keeps six
digits that a mean of values near 1 loses.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxssim._core import xla
from jaxssim._core.statistics import WindowStatistics
from jaxssim.conventions import Convention, Taps

Formula = Callable[[WindowStatistics, Convention, Taps], jax.Array]
Ratio = tuple[jax.Array, jax.Array]  # numerator and denominator


def one_minus_ssim(statistics: WindowStatistics, convention: Convention, taps: Taps) -> jax.Array:
    """Returns 1 - SSIM, within [0, 2]."""
    d1 = one_minus_luminance(statistics, convention, taps)
    return one_minus_product(d1, contrast_structure_terms(statistics, convention, taps))


def one_minus_luminance(statistics: WindowStatistics, convention: Convention, taps: Taps) -> jax.Array:
    """Returns 1 - luminance, within [0, 2]."""
    return quotient(*luminance_terms(statistics, convention))


def one_minus_contrast_structure(statistics: WindowStatistics, convention: Convention, taps: Taps) -> jax.Array:
    """Returns 1 - contrast · structure, within [0, 2]."""
    return quotient(*contrast_structure_terms(statistics, convention, taps))


def luminance_terms(statistics: WindowStatistics, convention: Convention) -> Ratio:
    """Returns the numerator and the denominator of 1 - luminance."""
    mean_u, mean_v, *_, constants = statistics
    return mean_v**2, (mean_u**2 + mean_v**2) / 2 + (constants or convention).k1 ** 2


def contrast_structure_terms(statistics: WindowStatistics, convention: Convention, taps: Taps) -> Ratio:
    """Returns the numerator and the denominator of 1 - contrast · structure."""
    _, _, var_u, var_v, _, constants = statistics
    # Dividing C2 by Bessel's correction equals multiplying all variances by the correction, without an array operation.
    return var_v, (var_u + var_v) / 2 + (constants or convention).k2 ** 2 / bessel_correction(convention, taps)


def bessel_correction(convention: Convention, taps: Taps) -> float:
    """Returns n / (n - 1) for the sample covariance over windows of n pixels, 1 for the population covariance."""
    n = math.prod(map(len, taps))
    return n / (n - 1) if convention.covariance == "sample" else 1.0


@jax.custom_jvp
def one_minus_product(d: jax.Array, ratio: Ratio) -> jax.Array:
    """Returns 1 - (1 - d)(1 - numerator / denominator), within [0, 2]."""
    numerator, denominator = ratio
    value = numerator / denominator + d * xla.one_minus_quotient(numerator, denominator)
    return jnp.where(value < 0, 0, jnp.where(value > 2, 2, value))  # rounding may exceed the bounds


@one_minus_product.defjvp
def _one_minus_product_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    """Differentiates d + q (1 - d), where q is the quotient, without the clipping: only rounding exceeds the bounds."""

    def with_quotient(d: jax.Array, ratio: Ratio) -> jax.Array:
        return d + quotient(*ratio) * (1 - d)

    return jax.jvp(with_quotient, primals, tangents)


@jax.custom_jvp
def quotient(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """Returns numerator / denominator; derivatives never square the denominator, whose square may overflow float32."""
    return numerator / denominator


@quotient.defjvp
def _quotient_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    (numerator, denominator), (dnumerator, ddenominator) = primals, tangents
    inverse = xla.materialize_on_cpu(quotient(jnp.ones_like(denominator), denominator))
    value = numerator * inverse
    return value, (dnumerator - value * ddenominator) * inverse
