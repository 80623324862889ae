"""Notices a training that is stuck in flat grey, or has diverged, by what its reconstructions show."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

Verdict = Literal["healthy", "stuck", "diverged"]
WHAT = {
    "stuck": "training is stuck, since the reconstructions are flat or unlike the originals",
    "diverged": "training has diverged, since the contrast of the reconstructions is far too large",
}
WINDOW = 8  # pixels of a side
LEAST_STRUCTURE = 0.1
LARGEST_CONTRAST = 3.0
FLAT = 1 / 255  # pictures of a smaller standard deviation within windows have nothing to reconstruct
GRACE = 0.2  # of all steps, for a run to find its way


def verdict(x: ArrayLike, y: ArrayLike) -> Verdict:
    """Returns what the reconstructions say about the training.

    diverged: a value is not finite, or the contrast within windows is more than three times that of the originals.
    stuck: the reconstructions hold less than a tenth of the structure of the originals.

    Args:
      x: originals (batch, height, width, channels) in [0, 1], at least 8 pixels a side.
      y: reconstructions of the same shape.
    """
    if not np.isfinite(y).all():
        return "diverged"
    variance, contrast = ((_without_window_means(images) ** 2).mean() for images in (x, y))
    if contrast > LARGEST_CONTRAST**2 * max(variance, FLAT**2):
        return "diverged"
    return "stuck" if variance > FLAT**2 and structure(x, y) < LEAST_STRUCTURE else "healthy"


def structure(x: ArrayLike, y: ArrayLike) -> float:
    """Returns the part of the structure of originals that reconstructions hold: 1 for all of it, 0 for flat or noise.

    It is the covariance of both within windows, over the variance of the originals within windows. Brightness does not
    count.

    Args:
      x: originals (batch, height, width, channels), at least 8 pixels a side, not all of them flat.
      y: reconstructions of the same shape.
    """
    x, y = _without_window_means(x), _without_window_means(y)
    return float((x * y).mean() / (x**2).mean())


def _without_window_means(images: ArrayLike) -> np.ndarray:
    """Returns images less the mean of each window of 8x8 pixels; rows and columns that fill no window are left out."""
    images = np.asarray(images, np.float64)
    batch, height, width, channels = images.shape
    rows, columns = height // WINDOW, width // WINDOW
    images = images[:, : rows * WINDOW, : columns * WINDOW].reshape(batch, rows, WINDOW, columns, WINDOW, channels)
    windows = images - images.mean((2, 4), keepdims=True)
    return windows.reshape(batch, rows * WINDOW, columns * WINDOW, channels)


class Watch:
    """Tells once that a run is stuck or has diverged: where two evaluations in a row after a fifth of the steps say so.

    A healthy run may begin with flat reconstructions.
    """

    def __init__(self, steps: int) -> None:
        """Starts to watch a run of `steps` steps."""
        self.first = GRACE * steps
        self.last: Verdict = "healthy"
        self.told = False

    def tells(self, step: int, x: ArrayLike, y: ArrayLike) -> Verdict:
        """Returns what to tell after the evaluation at a step, "healthy" for nothing.

        Args:
          step: the number of steps taken.
          x: originals, as in `verdict`.
          y: their reconstructions.
        """
        before, self.last = self.last, verdict(x, y) if step >= self.first else "healthy"
        if self.told or "healthy" in (before, self.last):
            return "healthy"
        self.told = True
        return self.last
