"""The programs for GPUs: counted as XLA compiles them for an H100, and their arithmetic, computed on CPU.

Compiling for an H100 needs no GPU, but packages that `benchmarks/cuda_compile.py` names; without them its tests skip.
"""

import functools
import importlib.metadata
from pathlib import Path

import cuda_compile
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from jax.sharding import Mesh, PartitionSpec
from marks import slow, slow_except

import jaxssim
from jaxssim import Convention, Gaussian
from jaxssim._core import filtering, tiling, xla  # private: the tests compute on CPU what GPUs do

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {  # kernels, and bytes moved in units of what no program can go below
    "ssim": (8, 6.0),
    "ssim_loss, gradient": (14, 10.5),
    "ms_ssim": (30, 9.5),
}
SCALES = dict(weights=(0.4, 0.6), convention=Convention(window=Gaussian(7, 1.5)))


# Counts.


@slow
@pytest.mark.parametrize("name", list(LIMITS))
def test_kernels_and_bytes_of_programs_for_an_h100(name, monkeypatch):
    for package in cuda_compile.PACKAGES:
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{package} is not installed: the docstring of benchmarks/cuda_compile.py says what to install")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    program = cuda_compile.ask(name, cuda_compile.SHAPES[0])
    kernels, times = LIMITS[name]
    assert len(program["kernels"]) <= kernels, "more kernels: see `on_gpu` and the barriers in xla.py"
    assert program["moved"] <= times * program["floor"], "more bytes: which array is stored that need not be?"
    assert program["spilled"] <= 64, "more registers are spilled than by the kernel that sums the formula over rows"
    sampling = program["kernels"][0]  # the sparse pixels from which the offsets come
    assert sampling["written"] < 1e6 < sampling["read"]
    assert sampling["threads"] >= 1000, "few threads read the pixels of the offsets: see `materialize_on_gpu`"


# Arithmetic.


@pytest.fixture
def as_on_gpu(monkeypatch):
    """Makes programs for CPU compute what those for GPUs do."""
    jax.clear_caches()
    taken = []

    def on_gpu(function, _, *arrays):
        taken.append(function)
        return function(*arrays)

    monkeypatch.setattr(xla, "on_gpu", on_gpu)
    monkeypatch.setattr(tiling, "choose_tiles", lambda *_, **__: tiling.Tiles(1, 1))
    yield
    jax.clear_caches()
    assert taken, "no code for GPUs was run"


def noisy(shape):
    rng = np.random.default_rng(0)
    x = rng.random(shape, np.float32)
    return x, np.clip(x + 0.1 * rng.standard_normal(shape), 0, 1).astype(np.float32)


def far(shape):
    rng = np.random.default_rng(0)
    return tuple(rng.integers(59997, 60004, shape).astype(np.float32) for _ in range(2))


def last_bits(shape):
    x = np.float32(0.5) + np.random.default_rng(0).random(shape, np.float32)
    return x, np.nextafter(x, np.float32(2))


def constant(shape):
    return np.full(shape, 0.3, np.float32), np.full(shape, 0.6, np.float32)


PAIRS = {  # images, their shape, data range, and the promised error of the map
    "noise": (noisy, (90, 70, 3), 1.0, 2e-6),
    "far from 0": (far, (90, 70, 3), 255.0, 5e-6),
    "different in the last bit": (last_bits, (90, 70, 3), 1.0, 2e-6),
    "constant": (constant, (200, 300, 1), 1.0, 2e-6),
    "large": (noisy, (540, 720, 3), 1.0, 2e-6),
}


@pytest.mark.parametrize("name", slow_except(["noise", "far from 0"], list(PAIRS)))
def test_values_and_maps_keep_the_promise(name, as_on_gpu):
    images, shape, data_range, map_error = PAIRS[name]
    x, y = images(shape)
    expected = reference.one_minus_ssim_map(x, y, data_range)
    loss = float(jaxssim.ssim_loss(x, y, data_range=data_range))
    assert abs(float(jaxssim.ssim(x, y, data_range=data_range)) - (1 - expected.mean())) <= 2e-7
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)
    similarity = np.float64(jaxssim.ssim_map(x, y, data_range=data_range))
    assert np.abs(similarity - (1 - expected)).max() <= map_error


@slow
@pytest.mark.parametrize("spatial_ndim", [1, 3])
def test_signals_and_volumes_keep_the_promise(spatial_ndim, as_on_gpu):
    x, y = noisy((*(31, 23, 17)[:spatial_ndim], 2))
    expected = reference.one_minus_ssim(x, y, 1.0, spatial_ndim=spatial_ndim)
    loss = jaxssim.ssim_loss(x, y, data_range=1.0, spatial_ndim=spatial_ndim, channel_axis=-1)
    np.testing.assert_allclose(float(loss), expected, rtol=1e-5)


@slow
def test_masks_keep_the_promise(as_on_gpu):
    x, y = noisy((90, 70, 3))
    mask = np.random.default_rng(1).random((90, 70)) * (np.random.default_rng(2).random((90, 70)) < 0.7)
    expected = reference.one_minus_ssim(x, y, 1.0, mask=np.broadcast_to(mask[..., None], x.shape))
    np.testing.assert_allclose(float(jaxssim.ssim_loss(x, y, data_range=1.0, mask=mask)), expected, rtol=1e-5)


@slow
def test_ms_ssim_keeps_the_promise(as_on_gpu):
    x, y = noisy((2, 75, 61, 3))
    options = SCALES | dict(data_range=1.0)
    expected = reference.one_minus_ms_ssim(x, y, **options)
    np.testing.assert_allclose(jaxssim.ms_ssim_loss(x, y, reduction="none", **options), expected, rtol=1e-5)


def definition(x, y):
    """Returns the mean of 1 - SSIM by E[x²] - E[x]²: accurate in float64, and differentiable."""
    (taps,) = Gaussian().taps(1)

    def smooth(image):
        for axis in (0, 1):
            n = image.shape[axis] - len(taps) + 1
            image = sum(w * jax.lax.slice_in_dim(image, k, k + n, axis=axis) for k, w in enumerate(taps))
        return image

    mean_x, mean_y = smooth(x), smooth(y)
    var_x, var_y, cov = (
        smooth(a * b) - m for a, b, m in ((x, x, mean_x**2), (y, y, mean_y**2), (x, y, mean_x * mean_y))
    )
    luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
    return (1 - luminance * (2 * cov + 0.03**2) / (var_x + var_y + 0.03**2)).mean()


@pytest.mark.parametrize("argnums", [1, pytest.param((0, 1), marks=slow)])
def test_gradients_equal_those_of_the_definition(argnums, as_on_gpu):
    x, y = noisy((40, 36, 3))
    loss = functools.partial(jaxssim.ssim_loss, data_range=1.0)
    gradients = jax.tree.leaves(jax.grad(loss, argnums)(x, y))
    with jax.enable_x64(True):
        expected = jax.tree.leaves(jax.grad(definition, argnums)(np.float64(x), np.float64(y)))
    for gradient, slope in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, slope, rtol=0, atol=2e-6 * np.abs(slope).max())


@slow
def test_second_derivatives_equal_those_of_the_definition(as_on_gpu):
    x, y = noisy((30, 26, 1))
    direction = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)

    def product(function, x, y, direction):
        return jax.jvp(lambda y: jax.grad(function, 1)(x, y), (y,), (direction,))[1]

    actual = product(functools.partial(jaxssim.ssim_loss, data_range=1.0), x, y, direction)
    with jax.enable_x64(True):
        expected = product(definition, *map(np.float64, (x, y, direction)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@slow
def test_devices_that_share_an_image_get_its_value(as_on_gpu):
    if jax.device_count() < 4:
        pytest.skip("fewer than four devices")
    x, y = noisy((96, 40, 3))
    mesh, rows = Mesh(np.asarray(jax.devices()[:4]), ("rows",)), PartitionSpec("rows")
    part = functools.partial(jaxssim.sharded.ssim_loss, axis_names="rows", data_range=1.0)
    whole = jax.jit(jax.shard_map(part, mesh=mesh, in_specs=rows, out_specs=PartitionSpec()))
    np.testing.assert_allclose(float(whole(x, y)), reference.one_minus_ssim(x, y, 1.0), rtol=1e-5)


def test_weighted_sums_on_gpus_are_those_of_other_platforms():
    """Checks what `as_on_gpu` cannot reach: the program of a primitive depends on the platform alone."""
    x, taps = noisy((2, 20, 36))[0], Gaussian(5, 1.0).taps(2)
    on_gpu = filtering._weighted_sum_on_gpu(jnp.asarray(x), taps=taps, channels=3)
    expected = reference.local_mean(np.float64(x).reshape(2, 20, 12, 3), taps).reshape(2, 16, 24)
    np.testing.assert_allclose(on_gpu, expected, rtol=1e-6)
