"""Every workaround for the XLA compiler: what each does, why, which versions of JAX need it, and when to delete it.

What looks odd in other modules is there for accuracy, or for the time that JAX takes to trace, and says so.
"""

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata


def no_fuse(function: Callable[..., Any], *, except_on_gpu: bool = False) -> Callable[..., Any]:
    """Returns `function` of arrays, compiled so that XLA does not fuse it with its surroundings.

    Two filter passes that XLA fuses into one loop cost taps² operations per pixel instead of 2 taps. An optimisation
    barrier separates the passes, except on CPU up to JAX 0.10, where XLA drops a barrier between two loops before it
    fuses; a call that is marked as not inlineable stays separate there.

    Where `except_on_gpu`, XLA may fuse it on GPUs. Keyword-only arguments of `function` are static. Delete the CPU
    branch when JAX 0.11 is the oldest supported version and the barrier is measured to be as fast there; delete the
    rest when XLA counts recomputation in its CPU fusions.
    """
    static = [name for name, kind in inspect.signature(function).parameters.items() if kind.kind is kind.KEYWORD_ONLY]
    jitted = jax.jit(function, static_argnames=static)

    def not_inlined(*arrays: jax.Array, **options: Any) -> Any:
        with set_xla_metadata(inlineable="false"):
            return jitted(*arrays, **options)

    def behind_barrier(*arrays: jax.Array, **options: Any) -> Any:
        return lax.optimization_barrier(jitted(*arrays, **options))

    @functools.wraps(function)
    def not_fused(*arrays: jax.Array, **options: Any) -> Any:
        calls = not_inlined, behind_barrier, jitted
        on_cpu, elsewhere, fused = (functools.partial(call, **options) for call in calls)
        on_gpu = dict(cuda=fused, rocm=fused) if except_on_gpu else {}
        return lax.platform_dependent(*arrays, cpu=on_cpu, **on_gpu, default=elsewhere)

    return not_fused


def on_gpu(function: Callable[..., Any], elsewhere: Callable[..., Any], *arrays: Any) -> Any:
    """Returns `function(*arrays)` in programs for GPUs, and `elsewhere(*arrays)` in all others."""
    return lax.platform_dependent(*arrays, cuda=function, rocm=function, default=elsewhere)


def materialize(arrays: Any) -> Any:
    """Returns arrays as they are, which XLA then computes once and stores instead of recomputing them at each use.

    Without this barrier XLA recomputes sum and difference for every tap, and the offset for every pixel. Needed by all
    versions up to JAX 0.12; delete when XLA counts recomputation in its fusions.
    """
    return lax.optimization_barrier(arrays)


def materialize_on_cpu(array: jax.Array) -> jax.Array:
    """Returns an array as it is, which XLA on CPU then computes once; on other platforms nothing changes.

    XLA on CPU recomputes the reciprocal in a quotient's derivative at each of its uses. Needed by all versions up to
    JAX 0.12; delete when the gradient takes no longer without it.
    """
    return lax.platform_dependent(array, cpu=lax.optimization_barrier, default=lambda array: array)


def materialize_on_gpu(arrays: Any) -> Any:
    """Returns arrays as they are, which XLA on GPUs then computes once; on other platforms nothing changes.

    Without this barrier XLA on GPUs reads the sparse pixels of an offset in one thread for each channel of each image,
    one pixel after the other; it splits the formula and its derivative into two kernels, between which it stores four
    fields. Needed by all versions up to JAX 0.12; delete when `benchmarks/cuda_compile.py` counts no more bytes without
    it, and the kernel of the sparse pixels has as many threads.
    """
    return on_gpu(materialize, lambda arrays: arrays, arrays)


def materialize_off_gpu(arrays: Any) -> Any:
    """Returns arrays as they are, which XLA then computes once, except on GPUs, where nothing changes.

    A GPU adds x and y in less time than it takes to store the sum and to read it again.
    """
    return on_gpu(lambda arrays: arrays, materialize, arrays)


def slice_of_flat(array: jax.Array, start: int, end: int, *, axis: int) -> jax.Array:
    """Returns what `lax.slice_in_dim` does, cut from the array with the axis and all later ones merged into one.

    XLA turns x[a:b] - y[a:b] into (x - y)[a:b] and stores x - y, although every slice reads both images from the cache.
    It does not where one of them is cut from another shape. Needed by all versions up to JAX 0.12 on GPUs; delete when
    XLA's pass `slice-sinker` leaves slices of the inputs of a program alone.
    """
    before, later = array.shape[:axis], array.shape[axis + 1 :]
    each = math.prod(later)
    flat = lax.reshape(array, (*before, array.shape[axis] * each))
    return lax.reshape(lax.slice_in_dim(flat, start * each, end * each, axis=axis), (*before, end - start, *later))


def one_minus_quotient(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """Returns 1 - numerator / denominator as (denominator - numerator) / denominator.

    XLA considers a division expensive and ends a fusion at a quotient with two uses; a second quotient keeps formula
    and filter pass in one loop (6.5 to 4.9 ms for a batch of 8x256x256x3 on CPU). Needed by all versions up to JAX
    0.12; delete when `1 - q` with a shared quotient `q` is as fast.
    """
    return (denominator - numerator) / denominator


def zeros_like(x: jax.Array) -> jax.Array:
    """Returns zeros of the shape, type and sharding of `x`.

    From JAX 0.12 on `jnp.zeros_like` drops a sharding that is part of the type (`jax.sharding.AxisType.Explicit`).
    Delete when `jnp.zeros_like` keeps that sharding.
    """
    return jnp.where(False, x, 0)


def repeat_along_row(row: jax.Array, folded: jax.Array) -> jax.Array:
    """Returns a value per channel (*batch, 1, .., 1, channels) repeated for every column of a folded image.

    A row of such values, (*batch, 1, .., columns, channels), is cut where it is long enough.

    Where XLA fuses the repetition, every pixel of the image looks its channel up by an integer division, for which only
    GPUs have the time. Needed by all versions up to JAX 0.12; delete when XLA moves such a lookup out of the loop over
    rows.
    """
    length, channels = folded.shape[-1], row.shape[-1]
    if row.shape[-2] * channels >= length > channels:
        return _cut(row, length=length)
    return _repeat(row[..., 0, :], count=length // channels)


@functools.partial(no_fuse, except_on_gpu=True)
def _cut(row: jax.Array, *, length: int) -> jax.Array:
    flat = lax.reshape(row, (*row.shape[:-2], row.shape[-2] * row.shape[-1]))
    return lax.slice_in_dim(flat, 0, length, axis=flat.ndim - 1)


@functools.partial(no_fuse, except_on_gpu=True)
def _repeat(row: jax.Array, *, count: int) -> jax.Array:
    return jnp.tile(row, count)


def pairwise_sum(
    values: jax.Array, less: jax.Array | None = None, share: jax.Array | None = None, *, axis: int
) -> jax.Array:
    """Returns the sum of `(values - less) * share` over an axis, not the last one, in pairs, then pairs of pairs.

    XLA's own sum over all rows takes as long as a filter pass, since it is not vectorised; sums of a few rows each are.
    Needed by all versions up to JAX 0.12 on CPU; delete when `jnp.sum` over rows is as fast.
    """
    axis %= values.ndim
    values = _partial_sums(values, less, share, axis=axis)
    while values.shape[axis] > 1:
        values = _partial_sums(values, None, None, axis=axis)
    return values.squeeze(axis)


@no_fuse
def _partial_sums(values: jax.Array, less: jax.Array | None, share: jax.Array | None, *, axis: int) -> jax.Array:
    """Returns sums of eight groups of rows, of which an eighth remains; of all rows where they are few."""
    rows = values.shape[axis]
    step = -(-rows // 8) if rows > 32 else 1
    terms = []
    for start in range(0, rows, step):
        first = min(start, rows - step)  # every slice has `step` rows: the last one may overlap
        rows_here = functools.partial(lax.slice_in_dim, start_index=first, limit_index=first + step, axis=axis)
        term = rows_here(values)
        term = term if less is None else lax.sub(term, less)
        term = term if share is None else lax.mul(term, rows_here(share))
        if first < start:
            row = lax.broadcasted_iota(jnp.int32, term.shape, axis)
            term = lax.select(row < start - first, jnp.zeros_like(term), term)  # a row in two slices counts once
        terms.append(term)
    return _tree_sum(terms)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def sum_of_pixels(values: jax.Array, spatial_ndim: int) -> jax.Array:
    """Returns the sum over pixels and channels of (*batch, *spatial, channels): (*batch,).

    XLA on CPU sums images of one channel on one core, one value after the other (1080x1920: 1.3 ms), and stores what it
    sums unless its library YNNPACK computes that: slices, other types and masks, for instance (1080x1920x3, cropped:
    15 ms). Sums of groups of eight rows are computed with the values in one vectorised loop (0.3 and 0.9 ms), which
    `no_fuse` keeps apart from their own short sum. Needed by all versions up to JAX 0.12; delete when `jnp.sum` takes
    no longer for a cropped image of one channel.
    """
    plain = functools.partial(_sum_of_pixels, spatial_ndim=spatial_ndim)
    if spatial_ndim == 1:
        return plain(values)
    return lax.platform_dependent(values, cpu=functools.partial(_sum_by_rows, spatial_ndim=spatial_ndim), default=plain)


@sum_of_pixels.defjvp
def _sum_of_pixels_jvp(spatial_ndim, primals, tangents):  # type: ignore[no-untyped-def]
    (values,), (tangent,) = primals, tangents
    return sum_of_pixels(values, spatial_ndim), _sum_of_pixels(tangent, spatial_ndim=spatial_ndim)


def _sum_of_pixels(values: jax.Array, *, spatial_ndim: int) -> jax.Array:
    return values.sum(tuple(range(-1 - spatial_ndim, 0)))


def _sum_by_rows(values: jax.Array, spatial_ndim: int) -> jax.Array:
    axis = values.ndim - 1 - spatial_ndim
    grouped = values.shape[axis] // 8 * 8
    rest = lax.slice_in_dim(values, grouped, None, axis=axis)
    groups = lax.slice_in_dim(values, 0, grouped, axis=axis)
    # Neighbouring rows form a group, so that devices which share the image by its rows add rows of their own.
    groups = groups.reshape(*values.shape[:axis], grouped // 8, 8, *values.shape[axis + 1 :])
    sums = _tree_sum([lax.index_in_dim(groups, i, axis + 1, keepdims=False) for i in range(8)])
    return _sum_of_stored(sums, spatial_ndim=spatial_ndim) + _sum_of_pixels(rest, spatial_ndim=spatial_ndim)


_sum_of_stored = no_fuse(_sum_of_pixels)


def on_all_cores(i: jax.Array) -> jax.Array:
    """Returns the counter of a loop unchanged, through a sort, which makes XLA on CPU run the body on all cores.

    From JAX 0.12 on XLA considers a short loop small and runs its body on one core, unless the body holds a sort.
    Delete when a loop over tiles takes no longer without it.
    """
    return i if jax.__version_info__ < (0, 12) else lax.sort(jnp.stack([i, i + 1]))[0]


def _tree_sum(terms: Sequence[jax.Array]) -> jax.Array:
    """Returns the sum of arrays, added in pairs, then pairs of pairs: n terms are rounded log2(n) times."""
    while len(terms) > 1:
        terms = [*map(lax.add, terms[::2], terms[1::2])] + [*terms[-1:]] * (len(terms) % 2)
    return terms[0]
