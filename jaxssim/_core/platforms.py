"""Functions for some platforms, of which JAX traces only the one that it compiles.

`lax.platform_dependent` traces all functions that it may choose. To trace the program of a whole image for GPUs takes as
long as to trace the tiles for a CPU.
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

    Both return arrays of the same shapes. JAX cannot differentiate the choice, so only derivative rules and functions
    with derivative rules may make it.
    """
    leaves, tree = jax.tree.flatten(argument)
    functions = [functools.partial(_call, each, tree) for each in (function, elsewhere)]
    here = int(jax.default_backend() != "cpu")
    traced = jax.jit(functions[here]).trace(*leaves)
    functions[here] = functools.partial(jax.core.eval_jaxpr, traced.jaxpr.jaxpr, traced.jaxpr.consts)
    results = on_cpu_p.bind(*leaves, functions=tuple(functions), avals=tuple(traced.jaxpr.out_avals))
    return jax.tree.unflatten(jax.tree.structure(traced.out_info), results)


def _call(function: Function, tree: Any, *leaves: jax.Array) -> Any:
    return function(jax.tree.unflatten(tree, leaves))


def _batched(arguments: Any, axes: Any, *, functions: Any, avals: Any) -> tuple[Any, Any]:
    """Maps both functions over the axes, which become the first axes of the results."""
    mapped = (jax.vmap(each, [None if axis is batching.not_mapped else axis for axis in axes]) for each in functions)
    of_list = [lambda leaves, each=each: each(*leaves) for each in mapped]
    results = on_cpu(*of_list, list(arguments))
    return results, [0] * len(results)


# `jax.extend.core.Primitive` is this type; importing its module takes longer than importing all of jaxssim.
on_cpu_p = type(lax.add_p)("on_cpu")
on_cpu_p.multiple_results = True
on_cpu_p.def_impl(lambda *leaves, **static: jax.jit(functools.partial(on_cpu_p.bind, **static))(*leaves))
on_cpu_p.def_abstract_eval(lambda *_, functions, avals: list(avals))
batching.primitive_batchers[on_cpu_p] = _batched
mlir.register_lowering(on_cpu_p, mlir.lower_fun(lambda *leaves, functions, avals: jax.tree.leaves(functions[1](*leaves))))
mlir.register_lowering(
    on_cpu_p, mlir.lower_fun(lambda *leaves, functions, avals: jax.tree.leaves(functions[0](*leaves))), "cpu"
)
