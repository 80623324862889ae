"""The windows over which local statistics are taken, as weights along each axis."""

import dataclasses
import numbers

import jax
import numpy as np

Taps = tuple[float, ...]  # the weights along one axis: symmetric, odd in number, of sum 1
Windows = tuple[Taps, ...]  # the weights along every spatial axis


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Gaussian:
    """A Gaussian window (Wang, Bovik, Sheikh & Simoncelli 2004).

    Args:
        size: pixels along each spatial axis, odd; or a tuple with one for each, as volumes with long voxels need.
        sigma: standard deviation in pixels, positive; or a tuple.

    Raises:
        ValueError: for a size that is not odd and positive, or a sigma that is not positive and finite.
    """

    size: int | tuple[int, ...] = 11
    sigma: float | tuple[float, ...] = 1.5

    def __post_init__(self) -> None:
        """Check both fields."""
        _check_size(self.size)
        for sigma in self.sigma if isinstance(self.sigma, tuple) else (self.sigma,):
            if not (isinstance(sigma, numbers.Real) and 0 < sigma < np.inf):
                raise ValueError(f"sigma must be a positive number of pixels, got {self.sigma!r}; the paper's is 1.5")

    def taps(self, spatial_ndim: int) -> Windows:
        """The weights along each of `spatial_ndim` axes."""
        sizes, sigmas = _each(self.size, spatial_ndim, "size"), _each(self.sigma, spatial_ndim, "sigma")
        return tuple(map(_gaussian, sizes, sigmas))


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Uniform:
    """A window that weighs all its pixels alike, as scikit-image's default does.

    Args:
        size: pixels along each spatial axis, odd; or a tuple with one for each.

    Raises:
        ValueError: for a size that is not odd and positive.
    """

    size: int | tuple[int, ...] = 7

    def __post_init__(self) -> None:
        """Check the size."""
        _check_size(self.size)

    def taps(self, spatial_ndim: int) -> Windows:
        """The weights along each of `spatial_ndim` axes."""
        return tuple((1 / size,) * size for size in _each(self.size, spatial_ndim, "size"))


def _gaussian(size: int, sigma: float) -> Taps:
    weights = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2)
    return tuple((weights / weights.sum()).tolist())


def _each(value, spatial_ndim: int, name: str) -> tuple:  # type: ignore[no-untyped-def]
    """One number for each axis."""
    values = value if isinstance(value, tuple) else (value,) * spatial_ndim
    if len(values) != spatial_ndim:
        raise ValueError(
            f"the window's {name} {value} has {len(values)} entries, but images have spatial_ndim={spatial_ndim} "
            "spatial axes; pass one for each, or a single number for all"
        )
    return values


def _check_size(size: int | tuple[int, ...]) -> None:
    for length in size if isinstance(size, tuple) else (size,):
        if not (isinstance(length, numbers.Integral) and length > 0 and length % 2 == 1) or isinstance(length, bool):
            raise ValueError(
                f"size must be an odd number of pixels or a tuple of them, so that windows have a centre, got {size!r}"
            )
