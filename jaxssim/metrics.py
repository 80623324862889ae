"""Averages over evaluation loops, with the interface of `flax.nnx.metrics` but without Flax."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxssim._arrays import as_array, is_concrete
from jaxssim._comparisons import FUNCTIONS
from jaxssim._core.numerics import two_sum
from jaxssim._inputs import default_of, hashable
from jaxssim._ssim import ssim

__all__ = ["Average"]


@jax.tree_util.register_pytree_node_class
class Average:
    """The mean of a metric over all images of an evaluation loop, however the images are cut into batches.

    An `Average` is a pytree: pass the average to a jitted function, update it there and return it. The sum is float32,
    with its rounding error kept apart. Over several processes, gather the average with
    `jax.experimental.multihost_utils.process_allgather` and `merge` the parts.

    Args:
        metric: A function `metric(x, y, **options)` that returns one value for each image, for instance `jaxssim.ssim`,
            or the name of a metric of jaxssim, for instance "psnr". A loss needs `reduction="none"`.
        keep: Whether `values` keeps the value of every image, in order. Under `jax.jit` each update would recompile.
        options: Arguments of the metric, hashable; lists and arrays become tuples.

    Raises:
        ValueError: If `metric` is neither callable nor a known name, or averages over the batch, or if an option is not
            hashable.

    Example:
        >>> average = jaxssim.metrics.Average(jaxssim.ssim, data_range=1.0)
        >>> for size in (8, 5):
        ...     x = jnp.ones((size, 16, 16, 3))
        ...     average.update(x=x, y=x)
        >>> float(average.compute()), int(average.count)
        (1.0, 13)
    """

    def __init__(self, metric: str | Callable[..., jax.Array] = ssim, *, keep: bool = False, **options: Any) -> None:
        """Starts without images."""
        function = FUNCTIONS.get(metric) if isinstance(metric, str) else metric
        if not callable(function):
            raise ValueError(
                f"metric must be a function of two images, for instance jaxssim.ssim, or one of "
                f"{', '.join(map(repr, FUNCTIONS))}, got {metric!r}"
            )
        self.metric, self.keep = function, keep
        self.options = {name: hashable(name, value) for name, value in options.items()}
        if self.options.get("reduction", default_of(function, "reduction")) == "mean":
            raise ValueError(
                f"metric {getattr(function, '__name__', function)} returns one mean for a batch, so that its images "
                'would count as one; pass reduction="none"'
            )
        self.reset()

    def reset(self) -> None:
        """Forgets all images."""
        # Each addition rounds; the sum of these rounding errors is added back at the end.
        self.total: Any = np.zeros((), np.float32)
        self.rounding: Any = np.zeros((), np.float32)
        self.count: Any = np.zeros((), np.int32)
        self.values: tuple[Any, ...] = ()

    def update(self, *, x: ArrayLike, y: ArrayLike, valid: ArrayLike | None = None, **_: Any) -> None:
        """Adds a batch of images.

        Args:
            x: The metric's first argument.
            y: The metric's second argument.
            valid: Bool (*batch,), False for images that only fill up a batch. None counts all images.
            _: Ignored: the arguments of other metrics, which `flax.nnx.MultiMetric` passes to all.

        Raises:
            ValueError: As the metric; if `valid` is not one bool for each image, or is traced while `keep` is True.
        """
        values = jnp.asarray(self.metric(x, y, **self.options))
        inside = np.ones(values.shape, bool) if valid is None else jnp.asarray(as_array("valid", valid))
        if inside.shape != values.shape or inside.dtype != bool:
            raise ValueError(f"valid must be bool of shape {values.shape}, got {inside.dtype} of {inside.shape}")
        if self.keep and not is_concrete(inside):
            raise ValueError(
                "valid is traced, but keep=True keeps as many values as it has True; update outside jax.jit"
            )
        self._add(jnp.where(inside, values, 0).sum())
        self.count = self.count + jnp.asarray(inside).sum(dtype=jnp.int32)
        if self.keep:
            self.values = (*self.values, values if valid is None else values[inside])

    def compute(self) -> jax.Array:
        """Returns the mean over all images so far, a scalar; NaN before the first image."""
        return jnp.asarray(self.total + self.rounding) / jnp.asarray(self.count).astype(jnp.float32)

    def merge(self, *others: "Average") -> None:
        """Adds the images of other averages of the same metric, for instance those of other processes."""
        for other in others:
            self._add(other.total)
            self._add(other.rounding)
            self.count = self.count + other.count
            self.values = (*self.values, *other.values)

    def _add(self, value: Any) -> None:
        """Adds a number to the sum, and the error of that addition to the sum of rounding errors."""
        term = jnp.asarray(value, jnp.float32)
        total, lost = two_sum(self.total, term)
        lost = lost + jnp.asarray(value - term, jnp.float32)
        self.rounding = self.rounding + jnp.where(jnp.isfinite(total), lost, 0)
        self.total = total

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Returns the numbers, which are traced, and the metric with its options, which are static."""
        options = tuple(sorted(self.options.items()))
        return (self.total, self.rounding, self.count, self.values), (self.metric, self.keep, options)

    @classmethod
    def tree_unflatten(cls, static: tuple[Any, ...], numbers: tuple[Any, ...]) -> "Average":
        """Returns an average from what `tree_flatten` returned."""
        average = cls.__new__(cls)
        metric, keep, options = static
        average.metric, average.keep, average.options = metric, keep, dict(options)
        average.total, average.rounding, average.count, average.values = numbers
        return average
