"""CW-SSIM against the float64 reference, under transforms, and its errors.

`test_matlab_values.py` compares it with the original code.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_cw_ssim as reference
from compilations import count_compilations
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from marks import slow, slow_except

from jaxssim import cw_ssim, cw_ssim_loss

small = functools.partial(cw_ssim, levels=2, orientations=3)
loss = functools.partial(cw_ssim_loss, levels=2, orientations=3)


def pair(*shape, likeness=0.5):
    x, y = np.random.default_rng(0).random((2, *shape), np.float32)
    return x, np.float32(likeness) * x + np.float32(1 - likeness) * y


def raises(*words):
    return pytest.raises(ValueError, match="(?s)" + ".*".join(map(re.escape, words)))


class TestValues:
    @pytest.mark.parametrize(
        ("shape", "options"),
        [
            ((51, 64), {"guard": 5}),
            ((97, 50), {"k": 30.0}),
            ((53, 49), {"orientations": 5, "levels": 2, "guard": 2}),
            pytest.param((64, 64), {}, marks=slow),
            pytest.param((49, 53), {}, marks=slow),
            pytest.param((50, 48), {"orientations": 1}, marks=slow),
        ],
        ids=str,
    )
    def test_values_equal_the_reference(self, shape, options):
        x, y = pair(*shape)
        options = {"levels": 3, "orientations": 4, **options}
        expected = reference.cw_ssim(x, y, **options)
        np.testing.assert_allclose(cw_ssim(x, y, channel_axis=None, **options), expected, rtol=0, atol=3e-7)
        with jax.enable_x64(True):
            double = cw_ssim(np.float64(x), np.float64(y), channel_axis=None, **options)
        np.testing.assert_allclose(double, expected, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("guard", [0, pytest.param(9, marks=slow)])
    def test_a_mask_weights_windows_by_their_central_pixel(self, guard):
        x, y = pair(97, 110)
        mask = np.random.default_rng(1).random(x.shape) * (np.arange(110) > 50)
        options = {"levels": 3, "orientations": 4, "guard": guard}
        expected = reference.cw_ssim(x, y, mask=mask, **options)
        np.testing.assert_allclose(cw_ssim(x, y, mask=mask, channel_axis=None, **options), expected, rtol=0, atol=3e-7)
        assert abs(expected - reference.cw_ssim(x, y, **options)) > 1e-3

    @slow
    def test_masks_of_a_batch_a_channel_and_a_border(self):
        x, y = pair(2, 50, 45, 3)
        mask = np.random.default_rng(1).random(x.shape)
        expected = [
            [small(x[i, ..., c], y[i, ..., c], mask=mask[i, ..., c], channel_axis=None) for c in range(3)]
            for i in range(2)
        ]
        np.testing.assert_allclose(small(x, y, mask=mask), np.mean(expected, 1), rtol=0, atol=3e-7)
        wide = [np.pad(image, [(0, 0), (4, 4), (4, 4), (0, 0)]) for image in (x, y, mask)]
        np.testing.assert_allclose(small(*wide[:2], mask=wide[2], crop_border=4), small(x, y, mask=mask), rtol=1e-6)
        empty = functools.partial(loss, x, mask=np.zeros((50, 45)))
        value, gradient = jax.value_and_grad(empty)(y)
        assert value == 0
        assert not np.any(gradient)
        with raises("mask has shape (3, 4)"):
            small(x, y, mask=np.ones((3, 4)))

    def test_guard_reduces_the_effect_of_a_changed_border(self):
        x, _ = pair(64, 64)
        y = x.copy()
        y[:3] = 0
        options = dict(levels=2, orientations=4, channel_axis=None)
        assert cw_ssim(x, y, guard=12, **options) > cw_ssim(x, y, guard=1, **options) == cw_ssim(x, y, **options)

    @pytest.mark.parametrize("step", [0.3, 1e-2, 1e-4, 1e-7])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_small_losses_are_precise(self, step, sign):
        x, y = pair(64, 80, 3)
        y = np.float32(sign) * (x + np.float32(step) * (y - x))
        with jax.enable_x64(True):
            expected = cw_ssim_loss(np.float64(x), np.float64(y), levels=3)
        np.testing.assert_allclose(cw_ssim_loss(x, y, levels=3), expected, rtol=2e-6)

    @pytest.mark.parametrize("offset", [1e2, 6e4])
    def test_loss_is_precise_far_from_zero(self, offset):
        x, y = (np.float32(offset) + np.round(8 * image) for image in pair(64, 64))
        with jax.enable_x64(True):
            expected = cw_ssim_loss(np.float64(x), np.float64(y), levels=3, channel_axis=None)
        np.testing.assert_allclose(cw_ssim_loss(x, y, levels=3, channel_axis=None), expected, rtol=2e-6)

    @slow
    def test_shifts_matter_less_than_flips(self):
        rng = np.random.default_rng(0)
        x = np.float32(reference.steerable_pyramid(rng.random((256, 256)), 3, 4)[2])  # smooth
        x = np.kron((x - x.min()) / np.ptp(x), np.ones((4, 4), np.float32))
        shifted = np.roll(x, 2, axis=(0, 1))
        noisy = x + np.float32(np.sqrt(np.mean((x - shifted) ** 2)) * rng.standard_normal(x.shape))
        value = functools.partial(cw_ssim, levels=4, channel_axis=None)
        assert value(x, shifted) > 0.9 > value(x, x[::-1])
        assert value(x, shifted) < value(x, x)
        assert value(x, noisy) < 1

    @pytest.mark.parametrize("dtype", slow_except([np.uint8], [jnp.float16, jnp.bfloat16, np.uint8, np.uint16]))
    def test_integers_and_half_precision(self, dtype):
        x, y = (jnp.asarray(200 * image, dtype) for image in pair(30, 28, 3))
        expected = small(*(np.asarray(image, np.float32) for image in (x, y)))
        value = small(x, y)
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, expected, rtol=0, atol=2e-7)
        if jnp.issubdtype(dtype, np.floating):
            gradient = jax.grad(loss)(x, y)
            assert gradient.dtype == dtype
            wide = jax.grad(loss)(x.astype(np.float32), y.astype(np.float32))
            np.testing.assert_allclose(gradient.astype(np.float32), wide, rtol=2e-2, atol=1e-7)

    @pytest.mark.parametrize("dtype", slow_except([np.float32], [np.float32, np.float64]))
    def test_images_without_structure_count_as_equal(self, dtype):
        with jax.enable_x64(True):
            flat = np.full((40, 37), 0.3, dtype)
            live = np.random.default_rng(0).random((40, 37)).astype(dtype)
            for x, y in ((flat, flat), (flat, flat / 3), (0 * flat, flat), (1e15 * flat, flat), (255 * flat, flat)):
                assert small(x, y, channel_axis=None) == 1
                gradients = jax.grad(functools.partial(loss, channel_axis=None), argnums=(0, 1))(x, y)
                assert all((gradient == 0).all() for gradient in gradients)
            for other in (flat, 0 * flat):
                np.testing.assert_allclose(small(other, live, channel_axis=None), 0, atol=1e-6)
            # The left quarter of each image has structure, which differs; the rest counts as equal.
            x, y = (
                np.where(np.arange(400) < 100, noise, 0.5) for noise in np.random.default_rng(0).random((2, 24, 400))
            )
            value = small(x.astype(dtype), y.astype(dtype), channel_axis=None)
            assert np.isfinite(value)
            assert 0 < value < 1

    def test_k_raises_the_value_of_faint_images(self):
        x, y = pair(30, 30, 1)
        values = [float(small(x, y, k=k)) for k in (0.0, 1e-3, 1.0, 1e6, 1e38, 1e300)]
        assert values == sorted(values)
        assert values[0] < 0.95
        assert values[-1] == 1
        np.testing.assert_allclose(small(1e3 * x, 1e3 * y, k=1e6), small(x, y, k=1.0), rtol=1e-6)
        with count_compilations() as compilations:
            for k in (3, np.float32(2), 0.1):
                small(x, y, k=k)
        assert not compilations


@slow
@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(13, 16, 1), (2, 22, 13, 3)]),
    st.sampled_from([-1.0, -0.5, 0.0, 0.9, 0.999999, 1.0]),
    st.sampled_from([0.0, 1.0, -3.0, 1e4]),
    st.integers(-15, 15),
    st.sampled_from([0.0, 1.0]),
)
def test_value_is_bounded_symmetric_and_one_for_equal_images(seed, shape, likeness, offset, exponent, k):
    noise, other = np.random.default_rng(seed).standard_normal((2, *shape))
    scale = 10.0**exponent
    x = np.float32(scale * noise)
    y = np.float32(scale * (likeness * noise + (1 - abs(likeness)) * other + offset))
    value = small(x, y, k=k)
    assert value.shape == shape[:-3]
    assert (value >= 0).all()
    assert (value <= 1).all()
    assert (small(x, x, k=k) == 1).all()
    assert (loss(x, x, k=k) == 0).all()
    np.testing.assert_allclose(small(y, x, k=k), value, rtol=0, atol=1e-6)
    np.testing.assert_allclose(small(x, -y, k=k), value, rtol=0, atol=1e-6)
    np.testing.assert_allclose(small(x[..., ::-1], y[..., ::-1], k=k), value, rtol=0, atol=1e-6)


class TestTransforms:
    @slow
    def test_batches_vmap_jit_and_loop_agree(self):
        x, y = pair(2, 3, 20, 23, 3)
        values = small(x, y)
        assert values.shape == (2, 3)
        np.testing.assert_allclose(jax.jit(small)(x, y), values, rtol=0, atol=2e-7)
        np.testing.assert_allclose(jax.vmap(jax.vmap(small))(x, y), values, rtol=0, atol=2e-7)
        for i in np.ndindex(2, 3):
            np.testing.assert_allclose(small(x[i], y[i]), values[i], rtol=0, atol=2e-7)
        np.testing.assert_allclose(loss(x, y), (1 - values).mean(), rtol=1e-5)
        channels = [small(x[..., c], y[..., c], channel_axis=None) for c in range(3)]
        np.testing.assert_allclose(np.mean(channels, axis=0), values, rtol=0, atol=2e-7)
        first = small(np.moveaxis(x, -1, -3), np.moveaxis(y, -1, -3), channel_axis=-3)
        np.testing.assert_allclose(first, values, rtol=0, atol=2e-7)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_nan_and_infinity_affect_only_their_image(self, value):
        x, y = pair(3, 20, 20, 3)
        expected = small(x, y)
        x[1, 3, 4, 0] = value
        actual = small(x, y)
        assert np.isnan(actual[1])
        np.testing.assert_allclose(actual[::2], expected[::2], rtol=0, atol=2e-7)

    @slow
    def test_scan_checkpoint_and_both_modes(self):
        x, y = pair(4, 16, 16, 1)
        gradient = jax.grad(loss)(x, y)
        _, scanned = lax.scan(lambda _, images: (None, loss(*images)), None, (x, y))
        np.testing.assert_allclose(scanned, jax.vmap(loss)(x, y), rtol=1e-5)
        np.testing.assert_allclose(jax.grad(jax.checkpoint(loss))(x, y), gradient, rtol=1e-4, atol=1e-8)
        np.testing.assert_allclose(jax.jacfwd(loss)(x, y), gradient, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(jax.jvp(lambda x: loss(x, y), (x,), (y,))[1], (gradient * y).sum(), rtol=1e-4)

    @slow
    def test_shard_map_and_sharded_batches(self):
        if jax.device_count() < 2:
            pytest.skip("one device")
        x, y = pair(4, 20, 20, 3)
        mesh, spec = Mesh(np.asarray(jax.devices()[:2]), ("batch",)), PartitionSpec("batch")
        per_image = jax.grad(lambda x, y: small(x, y).sum())
        for function in (jax.jit(small), jax.jit(per_image)):
            mapped = jax.jit(jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec))
            np.testing.assert_allclose(mapped(x, y), function(x, y), rtol=1e-4, atol=1e-7)
        sharded = jax.device_put((x, y), NamedSharding(mesh, spec))
        np.testing.assert_allclose(jax.jit(small)(*sharded), small(x, y), rtol=0, atol=2e-7)

    @slow
    def test_an_exported_program_gives_the_same_values(self):
        from jax import export

        shape = jax.ShapeDtypeStruct(export.symbolic_shape("n, 16, 16, 3"), jnp.float32)
        x, y = pair(4, 16, 16, 3)
        exported = export.export(jax.jit(jax.value_and_grad(loss)), platforms=("cpu", "cuda", "tpu"))(shape, shape)
        for n in (1, 4):
            value, gradient = export.deserialize(exported.serialize()).call(x[:n], y[:n])
            np.testing.assert_allclose(value, loss(x[:n], y[:n]), rtol=1e-5)
            np.testing.assert_allclose(gradient, jax.grad(loss)(x[:n], y[:n]), rtol=1e-4, atol=1e-8)

    def test_rank_promotion_and_empty_batches(self):
        x, y = pair(2, 16, 16, 3)
        with jax.numpy_rank_promotion("raise"):
            jax.grad(loss)(x, y)
        assert small(x[:0], y[:0]).shape == (0,)


class TestErrors:
    IMAGE = np.zeros((48, 60, 3), np.float32)

    @pytest.mark.parametrize("metric", [cw_ssim, cw_ssim_loss])
    def test_image_too_small_for_levels_and_guard(self, metric):
        with raises("spatial shape (48, 60)", "levels=4", "7x7", "at least 49 pixels", "levels of at most 3"):
            metric(self.IMAGE, self.IMAGE)
        with raises("levels=3", "guard=14", "at least 49 pixels", "levels of at most 2"):
            metric(self.IMAGE, self.IMAGE, levels=3, guard=14)
        with raises("guard=30", "at least 67", "a smaller guard"):
            metric(self.IMAGE, self.IMAGE, levels=1, guard=30)

    def test_smallest_image_that_is_accepted(self):
        for levels, guard, size in ((4, 0, 49), (2, 0, 13), (1, 3, 13), (3, 7, 33)):
            ones = np.ones((size, size, 1), np.float32)
            assert cw_ssim(ones, ones, levels=levels, guard=guard) == 1
            with raises(f"at least {size} pixels"):
                cw_ssim(ones[1:], ones[1:], levels=levels, guard=guard)

    @pytest.mark.parametrize("name", ["levels", "orientations"])
    @pytest.mark.parametrize("value", [0, -1, 2.0, True, "4", None])
    def test_invalid_levels_and_orientations(self, name, value):
        with raises(f"{name} must be an integer of at least 1, got {value!r}"):
            cw_ssim(self.IMAGE, self.IMAGE, **{name: value})

    @pytest.mark.parametrize("value", [-1, 2.0, True, "4", None])
    def test_invalid_guard(self, value):
        with raises(f"guard must be a number of pixels, an integer of at least 0, got {value!r}"):
            cw_ssim(self.IMAGE, self.IMAGE, guard=value)

    @pytest.mark.parametrize("value", [-1, -0.1, np.nan, np.inf, True, "4", None, 1j])
    def test_invalid_k(self, value):
        with raises("k must be a finite number of at least 0", "got"):
            cw_ssim(self.IMAGE, self.IMAGE, k=value)

    def test_invalid_images(self):
        with raises("x and y must have the same shape"):
            cw_ssim(self.IMAGE, self.IMAGE[None])
        with raises("x has type int64"):
            cw_ssim(self.IMAGE.astype(np.int64), self.IMAGE.astype(np.int64))
        with raises("channel_axis was left to its default"):
            cw_ssim(self.IMAGE.reshape(2, 24, 180), self.IMAGE.reshape(2, 24, 180))
