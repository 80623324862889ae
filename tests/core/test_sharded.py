"""Images whose rows, columns or slices several devices hold: values, gradients and maps are those of one device."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from marks import slow, slow_except

import jaxssim
from jaxssim import Convention, Gaussian, Uniform, conventions, sharded

pytestmark = pytest.mark.skipif(jax.device_count() < 4, reason="fewer than four devices")

SMALL = Convention(window=Gaussian(5, 1.0))
MIRRORED = dataclasses.replace(SMALL, padding="reflect", average="all")
BLACK = dataclasses.replace(SMALL, padding="zero", average="all")
THREE = dict(weights=(0.2, 0.3, 0.5), convention=SMALL)
VOLUMES = dict(spatial_ndim=3, channel_axis=None, convention=SMALL)
MASK = np.random.default_rng(1).random((32, 13)) * (np.arange(32)[:, None] > 9)
CASES = {  # the function, the shape of the images, the devices along each spatial axis, and options
    "rows": ("ssim_loss", (24, 9, 3), (4, 1), dict(convention=SMALL)),
    "columns": ("ssim_loss", (2, 9, 24, 3), (1, 4), dict(convention=SMALL)),
    "rows and columns": ("ssim_loss", (16, 18, 2), (2, 2), dict(convention=SMALL)),
    "strips and the rest": ("ssim_loss", (40, 36, 2), (2, 2), dict(convention=Convention(window=Gaussian(3, 1.0)))),
    "strips and the rest, with padding": (
        "ssim_loss",
        (61, 9, 1),
        (4, 1),
        dict(convention=Convention(window=Uniform(3))),
    ),
    "default window over several devices": ("ssim_loss", (16, 13, 1), (4, 1), {}),
    "signals": ("ssim_loss", (64,), (4,), dict(spatial_ndim=1, channel_axis=None)),
    "volumes": ("ssim_loss", (16, 7, 8), (2, 1, 2), VOLUMES),
    "size that is padded": ("ssim_loss", (21, 11, 3), (2, 2), dict(convention=SMALL)),
    "device of padding alone": ("ssim_loss", (14, 9), (4, 1), dict(convention=SMALL, channel_axis=None)),
    "mask": ("ssim_loss", (32, 13, 3), (4, 1), dict(convention=SMALL, mask=MASK)),
    "mask and padding": ("ssim_loss", (30, 13, 3), (4, 1), dict(convention=SMALL, mask=MASK[:30])),
    "border": ("ssim_loss", (24, 13, 3), (4, 1), dict(convention=SMALL, crop_border=3)),
    "mirrored": ("ssim_loss", (16, 9, 3), (4, 1), dict(convention=MIRRORED)),
    "black outside": ("ssim_loss", (16, 9, 3), (4, 1), dict(convention=BLACK)),
    "black outside, under a mask": ("ssim_loss", (32, 13, 3), (4, 1), dict(convention=BLACK, mask=MASK)),
    "edge repeated, rows and columns": ("ssim_loss", (16, 18, 3), (2, 2), dict(convention=conventions.MATLAB)),
    "mirrored, rows and columns": ("ssim_loss", (16, 18, 3), (2, 2), dict(convention=conventions.KORNIA)),
    "scikit-image": ("ssim_loss", (28, 13, 3), (4, 1), dict(convention=conventions.SKIMAGE)),
    "constants": ("ssim_loss", (24, 9, 3), (4, 1), dict(convention=SMALL, k1=0.05, k2=0.1)),
    "scales": ("ms_ssim_loss", (48, 21, 3), (4, 1), THREE),
    "scales, rows and columns": ("ms_ssim_loss", (40, 24, 2), (2, 2), THREE),
    "scales of a size that is padded": ("ms_ssim_loss", (37, 21, 3), (4, 1), THREE),
    "scales under a mask": ("ms_ssim_loss", (32, 13, 3), (4, 1), dict(weights=(0.5, 0.5), convention=SMALL, mask=MASK)),
    "mirrored scales": ("ms_ssim_loss", (48, 21, 3), (4, 1), dict(weights=(0.5, 0.5), convention=MIRRORED)),
    "scales of volumes": ("ms_ssim_loss", (16, 10, 9), (2, 1, 1), VOLUMES | dict(weights=(0.5, 0.5))),
    "map": ("ssim_map", (24, 9, 3), (4, 1), dict(convention=SMALL)),
    "map, rows and columns": ("ssim_map", (21, 11), (2, 2), dict(convention=SMALL, channel_axis=None)),
    "mirrored map": ("ssim_map", (28, 9, 3), (4, 1), dict(convention=conventions.SKIMAGE)),
    "map of a volume": ("ssim_map", (16, 7, 8), (2, 1, 2), VOLUMES),
}


def pair(shape, seed=0):
    x, other = np.random.default_rng(seed).random((2, *shape))
    return x.astype(np.float32), (0.8 * x + 0.2 * other).astype(np.float32)


def over_devices(function, devices, ndim, **options):
    """Returns a function of whole images with `ndim` axes, each of whose spatial axes is shared by some devices."""
    axes = tuple(f"axis{i}" if n > 1 else None for i, n in enumerate(devices))
    chosen = [n for n in devices if n > 1]
    mesh = jax.make_mesh(chosen, [axis for axis in axes if axis], axis_types=(AxisType.Auto,) * len(chosen))
    after = 0 if options.get("channel_axis", -1) is None else 1
    spec = PartitionSpec(*(None,) * (ndim - len(axes) - after), *axes)
    mask = options.pop("mask", None)
    arrays = () if mask is None else (mask,)
    specs = (spec, spec) if mask is None else (spec, spec, PartitionSpec(*axes))

    def part(x, y, mask=None):
        return getattr(sharded, function)(x, y, mask=mask, axis_names=axes, data_range=1.0, **options)

    out = spec if function == "ssim_map" else PartitionSpec()
    mapped = jax.shard_map(part, mesh=mesh, in_specs=specs, out_specs=out)
    return lambda x, y: mapped(x, y, *arrays)


def padded(array, devices, scales, channel_axis):
    """Returns an array padded for its devices; padding is NaN, which must have no influence."""
    options = dict(scales=scales, spatial_ndim=len(devices), channel_axis=channel_axis)
    counts = sharded.pad(np.ones(array.shape, bool), devices, **options)
    return np.where(counts, sharded.pad(array, devices, **options), np.nan).astype(array.dtype)


def value_and_gradients(function, *images):
    """Returns a function's result, and the gradients of the sum of its squares, which skips NaN; in one program."""

    def total(*images):
        result = function(*images)
        return jnp.nansum(result**2), result

    (_, result), gradients = jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))(*images)
    return np.asarray(result), gradients


@pytest.mark.parametrize("case", slow_except(["rows"], list(CASES)))
def test_values_and_gradients_equal_those_of_one_device(case):
    function, shape, devices, options = CASES[case]
    channel_axis, scales = options.get("channel_axis", -1), len(options.get("weights", "1"))
    images, sharded_options = pair(shape), dict(options)
    pads = functools.partial(padded, devices=devices, scales=scales)
    whole = tuple(pads(image, channel_axis=channel_axis) for image in images)
    if whole[0].shape != shape:
        ends = len(shape) - (channel_axis is not None)
        sharded_options["valid_size"] = shape[ends - len(devices) : ends]
        if "mask" in options:
            sharded_options["mask"] = pads(options["mask"], channel_axis=None)
    plain = functools.partial(getattr(jaxssim, function), data_range=1.0, **options)
    expected, slopes = value_and_gradients(plain, *images)
    found, gradients = value_and_gradients(over_devices(function, devices, len(shape), **sharded_options), *whole)
    if function == "ssim_map":
        assert np.count_nonzero(~np.isnan(found)) == expected.size
        found = found[tuple(slice(0, n) for n in expected.shape)]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-6 if function == "ssim_map" else 1e-7)
    for gradient, slope in zip(gradients, slopes, strict=True):
        inside = np.asarray(gradient)[tuple(slice(0, n) for n in shape)]
        np.testing.assert_allclose(inside, slope, rtol=0, atol=1e-6 * np.abs(slope).max())
        assert np.abs(gradient).sum() == pytest.approx(np.abs(inside).sum(), rel=1e-6), "padding has a gradient"


EXPLICIT = {  # the function, the shape of the images, the axes of the mesh along their axes, and options
    "rows": ("ssim", (24, 9, 3), ("a",), {}),
    "batch and rows": ("ssim", (2, 24, 9, 3), ("b", "a"), {}),
    "batch, and rows over two axes": ("dssim", (2, 24, 9, 3), (None, ("a", "b")), {}),
    "rows and columns, channels first": ("ssim_loss", (2, 24, 10), (None, "a", "b"), dict(channel_axis=-3)),
    "loss": ("ssim_loss", (2, 24, 9, 3), ("b", "a"), dict(data_range=np.asarray([1.0, 2.0]))),
    "mask": ("ssim_loss", (2, 32, 13, 3), ("b", "a"), dict(mask=MASK)),
    "scales": ("ms_ssim_loss", (2, 24, 20, 3), ("b", "a"), dict(weights=(0.5, 0.5))),
    "map": ("ssim_map", (2, 24, 10, 3), (None, "b", "a"), {}),
    "mirrored map": ("ssim_map", (24, 9), ("a",), dict(convention=MIRRORED, channel_axis=None)),
}


@pytest.mark.parametrize("case", slow_except(["rows"], list(EXPLICIT)))
def test_explicit_meshes_need_no_other_call(case):
    name, shape, axes, options = EXPLICIT[case]
    metric = functools.partial(getattr(jaxssim, name), **(dict(convention=SMALL, data_range=1.0) | options))
    images = pair(shape)
    mesh = jax.make_mesh((2, 2), ("a", "b"), axis_types=(AxisType.Explicit,) * 2)

    expected, slopes = value_and_gradients(metric, *images)
    with jax.set_mesh(mesh):
        placed = jax.device_put(images, NamedSharding(mesh, PartitionSpec(*axes)))
        found, gradients = value_and_gradients(metric, *placed)
        assert jax.typeof(gradients[0]).sharding == jax.typeof(placed[0]).sharding
    if name == "ssim_map":
        found = found[~np.isnan(found)].reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-6 if name == "ssim_map" else 2e-7)
    for gradient, slope in zip(gradients, slopes, strict=True):
        np.testing.assert_allclose(gradient, slope, rtol=0, atol=1e-6 * np.abs(slope).max())


@slow
def test_second_derivatives_equal_those_of_one_device():
    x, y = pair((24, 9, 1))
    direction = jnp.asarray(np.random.default_rng(1).standard_normal(y.shape), np.float32)

    def product(loss):
        return jax.jit(lambda y: jax.jvp(jax.grad(lambda y: loss(x, y)), (y,), (direction,))[1])(y)

    plain = functools.partial(jaxssim.ssim_loss, data_range=1.0, convention=SMALL)
    expected = product(plain)
    found = product(over_devices("ssim_loss", (4, 1), 3, convention=SMALL))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@slow
def test_bright_images_with_padding_keep_their_digits():
    x = np.random.default_rng(0).integers(59990, 60010, (30, 12, 1)).astype(np.float32)
    y = x + np.random.default_rng(1).integers(-3, 4, x.shape).astype(np.float32)
    options = dict(convention=SMALL, valid_size=(30, 12))
    whole = jax.jit(over_devices("ssim", (4, 1), 3, **options))
    parts = [padded(image, (4, 1), 1, -1) for image in (x, y)]
    expected = 1 - reference.one_minus_ssim(x, y, 1.0, SMALL)
    np.testing.assert_allclose(whole(*parts), expected, atol=2e-7)


@slow
def test_float64_is_not_rounded_to_float32():
    with jax.enable_x64(True):
        x, y = (image.astype(np.float64) for image in pair((24, 9, 1)))
        whole = jax.jit(over_devices("ssim_loss", (4, 1), 3, convention=SMALL))
        np.testing.assert_allclose(whole(x, y), reference.one_minus_ssim(x, y, 1.0, SMALL), rtol=1e-12)


@slow
def test_an_image_without_sharding_takes_that_of_the_other():
    x, y = pair((24, 9, 3))
    mesh = jax.make_mesh((4,), ("a",), axis_types=(AxisType.Explicit,))
    placed = jax.device_put(x, NamedSharding(mesh, PartitionSpec("a")))
    metric = functools.partial(jaxssim.ssim, data_range=1.0, convention=SMALL)
    for found in (metric(placed, y), metric(y, placed)):
        np.testing.assert_allclose(found, metric(x, y), atol=2e-7)


# Errors, which need no compilation.


def trace(function="ssim", shape=(16, 9, 3), devices=(4, 1), check_vma=True, **options):
    """Traces a function of shards, for its errors."""
    x = jax.ShapeDtypeStruct(shape, np.float32)
    options = dict(convention=SMALL, data_range=1.0, axis_names=("axis0", None)) | options
    mesh = jax.make_mesh((4,), ("axis0",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("axis0")
    part = functools.partial(getattr(sharded, function), **options)
    jax.eval_shape(jax.shard_map(part, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=check_vma), x, x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(axis_names=None), r"axis_names must hold .* as \('rows', None\), got None"),
        (dict(axis_names=("axis0",)), "axis_names must hold"),
        (dict(axis_names=("axis0", "axis0")), "at most once"),
        (dict(axis_names=("axis1", None)), "no axis here; call this inside jax.shard_map"),
        (dict(check_vma=False), "check_vma=True"),
        (dict(mask=np.ones((4, 9))), "all devices along it hold the same mask"),
        (dict(valid_size=(17, 9)), r"at most \(16, 9\), got \(17, 9\)"),
        (dict(valid_size=16), "valid_size must hold the size before padding"),
        (dict(valid_size=(4, 9)), r"spatial shape \(4, 9\), smaller than the window of 5x5"),
        (dict(crop_border=5), "crop_border must be"),
        (dict(convention=MIRRORED, crop_border=1), "needs images that fill the devices"),
        (dict(convention=MIRRORED, valid_size=(15, 9)), "needs images that fill the devices"),
        (dict(convention=conventions.KORNIA), "each device holds 4 pixels .* needs 6; use fewer devices"),
        (dict(shape=(1024, 600, 3), convention=conventions.PIQ), "shrink the images first"),
        (dict(function="ms_ssim", shape=(32, 32, 3), weights=(1, 1), crop_border=1), "crop the images before"),
        (dict(function="ms_ssim", shape=(40, 40, 3), weights=(1, 1, 1)), r"scales=3\), .* to jaxssim.sharded.ms_ssim"),
        (dict(function="ms_ssim", shape=(16, 32, 3), weights=(1, 1, 1)), "pass larger images, or at most 2 weights"),
    ],
)
def test_errors_say_what_to_pass(options, message):
    with pytest.raises(ValueError, match=message):
        trace(**options)


def test_explicit_images_must_be_sharded_alike():
    mesh = jax.make_mesh((2, 2), ("a", "b"), axis_types=(AxisType.Explicit,) * 2)
    x, y = pair((16, 8, 4))
    placed = [jax.device_put(image, NamedSharding(mesh, PartitionSpec(*axes))) for image, axes in ((x, "a"), (y, "b"))]
    with pytest.raises(ValueError, match="x and y must be sharded alike"):
        jaxssim.ssim(*placed, data_range=1.0, convention=SMALL)
    placed = jax.device_put((x, y), NamedSharding(mesh, PartitionSpec("a", None, "b")))
    with pytest.raises(ValueError, match="channels must not be sharded"):
        jaxssim.ssim(*placed, data_range=1.0, convention=SMALL)


def test_padding_makes_sizes_even():
    image = np.ones((2, 21, 13, 3), np.uint8)
    assert sharded.pad(image, (4, 1)).shape == (2, 24, 13, 3)
    assert sharded.pad(image, (4, 2), scales=3).shape == (2, 32, 16, 3)
    assert sharded.pad(image[..., 0], (2, 1), channel_axis=None).shape == (2, 22, 13)
    found = sharded.pad(image, (4, 1))
    assert isinstance(found, np.ndarray)
    assert found.sum() == image.sum() == found[:, :21].sum()
    assert isinstance(sharded.pad(jnp.asarray(image), (4, 1)), jax.Array)
    for wrong in (4, (4,), (4, 0), (4, 1.5)):
        with pytest.raises(ValueError, match="devices must hold"):
            sharded.pad(image, wrong)
    with pytest.raises(ValueError, match="scales must be"):
        sharded.pad(image, (4, 1), scales=0)
