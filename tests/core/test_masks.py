"""Masks: pixels outside change nothing, to the last bit; values inside equal the float64 reference."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from jax.test_util import check_grads
from marks import slow, slow_except

import jaxssim
from jaxssim import Convention, Gaussian, Uniform, conventions

SMALL = Convention(window=Gaussian(5, 1.0))
SHAPES = {2: (2, 30, 27, 3), 3: (2, 14, 12, 15, 2)}
LOSSES = {
    "ssim_loss": functools.partial(jaxssim.ssim_loss, convention=SMALL),
    "kornia": functools.partial(
        jaxssim.ssim_loss, convention=Convention(window=Uniform(5), padding="reflect", average="all")
    ),
    "ms_ssim_loss": functools.partial(jaxssim.ms_ssim_loss, convention=SMALL, weights=(0.4, 0.6)),
    "ms_ssim_l1_loss": functools.partial(jaxssim.ms_ssim_l1_loss, sigmas=(0.5, 1.0)),
}


def images(ndim, dtype=np.float32):
    x, other = np.random.default_rng(0).random((2, *SHAPES[ndim]))
    return x.astype(dtype), (0.7 * x + 0.3 * other).astype(dtype)


def inside(ndim, share=0.7):
    return np.random.default_rng(1).random(SHAPES[ndim][1:-1]) < share


KINDS = ["bool", "weights", "sparse"]


@pytest.mark.parametrize(
    ("ndim", "kind"),
    slow_except([(2, "weights"), (3, "sparse")], list(itertools.product([2, 3], KINDS))),
)
def test_values_and_maps_equal_the_reference(ndim, kind):
    x, y = images(ndim)
    weight = inside(ndim, 0.02 if kind == "sparse" else 0.7).astype(np.float64)
    if kind == "weights":
        weight *= np.random.default_rng(2).random(weight.shape)
    mask = weight if kind == "weights" else weight > 0
    options = dict(data_range=1.0, convention=SMALL, spatial_ndim=ndim, mask=mask)
    values, maps = jaxssim.ssim(x, y, **options), jaxssim.ssim_map(x, y, **options)
    exact = dict(convention=SMALL, mask=weight[..., None], spatial_ndim=ndim)
    np.testing.assert_allclose(maps, 1 - reference.one_minus_ssim_map(x, y, 1.0, **exact), atol=2e-6)
    np.testing.assert_allclose(values, 1 - reference.one_minus_ssim(x, y, 1.0, **exact), atol=2e-7)


CASES = list(itertools.product([2, 3], LOSSES))


@pytest.mark.parametrize(("ndim", "name"), slow_except([(2, "ssim_loss")], CASES))
def test_pixels_outside_change_no_bit_of_losses_and_gradients(ndim, name):
    (x, y), mask = images(ndim), inside(ndim)
    loss = functools.partial(LOSSES[name], data_range=1.0, spatial_ndim=ndim, mask=mask)
    both, alone = (jax.jit(jax.value_and_grad(loss, argnums=argnums)) for argnums in ((0, 1), 1))
    expected = both(x, y)
    assert np.abs(expected[1][1]).max() > 0
    for outside in (np.nan, np.inf, 1e30, -7.0):
        a, b = (np.where(mask[..., None], image, np.float32(outside)) for image in (x, y))
        jax.tree.map(np.testing.assert_array_equal, both(a, b), expected)
        jax.tree.map(np.testing.assert_array_equal, alone(a, b), alone(x, y))
    for gradient in expected[1]:
        assert (np.asarray(gradient)[:, ~mask] == 0).all()


@pytest.mark.parametrize("ndim", [2, 3])
def test_pixels_outside_change_no_bit_of_maps(ndim):
    (x, y), mask = images(ndim), inside(ndim)
    similarity = functools.partial(jaxssim.ssim_map, data_range=1.0, convention=SMALL, spatial_ndim=ndim, mask=mask)
    changed = similarity(*(np.where(mask[..., None], image, np.float32(np.nan)) for image in (x, y)))
    np.testing.assert_array_equal(changed, similarity(x, y))


DTYPES = [bool, np.int32, np.uint8, np.float16, np.float32, np.float64]


@slow
@pytest.mark.parametrize(("ndim", "dtype"), list(itertools.product([2, 3], DTYPES)))
def test_mask_of_ones_equals_no_mask(ndim, dtype):
    x, y = images(ndim)
    options = dict(data_range=1.0, convention=SMALL, spatial_ndim=ndim)
    for shape in (x.shape[1:-1], x.shape[:-1], x.shape):
        ones = np.ones(shape, dtype)
        np.testing.assert_allclose(
            jaxssim.ssim(x, y, mask=ones, **options), jaxssim.ssim(x, y, **options), atol=2e-7, rtol=0
        )
    np.testing.assert_allclose(
        jaxssim.ssim_map(x, y, mask=ones, **options), jaxssim.ssim_map(x, y, **options), atol=2e-6, rtol=0
    )


@pytest.mark.parametrize(
    "convention", [conventions.WANG2004, conventions.KORNIA, conventions.PIQ], ids=["wang", "kornia", "piq"]
)
@pytest.mark.parametrize("name", ["ssim", "ms_ssim"])
@slow
def test_mask_of_ones_equals_no_mask_under_conventions_that_pad_or_shrink(convention, name):
    x, y = np.random.default_rng(0).random((2, 401, 385, 1), np.float32)
    y = (x + y) / 2
    metric = functools.partial(getattr(jaxssim, name), data_range=1.0, convention=convention)
    np.testing.assert_allclose(metric(x, y, mask=np.ones(x.shape)), metric(x, y), atol=2e-7, rtol=0)


def test_scaling_the_weights_changes_nothing():
    x, y = images(2)
    weight = inside(2) * np.random.default_rng(3).random(SHAPES[2][1:-1])
    values = [
        jaxssim.ssim(x, y, data_range=1.0, convention=SMALL, mask=weight * scale)
        for scale in (1, 3, 1e-30, 1e30, 2.0**60)
    ]
    np.testing.assert_allclose(values, np.broadcast_to(values[0], (5, 2)), atol=2e-7)


@slow
def test_each_image_and_channel_may_have_its_own_mask():
    x, y = images(2)
    each = np.random.default_rng(4).random(x.shape) < 0.6
    options = dict(data_range=1.0, convention=SMALL)
    values = jaxssim.ssim(x, y, mask=each, **options)
    for i in range(2):
        alone = [
            jaxssim.ssim(x[i, ..., c], y[i, ..., c], mask=each[i, ..., c], channel_axis=None, **options)
            for c in range(3)
        ]
        np.testing.assert_allclose(values[i], np.mean(alone), atol=2e-7)
    mapped = jax.vmap(lambda x, y, mask: jaxssim.ssim(x, y, mask=mask, **options))(x, y, each)
    np.testing.assert_allclose(mapped, values, atol=2e-7)
    first = [jnp.moveaxis(image, -1, -3) for image in (x, y, each)]
    moved = jaxssim.ssim(*first[:2], mask=first[2], channel_axis=-3, **options)
    np.testing.assert_allclose(moved, values, atol=2e-7)


@pytest.mark.parametrize("name", slow_except(["ssim_loss"], list(LOSSES)))
def test_loss_under_an_empty_mask_is_zero(name):
    x, y = images(2)
    loss = functools.partial(LOSSES[name], data_range=1.0, mask=np.zeros(x.shape[1:-1]))
    value, gradient = jax.value_and_grad(loss)(x, y)
    assert value == 0
    assert (gradient == 0).all()
    assert (jaxssim.ssim_map(x, y, data_range=1.0, convention=SMALL, mask=np.zeros(x.shape, bool)) == 1).all()


def test_values_far_from_zero():
    rng = np.random.default_rng(0)
    x, y = ((60000 + rng.integers(-3, 4, (40, 36, 1))).astype(np.float32) for _ in range(2))
    mask = rng.random((40, 36)) < 0.5
    x, y = (np.where(mask[..., None], image, 0) for image in (x, y))
    expected = reference.one_minus_ssim(x, y, 255, SMALL, mask[..., None])
    value = jaxssim.ssim(x, y, data_range=255.0, convention=SMALL, mask=mask)
    np.testing.assert_allclose(value, 1 - expected, atol=2e-7)


@pytest.mark.parametrize("pixels", [2, 5])
def test_few_pixels_far_from_zero(pixels):
    """The library estimates the offset of an image from a sparse grid, which may miss all these pixels."""
    rng = np.random.default_rng(0)
    x, y = (534 + rng.random((16, 23, 1), np.float32) for _ in range(2))
    for _ in range(4):
        mask = np.zeros(16 * 23, bool)
        mask[rng.choice(mask.size, pixels, replace=False)] = True
        mask = mask.reshape(16, 23)
        expected = reference.one_minus_ssim_map(x, y, 1.0, SMALL, mask[..., None])
        similarity = jaxssim.ssim_map(x, y, data_range=1.0, convention=SMALL, mask=mask)
        np.testing.assert_allclose(similarity, 1 - expected, atol=5e-6)


def test_map_is_one_where_images_are_equal():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (30, 40, 1)).astype(np.float32)
    y = x.copy()
    y[:, 30:] += 7
    mask = rng.random((30, 40)) < 0.3
    similarity = jaxssim.ssim_map(x, y, data_range=255.0, convention=SMALL, mask=mask)
    assert (similarity[:, :26] == 1).all()
    assert (similarity[:, 26:] != 1).any()


@slow
@pytest.mark.parametrize(("order", "name"), list(itertools.product([1, 2], LOSSES)))
def test_derivatives_under_a_mask_equal_differences(order, name):
    with jax.enable_x64(True):
        x, y = np.random.default_rng(0).random((2, 11, 10, 2))
        weight = np.random.default_rng(1).random((11, 10)) * (np.random.default_rng(2).random((11, 10)) < 0.7)
        loss = functools.partial(LOSSES[name], data_range=1.0, mask=weight)
        y = 0.8 * x + 0.2 * y
        check_grads(loss, (x, y), order=order, modes=("rev",), eps=1e-6)
        check_grads(lambda x: loss(x, y), (x,), order=1, modes=("rev",), eps=1e-6)
        check_grads(lambda y: loss(x, y), (y,), order=1, modes=("rev",), eps=1e-6)


class TestErrors:
    x = np.zeros((2, 16, 16, 3), np.float32)

    @pytest.mark.parametrize("shape", [(16,), (2, 16), (16, 16, 3), (3, 16, 16), (2, 16, 16, 2), (1, 16, 16, 3)])
    def test_shape_that_does_not_fit(self, shape):
        with pytest.raises(
            ValueError, match=r"mask has shape .*\(16, 16\) or \(2, 16, 16\) or \(2, 16, 16, 1\) or \(2, 16, 16, 3\)"
        ):
            jaxssim.ssim(self.x, self.x, data_range=1.0, mask=np.ones(shape))

    @pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
    def test_negative_or_infinite_weights(self, value):
        mask = np.ones((16, 16))
        mask[3, 4] = value
        with pytest.raises(ValueError, match="mask must hold weights of at least 0"):
            jaxssim.ssim(self.x, self.x, data_range=1.0, mask=mask)
        traced = jax.jit(lambda mask: jaxssim.ssim(self.x, self.x, data_range=1.0, mask=mask))(mask)
        assert np.isnan(traced).all()

    def test_complex_type(self):
        with pytest.raises(ValueError, match=r"mask must be bool or hold weights.*complex64"):
            jaxssim.ssim(self.x, self.x, data_range=1.0, mask=np.ones((16, 16), np.complex64))

    def test_convention_with_sample_covariance(self):
        with pytest.raises(ValueError, match=r"mask .*sample covariance.*population"):
            jaxssim.ssim(self.x, self.x, data_range=1.0, mask=np.ones((16, 16)), convention=conventions.SKIMAGE)
