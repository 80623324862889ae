"""SSIMULACRA 2.1: SSIM, ringing and blur in XYB at six scales, weighted to agree with viewers (Sneyers 2023).

At each scale, with the original's deviation from its local mean a = |x - mean x|, that of the distorted image
b = |y - mean y|, and v = x - y,

    structure = 1 - (1 - (mean v)²)(1 - var v / (var x + var y + C2))
    edges = (1 + b) / (1 + a) - 1 = (b - a) / (1 + a)        ringing where positive, blur where negative

The mean and the 4-norm of each map and channel enter a weighted sum.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxssim._core import formulas, images, resampling, windows, xla
from jaxssim._core.images import CentredImage, SumDifference
from jaxssim._core.jvp import jit_with_own_jvp
from jaxssim._core.numerics import absolute
from jaxssim._core.several import means_over_windows
from jaxssim._core.statistics import window_statistics
from jaxssim._inputs import Reduction, check_colours, check_data_range, check_images, reduce_batch
from jaxssim._layout import (
    LAST,
    CheckedInputs,
    Layout,
    canonical_data_range,
    canonical_image,
    split_shape,
    statistics_dtype,
)
from jaxssim._xyb import linear_light, positive_xyb
from jaxssim.conventions import Taps

SCALES = 6
MIN_SIDE = 8
C2 = 0.0009
UNIT = 2.0**16  # the fourth power of a small error leaves float32, that of UNIT times the error does not
POWER = 0.6276336467831387
HALF_WINDOW = (0.0094143678096537, 0.036011114658364374, 0.10933537277746032, 0.2129285920104222)
TAPS: Taps = ((*HALF_WINDOW, 0.26462110548819856, *HALF_WINDOW[::-1]),) * 2
"""A sum of three truncated cosines that resembles a Gaussian of sigma 1.5 (Charalampidis 2016)."""
# fmt: off
WEIGHTS = (  # the mean of structure, ringing and blur, then their 4-norms
    0.0, 0.0007376606707406586, 0.0, 0.0, 0.0007793481682867309, 0.0,  # X, from the finest scale to the coarsest
    0.0, 0.0004371155730107379, 0.0, 1.1041726426657346, 0.00066284834129271, 0.00015231632783718752,
    0.0, 0.0016406437456599754, 0.0, 1.8422455520539298, 11.441172603757666, 0.0,
    0.0007989109436015163, 0.000176816438078653, 0.0, 1.8787594979546387, 10.94906990605142, 0.0,
    0.0007289346991508072, 0.9677937080626833, 0.0, 0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053,
    0.0004550992113792063, 0.0, 0.0, 0.0013648766163243398, 0.0, 0.0,
    0.0, 0.0, 0.0, 7.466890328078848, 0.0, 17.445833984131262,  # Y, from the finest scale to the coarsest
    0.0006235601634041466, 0.0, 0.0, 6.683678146179332, 0.00037724407979611296, 1.027889937768264,
    225.20515300849274, 0.0, 0.0, 19.213238186143016, 0.0011401524586618361, 0.001237755635509985,
    176.39317598450694, 0.0, 0.0, 24.43300999870476, 0.28520802612117757, 0.0004485436923833408,
    0.0, 0.0, 0.0, 34.77906344483772, 44.835625328877896, 0.0,
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    0.0, 0.0008680556573291698, 0.0, 0.0, 0.0, 0.0,  # B, from the finest scale to the coarsest
    0.0, 0.0005313191874358747, 0.0, 0.00016533814161379112, 0.0, 0.0,
    0.0, 0.0, 0.0, 0.0004179171803251336, 0.0017290828234722833, 0.0,
    0.0020827005846636437, 0.0, 0.0, 8.826982764996862, 23.19243343998926, 0.0,
    95.1080498811086, 0.9863978034400682, 0.9834382792465353,
    0.0012286405048278493, 171.2667255897307, 0.9807858872435379,
    0.0, 0.0, 0.0, 0.0005130064588990679, 0.0, 0.00010854057858411537,
)
# fmt: on


def ssimulacra2(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    crop_border: int = 0,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the SSIMULACRA 2 score of distorted sRGB images against their originals (version 2.1, Sneyers 2023).

    The score was fitted to what viewers say of compressed photographs: 90 and more is indistinguishable, 70 high
    quality, 50 medium, 30 low; it has no lower bound. Swapping the images changes it. Values agree with the authors'
    program to 0.01 in the median of 54 pairs, and to 0.35 where the colour of a whole picture shifts: that program
    approximates the cube root of XYB and the curve of sRGB, which are exact here. In float32 they are within 0.01 of
    float64.

    Values outside [0, data_range] count as the nearest inside, with a derivative of 0, and grey images as three equal
    channels. As in the program, an image under 113 pixels a side has fewer than six scales, whose norms then meet the
    first weights of each list.

    The score's slope is infinite where the error before its last power is 0. Below an error of 1e-10, which changes the
    score by 5e-6, the power is a straight line, so that derivatives are finite; for identical images they are 0. To
    train, take `ssimulacra2_loss`.

    Args:
        x: Original images (*batch, height, width, 3 or 1): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Distorted images of the shape of `x`; of its type too, unless both are floating.
        data_range: The value of white, where black is 0, broadcast to (*batch,). Floating images need one.
        crop_border: Pixels to leave out along each side.
        channel_axis: Axis of the channels, counted from the end, or None for grey images. By default the last axis.

    Returns:
        (*batch,), at most 100; 100 for identical images.

    Raises:
        ValueError: If shapes or types differ, images do not have 3 channels or 1, a side is under 8 pixels,
            `data_range` is missing or not positive, or another argument is out of its range.

    Example:
        >>> x = jax.random.uniform(jax.random.key(0), (16, 16, 3))
        >>> print(f"{jaxssim.ssimulacra2(x, 0.9 * x, data_range=1.0):.1f}")
        92.7
    """
    layout = Layout(2, channel_axis, crop_border)
    return _score(ssimulacra2_error(_prepare(x, y, data_range, layout), layout))


def ssimulacra2_loss(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    reduction: Reduction = "mean",
    crop_border: int = 0,
    channel_axis: int | None = LAST,
) -> jax.Array:
    """Returns the mean over the batch of SSIMULACRA 2's error before its last power, a loss to minimise.

    `ssimulacra2` is 100 - 10 error^0.628 of each image: the error is 1 at a score of 90, where differences become
    visible, and 39 at a score of 0. The error is as steep near 0 as elsewhere, and the score infinitely steep.
    Everything else is as in `ssimulacra2`; keep outputs of a network in range, for instance by a sigmoid, since values
    outside have no derivative.

    Args:
        x: Original images (*batch, height, width, 3 or 1): uint8, uint16, float16, bfloat16, float32 or float64.
        y: Distorted images of the shape of `x`; of its type too, unless both are floating.
        data_range: The value of white, where black is 0, broadcast to (*batch,). Floating images need one.
        reduction: "mean" for the mean over the batch, "none" for one value per image.
        crop_border: Pixels to leave out along each side.
        channel_axis: Axis of the channels, counted from the end, or None for grey images. By default the last axis.

    Returns:
        A scalar, or (*batch,), at least 0; 0 for identical images, where derivatives are 0 too.

    Raises:
        ValueError: If shapes or types differ, images do not have 3 channels or 1, a side is under 8 pixels,
            `data_range` is missing or not positive, or another argument is out of its range.

    Example:
        >>> x = jax.random.uniform(jax.random.key(0), (16, 16, 3))
        >>> print(f"{jaxssim.ssimulacra2_loss(x, 0.9 * x, data_range=1.0):.1f}")
        0.6
    """
    layout = Layout(2, channel_axis, crop_border)
    return reduce_batch(ssimulacra2_error(_prepare(x, y, data_range, layout), layout), reduction)


def _prepare(x: Any, y: Any, data_range: Any, layout: Layout) -> CheckedInputs:
    x, y = check_images(x, y, layout)
    check_colours(x.shape, layout)
    batch, spatial = split_shape(x.shape, layout)
    if min(spatial) < MIN_SIDE:
        raise ValueError(
            f"x and y have spatial shape {spatial}, but SSIMULACRA 2 needs {MIN_SIDE} pixels a side; pass larger images"
        )
    return CheckedInputs(x, y, check_data_range(data_range, x, y, batch), None)


@jit_with_own_jvp
def ssimulacra2_error(checked: CheckedInputs, layout: Layout) -> jax.Array:
    """Returns the error of each image before the last power: (*batch,)."""
    dtype = statistics_dtype(checked.x, checked.y)
    x, y = (canonical_image(image, layout).astype(dtype) for image in (checked.x, checked.y))
    white = canonical_data_range(checked.data_range, x, layout)
    x, y = (linear_light(_planes(image) / white[None]) for image in (x, y))
    by_scale = [_norms(x, y)]
    while len(by_scale) < SCALES and min(x.shape[-3:-1]) >= MIN_SIDE:
        x, y = _halve(x), _halve(y)
        by_scale.append(_norms(x, y))
    norms = jnp.moveaxis(jnp.stack(by_scale), 2, 0)  # (channels, scales, norms and maps, *batch)
    norms = norms.reshape(-1, *norms.shape[3:])
    t = 0.9562382616834844 * jnp.tensordot(np.asarray(WEIGHTS[: len(norms)], dtype), norms, 1, precision="highest")
    return t * (2.326765642916932 + t * (-0.020884521182843837 + t * 6.248496625763138e-05))


# Separate loops: XLA would compute powers again wherever their values enter, and not vectorise them in a transposition.
@xla.no_fuse
def _planes(image: jax.Array) -> jax.Array:
    """Returns (3, *batch, height, width, 1): red, green and blue, or grey three times."""
    planes = jnp.moveaxis(image[..., None], -2, 0)
    return jnp.broadcast_to(planes, (3, *planes.shape[1:]))


@xla.no_fuse
def _halve(light: jax.Array) -> jax.Array:
    """Returns means of 2x2 pixels; the last pixel of an odd side counts twice."""
    return resampling.halve(CentredImage(light, jnp.zeros((), light.dtype)), TAPS).centred


def _norms(x: jax.Array, y: jax.Array) -> jax.Array:
    """Returns the means of the three maps of linear light, then their 4-norms: (6, channels, *batch)."""
    radius = len(TAPS[0]) // 2
    widths = [(0, 0)] * (x.ndim - 3) + [(radius, radius)] * 2 + [(0, 0)]
    x, y = positive_xyb(x), positive_xyb(y)
    u, v = xla.materialize([jnp.pad(image, widths) for image in (x + y, x - y)])
    offset = jnp.zeros((*x.shape[:-3], 1, 1, 1), x.dtype)
    pair = SumDifference((u, v), None, (offset, offset))
    means = jnp.stack(means_over_windows(_maps_and_powers, TAPS, pair))[..., 0]
    return jnp.concatenate([means[:3], _fourth_root(means[3:]) / UNIT])


def _maps_and_powers(pair: Any) -> tuple[jax.Array, ...]:
    """Returns the maps of structure, ringing and blur, then their fourth powers, folded: (*batch, rows, columns)."""
    statistics = window_statistics(pair, TAPS)
    mean_u, mean_v, var_u, var_v, *_ = statistics
    structure = formulas.one_minus_product(mean_v**2, (var_v, (var_u + var_v) / 2 + C2))
    u, v = (windows.inside_windows(images.fold(array), TAPS, 1) for array in pair.arrays)
    u, v = u - mean_u, v - mean_v
    a, b = absolute((u + v) / 2), absolute((u - v) / 2)
    edges = formulas.quotient(b - a, 1 + a)
    maps = structure, jnp.where(edges > 0, edges, 0), jnp.where(edges < 0, -edges, 0)
    return *maps, *(_fourth_power(each) for each in maps)


@xla.no_fuse
def _fourth_power(values: jax.Array) -> jax.Array:
    """Returns the fourth power of UNIT times the values, a loop of its own, so that XLA computes the values once."""
    return (UNIT * values) ** 4


def _fourth_root(power: jax.Array) -> jax.Array:
    """Returns the root, 0 with a derivative of 0 where the power is too small for derivatives in float32."""
    tiny = power < 1e-20
    return jnp.where(tiny, 0, jnp.sqrt(jnp.sqrt(jnp.where(tiny, 1, power))))


def _score(error: jax.Array) -> jax.Array:
    """Returns 100 - 10 error^POWER; a straight line takes the place of the power below an error of 1e-10."""
    tiny = 1e-10
    power = jnp.where(error < tiny, error * tiny ** (POWER - 1), jnp.where(error < tiny, 1, error) ** POWER)
    return 100 - 10 * power
