"""Which SSIM to compute: windows, constants and the other choices in which papers and libraries differ.

Each named convention computes what its paper or library defines at the library's defaults, unless its docstring says
otherwise. The data range is not part of a convention.
"""

import dataclasses
import functools
import math
import numbers
from typing import Any, Literal, get_args

import jax
import numpy as np

__all__ = [
    "BASICSR",
    "DM_PIX",
    "FASTMRI",
    "FAST_SSIM",
    "FFMPEG",
    "FUSED_SSIM",
    "IMAGE_SIMILARITY_MEASURES",
    "KORNIA",
    "MATLAB",
    "MONAI",
    "OPENCV",
    "PIQ",
    "PIQA",
    "PYTORCH_MSSSIM",
    "SEWAR",
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
"""The weights of a window along one axis: symmetric, of sum 1."""
Taps = tuple[AxisTaps, ...]
"""The weights of a window along every spatial axis; the window is their outer product."""

Padding = Literal["valid", "symmetric", "reflect", "replicate", "zero"]
Covariance = Literal["population", "sample"]
AverageOver = Literal["inside", "all"]
Downsample = Literal["wang", "pool"]


@functools.cache
def _gaussian_taps(size: int, sigma: float) -> AxisTaps:
    weights = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / sigma) ** 2)
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
    sizes = size if isinstance(size, tuple) else (size,)
    if not sizes or not all(map(_is_count, sizes)):
        raise ValueError(
            f"size must be a number of pixels, at least 1, or a tuple of one for each axis, got {size!r}; pass 11, as "
            "the paper does"
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) > 0


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        *others, last = (f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in choices)
        raise ValueError(f"{name} must be {', '.join(others)} or {last}, got {value!r}")


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Gaussian:
    """A Gaussian window (Wang, Bovik, Sheikh & Simoncelli 2004).

    Args:
        size: Length along each spatial axis in pixels; or a tuple with one length for each axis.
        sigma: Standard deviation in pixels, positive; or a tuple with one for each axis.

    Raises:
        ValueError: If a size is not a positive integer, or a sigma is not positive and finite.

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
        sigmas = self.sigma if isinstance(self.sigma, tuple) else (self.sigma,)
        if not sigmas or not all(isinstance(sigma, numbers.Real) and 0 < sigma < np.inf for sigma in sigmas):
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
        size: Length along each spatial axis in pixels; or a tuple with one length for each axis.

    Raises:
        ValueError: If a size is not a positive integer.

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
            pixels shorter along each axis. Otherwise one window of odd size for every pixel, of the image continued
            beyond its edges: mirrored with the edge pixel ("symmetric": d c b a | a b c d) or without ("reflect":
            d c b | a b c d), by the edge pixel ("replicate": a a a | a b c d), or by 0 ("zero").
        average: Which windows the value averages. "inside": those inside the image, whatever the padding. "all":
            those of the whole map.
        stride: Distance in pixels between neighbouring windows along each axis.
        downsample: How to shrink images first, by the factor f = shorter side / 256, rounded. None: not at all. "wang":
            the mean of f x f pixels around every f-th pixel, of the mirrored image, with f rounded half up (Wang's
            later `ssim.m`). "pool": the mean of blocks of f x f pixels without a remainder, with f rounded half to even
            (piq).
        k1: Stabilises luminance: C1 = (k1 * data_range)^2.
        k2: Stabilises contrast and structure: C2 = (k2 * data_range)^2.
        covariance: "population" weights variances and covariance as the window does; "sample" multiplies both by
            n / (n - 1) for a window of n pixels.

    Raises:
        ValueError: If a field has a value that is not listed above, or a window of even size comes with a padding.

    Example:
        >>> mine = jaxssim.Convention(window=jaxssim.Gaussian(7, 1.0), k1=0.02)
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> float(jaxssim.ssim(x, x, data_range=1.0, convention=mine, channel_axis=None))
        1.0
    """

    window: Gaussian | Uniform = Gaussian()
    padding: Padding = "valid"
    average: AverageOver = "inside"
    stride: int = 1
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
        if not _is_count(self.stride):
            raise ValueError(f"stride must be a number of pixels, at least 1, got {self.stride!r}; pass 1")
        if self.padding != "valid" and np.any(np.asarray(self.window.size) % 2 == 0):
            raise ValueError(
                f'padding="{self.padding}" needs a window with a central pixel, got {self.window}; pass an odd size or '
                'padding="valid"'
            )
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

PIQA = WANG2004
"""`piqa.ssim`."""

BASICSR = WANG2004
"""`calculate_ssim` of BasicSR, in which super-resolution is reported."""

MONAI = WANG2004
"""`monai.metrics.SSIMMetric`."""

PIQ = Convention(downsample="pool")
"""`piq.ssim`: `WANG2004` of images that are shrunk first, in piq's own way."""

KORNIA = Convention(padding="reflect", average="all")
"""The mean of `kornia.metrics.ssim(..., window_size=11)`: windows that cross the edge count too."""

TORCHMETRICS = KORNIA
"""torchmetrics' `structural_similarity_index_measure` since 1.4.2; before that version it was `WANG2004`."""

OPENCV = KORNIA
"""`cv2.quality.QualitySSIM` of opencv-contrib, averaged over the channels; OpenCV's data range is always 255."""

MATLAB = Convention(padding="replicate", average="all")
"""`ssim` of MATLAB's Image Processing Toolbox, of grey images and volumes; it takes a colour image for a volume."""

FUSED_SSIM = Convention(padding="zero", average="all")
"""`pytorch_ssim` and `fused_ssim`, the loss of 3-D Gaussian splatting: black surrounds the images."""

FFMPEG = Convention(
    window=Uniform(8), stride=4, covariance="sample", k1=math.sqrt(416) / (64 * 255), k2=math.sqrt(235963 / 4032) / 255
)
"""The filter `ssim` of ffmpeg, of each plane by itself: windows of 8x8 pixels, every 4 pixels.

The constants are those of `WANG2004`, rounded as ffmpeg does for planes of 8 bits, where C1 = 416 / 64^2 and
C2 = 235963 / (64 * 63).
"""

SEWAR = Convention(window=Uniform(11))
"""`sewar.ssim`: a uniform window of 11 pixels, population covariance."""

SKIMAGE = Convention(window=Uniform(7), padding="symmetric", covariance="sample")
"""`skimage.metrics.structural_similarity`: a uniform window of 7 pixels and the sample covariance."""

FASTMRI = SKIMAGE
"""`fastmri.evaluate.ssim`, the mean over the slices of a volume, each an image; their data range is the volume's."""

FAST_SSIM = SKIMAGE
"""`fast_ssim.ssim`."""

IMAGE_SIMILARITY_MEASURES = SKIMAGE
"""`ssim` of image-similarity-measures, whose data range is 4095 by default, also for 8-bit images."""

SKIMAGE_GAUSSIAN = Convention(window=Gaussian(11, 1.5), padding="symmetric", covariance="sample")
"""`structural_similarity(..., gaussian_weights=True)`: the window of `WANG2004`, with the sample covariance."""
