"""Which SSIM to compute: windows, constants and the other choices in which papers and libraries differ.

Each named convention computes what its paper or library defines at the library's defaults, unless its docstring says
otherwise. The data range is not part of a convention.
"""

import dataclasses
import numbers
from typing import Any, Literal, get_args

import jax
import numpy as np

__all__ = [
    "DM_PIX",
    "KORNIA",
    "OPENCV",
    "PIQ",
    "PYTORCH_MSSSIM",
    "SKIMAGE",
    "SKIMAGE_GAUSSIAN",
    "TENSORFLOW",
    "TORCHMETRICS",
    "WANG2004",
    "WANG_AUTODOWNSAMPLE",
    "Convention",
    "Gaussian",
    "Uniform",
]

AxisTaps = tuple[float, ...]
"""The weights of a window along one axis: symmetric, odd in number, of sum 1."""
Taps = tuple[AxisTaps, ...]
"""The weights of a window along every spatial axis; the window is their outer product."""

# All but "valid" are modes of `jnp.pad`.
Padding = Literal["valid", "symmetric", "reflect"]
Covariance = Literal["population", "sample"]
AverageOver = Literal["inside", "all"]
Downsample = Literal["wang", "pool"]


def _gaussian_taps(size: int, sigma: float) -> AxisTaps:
    weights = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2)
    return tuple((weights / weights.sum()).tolist())


def _per_axis(value: Any, spatial_ndim: int, name: str) -> tuple[Any, ...]:
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
                f"size must be an odd number of pixels or a tuple of odd numbers, got {size!r}; windows need a centre"
            )


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        *others, last = (f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in choices)
        raise ValueError(f"{name} must be {', '.join(others)} or {last}, got {value!r}")


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Gaussian:
    """A Gaussian window (Wang, Bovik, Sheikh & Simoncelli 2004).

    Args:
        size: Length along each spatial axis in pixels, odd; or a tuple with one length for each axis.
        sigma: Standard deviation in pixels, positive; or a tuple with one for each axis.

    Raises:
        ValueError: If a size is not odd and positive, or a sigma is not positive and finite.

    Example:
        >>> window = jaxssim.Gaussian(size=(3, 11, 11), sigma=(0.5, 1.5, 1.5))  # for volumes with thick slices
        >>> [len(axis_taps) for axis_taps in window.taps(3)]
        [3, 11, 11]
    """

    size: int | tuple[int, ...] = 11
    sigma: float | tuple[float, ...] = 1.5

    def __post_init__(self) -> None:
        """Checks both fields."""
        _check_size(self.size)
        for sigma in self.sigma if isinstance(self.sigma, tuple) else (self.sigma,):
            if not (isinstance(sigma, numbers.Real) and 0 < sigma < np.inf):
                raise ValueError(f"sigma must be a positive number of pixels, got {self.sigma!r}; the paper uses 1.5")

    def taps(self, spatial_ndim: int) -> Taps:
        """Returns the weights along each of `spatial_ndim` axes."""
        sizes = _per_axis(self.size, spatial_ndim, "size")
        return tuple(map(_gaussian_taps, sizes, _per_axis(self.sigma, spatial_ndim, "sigma")))


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Uniform:
    """A window of equal weights, the default of scikit-image.

    Args:
        size: Length along each spatial axis in pixels, odd; or a tuple with one length for each axis.

    Raises:
        ValueError: If a size is not odd and positive.

    Example:
        >>> jaxssim.Uniform(5).taps(2)
        ((0.2, 0.2, 0.2, 0.2, 0.2), (0.2, 0.2, 0.2, 0.2, 0.2))
    """

    size: int | tuple[int, ...] = 7

    def __post_init__(self) -> None:
        """Checks the size."""
        _check_size(self.size)

    def taps(self, spatial_ndim: int) -> Taps:
        """Returns the weights along each of `spatial_ndim` axes."""
        return tuple((1 / size,) * size for size in _per_axis(self.size, spatial_ndim, "size"))


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True, kw_only=True)
class Convention:
    """A definition of SSIM, static and hashable. A jitted function takes a convention as an ordinary argument.

    Args:
        window: `Gaussian` or `Uniform`: how means, variances and the covariance weight the pixels.
        padding: Which windows `ssim_map` covers. "valid": the windows inside the image, so that the map is `size - 1`
            pixels shorter along each axis. Otherwise one window for every pixel, of the image mirrored at its edges:
            "symmetric" repeats the edge pixel (d c b a | a b c d), "reflect" does not (d c b | a b c d).
        average: Which windows the value averages. "inside": those inside the image, whatever the padding. "all":
            those of the whole map.
        downsample: How to shrink images first, by the factor f = shorter side / 256, rounded. None: not at all. "wang":
            the mean of f x f pixels around every f-th pixel, of the mirrored image, with f rounded half up (Wang's
            later `ssim.m`). "pool": the mean of blocks of f x f pixels without a remainder, with f rounded half to even
            (piq).
        k1: Stabilises luminance: C1 = (k1 * data_range)^2.
        k2: Stabilises contrast and structure: C2 = (k2 * data_range)^2.
        covariance: "population" weights variances and covariance as the window does; "sample" multiplies both by
            n / (n - 1) for a window of n pixels.

    Raises:
        ValueError: If a field has a value that is not listed above.

    Example:
        >>> mine = jaxssim.Convention(window=jaxssim.Gaussian(7, 1.0), k1=0.02)
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> float(jaxssim.ssim(x, x, data_range=1.0, convention=mine, channel_axis=None))
        1.0
    """

    window: Gaussian | Uniform = Gaussian()
    padding: Padding = "valid"
    average: AverageOver = "inside"
    downsample: Downsample | None = None
    k1: float = 0.01
    k2: float = 0.03
    covariance: Covariance = "population"

    def __post_init__(self) -> None:
        """Checks every field."""
        if not isinstance(self.window, Gaussian | Uniform):
            raise ValueError(f"window must be jaxssim.Gaussian(...) or jaxssim.Uniform(...), got {self.window!r}")
        for name, choices in (("padding", Padding), ("average", AverageOver), ("covariance", Covariance)):
            _check_choice(name, getattr(self, name), get_args(choices))
        _check_choice("downsample", self.downsample, (None, *get_args(Downsample)))
        for name, k in (("k1", self.k1), ("k2", self.k2)):
            if not (isinstance(k, numbers.Real) and 1e-15 <= k < np.inf):
                raise ValueError(
                    f"{name} must be a number of at least 1e-15, got {k!r}; with 0, SSIM of flat images is 0 / 0"
                )
        if self.covariance == "sample" and np.max(self.window.size) == 1:
            raise ValueError('covariance="sample" needs a window of more than one pixel; pass covariance="population"')


WANG2004 = Convention()
"""Wang, Bovik, Sheikh & Simoncelli 2004, `ssim_index.m`: an 11-tap Gaussian of 1.5 pixels, population covariance."""

WANG_AUTODOWNSAMPLE = Convention(downsample="wang")
"""Wang's later `ssim.m`: `WANG2004` of images whose shorter side is shrunk to about 256 pixels first."""

TENSORFLOW = WANG2004
"""`tf.image.ssim`."""

DM_PIX = WANG2004
"""`dm_pix.ssim`."""

PYTORCH_MSSSIM = WANG2004
"""`pytorch_msssim.ssim`."""

PIQ = Convention(downsample="pool")
"""`piq.ssim`: `WANG2004` of images that are shrunk first, in piq's own way."""

KORNIA = Convention(padding="reflect", average="all")
"""The mean of `kornia.metrics.ssim(..., window_size=11)`: windows that cross the edge count too."""

TORCHMETRICS = KORNIA
"""torchmetrics' `structural_similarity_index_measure` since 1.4.2; before that version it was `WANG2004`."""

OPENCV = KORNIA
"""`cv2.quality.QualitySSIM` of opencv-contrib, averaged over the channels; OpenCV's data range is always 255."""

SKIMAGE = Convention(window=Uniform(7), padding="symmetric", covariance="sample")
"""`skimage.metrics.structural_similarity`: a uniform window of 7 pixels and the sample covariance."""

SKIMAGE_GAUSSIAN = Convention(window=Gaussian(11, 1.5), padding="symmetric", covariance="sample")
"""`structural_similarity(..., gaussian_weights=True)`: the window of `WANG2004`, with the sample covariance."""
