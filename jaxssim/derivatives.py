"""Derivatives along those parts of an argument that move, and functions compiled with theirs apart."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.custom_derivatives import SymbolicZero


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit` of a function of a pytree and of what is static, whose derivative is traced by itself.

    That of a plain `jax.jit` is had from the trace of the value, all of which then is made for it alone.
    """

    @functools.partial(jax.jit, static_argnums=1)
    def value(argument: Any, static: tuple[Any, ...]) -> Any:
        return function(argument, *static)

    @functools.partial(jax.jit, static_argnums=2)
    def value_and_tangent(argument: Any, moving: dict[int, jax.Array], static: tuple[Any, ...]) -> Any:
        return along(lambda moved: function(moved, *static), argument, moving)

    differentiable = jax.custom_jvp(value, nondiff_argnums=(1,))
    differentiable.defjvp(
        lambda static, primals, tangents: value_and_tangent(*primals, moves(*tangents), static), symbolic_zeros=True
    )

    def both(argument: Any, *static: Any) -> Any:
        return differentiable(argument, static)

    vars(both)["_cache_size"] = getattr(value, "_cache_size")  # noqa: B009 - as `jax.jit` has it: how often it was compiled
    return functools.wraps(function)(both)


def along(function: Callable[[Any], Any], argument: Any, moving: dict[int, jax.Array]) -> Any:
    """What a function of a pytree gives, and its derivative along the tangents of some leaves, by their place."""
    leaves, tree = jax.tree.flatten(argument)

    def of_moving(moved: dict[int, jax.Array]) -> Any:
        return function(jax.tree.unflatten(tree, [moved.get(i, leaf) for i, leaf in enumerate(leaves)]))

    return jax.jvp(of_moving, [{i: leaves[i] for i in moving}], [moving])


def moves(tangent: Any) -> dict[int, jax.Array]:
    """The tangents that are not known to be zero, by their place among the leaves."""
    return {i: leaf for i, leaf in enumerate(jax.tree.leaves(tangent)) if not isinstance(leaf, SymbolicZero)}
