"""SSIM and MS-SSIM in float64 by NumPy and SciPy, as the papers define them; CW-SSIM is in `reference_cw_ssim`.

Tests and benchmarks compare jaxssim with this module. It favours plain formulas over speed and shares no code with the
library except `Convention`, which holds the options. Images are (*batch, *spatial, channels); masks broadcast to them.
"""

import dataclasses
import itertools
import math

import numpy as np
from scipy.ndimage import correlate1d

from jaxssim import Gaussian, conventions

WANG2004 = conventions.WANG2004


# Windows.


def gaussian(size, sigma):
    """Returns the weights of a Gaussian window along one axis; they sum to 1."""
    weights = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / sigma) ** 2)
    return weights / weights.sum()


def window_weights(window, spatial_ndim):
    """Returns the weights of a `jaxssim.Gaussian` or `jaxssim.Uniform` along each spatial axis."""
    sizes, sigmas = window.size, getattr(window, "sigma", np.inf)  # an infinitely wide Gaussian is uniform
    sizes = sizes if isinstance(sizes, tuple) else (sizes,) * spatial_ndim
    sigmas = sigmas if isinstance(sigmas, tuple) else (sigmas,) * spatial_ndim
    return [gaussian(size, sigma) for size, sigma in zip(sizes, sigmas, strict=True)]


def local_mean(image, weights):
    """Returns the weighted mean over every window inside the image, one axis after the other."""
    image = np.asarray(image, np.float64)
    for axis, taps in enumerate(weights, image.ndim - 1 - len(weights)):
        inside = np.arange(image.shape[axis] - len(taps) + 1) + len(taps) // 2
        image = correlate1d(image, taps, axis, mode="constant").take(inside, axis)
    return image


def crop(image, rims):
    """Returns the image without `rims` pixels on either side of each spatial axis."""
    spatial = image.shape[-1 - len(rims) : -1]
    return image[(..., *(slice(rim, n - rim) for rim, n in zip(rims, spatial, strict=True)), slice(None))]


def pad(image, rims, padding, outside=0.0):
    """Continues the image beyond its edges by `numpy.pad`, by `outside` where the padding is "zero"."""
    widths = [*[(0, 0)] * (image.ndim - 1 - len(rims)), *((rim, rim) for rim in rims), (0, 0)]
    if padding == "zero":
        return np.pad(image, widths, constant_values=outside)
    return np.pad(image, widths, "edge" if padding == "replicate" else padding)


# SSIM.


def statistics(image, mask, weights):
    """Returns the mean and the variance within each window, over the pixels inside the mask."""
    if mask is not None:
        return masked_statistics(image, mask, weights)
    offset = image.mean(tuple(range(-1 - len(weights), -1)), keepdims=True)
    image = image - offset  # the squares of values near 0 lose no digits
    mean = local_mean(image, weights)
    return mean + offset, np.maximum(local_mean(image**2, weights) - mean**2, 0)


def masked_statistics(image, mask, weights):
    """Returns mean and variance under a mask: first the means, then the squares of the differences from the means."""
    spatial = image.shape[-1 - len(weights) : -1]
    taps = list(itertools.product(*map(enumerate, weights)))
    lengths = [n - len(axis_taps) + 1 for n, axis_taps in zip(spatial, weights, strict=True)]

    def shifted(array, tap):
        return array[(..., *(slice(i, i + length) for (i, _), length in zip(tap, lengths, strict=True)), slice(None))]

    shares = [math.prod(weight for _, weight in tap) * shifted(mask, tap) for tap in taps]
    total = sum(shares)
    total = np.where(total == 0, 1, total)
    mean = sum(share * shifted(image, tap) for share, tap in zip(shares, taps, strict=True)) / total
    squares = sum(share * (shifted(image, tap) - mean) ** 2 for share, tap in zip(shares, taps, strict=True))
    return mean, squares / total


def constants(data_range, convention, ndim):
    """Returns C1 and C2, in a shape that broadcasts to the images."""
    data_range = np.asarray(data_range, np.float64)
    data_range = data_range.reshape(*data_range.shape, *(1,) * (ndim - data_range.ndim))
    return (convention.k1 * data_range) ** 2, (convention.k2 * data_range) ** 2


def bessel(weights, convention):
    """Returns the factor between the population variance and the variance that the convention asks for."""
    n = math.prod(map(len, weights))
    return n / (n - 1) if convention.covariance == "sample" else 1.0


def prepare(x, y, mask, convention, spatial_ndim):
    """Returns images and mask in float64, 0 outside the mask, shrunk and continued as the convention says."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if mask is not None:
        mask = np.broadcast_to(mask, x.shape).astype(np.float64)
        x, y = (np.where(mask > 0, image, 0) for image in (x, y))
    if convention.downsample:
        assert mask is None, "this module shrinks no masks"
        x, y = (shrink(image, convention.downsample) for image in (x, y))
    if convention.padding != "valid":
        rims = radii(convention, spatial_ndim)
        x, y = (pad(image, rims, convention.padding) for image in (x, y))
        mask = None if mask is None else pad(mask, rims, convention.padding, 1.0)
    return x, y, mask


def radii(convention, spatial_ndim):
    """Returns the pixels of a window on either side of its centre, along each spatial axis."""
    return [len(taps) // 2 for taps in window_weights(convention.window, spatial_ndim)]


def map_terms(x, y, mask, data_range, convention, spatial_ndim):
    """Returns 1 - luminance and 1 - contrast · structure of every window, of what `prepare` returned.

    Both follow from 2ab = a² + b² - (a - b)², for means and for deviations from them, and keep their digits near 0.
    """
    weights = window_weights(convention.window, spatial_ndim)
    c1, c2 = constants(data_range, convention, x.ndim)
    factor = bessel(weights, convention)
    (mean_x, var_x), (mean_y, var_y), (mean_v, var_v) = (statistics(image, mask, weights) for image in (x, y, x - y))
    luminance = mean_v**2 / (mean_x**2 + mean_y**2 + c1)
    contrast_structure = factor * var_v / (factor * (var_x + var_y) + c2)
    if mask is not None:
        empty = local_mean(mask, weights) == 0
        luminance, contrast_structure = (np.where(empty, 0, term) for term in (luminance, contrast_structure))
    return luminance, contrast_structure


def product(a, b):
    """Returns 1 - (1 - a)(1 - b)."""
    return a + b - a * b


def one_minus_ssim_map(x, y, data_range, convention=WANG2004, mask=None, spatial_ndim=2):
    """Returns 1 - SSIM of every window of the map that the convention defines."""
    x, y, mask = prepare(x, y, mask, convention, spatial_ndim)
    return strided(product(*map_terms(x, y, mask, data_range, convention, spatial_ndim)), convention, spatial_ndim)


def strided(values, convention, spatial_ndim):
    """Returns every `stride`-th window along each spatial axis."""
    return values[(..., *(slice(None, None, convention.stride),) * spatial_ndim, slice(None))]


def counted_windows(values, mask, convention, spatial_ndim):
    """Returns those values of a map that enter its mean, and the mask at the centres of their windows."""
    rims = radii(convention, spatial_ndim)
    mask = np.ones(values.shape) if mask is None else crop(mask, rims)
    if convention.padding != "valid" and convention.average == "inside":
        values, mask = crop(values, rims), crop(mask, rims)
    return tuple(strided(each, convention, spatial_ndim) for each in (values, mask))


def mean_over_windows(values, mask, spatial_ndim=2):
    """Returns the mean of each channel, weighted by the mask; 0 where the mask is empty."""
    axes = tuple(range(-1 - spatial_ndim, -1))
    total = mask.sum(axes)
    return (values * mask).sum(axes) / np.where(total == 0, 1, total)


def one_minus_ssim(x, y, data_range, convention=WANG2004, mask=None, spatial_ndim=2):
    """Returns 1 - SSIM of each image."""
    x, y, mask = prepare(x, y, mask, convention, spatial_ndim)
    values = product(*map_terms(x, y, mask, data_range, convention, spatial_ndim))
    return mean_over_windows(*counted_windows(values, mask, convention, spatial_ndim), spatial_ndim).mean(-1)


def ssim_components(x, y, data_range, convention=WANG2004, spatial_ndim=2):
    """Returns luminance, contrast and structure of every window: equations 6, 9 and 10 of Wang et al. 2004."""
    x, y, _ = prepare(x, y, None, convention, spatial_ndim)
    weights = window_weights(convention.window, spatial_ndim)
    c1, c2 = constants(data_range, convention, x.ndim)
    factor = bessel(weights, convention)
    mean_x, mean_y = local_mean(x, weights), local_mean(y, weights)
    var_x, var_y = (factor * statistics(image, None, weights)[1] for image in (x, y))
    covariance = factor * (local_mean(x * y, weights) - mean_x * mean_y)
    deviations = np.sqrt(var_x * var_y)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    contrast = (2 * deviations + c2) / (var_x + var_y + c2)
    components = luminance, contrast, (covariance + c2 / 2) / (deviations + c2 / 2)
    return tuple(strided(component, convention, spatial_ndim) for component in components)


# Shrinking large images, as `ssim.m` and piq do before they compare.


def shrink(image, rule):
    """Shrinks (*batch, height, width, channels) to about 256 pixels by a rule of `Convention.downsample`."""
    ratio = min(image.shape[-3:-1]) / 256
    if rule == "pool":
        return pool(image, max(1, round(ratio)))
    return filter_and_decimate(image, max(1, math.floor(ratio + 0.5)))


def pool(image, factor):
    """Returns the means of whole blocks, as PyTorch's avg_pool2d."""
    *batch, height, width, channels = image.shape
    height, width = height // factor, width // factor
    image = image[..., : height * factor, : width * factor, :]
    return image.reshape(*batch, height, factor, width, factor, channels).mean((-4, -2))


def filter_and_decimate(image, factor):
    """Follows MATLAB's imfilter(image, ones(f) / f^2, "symmetric", "same"), then (1:f:end, 1:f:end)."""
    widths = ((factor - 1) // 2, factor // 2)
    image = np.pad(image, [(0, 0)] * (image.ndim - 3) + [widths, widths, (0, 0)], mode="symmetric")
    return local_mean(image, [np.full(factor, 1 / factor)] * 2)[..., ::factor, ::factor, :]


# MS-SSIM.


def halve(image, mask, axes=(-3, -2)):
    """Returns means of 2 pixels along each axis inside the mask, the last of an odd number repeated, and the mask's."""
    if mask is None:
        return _halve(image, axes), None
    total = _halve(mask, axes)
    return _halve(image * mask, axes) / np.where(total == 0, 1, total), total


def _halve(image, axes):
    for axis in axes:
        image = np.moveaxis(image, axis, 0)
        image = np.concatenate([image, image[-1:]]) if len(image) % 2 else image
        image = np.moveaxis((image[::2] + image[1::2]) / 2, 0, axis)
    return image


def one_minus_scales(x, y, data_range, scales, convention=WANG2004, mask=None, spatial_ndim=2):
    """Returns 1 - contrast · structure of each scale, of the last 1 - SSIM: a list of (*batch, channels)."""
    convention = dataclasses.replace(convention, downsample=None)
    x, y, means = np.asarray(x, np.float64), np.asarray(y, np.float64), []
    axes = [axis for axis, taps in enumerate(convention.window.taps(spatial_ndim), -1 - spatial_ndim) if len(taps) > 1]
    for scale in range(scales):
        a, b, m = prepare(x, y, mask, convention, spatial_ndim)
        luminance, contrast_structure = map_terms(a, b, m, data_range, convention, spatial_ndim)
        values = product(luminance, contrast_structure) if scale == scales - 1 else contrast_structure
        means.append(mean_over_windows(*counted_windows(values, m, convention, spatial_ndim), spatial_ndim))
        (x, _), (y, mask) = (halve(image, mask, axes) for image in (x, y))
    return means


def one_minus_ms_ssim(x, y, data_range, weights, convention=WANG2004, mask=None, spatial_ndim=2):
    """Returns 1 - MS-SSIM of each image (Wang, Simoncelli & Bovik 2003); 1 where a scale is negatively correlated."""
    scales = one_minus_scales(x, y, data_range, len(weights), convention, mask, spatial_ndim)
    with np.errstate(divide="ignore"):
        logarithm = sum(w * np.log1p(-np.minimum(d, 1)) for w, d in zip(weights, scales, strict=True))
    return -np.expm1(logarithm).mean(-1)


def ms_ssim_l1_loss(x, y, data_range, sigmas, alpha):
    """Returns the mix of Zhao, Gallo, Frosio & Kautz 2017, all windows as wide as the last sigma asks for."""
    x, y = np.asarray(x, np.float64) / data_range, np.asarray(y, np.float64) / data_range
    size = int(4 * sigmas[-1]) + 1
    loss = np.zeros(())
    for sigma in sigmas:
        convention = conventions.Convention(window=Gaussian(size, sigma))
        luminance, contrast_structure = map_terms(x, y, None, 1.0, convention, 2)
        loss = product(loss, contrast_structure)
    l1 = local_mean(np.abs(x - y), [gaussian(size, sigmas[-1])] * 2)
    return (alpha * product(loss, luminance) + (1 - alpha) * l1).mean()
