"""Images of many tiles: values and gradients are those of NumPy in float64, whole, whatever the shape of the tiles."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import truth
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxssim
from jaxssim import Convention, Gaussian, Uniform, conventions, tiling

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


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    """So that small images have many."""
    jax.clear_caches()
    monkeypatch.setattr(tiling, "TILE", 2**12)
    monkeypatch.setattr(tiling, "LEAST", 2**8)
    yield
    jax.clear_caches()


def pair(shape, dtype=np.float32):
    x, other = np.random.default_rng(0).random((2, *shape))
    return x.astype(dtype), (0.8 * x + 0.2 * other).astype(dtype)


def loss(x, y, **options):
    return jaxssim.ssim_loss(x, y, data_range=1.0, **options)


def by_map(x, y, **options):
    """The mean of the map, which knows no tiles."""
    found = 1 - jaxssim.ssim_map(x, y, data_range=1.0, **options)
    rims = 3 if options.get("convention") is conventions.SKIMAGE else 0
    return found[:, rims : found.shape[1] - rims, rims : found.shape[2] - rims].mean() if rims else found.mean()


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_by_either_image_are_those_of_the_whole_map(case):
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


def test_against_numpy():
    x, y = pair((900, 14, 3))
    taps = Gaussian().taps(2)
    shortfall = truth.dissimilarity(x, y, taps, 1.0)
    np.testing.assert_allclose(loss(x, y), shortfall.mean(), rtol=1e-6)
    gradient = np.float64(jax.grad(loss, argnums=1)(x, y))
    rng = np.random.default_rng(1)
    for rows in (slice(None), slice(0, 3), slice(120, 135), slice(255, 260), slice(890, 900)):
        direction = np.zeros(x.shape)
        direction[rows] = rng.standard_normal(direction[rows].shape)
        ahead, behind = (truth.dissimilarity(x, y + h * direction, taps, 1.0).mean() for h in (1e-5, -1e-5))
        np.testing.assert_allclose((gradient * direction).sum(), (ahead - behind) / 2e-5, rtol=2e-5)


@pytest.mark.parametrize("ndim", [2, 3])
def test_masks(ndim):
    shape = (2, 450, 13, 3) if ndim == 2 else (450, 11, 12)
    options = dict(spatial_ndim=ndim, channel_axis=-1 if ndim == 2 else None)
    options |= dict(convention=Convention(window=Gaussian(5, 1.0)))
    x, y = pair(shape)
    mask = np.random.default_rng(1).random((450, 13) if ndim == 2 else shape) < 0.6
    mask[100:270] = False  # some tiles hold nothing

    def by_hand(x, y):
        found = 1 - jaxssim.ssim_map(x, y, data_range=1.0, mask=mask, **options)
        inner = mask[(slice(2, -2),) * ndim]
        weight = np.broadcast_to(inner[..., None] if ndim == 2 else inner, found.shape)
        return (found * weight).sum() / weight.sum()

    masked = functools.partial(loss, mask=mask, **options)
    value, gradients = jax.value_and_grad(masked, argnums=(0, 1))(x, y)
    with jax.enable_x64(True):
        expected, slopes = jax.value_and_grad(by_hand, argnums=(0, 1))(np.float64(x), np.float64(y))
    np.testing.assert_allclose(value, expected, rtol=3e-6)
    for gradient, slope in zip(gradients, slopes, strict=True):
        np.testing.assert_allclose(gradient, slope, rtol=0, atol=2e-5 * np.abs(slope).max())
        outside = ~(mask[None, ..., None] if ndim == 2 else mask)
        assert not np.asarray(gradient)[np.broadcast_to(outside, shape)].any()


@pytest.mark.parametrize("dtype", ["uint8", "bfloat16", "float16"])
def test_types(dtype):
    x, y = pair((500, 16, 3))
    if dtype == "uint8":
        x, y = (np.round(255 * image).astype(dtype) for image in (x, y))
        np.testing.assert_allclose(
            jaxssim.ssim(x, y), 1 - truth.dissimilarity(x, y, Gaussian().taps(2), 255).mean(), atol=2e-7
        )
        return
    x, y = jnp.asarray(x, dtype), jnp.asarray(y, dtype)
    expected = truth.dissimilarity(np.float64(x), np.float64(y), Gaussian().taps(2), 1.0).mean()
    np.testing.assert_allclose(loss(x, y), expected, rtol=1e-5)
    gradient = jax.grad(loss)(x, y)
    assert gradient.dtype == dtype
    slope = jax.grad(loss)(x.astype(np.float32), y.astype(np.float32))
    np.testing.assert_allclose(np.float32(gradient), slope, rtol=0, atol=5e-3 * np.abs(slope).max())


def test_float64_is_not_rounded_to_float32():
    x, y = pair((500, 16, 3), np.float64)
    with jax.enable_x64(True):
        expected = truth.dissimilarity(x, y, Gaussian().taps(2), 1.0).mean()
        np.testing.assert_allclose(loss(x, y), expected, rtol=1e-12)


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


def test_second_derivatives_are_those_of_the_whole_map():
    x, y = pair((300, 13, 1))
    direction = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)

    def along(function):
        gradient = jax.grad(function, argnums=1)
        return (
            jax.jvp(lambda y: gradient(x, y), (y,), (direction,))[1],
            jax.grad(lambda y: (gradient(x, y) * direction).sum())(y),
        )

    for second, expected in zip(along(loss), along(by_map), strict=True):
        np.testing.assert_allclose(second, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_shards_of_a_batch_stay_where_they_are():
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
        text = compiled.as_text()
        assert "while(" in text
        assert not any(word in text for word in ("all-gather", "all-to-all", "collective-permute"))
        chex.assert_trees_all_close(compiled(*sharded), expected, rtol=1e-4, atol=1e-7)
        mapped = jax.jit(jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec))
        chex.assert_trees_all_close(mapped(x, y), expected, rtol=1e-4, atol=1e-7)


def test_a_loop_of_tiles_keeps_all_cores():
    # XLA marks loops that it has one core do.
    x, y = pair((500, 64, 3))
    for function in (loss, jax.grad(loss)):
        text = jax.jit(function).lower(x, y).compile().as_text()
        assert "while(" in text
        assert "small_call" not in text


def test_memory_does_not_grow_with_height(monkeypatch):
    monkeypatch.undo()  # tiles of their usual size

    def temporary(function, height):
        x = jax.ShapeDtypeStruct((1, height, 256, 3), jnp.float32)
        return jax.jit(function).lower(x, x).compile().memory_analysis().temp_size_in_bytes / (4 * x.size)

    assert temporary(loss, 8192) < 0.55 * temporary(loss, 4096) < 0.55
    assert temporary(jax.value_and_grad(loss), 4096) < 6


def test_memory_of_many_images(monkeypatch):
    monkeypatch.undo()
    for shape in ((32, 64, 64, 3), (64, 64, 64, 3), (16, 256, 256, 3)):
        x = jax.ShapeDtypeStruct(shape, jnp.float32)
        for function in (loss, jax.value_and_grad(loss)):
            compiled = jax.jit(function).lower(x, x).compile()
            assert compiled.memory_analysis().temp_size_in_bytes < 6 * 4 * x.size


def test_in_a_scan_and_under_checkpoint():
    x, y = pair((3, 300, 13, 1))
    gradient = jax.vmap(jax.grad(loss))(x, y)
    _, scanned = lax.scan(lambda _, both: (None, jax.grad(jax.checkpoint(loss))(*both)), None, (x, y))
    np.testing.assert_allclose(scanned, gradient, rtol=1e-4, atol=1e-9)
