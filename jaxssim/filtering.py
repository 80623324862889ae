"""One symmetric weighted sum along one axis: linear, and its own transpose but for padding.

It is a primitive because its transpose must be as fast as itself: JAX would turn every slice into a padded copy.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def weighted_sum(x: jax.Array, taps: tuple[float, ...], *, axis: int, step: int = 1) -> jax.Array:
    """Sum of `taps[k] * x[i + k * step]` over k, at every i for which all of these lie inside.

    Args:
        x: floating, any shape.
        taps: the weights, symmetric, odd in number.
        axis: negative, so that a batch axis in front does not move it.
        step: distance between taps; the number of channels where these are folded into the axis.

    Returns:
        `x`'s shape, `axis` shorter by `(len(taps) - 1) * step`.
    """
    return _weighted_sum_p.bind(x, taps=taps, axis=axis, step=step)


def shifts(x: jax.Array, count: int, *, axis: int, step: int = 1) -> list[jax.Array]:
    """The `count` views of `x` that a window of `count` taps meets along `axis`, first tap first."""
    length = x.shape[axis] - (count - 1) * step
    return [lax.slice_in_dim(x, k * step, k * step + length, axis=x.ndim + axis) for k in range(count)]


def separate(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of arrays, compiled apart from what surrounds it.

    Two passes that XLA fuses into one cost taps² each output. A barrier keeps them apart, but on CPU XLA drops it too
    early (up to JAX 0.10), while a call that is not inlined stays one.
    """
    call = jax.jit(function)

    def alone(*arrays: jax.Array) -> Any:
        with set_xla_metadata(inlineable="false"):
            return call(*arrays)

    def walled(*arrays: jax.Array) -> Any:
        return lax.optimization_barrier(function(*arrays))

    return lambda *arrays: lax.platform_dependent(*arrays, cpu=alone, default=walled)


def _sum_of_slices(x: jax.Array, *, taps: tuple[float, ...], axis: int, step: int) -> jax.Array:
    def add_up(x: jax.Array) -> jax.Array:
        views, radius = shifts(x, len(taps), axis=axis, step=step), len(taps) // 2
        pairs = (taps[k] * (views[k] + views[-1 - k]) for k in range(radius))
        return sum(pairs, start=jnp.zeros_like(views[radius])) + taps[radius] * views[radius]

    return separate(add_up)(x)


def _transpose(cotangent: jax.Array, _: jax.Array, *, taps: tuple[float, ...], axis: int, step: int) -> list[jax.Array]:
    widths = [(0, 0, 0)] * cotangent.ndim
    widths[axis] = ((len(taps) - 1) * step,) * 2 + (0,)
    padded = lax.pad(cotangent, jnp.zeros((), cotangent.dtype), widths)
    return [weighted_sum(padded, taps, axis=axis, step=step)]


_weighted_sum_p = Primitive("weighted_sum")
_weighted_sum_p.def_impl(jax.jit(_sum_of_slices, static_argnames=("taps", "axis", "step")))
_weighted_sum_p.def_abstract_eval(
    lambda x, *, taps, axis, step: x.update(
        shape=tuple(n - (len(taps) - 1) * step * (i == x.ndim + axis) for i, n in enumerate(x.shape))
    )
)
ad.deflinear2(_weighted_sum_p, _transpose)
batching.primitive_batchers[_weighted_sum_p] = lambda args, dims, **static: (
    _weighted_sum_p.bind(jnp.moveaxis(args[0], dims[0], 0), **static),
    0,
)
mlir.register_lowering(_weighted_sum_p, mlir.lower_fun(_sum_of_slices, multiple_results=False))
