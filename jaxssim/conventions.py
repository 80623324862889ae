"""Which SSIM is meant: every choice in which papers and libraries differ, and those they made, by name."""

import dataclasses
import numbers
from typing import Literal, get_args

import jax
import numpy as np

from jaxssim.windows import Gaussian, Uniform

Padding = Literal["valid", "symmetric", "reflect"]
Covariance = Literal["population", "sample"]
Average = Literal["inside", "all"]
Downsample = Literal["wang", "pool"]


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True, kw_only=True)
class Convention:
    """A definition of SSIM. Static and hashable: it may pass through `jax.jit` as it is.

    Args:
        window: `Gaussian` or `Uniform`, the weights of the local statistics.
        padding: what `ssim_map` covers. "valid": the windows inside the image, so that the map loses `size - 1` pixels
            an axis. Else a window at every pixel, of the image mirrored about its edge, which is repeated by
            "symmetric" (d c b a | a b c d) and not by "reflect" (d c b | a b c d).
        average: the windows whose mean is the value. "inside": those inside the image, whatever the padding. "all": all
            of the map.
        downsample: what is done first to images whose shortest side is n, with n / 256 rounded to f. None: nothing.
            "wang": the mean of f x f pixels about every f-th, mirrored at the edge, halves rounded up (Wang's later
            `ssim.m`). "pool": the mean of blocks of f x f, a rest dropped, halves rounded to even (piq).
        k1: stabilises luminance; C1 = (k1 * data_range)^2.
        k2: stabilises contrast and structure; C2 = (k2 * data_range)^2.
        covariance: "population" weighs variances and covariance as the window does; "sample" multiplies them by
            n / (n - 1) for a window of n pixels.

    Raises:
        ValueError: for a field that is none of these.
    """

    window: Gaussian | Uniform = Gaussian()
    padding: Padding = "valid"
    average: Average = "inside"
    downsample: Downsample | None = None
    k1: float = 0.01
    k2: float = 0.03
    covariance: Covariance = "population"

    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.window, Gaussian | Uniform):
            raise ValueError(f"window must be jaxssim.Gaussian(...) or jaxssim.Uniform(...), got {self.window!r}")
        for name, values in (("padding", Padding), ("average", Average), ("covariance", Covariance)):
            _check_choice(name, getattr(self, name), get_args(values))
        _check_choice("downsample", self.downsample, (None, *get_args(Downsample)))
        for name, k in (("k1", self.k1), ("k2", self.k2)):
            if not (isinstance(k, numbers.Real) and 1e-15 <= k < np.inf):
                raise ValueError(f"{name} must be a number of at least 1e-15, or flat images have no value, got {k!r}")
        if self.covariance == "sample" and np.max(self.window.size) == 1:
            raise ValueError('covariance="sample" needs a window of more than one pixel; pass covariance="population"')


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        *others, last = (f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in choices)
        raise ValueError(f"{name} must be {', '.join(others)} or {last}, got {value!r}")


WANG2004 = Convention()
"""Wang, Bovik, Sheikh & Simoncelli 2004, `ssim_index.m`: an 11-tap Gaussian of 1.5 pixels, population moments."""

WANG_AUTODOWNSAMPLE = Convention(downsample="wang")
"""Wang's later `ssim.m`: the same, of images shrunk to about 256 pixels first."""

TENSORFLOW = WANG2004
"""`tf.image.ssim` at its defaults, which is Wang's definition."""

DM_PIX = WANG2004
"""`dm_pix.ssim` at its defaults, which is Wang's definition."""

PYTORCH_MSSSIM = WANG2004
"""`pytorch_msssim.ssim` at its defaults, which is Wang's definition."""

PIQ = Convention(downsample="pool")
"""`piq.ssim` at its defaults: Wang's definition, of images shrunk to about 256 pixels first, in piq's way."""

KORNIA = Convention(padding="reflect", average="all")
"""The mean of `kornia.metrics.ssim(..., window_size=11)`: windows that reach over the edge count too."""

TORCHMETRICS = KORNIA
"""torchmetrics' `structural_similarity_index_measure` at its defaults since 1.4.2; before, it was Wang's definition."""

OPENCV = KORNIA
"""`cv2.quality.QualitySSIM` of opencv-contrib, averaged over the channels; its data range is 255."""

SKIMAGE = Convention(window=Uniform(7), padding="symmetric", covariance="sample")
"""`skimage.metrics.structural_similarity` at its defaults: a uniform window of 7 pixels and the sample covariance."""

SKIMAGE_GAUSSIAN = Convention(window=Gaussian(11, 1.5), padding="symmetric", covariance="sample")
"""The same with `gaussian_weights=True`: Wang's window, but still the sample covariance."""
