"""The means of several functions over all windows of two images, which one pass over the tiles computes."""

import functools

import jax

from jaxssim._core import jvp
from jaxssim._core.averaging import WindowFunctions, tiled_means
from jaxssim._core.images import Pair, unfold
from jaxssim.conventions import Taps


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def means_over_windows(functions: WindowFunctions, taps: Taps, pair: Pair) -> tuple[jax.Array, ...]:
    """Returns the means of several values per window, each (*batch, channels), of a pair without a mask."""
    return tiled_means(functions, taps, pair)


@functools.partial(means_over_windows.defjvp, symbolic_zeros=True)
def _means_over_windows_jvp(functions, taps, primals, tangents):  # type: ignore[no-untyped-def]
    (pair,), (tangent,) = primals, tangents

    def plain_means(pair: Pair) -> tuple[jax.Array, ...]:  # their transpose is constant, that of precise means pads
        axes, channels = range(-1 - len(taps), -1), pair.arrays[0].shape[-1]
        return tuple(unfold(values, channels).mean(axes) for values in functions(pair))

    _, dmeans = jvp.jvp_along(plain_means, pair, jvp.nonzero_tangents(tangent))
    return means_over_windows(functions, taps, pair), dmeans
