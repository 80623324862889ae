"""Whitening and eigenvalues of small symmetric matrices, in operations that XLA fuses.

The functions of `jnp.linalg` call LAPACK on CPU. Up to JAX 0.10 such a call for a batch occupies a thread while it
waits for others, so that two calls at a time never end on two cores.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

SWEEPS = 8
"""Rotations of all pairs of axes; each sweep squares what remains off the diagonal, after the first few."""


def whitening(matrix: jax.Array) -> jax.Array:
    """Returns W with Wᵀ W = C⁻¹ of a positive definite C, by elimination in C and the identity: (*batch, n, n)."""
    n = matrix.shape[-1]
    identity = jnp.eye(n, dtype=matrix.dtype)

    def eliminate(rows: jax.Array, k: jax.Array) -> tuple[jax.Array, None]:
        pivot_row = lax.dynamic_index_in_dim(rows, k, -2)
        pivot = lax.dynamic_index_in_dim(pivot_row, k, -1)
        column = lax.dynamic_index_in_dim(rows, k, -1)
        index = lax.broadcasted_iota(k.dtype, column.shape, column.ndim - 2)
        # Row k of Lᵀ is the pivot's row over the square root of the pivot, as in Cholesky's decomposition.
        reduced = rows - jnp.where(index > k, column / pivot, 0) * pivot_row
        return jnp.where(index == k, pivot_row / jnp.sqrt(pivot), reduced), None

    start = jnp.concatenate([matrix, jnp.broadcast_to(identity, matrix.shape)], -1)
    rows, _ = lax.scan(eliminate, start, jnp.arange(n))
    return rows[..., n:]


@jax.custom_jvp
def eigh(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the eigenvalues, (*batch, n), in no order, and the eigenvectors in columns, (*batch, n, n).

    Rotates disjoint pairs of axes at a time (Jacobi 1846; the order of Brent & Luk 1985).
    """
    n = matrix.shape[-1]

    def rotate(state: tuple[jax.Array, jax.Array], pairs: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
        diagonal, vectors = state
        rotation = _rotation(diagonal, *pairs)
        turned = _product(_product(jnp.swapaxes(rotation, -1, -2), diagonal), rotation)
        return (turned, _product(vectors, rotation)), None

    start = matrix, jnp.broadcast_to(jnp.eye(n, dtype=matrix.dtype), matrix.shape)
    (diagonal, vectors), _ = lax.scan(rotate, start, jnp.asarray(np.tile(_rounds(n), (SWEEPS, 1, 1))))
    return jnp.diagonal(diagonal, axis1=-2, axis2=-1), vectors


@eigh.defjvp
def _eigh_jvp(primals, tangents):  # type: ignore[no-untyped-def]
    values, vectors = eigh(*primals)
    turned = _product(_product(jnp.swapaxes(vectors, -1, -2), tangents[0]), vectors)
    gaps = values[..., None, :] - values[..., :, None]
    between = jnp.where(gaps == 0, 0, turned / jnp.where(gaps == 0, 1, gaps))
    return (values, vectors), (jnp.diagonal(turned, axis1=-2, axis2=-1), _product(vectors, between))


def _rotation(matrix: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    """Returns the rotation by at most 45 degrees that makes the entries between pairs of axes 0."""
    between = matrix[..., first, second]
    apart = matrix[..., second, second] - matrix[..., first, first]
    tangent = jnp.where(apart < 0, -1, 1) * 2 * between / _nonzero(abs(apart) + jnp.hypot(apart, 2 * between))
    cosine = lax.rsqrt(1 + tangent**2)
    sine = tangent * cosine
    rotation = jnp.broadcast_to(jnp.eye(matrix.shape[-1], dtype=matrix.dtype), matrix.shape)
    for axis in (first, second):
        rotation = rotation.at[..., axis, axis].set(cosine)
    return rotation.at[..., first, second].set(sine).at[..., second, first].set(-sine)


def _nonzero(values: jax.Array) -> jax.Array:
    return jnp.where(values == 0, 1, values)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")


def _rounds(n: int) -> np.ndarray:
    """Returns rounds of disjoint pairs in which each two of n axes meet once: (rounds, 2, pairs)."""
    players = [*range(n), *[n] * (n % 2)]  # with an odd number, one axis rests in each round
    rounds = []
    for _ in range(len(players) - 1):
        half = len(players) // 2
        pairs = zip(players[:half], players[: half - 1 : -1], strict=True)
        rounds.append([pair for pair in pairs if n not in pair])
        players = [players[0], players[-1], *players[1:-1]]
    return np.swapaxes(np.asarray(rounds), 1, 2)
