"""Images of many tiles: values and gradients equal those of the whole image, whatever the shape of the tiles."""

import functools
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from marks import slow, slow_except

import jaxssim
from jaxssim import Convention, Gaussian, Uniform, conventions
from jaxssim._core import halving, tiling  # private: the tests make tiles small

WIDE = Convention(window=Gaussian((25, 5), (4.0, 1.0)))
CASES = {
    "narrow": ((2, 500, 16, 3), {}),
    "just above one tile": ((257, 14, 1), {}),
    "small window": ((1200, 9), dict(convention=Convention(window=Uniform(3)), channel_axis=None)),
    "large window": ((1, 700, 12, 2), dict(convention=WIDE)),
    "window of one row": ((600, 13, 1), dict(convention=Convention(window=Gaussian((1, 5), 1.0)))),
    "reflected": ((2, 403, 13, 3), dict(convention=conventions.KORNIA)),
    "sample covariance": ((2, 403, 13, 3), dict(convention=conventions.SKIMAGE)),
    "volume": ((450, 11, 12), dict(spatial_ndim=3, channel_axis=None, convention=Convention(window=Gaussian(7, 1.2)))),
}
FINE = Convention(window=Gaussian(5, 1.0))
HALVED = {  # the shape, the window, and at how many of three scales one loop computes means and half
    "bands": ((2, 900, 17, 3), FINE, 2),
    "groups": ((6, 41, 20, 3), FINE, 2),
    "odd height": ((301, 33, 3), FINE, 0),
    "odd height of a half": ((602, 33, 3), FINE, 1),
    "even window": ((2, 900, 17, 3), Convention(window=Uniform(4)), 0),
    "window of one row": ((601, 33, 3), Convention(window=Gaussian((1, 5), 1.0)), 2),
}


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    """Makes tiles so small that small images have many, and checks that some have."""
    jax.clear_caches()
    chosen = []

    def record(*arguments, choose_tiles=tiling.choose_tiles, **options):
        chosen.append(choose_tiles(*arguments, **options))
        return chosen[-1]

    monkeypatch.setattr(tiling, "choose_tiles", record)
    monkeypatch.setattr(tiling, "MAX_TILE", 2**12)
    monkeypatch.setattr(tiling, "MIN_TILE", 2**8)
    yield
    assert not chosen or max(groups * bands for groups, bands in chosen) > 1, f"every image is one tile: {chosen}"
    jax.clear_caches()


def pair(shape, dtype=np.float32):
    x, other = np.random.default_rng(0).random((2, *shape))
    return x.astype(dtype), (0.8 * x + 0.2 * other).astype(dtype)


def loss(x, y, **options):
    return jaxssim.ssim_loss(x, y, data_range=1.0, **options)


def by_map(x, y, **options):
    """Returns the mean of the map, which is computed without tiles."""
    values = 1 - jaxssim.ssim_map(x, y, data_range=1.0, **options)
    rim = 3 if options.get("convention") is conventions.SKIMAGE else 0
    return values[:, rim : values.shape[1] - rim, rim : values.shape[2] - rim].mean() if rim else values.mean()


@pytest.mark.parametrize("case", slow_except(["sample covariance"], list(CASES)))
def test_values_and_gradients_equal_those_of_the_whole_map(case):
    shape, options = CASES[case]
    x, y = pair(shape)
    value, gradients = jax.value_and_grad(functools.partial(loss, **options), argnums=(0, 1))(x, y)
    with jax.enable_x64(True):
        whole = functools.partial(by_map, **options)
        expected, slopes = jax.value_and_grad(whole, argnums=(0, 1))(np.float64(x), np.float64(y))
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(loss(x, y, **options), expected, rtol=1e-6)
    for gradient, slope in zip(gradients, slopes, strict=True):
        np.testing.assert_allclose(gradient, slope, rtol=0, atol=1e-5 * np.abs(slope).max())


def test_values_and_gradients_equal_the_reference():
    x, y = pair((900, 14, 3))
    np.testing.assert_allclose(loss(x, y), reference.one_minus_ssim(x, y, 1.0), rtol=1e-6)
    gradient = np.float64(jax.grad(loss, argnums=1)(x, y))
    rng = np.random.default_rng(1)
    for rows in (slice(None), slice(0, 3), slice(120, 135), slice(255, 260), slice(890, 900)):
        direction = np.zeros(x.shape)
        direction[rows] = rng.standard_normal(direction[rows].shape)
        ahead, behind = (reference.one_minus_ssim(x, y + h * direction, 1.0) for h in (1e-5, -1e-5))
        np.testing.assert_allclose((gradient * direction).sum(), (ahead - behind) / 2e-5, rtol=2e-5)


@pytest.mark.parametrize("case", slow_except(["bands", "odd height"], list(HALVED)))
def test_half_from_the_loop_over_tiles_gives_the_reference(case, monkeypatch):
    shape, convention, loops = HALVED[case]
    x, y = pair(shape)
    by_tiles = mock.Mock(wraps=halving._by_tiles)
    monkeypatch.setattr(halving, "_by_tiles", by_tiles)
    weights = (0.3, 0.3, 0.4)
    options = dict(data_range=1.0, weights=weights, convention=convention)
    expected = reference.one_minus_ms_ssim(x, y, 1.0, weights, convention)
    np.testing.assert_allclose(jaxssim.ms_ssim_loss(x, y, **options, reduction="none"), expected, rtol=1e-6)
    assert by_tiles.call_count == loops
    value, gradient = jax.value_and_grad(lambda y: jaxssim.ms_ssim_loss(x, y, **options))(y)
    np.testing.assert_allclose(value, np.mean(expected), rtol=1e-6)
    direction = np.random.default_rng(1).standard_normal(x.shape)
    ahead, behind = (
        np.mean(reference.one_minus_ms_ssim(x, y + h * direction, 1.0, weights, convention)) for h in (1e-5, -1e-5)
    )
    np.testing.assert_allclose((np.float64(gradient) * direction).sum(), (ahead - behind) / 2e-5, rtol=2e-5)


@slow
@pytest.mark.parametrize("ndim", [2, 3])
def test_masks_that_leave_some_tiles_empty(ndim):
    shape = (2, 450, 13, 3) if ndim == 2 else (450, 11, 12)
    options = dict(spatial_ndim=ndim, channel_axis=-1 if ndim == 2 else None)
    options |= dict(convention=Convention(window=Gaussian(5, 1.0)))
    x, y = pair(shape)
    mask = np.random.default_rng(1).random((450, 13) if ndim == 2 else shape) < 0.6
    mask[100:270] = False

    def by_masked_map(x, y):
        values = 1 - jaxssim.ssim_map(x, y, data_range=1.0, mask=mask, **options)
        inner = mask[(slice(2, -2),) * ndim]
        weight = np.broadcast_to(inner[..., None] if ndim == 2 else inner, values.shape)
        return (values * weight).sum() / weight.sum()

    masked = functools.partial(loss, mask=mask, **options)
    value, gradients = jax.value_and_grad(masked, argnums=(0, 1))(x, y)
    with jax.enable_x64(True):
        expected, slopes = jax.value_and_grad(by_masked_map, argnums=(0, 1))(np.float64(x), np.float64(y))
    np.testing.assert_allclose(value, expected, rtol=3e-6)
    for gradient, slope in zip(gradients, slopes, strict=True):
        np.testing.assert_allclose(gradient, slope, rtol=0, atol=2e-5 * np.abs(slope).max())
        outside = ~(mask[None, ..., None] if ndim == 2 else mask)
        assert not np.asarray(gradient)[np.broadcast_to(outside, shape)].any()


@pytest.mark.parametrize("dtype", slow_except(["uint8"], ["uint8", "bfloat16", "float16"]))
def test_integers_and_half_precision(dtype):
    x, y = pair((500, 16, 3))
    if dtype == "uint8":
        x, y = (np.round(255 * image).astype(dtype) for image in (x, y))
        np.testing.assert_allclose(jaxssim.ssim(x, y), 1 - reference.one_minus_ssim(x, y, 255), atol=2e-7)
        return
    x, y = jnp.asarray(x, dtype), jnp.asarray(y, dtype)
    expected = reference.one_minus_ssim(x, y, 1.0)
    np.testing.assert_allclose(loss(x, y), expected, rtol=1e-5)
    gradient = jax.grad(loss)(x, y)
    assert gradient.dtype == dtype
    slope = jax.grad(loss)(x.astype(np.float32), y.astype(np.float32))
    np.testing.assert_allclose(np.float32(gradient), slope, rtol=0, atol=5e-3 * np.abs(slope).max())


@slow
def test_float64_is_not_rounded_to_float32():
    x, y = pair((500, 16, 3), np.float64)
    with jax.enable_x64(True):
        expected = reference.one_minus_ssim(x, y, 1.0)
        np.testing.assert_allclose(loss(x, y), expected, rtol=1e-12)


@slow
class TestTransforms(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_both_modes_and_vmap_agree(self):
        x, y = pair((2, 300, 13, 1))
        direction = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
        gradient = self.variant(jax.grad(loss, argnums=1))(x, y)
        value, slope = self.variant(lambda x, y, d: jax.jvp(lambda y: loss(x, y), (y,), (d,)))(x, y, direction)
        np.testing.assert_allclose(value, loss(x, y), rtol=1e-6)
        np.testing.assert_allclose(slope, (gradient * direction).sum(), rtol=1e-4, atol=1e-7)
        each = self.variant(jax.vmap(jax.grad(loss, argnums=1)))(x, y)
        np.testing.assert_allclose(each / 2, gradient, rtol=1e-4, atol=1e-9)


@slow
def test_second_derivatives_equal_those_of_the_whole_map():
    x, y = pair((300, 13, 1))
    direction = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)

    def hessian_products(function):
        gradient = jax.grad(function, argnums=1)
        return (
            jax.jvp(lambda y: gradient(x, y), (y,), (direction,))[1],
            jax.grad(lambda y: (gradient(x, y) * direction).sum())(y),
        )

    for second, expected in zip(hessian_products(loss), hessian_products(by_map), strict=True):
        np.testing.assert_allclose(second, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@slow
def test_a_sharded_batch_in_tiles_gives_the_same_values():
    if jax.device_count() < 4:
        pytest.skip("fewer than four devices")
    x, y = pair((8, 300, 13, 3))
    mesh = Mesh(np.asarray(jax.devices()[:4]), ("batch",))
    spec = PartitionSpec("batch")
    metric = functools.partial(jaxssim.ssim, data_range=1.0)
    slope = jax.grad(lambda x, y: metric(x, y).sum(), argnums=(0, 1))
    sharded = jax.device_put((x, y), NamedSharding(mesh, spec))
    for function in (metric, slope):
        expected = function(x, y)
        compiled = jax.jit(function).lower(*sharded).compile()
        chex.assert_trees_all_close(compiled(*sharded), expected, rtol=1e-4, atol=1e-7)
        mapped = jax.jit(jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec))
        chex.assert_trees_all_close(mapped(x, y), expected, rtol=1e-4, atol=1e-7)


@slow
def test_gradient_in_a_scan_and_under_checkpoint():
    x, y = pair((3, 300, 13, 1))
    gradient = jax.vmap(jax.grad(loss))(x, y)
    _, scanned = lax.scan(lambda _, both: (None, jax.grad(jax.checkpoint(loss))(*both)), None, (x, y))
    np.testing.assert_allclose(scanned, gradient, rtol=1e-4, atol=1e-9)
