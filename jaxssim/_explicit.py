"""Images whose types say that devices share their spatial axes (`jax.sharding.AxisType.Explicit`)."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec, reshard

from jaxssim._core.halos import MeshAxis
from jaxssim._layout import CheckedInputs, Layout, spatial_axes
from jaxssim._shard_inputs import prepare_shards
from jaxssim.conventions import Padding

Names = tuple[MeshAxis | None, ...]


def over_mesh(
    function: Callable[..., jax.Array],
    checked: CheckedInputs,
    options: tuple[Any, ...],
    padding: Padding,
    *,
    scales: int = 1,
    is_map: bool = False,
) -> jax.Array:
    """Returns `function(checked, *options)`; where devices share spatial axes, each computes its part.

    The last two options are the convention and the layout, and `function` takes `Shards` as one more. It returns a
    value for each image, or, if `is_map`, an array with spatial axes.
    """
    sharding = _explicit_sharding(checked)
    names = () if sharding is None else tuple(sharding.spec[axis] for axis in spatial_axes(checked.x.ndim, options[-1]))
    if sharding is None or not any(names):
        return function(checked, *options)
    return _on_each_device(checked, function, options, sharding, padding, scales, is_map)


def _explicit_sharding(checked: CheckedInputs) -> NamedSharding | None:
    """Returns the sharding of both images that their types carry, or None; an image without one takes the other's."""
    found = [jax.typeof(image).sharding for image in (checked.x, checked.y) if isinstance(image, jax.Array)]
    sharded = [sharding for sharding in found if any(sharding.spec)]
    if len(sharded) == 2 and sharded[0].spec != sharded[1].spec:
        raise ValueError(
            f"x and y must be sharded alike, got {sharded[0].spec} and {sharded[1].spec}; reshard one of them"
        )
    return sharded[0] if sharded else None


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4, 5, 6))
def _on_each_device(
    checked: CheckedInputs,
    function: Callable[..., jax.Array],
    options: tuple[Any, ...],
    sharding: NamedSharding,
    padding: Padding,
    scales: int,
    is_map: bool,
) -> jax.Array:
    convention, layout = options[-2:]
    specs, out_spec = _specs(checked, layout, sharding.spec, is_map)

    def part(checked: CheckedInputs) -> jax.Array:
        axis_names = tuple(sharding.spec[axis] for axis in spatial_axes(checked.x.ndim, layout))
        images = {"x": checked.x, "y": checked.y, "mask": checked.mask}
        shards, _ = prepare_shards(images, convention, layout, axis_names, None, padding, scales)
        return function(checked, *options, shards)

    placed = jax.tree.map(lambda array, spec: reshard(array, NamedSharding(sharding.mesh, spec)), checked, specs)
    return jax.shard_map(part, mesh=sharding.mesh, in_specs=(specs,), out_specs=out_spec)(placed)


def _specs(checked: CheckedInputs, layout: Layout, spec: PartitionSpec, is_map: bool) -> tuple[Any, PartitionSpec]:
    """Returns how each input and the result are sharded where the images are sharded by `spec`."""
    spatial = spatial_axes(checked.x.ndim, layout)
    names: Names = tuple(spec[axis] for axis in spatial)
    if layout.channel_axis is not None and spec[layout.channel_axis] is not None:
        raise ValueError(f"channels must not be sharded where spatial axes are, got {spec}; reshard x and y")
    batch = _batch_names(spec, layout)
    of_mask = None
    if checked.mask is not None:
        by_ndim = {layout.spatial_ndim: names, len(batch) + len(names): (*batch, *names), len(spec): tuple(spec)}
        of_mask = _spec_of(by_ndim[checked.mask.ndim], checked.mask)
    of_range = _spec_of(batch[len(batch) - checked.data_range.ndim :], checked.data_range)
    constants = jax.tree.map(lambda _: PartitionSpec(), checked.constants)
    specs: dict[str, Any] = dict(x=spec, y=spec, data_range=of_range, mask=of_mask, constants=constants)
    channels = () if layout.channel_axis is None else (None,)
    result = PartitionSpec(*batch, *names, *channels) if is_map else PartitionSpec(*batch)
    return checked._replace(**specs), result


def _batch_names(spec: PartitionSpec, layout: Layout) -> Names:
    """Returns the entries of the batch axes of a spec."""
    channels_at = None if layout.channel_axis is None else len(spec) + layout.channel_axis
    return tuple(name for axis, name in enumerate(spec) if axis != channels_at)[: -layout.spatial_ndim]


def _spec_of(names: Names, array: Any) -> PartitionSpec:
    """Returns how an array is sharded that has `names` along its axes, but for axes of length 1."""
    return PartitionSpec(*(name if length > 1 else None for name, length in zip(names, array.shape, strict=True)))
