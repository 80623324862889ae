"""The windows over which local statistics are taken, as weights along one axis."""

import dataclasses
import numbers

import jax
import numpy as np


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Gaussian:
    """A Gaussian window, the same along every spatial axis (Wang, Bovik, Sheikh & Simoncelli 2004).

    Args:
        size: pixels along each axis, odd.
        sigma: standard deviation in pixels, positive.

    Raises:
        ValueError: for a size that is not odd and positive, or a sigma that is not positive and finite.
    """

    size: int = 11
    sigma: float = 1.5

    def __post_init__(self) -> None:
        """Check both fields."""
        _check_size(self.size)
        if not (isinstance(self.sigma, numbers.Real) and 0 < self.sigma < np.inf):
            raise ValueError(f"sigma must be a positive number of pixels, got {self.sigma!r}; the paper's is 1.5")

    def taps(self) -> tuple[float, ...]:
        """Weights of shape (size,), symmetric, of sum 1."""
        distance = np.arange(self.size) - self.size // 2
        weights = np.exp(-0.5 * (distance / self.sigma) ** 2)
        return tuple((weights / weights.sum()).tolist())


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Uniform:
    """A window that weighs all its pixels alike, as scikit-image's default does.

    Args:
        size: pixels along each axis, odd.

    Raises:
        ValueError: for a size that is not odd and positive.
    """

    size: int = 7

    def __post_init__(self) -> None:
        """Check the size."""
        _check_size(self.size)

    def taps(self) -> tuple[float, ...]:
        """Weights of shape (size,), each 1 / size."""
        return (1 / self.size,) * self.size


def _check_size(size: int) -> None:
    if not (isinstance(size, numbers.Integral) and size > 0 and size % 2 == 1):
        raise ValueError(f"size must be an odd number of pixels, so that the window has a centre, got {size!r}")
