"""What the losses and metrics of `jaxssim.keras` share: their options, their checks, and how Keras saves them."""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import keras
import numpy as np

from jaxssim._inputs import INTEGER_RANGES
from jaxssim._layout import LAST
from jaxssim.conventions import Convention, Gaussian, Uniform

if keras.backend.backend() != "jax":
    raise ImportError(
        f"jaxssim.keras needs Keras on JAX, got the backend {keras.backend.backend()!r}; set the environment variable "
        "KERAS_BACKEND=jax before Keras is imported"
    )


class Comparison:
    """What the losses and the metrics share: their options, their checks, and their config."""

    values: ClassVar[Callable[..., jax.Array]]  # compares two batches: one value for each image
    options: dict[str, Any]  # the arguments of `values` after the two batches

    def __init__(self, data_range: float, options: dict[str, Any], **keras_options: Any) -> None:
        """Checks the data range and keeps all options for `values`."""
        valid = isinstance(data_range, numbers.Real) and not isinstance(data_range, bool)
        if not (valid and 0 < data_range < float("inf")):
            raise ValueError(f"data_range must be a positive number, got {data_range!r}; pass 1.0 for images in [0, 1]")
        super().__init__(**keras_options)
        self.options = {"data_range": float(data_range), **options}

    def compare(self, y_true: Any, y_pred: Any) -> jax.Array:
        """Returns one value for each sample, (batch,): the mean over its images, if it is a sequence of images."""
        values = type(self).values(y_true, y_pred, **self.options)
        if not values.ndim:
            raise ValueError(f"y_true must be a batch of images, got one of shape {y_true.shape}; pass y_true[None]")
        return values.reshape(len(values), -1).mean(1)

    def check(self, y_true: Any, y_pred: Any, sample_weight: Any) -> None:
        """Raises a ValueError for what Keras would cast or broadcast in silence."""
        data_range = self.options["data_range"]
        for name, images in (("y_true", y_true), ("y_pred", y_pred)):
            dtype = keras.backend.standardize_dtype(images.dtype)
            if "float" not in dtype and INTEGER_RANGES.get(dtype) != data_range:
                raise ValueError(
                    f"{name} is {dtype}, whose values do not fit data_range={data_range}; pass float32 images of that "
                    "range, such as y / 255 for a network of outputs in [0, 1], or uint8 images with data_range=255 "
                    "for a network of outputs in [0, 255]"
                )
        shape, batch = np.shape(sample_weight), y_pred.shape[:1]
        if shape not in ((), batch, (*batch, 1)):
            raise ValueError(
                f"sample_weight must hold one weight for each sample, shape {batch}, got {shape}; to weigh pixels, "
                "write a loss that calls jaxssim.ssim_loss with a mask"
            )

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs, as JSON can hold it."""
        config = {name: value for name, value in self.options.items() if value is not LAST}
        convention = config["convention"]
        window = {"type": type(convention.window).__name__, **dataclasses.asdict(convention.window)}
        config["convention"] = dataclasses.asdict(convention) | {"window": window}
        return {**super().get_config(), **_map(config, tuple, list)}  # type: ignore[misc]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Returns the loss or metric of which `get_config` returned the config."""
        config = _map(config, list, tuple)
        fields = dict(config["convention"]["window"])
        window = {"Gaussian": Gaussian, "Uniform": Uniform}[fields.pop("type")](**fields)
        return cls(**config | {"convention": Convention(**config["convention"] | {"window": window})})


def _map(tree: Any, old: Any, new: Any) -> Any:
    """Returns nested dicts and sequences with every sequence of the old type made one of the new type."""
    if isinstance(tree, dict):
        return {name: _map(value, old, new) for name, value in tree.items()}
    return new(_map(value, old, new) for value in tree) if isinstance(tree, old) else tree


class ImageLoss(Comparison, keras.losses.Loss):
    """A loss: the mean over the batch of one value for each sample, which `sample_weight` multiplies."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Returns the loss of a batch; `Loss.__call__` casts the images to `dtype` before it calls `call`."""
        y_true, y_pred = map(keras.ops.convert_to_tensor, (y_true, y_pred))
        self.check(y_true, y_pred, sample_weight)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        """Returns the loss of each sample, (batch,)."""
        return self.compare(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs, with the type, which Keras leaves out."""
        return {**super().get_config(), "dtype": self.dtype}


class ImageMetric(Comparison, keras.metrics.Mean):
    """A metric: the mean over all samples, weighted by `sample_weight`."""

    _direction = "up"  # for the mode "auto" of callbacks

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch."""
        y_true, y_pred = map(keras.ops.convert_to_tensor, (y_true, y_pred))
        self.check(y_true, y_pred, sample_weight)
        images = (keras.ops.cast(image, self.dtype) for image in (y_true, y_pred))
        super().update_state(self.compare(*images), sample_weight)
