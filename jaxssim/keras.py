"""Losses and metrics for Keras 3 on its JAX backend. `import jaxssim` does not import this module.

A model that was compiled with them is saved by `model.save` and loaded by `keras.saving.load_model`, as any other. The
program that loads the model imports this module first, which makes the classes known to Keras.
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras

from jaxssim import conventions
from jaxssim._keras import ImageLoss, ImageMetric
from jaxssim._layout import LAST
from jaxssim._ms_ssim import MS_SSIM_WEIGHTS, check_weights, ms_ssim, ms_ssim_loss
from jaxssim._ssim import ssim, ssim_loss
from jaxssim.conventions import Convention

__all__ = ["MSSSIM", "SSIM", "MSSSIMLoss", "SSIMLoss"]


@keras.saving.register_keras_serializable("jaxssim")
class SSIMLoss(ImageLoss):
    """Computes 1 - SSIM of each image and reduces the values as any Keras loss: a loss for `model.compile`.

    Targets and outputs have the shape (batch, height, width, channels), or (batch, frames, height, width, channels) for
    one value for each sequence. Statistics are float32, also under the policy mixed_float16.

    Args:
        data_range: Largest minus smallest allowed value, for instance 1.0. uint8 and uint16 targets need 255 and 65535.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.
        reduction: How Keras reduces the values of a batch, for instance "sum", or None for one value for each sample.
        name: Name of the loss.
        dtype: Type to which Keras casts targets and outputs. By default `keras.config.floatx()`.

    Raises:
        ValueError: If `data_range` is not positive. When called: as `jaxssim.ssim`, or if integer images do not fit
            `data_range`, or if `sample_weight` is not one weight for each sample.

    Example:
        >>> loss = jaxssim.keras.SSIMLoss(data_range=1.0)
        >>> x = jnp.linspace(0, 1, 512).reshape(2, 16, 16, 1)
        >>> print(f"{loss(x, x**2):.4f}, {loss(x, x**2, sample_weight=[1.0, 0.0]):.4f}")
        0.3499, 0.2951
    """

    values = staticmethod(functools.partial(ssim_loss, reduction="none"))

    def __init__(
        self,
        data_range: float,
        *,
        convention: Convention = conventions.WANG2004,
        spatial_ndim: int = 2,
        channel_axis: int | None = LAST,
        reduction: str | None = "sum_over_batch_size",
        name: str = "ssim_loss",
        dtype: Any = None,
    ) -> None:
        """Keeps the options."""
        options = {"convention": convention, "spatial_ndim": spatial_ndim, "channel_axis": channel_axis}
        super().__init__(data_range, options, reduction=reduction, name=name, dtype=dtype)


@keras.saving.register_keras_serializable("jaxssim")
class MSSSIMLoss(ImageLoss):
    """Computes 1 - MS-SSIM of each image and reduces the values as any Keras loss: a loss for `model.compile`.

    Targets and outputs are as in `SSIMLoss`.

    Args:
        data_range: Largest minus smallest allowed value, for instance 1.0. uint8 and uint16 targets need 255 and 65535.
        weights: One positive exponent for each scale, finest scale first.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.
        reduction: How Keras reduces the values of a batch, for instance "sum", or None for one value for each sample.
        name: Name of the loss.
        dtype: Type to which Keras casts targets and outputs. By default `keras.config.floatx()`.

    Raises:
        ValueError: As `SSIMLoss` and `jaxssim.ms_ssim`.

    Example:
        >>> loss = jaxssim.keras.MSSSIMLoss(data_range=1.0, weights=(0.5, 0.5))
        >>> x = jnp.linspace(0, 1, 2048).reshape(2, 32, 32, 1)
        >>> print(f"{loss(x, x**2):.4f}")
        0.2379
    """

    values = staticmethod(functools.partial(ms_ssim_loss, reduction="none"))

    def __init__(
        self,
        data_range: float,
        *,
        weights: Sequence[float] = MS_SSIM_WEIGHTS,
        convention: Convention = conventions.WANG2004,
        spatial_ndim: int = 2,
        channel_axis: int | None = LAST,
        reduction: str | None = "sum_over_batch_size",
        name: str = "ms_ssim_loss",
        dtype: Any = None,
    ) -> None:
        """Keeps the options."""
        options = {"convention": convention, "spatial_ndim": spatial_ndim, "channel_axis": channel_axis}
        options["weights"] = check_weights(weights)
        super().__init__(data_range, options, reduction=reduction, name=name, dtype=dtype)


@keras.saving.register_keras_serializable("jaxssim")
class SSIM(ImageMetric):
    """Computes the mean SSIM over all images of an epoch: a metric for `model.compile`.

    Targets and outputs are as in `SSIMLoss`. As one of the `weighted_metrics`, it weighs each sample by its
    `sample_weight`.

    Args:
        data_range: Largest minus smallest allowed value, for instance 1.0. uint8 and uint16 targets need 255 and 65535.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.
        name: Name of the metric.
        dtype: Type of the sum. By default `keras.config.floatx()`.

    Raises:
        ValueError: As `SSIMLoss`.

    Example:
        >>> metric = jaxssim.keras.SSIM(data_range=1.0)
        >>> x = jnp.linspace(0, 1, 512).reshape(2, 16, 16, 1)
        >>> print(f"{metric(x, x**2):.4f}")
        0.6501
    """

    values = staticmethod(ssim)

    def __init__(
        self,
        data_range: float,
        *,
        convention: Convention = conventions.WANG2004,
        spatial_ndim: int = 2,
        channel_axis: int | None = LAST,
        name: str = "ssim",
        dtype: Any = None,
    ) -> None:
        """Keeps the options."""
        options = {"convention": convention, "spatial_ndim": spatial_ndim, "channel_axis": channel_axis}
        super().__init__(data_range, options, name=name, dtype=dtype)


@keras.saving.register_keras_serializable("jaxssim")
class MSSSIM(ImageMetric):
    """Computes the mean MS-SSIM over all images of an epoch: a metric for `model.compile`.

    Targets and outputs are as in `SSIMLoss`, weights of samples as in `SSIM`.

    Args:
        data_range: Largest minus smallest allowed value, for instance 1.0. uint8 and uint16 targets need 255 and 65535.
        weights: One positive exponent for each scale, finest scale first.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.
        name: Name of the metric.
        dtype: Type of the sum. By default `keras.config.floatx()`.

    Raises:
        ValueError: As `MSSSIMLoss`.

    Example:
        >>> metric = jaxssim.keras.MSSSIM(data_range=1.0, weights=(0.5, 0.5))
        >>> x = jnp.linspace(0, 1, 2048).reshape(2, 32, 32, 1)
        >>> print(f"{metric(x, x**2):.4f}")
        0.7621
    """

    values = staticmethod(ms_ssim)

    def __init__(
        self,
        data_range: float,
        *,
        weights: Sequence[float] = MS_SSIM_WEIGHTS,
        convention: Convention = conventions.WANG2004,
        spatial_ndim: int = 2,
        channel_axis: int | None = LAST,
        name: str = "ms_ssim",
        dtype: Any = None,
    ) -> None:
        """Keeps the options."""
        options = {"convention": convention, "spatial_ndim": spatial_ndim, "channel_axis": channel_axis}
        options["weights"] = check_weights(weights)
        super().__init__(data_range, options, name=name, dtype=dtype)
