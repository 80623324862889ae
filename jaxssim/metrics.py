"""Running averages for evaluation loops, in the manner of `flax.nnx.metrics` but of JAX alone."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxssim.structural import ssim
from jaxssim.summation import two_sum


@jax.tree_util.register_pytree_node_class
class Average:
    """The mean of a metric over all the images that came so far.

    Every image counts alike, however batches are cut. An Average is a pytree: pass it to `jax.jit`, update it there and
    return it.

        average = jaxssim.metrics.Average(jaxssim.ssim, data_range=1.0)
        for x, y in batches:
            average.update(x=x, y=y)
        average.compute()

    It holds float32 and what that rounds off. Over several processes, gather it with
    `jax.experimental.multihost_utils.process_allgather` and `merge` the parts.

    Args:
        metric: called as `metric(x, y, **options)`; one value an image, as `jaxssim.ssim` and its like give.
        keep: whether `values` shall hold every image's value, in the order of the updates. Not for `jit`, which would
            compile anew with each.
        options: passed on to the metric; hashable, so that they may pass through `jit`.

    Raises:
        TypeError: for a metric that cannot be called.
    """

    def __init__(self, metric: Callable[..., jax.Array] = ssim, *, keep: bool = False, **options: Any) -> None:
        """Start from no images."""
        if not callable(metric):
            raise TypeError(f"metric must be a function of two images, as jaxssim.ssim, got {metric!r}")
        self.metric, self.keep, self.options = metric, keep, options
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        # A sum of many is off by what is rounded away at each step: that is kept too.
        self.total: Any = np.zeros((), np.float32)
        self.rounded_off: Any = np.zeros((), np.float32)
        self.count: Any = np.zeros((), np.int32)
        self.values: tuple[Any, ...] = ()

    def update(self, *, x: ArrayLike, y: ArrayLike, valid: ArrayLike | None = None, **_: Any) -> None:
        """Add a batch.

        Args:
            x: as the metric takes it.
            y: as the metric takes it.
            valid: (*batch,), bool: False for images that are there to fill a batch up. None counts all.
            _: what other metrics of the loop take, as `flax.nnx.MultiMetric` hands it to each; it is not looked at.

        Raises:
            ValueError: as the metric, and for a `valid` that is not of one bool an image.
        """
        values = jnp.asarray(self.metric(x, y, **self.options))
        inside = np.ones(values.shape, bool) if valid is None else jnp.asarray(valid)
        if inside.shape != values.shape or inside.dtype != bool:
            raise ValueError(f"valid must be bool of shape {values.shape}, got {inside.dtype} of {inside.shape}")
        self._add(jnp.where(inside, values, 0).sum())
        self.count = self.count + jnp.asarray(inside).sum(dtype=jnp.int32)
        if self.keep:
            self.values = (*self.values, values if valid is None else values[inside])

    def compute(self) -> jax.Array:
        """The mean so far, a scalar; NaN where there were no images."""
        return jnp.asarray(self.total + self.rounded_off) / self.count

    def merge(self, *others: "Average") -> None:
        """Add what other averages of the same metric have seen, as other processes do."""
        for other in others:
            self._add(other.total)
            self._add(other.rounded_off)
            self.count = self.count + other.count
            self.values = (*self.values, *other.values)

    def _add(self, value: Any) -> None:
        """A number onto the sum, and what float32 rounds off it onto the other."""
        term = jnp.asarray(value, jnp.float32)
        total, lost = two_sum(self.total, term)
        lost = lost + jnp.asarray(value - term, jnp.float32)
        self.rounded_off = self.rounded_off + jnp.where(jnp.isfinite(total), lost, 0)
        self.total = total

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The numbers, and what they are of."""
        options = tuple(sorted(self.options.items()))
        return (self.total, self.rounded_off, self.count, self.values), (self.metric, self.keep, options)

    @classmethod
    def tree_unflatten(cls, static: tuple[Any, ...], numbers: tuple[Any, ...]) -> "Average":
        """The inverse of `tree_flatten`."""
        average = cls.__new__(cls)
        metric, keep, options = static
        average.metric, average.keep, average.options = metric, keep, dict(options)
        average.total, average.rounded_off, average.count, average.values = numbers
        return average
