"""Losses to minimise: means over the batch, precise near 0."""

import jax
from jax.typing import ArrayLike

from jaxssim import conventions, inputs
from jaxssim.conventions import Convention
from jaxssim.structural import dssim


def ssim_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    spatial_ndim: int = 2,
    channel_axis: int | None = inputs.LAST,
) -> jax.Array:
    """The mean over the batch of 1 - SSIM (Zhao, Gallo, Frosio & Kautz 2017, with the mean over all windows).

    Arguments and errors are those of `jaxssim.ssim`. It may be differentiated by either image, or both, to any order.

    Returns:
        A scalar within [0, 2]: 0 for identical images; in float32 within 1e-5 of itself.
    """
    half = dssim(
        x, y, data_range=data_range, convention=convention, spatial_ndim=spatial_ndim, channel_axis=channel_axis
    )
    return 2 * half.mean()
