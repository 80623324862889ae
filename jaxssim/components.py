"""The three factors of SSIM apart: luminance, contrast and structure (Wang, Bovik, Sheikh & Simoncelli 2004)."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxssim import arguments, conventions, formulas, inputs, statistics, structural
from jaxssim.arguments import Pair
from jaxssim.conventions import Convention
from jaxssim.inputs import Layout


class Components(NamedTuple):
    """Maps of the shape that `jaxssim.ssim_map` has, whose product it is."""

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
    channel_axis: int | None = inputs.LAST,
) -> Components:
    """Luminance, contrast and structure at every window, with C3 = C2 / 2 as in the paper.

    Arguments and errors are those of `jaxssim.ssim`. A standard deviation of 0 has no slope there; it is taken as 0.

    Returns:
        `Components` of maps as `jaxssim.ssim_map` gives, within [-1, 1]: luminance is 1 where the windows' means agree,
        contrast where their standard deviations do, and structure is their correlation.
    """
    layout = Layout(spatial_ndim, channel_axis, crop_border)
    return _components(arguments.check(x, y, data_range, mask, convention, layout), convention, layout)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _components(pair: Pair, convention: Convention, layout: Layout) -> Components:
    u, v = structural.padded(structural.shrunk(pair, convention, layout), convention, layout).fields()
    x, y = u._replace(about=(u.about + v.about) / 2), u._replace(about=(u.about - v.about) / 2)
    taps, c2 = convention.window.taps(layout.spatial_ndim), convention.k2**2
    bessel = formulas.correction(convention, taps)
    local = statistics.local(u, v, taps)
    sigma_x, sigma_y = (_square_root(bessel * statistics.moments(image, taps)[1]) for image in (x, y))
    difference = (sigma_x - sigma_y) ** 2
    shortfalls = Components(
        formulas.luminance(local, convention, taps),
        formulas.quotient(difference, sigma_x**2 + sigma_y**2 + c2),
        formulas.quotient(jnp.maximum(bessel * local.var_v - difference, 0) / 2, sigma_x * sigma_y + c2 / 2),
    )
    return jax.tree.map(lambda d: structural.as_map(jnp.minimum(d, 2), local, u.about.shape[-1], layout), shortfalls)


def _square_root(variance: jax.Array) -> jax.Array:
    """The root, whose slope at 0 is infinite, with a slope of 0 there."""
    positive = variance > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1)), variance)
