"""One function under every transform of JAX: the same number, traced once."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxssim
from jaxssim import Convention, Gaussian, conventions, structural

MASK = np.random.default_rng(1).random((24, 21)) < 0.7
SCALES = dict(weights=(0.4, 0.6), convention=Convention(window=Gaussian(7, 1.5)))
METRICS = {
    "ssim": functools.partial(jaxssim.ssim, data_range=1.0),
    "masked": functools.partial(jaxssim.ssim, data_range=1.0, mask=MASK),
    "kornia": functools.partial(jaxssim.ssim, data_range=1.0, convention=conventions.KORNIA),
    "ms_ssim": functools.partial(jaxssim.ms_ssim, data_range=1.0, **SCALES),
    "components": lambda x, y: jnp.stack(jaxssim.ssim_components(x, y, data_range=1.0), 1 if x.ndim == 4 else 0),
    "cw_ssim": functools.partial(jaxssim.cw_ssim, levels=2, orientations=3),
    "dssim": functools.partial(jaxssim.dssim, data_range=1.0),
    "ssim_map": functools.partial(jaxssim.ssim_map, data_range=1.0),
    "skimage_map": functools.partial(jaxssim.ssim_map, data_range=1.0, convention=conventions.SKIMAGE),
    "psnr": functools.partial(jaxssim.psnr, data_range=1.0),
    "mse": jaxssim.mse,
    "mae": jaxssim.mae,
}


def batch(*shape):
    x, y = np.random.default_rng(0).random((2, *shape), np.float32)
    return jnp.asarray(x), jnp.asarray((x + y) / 2)


def loss(x, y):
    return jaxssim.ssim_loss(x, y, data_range=1.0)


LOSSES = {
    "ssim_loss": loss,
    "masked": lambda x, y: jaxssim.ssim_loss(x, y, data_range=1.0, mask=MASK),
    "ms_ssim_loss": lambda x, y: jaxssim.ms_ssim_loss(x, y, data_range=1.0, **SCALES),
    "ms_ssim_l1_loss": lambda x, y: jaxssim.ms_ssim_l1_loss(x, y, data_range=1.0, sigmas=(0.5, 1.0, 2.0)),
    "cw_ssim_loss": lambda x, y: jaxssim.cw_ssim_loss(x, y, levels=2, orientations=3),
}


class TestVariants(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(*METRICS.items())
    def test_jit_eager_vmap_and_loop_agree(self, metric):
        x, y = batch(3, 24, 21, 3)
        metric = self.variant(metric)
        values = metric(x, y)
        assert values.shape[0] == 3
        for i in range(3):
            np.testing.assert_allclose(values[i], metric(x[i], y[i]), rtol=3e-6, atol=1e-7)
        np.testing.assert_allclose(jax.vmap(metric)(x, y), values, rtol=3e-6, atol=1e-7)
        np.testing.assert_allclose(
            jax.vmap(metric, in_axes=(0, None))(x, y[0])[1], metric(x[1], y[0]), rtol=3e-6, atol=1e-7
        )


def test_a_pair_gets_the_value_it_would_get_alone():
    x, y = batch(2, 3, 20, 30, 3)
    values = jaxssim.ssim(x, y, data_range=1.0)
    assert values.shape == (2, 3)
    for i in np.ndindex(2, 3):
        np.testing.assert_allclose(values[i], jaxssim.ssim(x[i], y[i], data_range=1.0), atol=2e-7)
    np.testing.assert_allclose(loss(x, y), (1 - values).mean(), rtol=1e-6)


def test_shapes():
    x, y = batch(2, 5, 20, 30, 16, 3)
    options = dict(data_range=1.0, spatial_ndim=3)
    assert jaxssim.ssim(x, y, **options).shape == (2, 5)
    assert jaxssim.ssim_map(x, y, **options).shape == (2, 5, 10, 20, 6, 3)
    first = jnp.moveaxis(x, -1, -4), jnp.moveaxis(y, -1, -4)
    np.testing.assert_array_equal(
        jaxssim.ssim_map(*first, channel_axis=-4, **options), jaxssim.ssim_map(x, y, **options)
    )
    assert jaxssim.ssim_map(x[..., 0], y[..., 0], channel_axis=None, **options).shape == (2, 5, 10, 20, 6)
    assert jaxssim.ssim_map(x, y, convention=conventions.SKIMAGE, **options).shape == (2, 5, 20, 30, 16, 3)
    assert loss(x, y).shape == ()


def test_a_new_data_range_or_mask_does_not_compile_anew():
    x, y = batch(2, 16, 16, 3)
    masks = np.random.default_rng(0).random((4, 16, 16))
    for of_each in (lambda i: dict(data_range=i + 1.0), lambda i: dict(data_range=np.asarray([1.0, i + 2.0]))):
        jaxssim.ssim(x, y, **of_each(0))
        jaxssim.ssim(x, y, mask=masks[0], **of_each(0))
        compiled = structural.dissimilarity._cache_size()
        for i in (1, 2, 3):
            jaxssim.ssim(x, y, **of_each(i))
            jaxssim.ssim(x, y, mask=masks[i], **of_each(i))
        assert structural.dissimilarity._cache_size() == compiled


def test_an_empty_batch():
    x, y = batch(0, 16, 16, 3)
    assert jaxssim.ssim(x, y, data_range=1.0).shape == (0,)
    assert jaxssim.ssim_map(x, y, data_range=1.0).shape == (0, 6, 6, 3)
    assert jax.grad(lambda x: jaxssim.ssim(x, y, data_range=1.0).sum())(x).shape == x.shape


def test_no_rank_is_promoted():
    x, y = batch(2, 24, 21, 3)
    with jax.numpy_rank_promotion("raise"):
        for metric in METRICS.values():
            metric(x, y)
        jax.grad(loss)(x, y)


def test_parameters_of_flax_are_images_too():
    nnx = pytest.importorskip("flax.nnx")
    x, y = batch(16, 16, 3)
    expected = jax.grad(loss)(x, y)
    gradient = nnx.grad(lambda x: loss(x, y))(nnx.Param(x))
    np.testing.assert_allclose(gradient[...], expected, rtol=1e-5, atol=1e-9)


def test_a_new_kind_of_data_range_does_not_compile_anew():
    x, y = batch(2, 16, 16, 3)
    jaxssim.ssim(x, y, data_range=1.0)
    compiled = structural.dissimilarity._cache_size()
    for data_range in (2, 2.0, np.float64(2), np.int32(2), np.float32(3), np.asarray(2.0)):
        jaxssim.ssim(x, y, data_range=data_range)
    assert structural.dissimilarity._cache_size() == compiled


def test_a_data_range_for_each_image():
    x, y = batch(2, 3, 16, 16, 3)
    for data_range in (np.asarray([1.0, 2, 3]), np.asarray([[1.0], [5]]), jnp.arange(1.0, 7).reshape(2, 3)):
        values = jaxssim.ssim(x, y, data_range=data_range)
        each = np.broadcast_to(data_range, (2, 3))
        for i in np.ndindex(2, 3):
            np.testing.assert_allclose(values[i], jaxssim.ssim(x[i], y[i], data_range=each[i]), atol=2e-7)
    mapped = jax.vmap(lambda x, y, r: jaxssim.ssim(x, y, data_range=r))(x[0], y[0], jnp.arange(1.0, 4))
    np.testing.assert_allclose(mapped, jaxssim.ssim(x[0], y[0], data_range=np.arange(1.0, 4)), atol=2e-7)


@pytest.mark.parametrize("metric", [jaxssim.ssim, jaxssim.ssim_map, jaxssim.dssim, jaxssim.ssim_loss, jaxssim.psnr])
@pytest.mark.parametrize("data_range", [0.0, -1.0, np.nan, np.inf])
def test_a_traced_data_range_that_is_none_gives_nan(metric, data_range):
    x, y = batch(16, 16, 3)
    value = jax.jit(lambda r: metric(x, y, data_range=r))(data_range)
    assert np.isnan(value).all()


def test_a_convention_passes_through_jit():
    x, y = batch(16, 16, 3)
    through = jax.jit(lambda x, y, convention: jaxssim.ssim(x, y, data_range=1.0, convention=convention))
    for convention in (conventions.WANG2004, conventions.SKIMAGE):
        expected = jaxssim.ssim(x, y, data_range=1.0, convention=convention)
        np.testing.assert_allclose(through(x, y, convention), expected, atol=2e-7)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_scan_checkpoint_and_export(loss):
    x, y = batch(4, 24, 21, 3)
    expected = jax.vmap(loss)(x, y)
    _, scanned = lax.scan(lambda _, pair: (None, loss(*pair)), None, (x, y))
    np.testing.assert_allclose(scanned, expected, rtol=1e-6)
    gradient = jax.grad(loss)(x, y)
    np.testing.assert_allclose(jax.grad(jax.checkpoint(loss))(x, y), gradient, rtol=1e-4, atol=1e-8)
    from jax import export

    for function, value in ((loss, loss(x, y)), (jax.grad(loss), gradient)):
        exported = export.export(jax.jit(function), platforms=("cpu", "cuda", "tpu"))(x, y)
        again = export.deserialize(exported.serialize())
        np.testing.assert_allclose(again.call(x, y), value, rtol=1e-4, atol=1e-8)


def test_export_with_a_free_batch_size():
    from jax import export

    x, y = batch(4, 16, 16, 3)
    shape = jax.ShapeDtypeStruct(export.symbolic_shape("n, 16, 16, 3"), jnp.float32)
    exported = export.export(jax.jit(jax.value_and_grad(loss)))(shape, shape)
    for n in (1, 4):
        value, gradient = exported.call(x[:n], y[:n])
        np.testing.assert_allclose(value, loss(x[:n], y[:n]), rtol=1e-5)
        np.testing.assert_allclose(gradient, jax.grad(loss)(x[:n], y[:n]), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("name", ["ssim", "masked", "ms_ssim", "cw_ssim"])
def test_shard_map_and_sharded_batches(name):
    if jax.device_count() < 4:
        pytest.skip("fewer than four devices")
    x, y = batch(8, 24, 21, 3)
    mesh = Mesh(np.asarray(jax.devices()[:4]), ("batch",))
    spec = PartitionSpec("batch")
    metric = METRICS[name]
    mapped = jax.jit(jax.shard_map(metric, mesh=mesh, in_specs=spec, out_specs=spec))
    np.testing.assert_allclose(mapped(x, y), metric(x, y), atol=1e-6)
    per_image = jax.grad(lambda x, y: metric(x, y).sum())
    expected = per_image(x, y)
    gradient = jax.jit(jax.shard_map(per_image, mesh=mesh, in_specs=spec, out_specs=spec))
    np.testing.assert_allclose(gradient(x, y), expected, rtol=1e-4, atol=1e-7)
    sharded = jax.device_put((x, y), NamedSharding(mesh, spec))
    compiled = jax.jit(jax.grad(lambda x, y: metric(x, y).sum())).lower(*sharded).compile()
    np.testing.assert_allclose(compiled(*sharded), expected, rtol=1e-4, atol=1e-7)
    if name != "cw_ssim":  # XLA gathers what it transforms; shard_map is the way there
        assert "all-gather" not in compiled.as_text()


def test_nan_and_infinity_stay_in_their_image():
    x, y = batch(3, 16, 16, 3)
    for value in (np.nan, np.inf):
        values = jaxssim.ssim(x.at[1, 3, 4, 0].set(value), y, data_range=1.0)
        assert np.isnan(values[1])
        np.testing.assert_allclose(values[::2], jaxssim.ssim(x, y, data_range=1.0)[::2], atol=2e-7)
