"""Functions for some platforms, of which JAX traces only those that it compiles.

`lax.platform_dependent` traces all functions that it may choose. The program of a whole image for GPUs takes as long to
trace as the tiles for a CPU.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax import lax
from jax.interpreters import batching, mlir

Function = Callable[[Any], Any]


def on_cpu(function: Function, elsewhere: Function, argument: Any) -> Any:
    """Returns `function(argument)` in programs for CPUs, and `elsewhere(argument)` in all others.

    Both return arrays of the same shapes and types, and take all traced arrays from `argument`. JAX cannot
    differentiate this choice: derivative rules make it.
    """
    leaves, tree = jax.tree.flatten(argument)
    functions = [functools.partial(_call, each, tree) for each in (function, elsewhere)]
    here = int(jax.default_backend() != "cpu")
    traced = jax.jit(functions[here]).trace(*leaves)  # for the shapes; lowering on this platform needs it anyway
    functions[here] = functools.partial(jax.core.eval_jaxpr, traced.jaxpr.jaxpr, traced.jaxpr.consts)
    results = on_cpu_p.bind(*leaves, functions=tuple(functions), avals=tuple(traced.jaxpr.out_avals))
    return jax.tree.unflatten(jax.tree.structure(traced.out_info), results)


def _call(function: Function, tree: Any, *leaves: jax.Array) -> Any:
    return function(jax.tree.unflatten(tree, leaves))


def _batched(leaves: Any, axes: Any, *, functions: Any, avals: Any) -> tuple[Any, Any]:
    """Maps both functions over `axes`; the new axes of the results come first."""
    mapped, mapped_elsewhere = (jax.vmap(each, axes) for each in functions)
    results = on_cpu(lambda leaves: mapped(*leaves), lambda leaves: mapped_elsewhere(*leaves), tuple(leaves))
    return jax.tree.leaves(results), [0] * len(avals)


def _lowering(which: int) -> Any:
    return mlir.lower_fun(lambda *leaves, functions, avals: jax.tree.leaves(functions[which](*leaves)))


# `jax.extend.core.Primitive` is this type; importing its module takes longer than importing all of jaxssim.
on_cpu_p = type(lax.add_p)("on_cpu")
on_cpu_p.multiple_results = True
on_cpu_p.def_impl(lambda *leaves, **static: jax.jit(functools.partial(on_cpu_p.bind, **static))(*leaves))
on_cpu_p.def_abstract_eval(lambda *_, functions, avals: list(avals))
batching.primitive_batchers[on_cpu_p] = _batched
mlir.register_lowering(on_cpu_p, _lowering(1))
mlir.register_lowering(on_cpu_p, _lowering(0), "cpu")
