"""The three factors of SSIM apart: luminance, contrast and structure (Wang, Bovik, Sheikh & Simoncelli 2004)."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim import conventions
from jaxssim._core import formulas, statistics
from jaxssim._inputs import LAST, CheckedInputs, Layout, prepare
from jaxssim._ssim import as_map, pair_of_map
from jaxssim.conventions import Convention


class Components(NamedTuple):
    """Maps of the three factors of SSIM, each of the shape of `ssim_map`, whose product that map is."""

    luminance: jax.Array
    contrast: jax.Array
    structure: jax.Array


def ssim_components(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    convention: Convention = conventions.WANG2004,
    mask: ArrayLike | None = None,
    crop_border: int = 0,
    spatial_ndim: int = 2,
    channel_axis: int | None = LAST,
) -> Components:
    """Returns luminance, contrast and structure at every window, with C3 = C2 / 2 as in the paper.

    Everything else is as in `ssim_map`. The derivative of a standard deviation is infinite at 0; here it is 0.

    Args:
        x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Images of the shape of `x`; of its type too, unless both are floating.
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        mask: Weights of the pixels, bool or at least 0: (*spatial), (*batch, *spatial) or the shape of `x`.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Returns:
        `Components` of three maps of the shape of `ssim_map`, within [-1, 1]. Luminance is 1 where the windows' means
        agree, contrast is 1 where their standard deviations agree, and structure is their correlation.

    Raises:
        ValueError: As `ssim`.

    Example:
        >>> x = jnp.linspace(0, 1, 256).reshape(16, 16)
        >>> parts = jaxssim.ssim_components(x, 0.5 * x, data_range=1.0, channel_axis=None)
        >>> bool(jnp.all(parts.structure > parts.contrast))  # a weaker contrast, but the same structure
        True
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return _components(prepare(x, y, data_range, mask, convention, layout), convention, layout)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _components(checked: CheckedInputs, convention: Convention, layout: Layout) -> Components:
    taps, c2 = convention.window.taps(layout.spatial_ndim), convention.k2**2
    u, v = pair_of_map(checked, convention, layout).sum_and_difference()
    x, y = u._replace(centred=(u.centred + v.centred) / 2), u._replace(centred=(u.centred - v.centred) / 2)
    bessel = formulas.bessel_correction(convention, taps)
    at_windows = statistics.statistics_of_sum_difference(u, v, taps)
    sigma_x, sigma_y = (_square_root(bessel * statistics.moments_of_image(image, taps)[1]) for image in (x, y))
    squared_difference = (sigma_x - sigma_y) ** 2
    one_minus = Components(
        formulas.one_minus_luminance(at_windows, convention, taps),
        formulas.quotient(squared_difference, sigma_x**2 + sigma_y**2 + c2),
        formulas.quotient(
            jnp.maximum(bessel * at_windows.var_v - squared_difference, 0) / 2, sigma_x * sigma_y + c2 / 2
        ),
    )
    return jax.tree.map(lambda d: as_map(jnp.minimum(d, 2), at_windows, u.centred.shape[-1], layout), one_minus)


def _square_root(variance: jax.Array) -> jax.Array:
    """Returns the square root, with a derivative of 0 at 0 in place of an infinite one."""
    positive = variance > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1)), variance)
