"""Which pixels count: what is accepted as a mask, and the weights that it stands for."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxssim import inputs
from jaxssim.inputs import Layout, Shape


def check(mask: Any, shape: Shape, layout: Layout) -> Any:
    """`mask` of the images' shape, of that without channels, or of the spatial one; sound where it can be seen."""
    if mask is None:
        return None
    mask = inputs.as_array(mask)
    shapes = _shapes(shape, layout)
    if mask.shape not in shapes:
        raise ValueError(
            f"mask has shape {mask.shape}; for images of shape {shape} pass one of {' or '.join(map(str, shapes))}"
        )
    if not (mask.dtype == bool or jnp.issubdtype(mask.dtype, np.integer) or str(mask.dtype) in inputs.FLOATS):
        raise ValueError(f"mask must be bool or hold weights, integer or floating, got {mask.dtype}")
    if inputs.is_concrete(mask) and not np.all((np.asarray(mask) >= 0) & np.isfinite(np.asarray(mask, np.float64))):
        raise ValueError("mask must hold weights of at least 0, all finite; got some that are not")
    return mask


def canonical(mask: jax.Array | None, x: jax.Array, shape: Shape, layout: Layout) -> jax.Array | None:
    """Weights as (*batch or 1s, *spatial, channels) within [0, 1], NaN where they are none; constant to derivatives.

    Args:
        mask: as it came, or None.
        x: the canonical image that it belongs to.
        shape: of that image as it came.
        layout: of that image.
    """
    if mask is None:
        return None
    has_channels = mask.shape == shape and layout.channel_axis is not None
    mask = inputs.canonical(mask, layout if has_channels else layout._replace(channel_axis=None)).astype(x.dtype)
    mask = jnp.where((mask >= 0) & (mask < jnp.inf), mask, jnp.nan)
    mask = mask.reshape(*(1,) * (x.ndim - mask.ndim), *mask.shape)
    # Products of weights neither overflow nor vanish when the largest of an image is 1.
    largest = mask.max(tuple(range(-1 - layout.spatial_ndim, 0)), keepdims=True)
    mask = mask / jnp.where(largest == 0, 1, largest)
    return lax.stop_gradient(jnp.broadcast_to(mask, (*mask.shape[:-1], x.shape[-1])))


def _shapes(shape: Shape, layout: Layout) -> list[Shape]:
    """The shapes that a mask of images of this shape may have, each once."""
    batch, spatial = inputs.split(shape, layout._replace(crop_border=0))
    return list(dict.fromkeys((spatial, (*batch, *spatial), shape)))
