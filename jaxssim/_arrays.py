"""What counts as an array: containers of numbers alone. Others are errors, so that nothing is lost in silence."""

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxssim import _pillow

MORE_THAN_NUMBERS = {
    "mask": ("a mask", "its numbers, and the mask, 1 where a pixel counts, as mask=..."),
    "unit": ("units", "its plain numbers"),
    "units": ("units", "its plain numbers"),
    "dims": ("named axes", "its plain numbers, channels last, as x.values or x[...]"),
    "index": ("labels by which rows are aligned", "x.to_numpy()"),
    "columns": ("names of columns", "x.to_numpy()"),
}
"""Attributes of containers: what a container with this attribute carries beside numbers, and what to pass instead."""


def as_array(name: str, value: Any) -> Any:
    """Returns an array of JAX, or of NumPy in native byte order; a parameter of Flax becomes its array."""
    if isinstance(value, jax.Array):
        return value
    check_numbers_alone(name, value)
    if hasattr(value, "__jax_array__"):
        return value.__jax_array__()
    try:
        array = np.asarray(value)
    except Exception as error:  # each framework raises errors of its own
        raise ValueError(
            f"{name} is a {_type_name(value)} that NumPy cannot read ({error}); pass an array of JAX or NumPy"
        ) from error
    if array.dtype.kind in "OSU" or array.dtype.type is np.void:
        _raise_no_numbers(name, value)
    if array.dtype == bool:  # True is any byte but 0 for NumPy, as in masks from Pillow, and 1 for XLA
        array = array.view(np.uint8) != 0
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def as_real(name: str, value: Any, must_be: str = "a real number or an array of real numbers") -> Any:
    """Returns a number or an array of real numbers as an array; the error says what the value must be."""
    elements = value if isinstance(value, list | tuple) else (value,)
    text = any(each is None or isinstance(each, str | bytes | dict) for each in elements)
    array = None if text else as_array(name, value)
    if array is None or not (jnp.issubdtype(array.dtype, np.integer) or jnp.issubdtype(array.dtype, np.floating)):
        raise ValueError(f"{name} must be {must_be}, got {value!r}")
    return array


def is_concrete(value: Any) -> bool:
    """Returns whether this process can read an array's values: it is neither traced nor on another process's device."""
    return isinstance(value, np.ndarray) or (not isinstance(value, jax.core.Tracer) and value.is_fully_addressable)


def check_numbers_alone(name: str, value: Any) -> None:
    """Raises a ValueError for what holds no numbers, or more than numbers."""
    if value is None or isinstance(value, str | bytes | os.PathLike):
        _raise_path(name, value)
    if type(value) is np.ndarray or isinstance(value, np.generic | bool | int | float | complex):
        return
    if isinstance(value, list | tuple):
        for element in value:
            check_numbers_alone(name, element)
        return
    if isinstance(value, np.ma.MaskedArray) and not np.ma.is_masked(value):
        return
    if getattr(getattr(value, "dtype", None), "is_quantized", False):
        raise ValueError(f"{name} is a quantised {_type_name(value)}, which carries a scale; pass its real numbers")
    _pillow.check(name, value)
    for attribute, (carried, instead) in MORE_THAN_NUMBERS.items():
        carries = getattr(value, attribute, None)
        if carries is not None and not callable(carries):
            raise ValueError(f"{name} is a {_type_name(value)}, which carries {carried}; pass {instead}")


def _raise_path(name: str, value: Any) -> None:
    raise ValueError(
        f"{name} must be an array, got {value!r}; load a picture first, for instance by "
        'np.asarray(PIL.Image.open(path).convert("RGB"))'
    )


def _raise_no_numbers(name: str, value: Any) -> None:
    """Raises the ValueError that fits an array of text or of objects."""
    elements = np.asarray(value).ravel().tolist()
    if elements and all(isinstance(element, str | bytes | os.PathLike) for element in elements):
        _raise_path(name, value)
    raise ValueError(
        f"{name} is a {_type_name(value)}, which is not an array of numbers; pass an array of JAX or NumPy, for "
        "instance x.toarray() or x.todense() of a sparse array, or x[key] of several arrays"
    )


def _type_name(value: Any) -> str:
    return f"{type(value).__module__.split('.')[0]}.{type(value).__qualname__}"
