"""One symmetric weighted sum over windows, axis by axis: linear, and its own transpose but for padding.

It is a primitive because its transpose must be as fast as itself: JAX would turn every slice into a padded copy.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.interpreters import ad, batching, mlir

from jaxssim.windows import Taps, Windows


def weighted_sum(x: jax.Array, taps: Windows, *, channels: int = 1) -> jax.Array:
    """The weighted sum over every window that lies inside the images.

    Args:
        x: floating, (*batch, *spatial), channels folded into the last axis.
        taps: the weights along each spatial axis, symmetric, odd in number.
        channels: how many are folded: the distance between two pixels along the last axis.

    Returns:
        `x`'s shape, each spatial axis shorter by all taps but one.
    """
    return weighted_sum_p.bind(x, taps=taps, channels=channels)


def axes(taps: Windows, channels: int) -> list[tuple[int, Taps, int]]:
    """Each spatial axis of a folded image with its taps and the distance between two pixels.

    Axes count from the end, so that a batch axis in front does not move them.
    """
    return [(axis, weights, channels if axis == -1 else 1) for axis, weights in enumerate(taps, start=-len(taps))]


def shifts(x: jax.Array, count: int, *, axis: int, step: int = 1) -> list[jax.Array]:
    """The `count` views of `x` that a window of `count` taps meets along `axis`, first tap first."""
    length = x.shape[axis] - (count - 1) * step
    return [lax.slice_in_dim(x, k * step, k * step + length, axis=x.ndim + axis) for k in range(count)]


def paired_sum(terms: Sequence[jax.Array], taps: tuple[float, ...]) -> jax.Array:
    """The sum of symmetric taps times terms: in pairs from the rim inwards, small weights first, which rounds least."""
    radius, weights = len(taps) // 2, np.asarray(taps, terms[0].dtype)
    # Of lax, here and in the passes: operators, of jax.numpy, take three times as long to trace.
    pairs = (lax.mul(lax.add(terms[k], terms[-1 - k]), weights[k]) for k in range(radius))
    return functools.reduce(lax.add, (*pairs, lax.mul(terms[radius], weights[radius])))


def separate(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of arrays, compiled apart from what surrounds it. Its keyword-only arguments are static.

    Two passes that XLA fuses into one cost taps² each output. A barrier keeps them apart, but on CPU XLA drops it too
    early (up to JAX 0.10), while a call that is not inlined stays one.
    """
    static = [name for name, kind in inspect.signature(function).parameters.items() if kind.kind is kind.KEYWORD_ONLY]
    call = jax.jit(function, static_argnames=static)

    def alone(*arrays: jax.Array, **options: Any) -> Any:
        with set_xla_metadata(inlineable="false"):
            return call(*arrays, **options)

    def walled(*arrays: jax.Array, **options: Any) -> Any:
        return lax.optimization_barrier(call(*arrays, **options))

    @functools.wraps(function)
    def apart(*arrays: jax.Array, **options: Any) -> Any:
        on_cpu, elsewhere = (functools.partial(way, **options) for way in (alone, walled))
        return lax.platform_dependent(*arrays, cpu=on_cpu, default=elsewhere)

    return apart


@separate
def sum_along(x: jax.Array, *, taps: Taps, axis: int, step: int) -> jax.Array:
    """`weighted_sum` along one axis."""
    return paired_sum(shifts(x, len(taps), axis=axis, step=step), taps)


def kept(array: jax.Array) -> jax.Array:
    """An array that XLA on CPU shall compute once, not anew wherever it goes into."""
    return lax.platform_dependent(array, cpu=lax.optimization_barrier, default=lambda array: array)


def zeros(x: jax.Array) -> jax.Array:
    """Zeros like `x`, and sharded as its type says, which those of `zeros_like` are not from JAX 0.12 on."""
    return jnp.where(False, x, 0)


def _separable_sum(x: jax.Array, *, taps: Windows, channels: int) -> jax.Array:
    for axis, weights, step in axes(taps, channels):
        x = sum_along(x, taps=weights, axis=axis, step=step)
    return x


def _reach(taps: Windows, channels: int, ndim: int) -> list[int]:
    """How much shorter each axis gets."""
    reach = [0] * ndim
    for axis, weights, step in axes(taps, channels):
        reach[axis] = (len(weights) - 1) * step
    return reach


def _transpose(cotangent: jax.Array, _: jax.Array, *, taps: Windows, channels: int) -> list[jax.Array]:
    nothing = jnp.zeros((), cotangent.dtype)
    framed = lax.pad(cotangent, nothing, [(n, n, 0) for n in _reach(taps, channels, cotangent.ndim)])
    return [weighted_sum(framed, taps, channels=channels)]


# The type is that of jax.extend.core too, which takes longer to import than all of jaxssim.
weighted_sum_p = type(lax.add_p)("weighted_sum")
weighted_sum_p.def_impl(jax.jit(_separable_sum, static_argnames=("taps", "channels")))
weighted_sum_p.def_abstract_eval(
    lambda x, *, taps, channels: x.update(
        shape=tuple(n - reach for n, reach in zip(x.shape, _reach(taps, channels, x.ndim), strict=True))
    )
)
ad.deflinear2(weighted_sum_p, _transpose)
batching.primitive_batchers[weighted_sum_p] = lambda args, dims, **static: (
    weighted_sum_p.bind(jnp.moveaxis(args[0], dims[0], 0), **static),
    0,
)
mlir.register_lowering(weighted_sum_p, mlir.lower_fun(_separable_sum, multiple_results=False))
