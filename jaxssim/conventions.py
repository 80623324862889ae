"""Which SSIM is meant: every choice in which papers and libraries differ, and those they made, by name."""

import dataclasses
import numbers
from typing import Literal

import jax
import numpy as np

from jaxssim.windows import Gaussian, Uniform


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True, kw_only=True)
class Convention:
    """A definition of SSIM. Static and hashable: it may pass through `jax.jit` as it is.

    The value of SSIM is the mean over the windows that lie wholly inside the image, whatever the padding.

    Args:
        window: `Gaussian` or `Uniform`, the weights of the local statistics.
        padding: what `ssim_map` covers. "valid": the windows inside the image, so that the map loses `size - 1` pixels
            an axis. "symmetric": a window at every pixel, of the image mirrored about its edge (d c b a | a b c d).
        k1: stabilises luminance; C1 = (k1 * data_range)^2.
        k2: stabilises contrast and structure; C2 = (k2 * data_range)^2.
        covariance: "population" weighs variances and covariance as the window does; "sample" multiplies them by
            n / (n - 1) for a window of n pixels.

    Raises:
        ValueError: for a field that is none of these.
    """

    window: Gaussian | Uniform = Gaussian()
    padding: Literal["valid", "symmetric"] = "valid"
    k1: float = 0.01
    k2: float = 0.03
    covariance: Literal["population", "sample"] = "population"

    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.window, Gaussian | Uniform):
            raise ValueError(f"window must be jaxssim.Gaussian(...) or jaxssim.Uniform(...), got {self.window!r}")
        if self.padding not in ("valid", "symmetric"):
            raise ValueError(f'padding must be "valid" or "symmetric", got {self.padding!r}')
        if self.covariance not in ("population", "sample"):
            raise ValueError(f'covariance must be "population" or "sample", got {self.covariance!r}')
        for name, k in (("k1", self.k1), ("k2", self.k2)):
            if not (isinstance(k, numbers.Real) and 1e-15 <= k < np.inf):
                raise ValueError(f"{name} must be a number of at least 1e-15, or flat images have no value, got {k!r}")
        if self.covariance == "sample" and self.window.size == 1:
            raise ValueError('covariance="sample" needs a window of more than one pixel; pass covariance="population"')


WANG2004 = Convention()
"""Wang, Bovik, Sheikh & Simoncelli 2004, `ssim_index.m`: an 11-tap Gaussian of 1.5 pixels, population moments."""

TENSORFLOW = WANG2004
"""`tf.image.ssim` at its defaults, which is Wang's definition."""

SKIMAGE = Convention(window=Uniform(7), padding="symmetric", covariance="sample")
"""`skimage.metrics.structural_similarity` at its defaults: a uniform window of 7 pixels and the sample covariance."""

SKIMAGE_GAUSSIAN = Convention(window=Gaussian(11, 1.5), padding="symmetric", covariance="sample")
"""The same with `gaussian_weights=True`: Wang's window, but still the sample covariance."""
