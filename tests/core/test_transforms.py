"""Every metric and loss under the transforms of JAX: the same values, and no new compilations for new values."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compilations import count_compilations
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from marks import slow, slow_except

import jaxssim
from jaxssim import Convention, Gaussian, conventions

MASK = np.random.default_rng(1).random((24, 21)) < 0.7
BORDER = 3  # leaves SSIMULACRA 2 one scale
SCALES = dict(weights=(0.4, 0.6), convention=Convention(window=Gaussian(7, 1.5)))
METRICS = {
    "ssim": functools.partial(jaxssim.ssim, data_range=1.0),
    "masked": functools.partial(jaxssim.ssim, data_range=1.0, mask=MASK),
    "kornia": functools.partial(jaxssim.ssim, data_range=1.0, convention=conventions.KORNIA),
    "ms_ssim": functools.partial(jaxssim.ms_ssim, data_range=1.0, **SCALES),
    "components": lambda x, y: jnp.stack(jaxssim.ssim_components(x, y, data_range=1.0), 1 if x.ndim == 4 else 0),
    "cw_ssim": functools.partial(jaxssim.cw_ssim, levels=2, orientations=3),
    "cw_ssim, mask": functools.partial(jaxssim.cw_ssim, levels=2, orientations=3, mask=MASK),
    "iw_ssim": functools.partial(jaxssim.iw_ssim, data_range=1.0, weights=(0.4, 0.6)),
    "ssimulacra2": functools.partial(jaxssim.ssimulacra2, data_range=1.0, crop_border=BORDER),
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
    "iw_ssim_loss": lambda x, y: jaxssim.iw_ssim_loss(x, y, data_range=1.0, weights=(0.4, 0.6)),
    "ssimulacra2_loss": lambda x, y: jaxssim.ssimulacra2_loss(x, y, data_range=1.0, crop_border=BORDER),
}


@pytest.mark.parametrize(
    ("name", "jitted"),
    slow_except(
        [("ssim", True), ("ssim_map", False), ("psnr", False), ("mae", True)],
        list(itertools.product(METRICS, [False, True])),
    ),
)
def test_batches_vmap_and_loops_agree(name, jitted):
    x, y = batch(3, 24, 21, 3)
    metric = jax.jit(METRICS[name]) if jitted else METRICS[name]
    values = metric(x, y)
    assert values.shape[0] == 3
    for i in range(3):
        np.testing.assert_allclose(values[i], metric(x[i], y[i]), rtol=3e-6, atol=1e-7)
    np.testing.assert_allclose(jax.vmap(metric)(x, y), values, rtol=3e-6, atol=1e-7)
    shared = jax.vmap(metric, in_axes=(0, None))(x, y[0])
    np.testing.assert_allclose(shared[1], metric(x[1], y[0]), rtol=3e-6, atol=1e-7)


def test_each_image_of_a_batch_gets_its_own_value():
    x, y = batch(2, 3, 20, 30, 3)
    values = jaxssim.ssim(x, y, data_range=1.0)
    assert values.shape == (2, 3)
    for i in np.ndindex(2, 3):
        np.testing.assert_allclose(values[i], jaxssim.ssim(x[i], y[i], data_range=1.0), atol=2e-7)
    np.testing.assert_allclose(loss(x, y), (1 - values).mean(), rtol=1e-6)


@slow
def test_shapes_of_batches_of_volumes():
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


def test_new_data_range_or_mask_compiles_nothing():
    x, y = batch(2, 16, 16, 3)
    masks = np.random.default_rng(0).random((4, 16, 16))
    data_ranges = np.random.default_rng(1).random((4, 2)) + 1
    jax.clear_caches()

    def call(i):
        for data_range in (i + 1.0, data_ranges[i]):
            jaxssim.ssim(x, y, data_range=data_range)
            jaxssim.ssim(x, y, mask=masks[i], data_range=data_range)

    with count_compilations() as first:
        call(0)
    with count_compilations() as later:
        for i in (1, 2, 3):
            call(i)
    assert first
    assert not later


def test_compiled_metric_is_traced_once():
    x, y = batch(2, 16, 16, 3)
    metric = jax.jit(chex.assert_max_traces(lambda x, y, r: jaxssim.ssim(x, y, data_range=r), n=1))
    assert metric(x, y, 1.0)[0] < metric(x, y, 2.0)[0]


def test_an_empty_batch_has_no_values():
    x, y = batch(0, 16, 16, 3)
    assert jaxssim.ssim(x, y, data_range=1.0).shape == (0,)
    assert jaxssim.ssim_map(x, y, data_range=1.0).shape == (0, 6, 6, 3)
    assert jax.grad(lambda x: jaxssim.ssim(x, y, data_range=1.0).sum())(x).shape == x.shape


@slow
def test_no_metric_promotes_ranks():
    x, y = batch(2, 24, 21, 3)
    with jax.numpy_rank_promotion("raise"):
        for metric in METRICS.values():
            metric(x, y)
        jax.grad(loss)(x, y)


def test_flax_parameters_are_accepted_as_images():
    nnx = pytest.importorskip("flax.nnx")
    x, y = batch(16, 16, 3)
    expected = jax.grad(loss)(x, y)
    gradient = nnx.grad(lambda x: loss(x, y))(nnx.Param(x))
    np.testing.assert_allclose(gradient[...], expected, rtol=1e-5, atol=1e-9)


def test_new_type_of_data_range_compiles_nothing():
    x, y = batch(2, 16, 16, 3)
    jaxssim.ssim(x, y, data_range=1.0)
    with count_compilations() as compilations:
        for data_range in (2, 2.0, np.float64(2), np.int32(2), np.float32(3), np.asarray(2.0)):
            jaxssim.ssim(x, y, data_range=data_range)
    assert not compilations


@slow
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
def test_traced_data_range_that_is_not_positive_and_finite_gives_nan(metric):
    x, y = batch(16, 16, 3)
    traced = jax.jit(lambda r: metric(x, y, data_range=r))
    for data_range in (0.0, -1.0, np.nan, np.inf):
        assert np.isnan(traced(data_range)).all()


def test_convention_may_be_an_argument_of_jit():
    x, y = batch(16, 16, 3)
    through = jax.jit(lambda x, y, convention: jaxssim.ssim(x, y, data_range=1.0, convention=convention))
    for convention in (conventions.WANG2004, conventions.SKIMAGE):
        expected = jaxssim.ssim(x, y, data_range=1.0, convention=convention)
        np.testing.assert_allclose(through(x, y, convention), expected, atol=2e-7)


@slow
@pytest.mark.parametrize("name", LOSSES)
def test_scan_checkpoint_and_export(name):
    loss = LOSSES[name]
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


@slow
def test_export_with_symbolic_batch_size():
    from jax import export

    x, y = batch(4, 16, 16, 3)
    shape = jax.ShapeDtypeStruct(export.symbolic_shape("n, 16, 16, 3"), jnp.float32)
    exported = export.export(jax.jit(jax.value_and_grad(loss)))(shape, shape)
    for n in (1, 4):
        value, gradient = exported.call(x[:n], y[:n])
        np.testing.assert_allclose(value, loss(x[:n], y[:n]), rtol=1e-5)
        np.testing.assert_allclose(gradient, jax.grad(loss)(x[:n], y[:n]), rtol=1e-4, atol=1e-8)


@slow
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
    np.testing.assert_allclose(jax.jit(per_image)(*sharded), expected, rtol=1e-4, atol=1e-7)


def test_nan_and_infinity_affect_only_their_image():
    x, y = batch(3, 16, 16, 3)
    for value in (np.nan, np.inf):
        values = jaxssim.ssim(x.at[1, 3, 4, 0].set(value), y, data_range=1.0)
        assert np.isnan(values[1])
        np.testing.assert_allclose(values[::2], jaxssim.ssim(x, y, data_range=1.0)[::2], atol=2e-7)
