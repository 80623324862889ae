"""Masks: what is outside influences nothing, to the last bit; what is inside is as NumPy has it in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

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


def masked_dissimilarity(x, y, weight, taps):
    """1 - SSIM of every window of images (*spatial, channels), and the mask at its centre, in float64."""
    ndim, sizes = len(taps), tuple(map(len, taps))
    window = functools.reduce(np.multiply.outer, map(np.asarray, taps))
    view = lambda image: np.lib.stride_tricks.sliding_window_view(image, sizes, tuple(range(ndim)))  # noqa: E731
    weights = view(np.broadcast_to(weight[..., None], x.shape).astype(np.float64)) * window
    total = weights.sum(tuple(range(-ndim, 0)), keepdims=True)
    share = weights / np.where(total == 0, 1, total)

    def mean(image):
        return (share * image).sum(tuple(range(-ndim, 0)), keepdims=True)

    a, b = view(np.float64(x)), view(np.float64(y))
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b, cov = mean((a - mean_a) ** 2), mean((b - mean_b) ** 2), mean((a - mean_a) * (b - mean_b))
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * mean_a * mean_b + c1) * (2 * cov + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    centre = weight[tuple(slice(n // 2, -(n // 2) or None) for n in sizes)]
    return np.where(total == 0, 0, 1 - ssim).reshape(total.shape[: ndim + 1]), centre


@pytest.mark.parametrize("kind", ["bool", "weights", "sparse"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_equal_to_the_textbook(ndim, kind):
    x, y = images(ndim)
    weight = inside(ndim, 0.02 if kind == "sparse" else 0.7).astype(np.float64)
    if kind == "weights":
        weight *= np.random.default_rng(2).random(weight.shape)
    mask = weight if kind == "weights" else weight > 0
    options = dict(data_range=1.0, convention=SMALL, spatial_ndim=ndim, mask=mask)
    values, maps = jaxssim.ssim(x, y, **options), jaxssim.ssim_map(x, y, **options)
    for i in range(2):
        expected, centre = masked_dissimilarity(x[i], y[i], weight, SMALL.window.taps(ndim))
        np.testing.assert_allclose(maps[i], 1 - expected, atol=2e-6)
        mean = (expected * centre[..., None]).sum(tuple(range(ndim))) / centre.sum()
        np.testing.assert_allclose(values[i], 1 - mean.mean(), atol=2e-7)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("ndim", [2, 3])
def test_what_is_outside_changes_nothing_to_the_last_bit(ndim, name):
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
def test_outside_changes_no_map(ndim):
    (x, y), mask = images(ndim), inside(ndim)
    similarity = functools.partial(jaxssim.ssim_map, data_range=1.0, convention=SMALL, spatial_ndim=ndim, mask=mask)
    changed = similarity(*(np.where(mask[..., None], image, np.float32(np.nan)) for image in (x, y)))
    np.testing.assert_array_equal(changed, similarity(x, y))


@pytest.mark.parametrize("dtype", [bool, np.int32, np.uint8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("ndim", [2, 3])
def test_ones_are_no_mask(ndim, dtype):
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
def test_ones_are_no_mask_under_any_convention(convention, name):
    x, y = np.random.default_rng(0).random((2, 401, 385, 1), np.float32)
    y = (x + y) / 2
    metric = functools.partial(getattr(jaxssim, name), data_range=1.0, convention=convention)
    np.testing.assert_allclose(metric(x, y, mask=np.ones(x.shape)), metric(x, y), atol=2e-7, rtol=0)


def test_the_scale_of_weights_does_not_matter():
    x, y = images(2)
    weight = inside(2) * np.random.default_rng(3).random(SHAPES[2][1:-1])
    values = [
        jaxssim.ssim(x, y, data_range=1.0, convention=SMALL, mask=weight * scale)
        for scale in (1, 3, 1e-30, 1e30, 2.0**60)
    ]
    np.testing.assert_allclose(values, np.broadcast_to(values[0], (5, 2)), atol=2e-7)


def test_an_image_and_a_channel_may_each_have_a_mask_of_their_own():
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


@pytest.mark.parametrize("name", LOSSES)
def test_an_empty_mask_is_no_difference(name):
    x, y = images(2)
    loss = functools.partial(LOSSES[name], data_range=1.0, mask=np.zeros(x.shape[1:-1]))
    value, gradient = jax.value_and_grad(loss)(x, y)
    assert value == 0
    assert (gradient == 0).all()
    assert (jaxssim.ssim_map(x, y, data_range=1.0, convention=SMALL, mask=np.zeros(x.shape, bool)) == 1).all()


def test_far_from_zero():
    rng = np.random.default_rng(0)
    x, y = ((60000 + rng.integers(-3, 4, (40, 36, 1))).astype(np.float32) for _ in range(2))
    mask = rng.random((40, 36)) < 0.5
    x, y = (np.where(mask[..., None], image, 0) for image in (x, y))
    expected, centre = masked_dissimilarity(np.float64(x) / 255, np.float64(y) / 255, mask, SMALL.window.taps(2))
    expected = (expected[..., 0] * centre).sum() / centre.sum()
    value = jaxssim.ssim(x, y, data_range=255.0, convention=SMALL, mask=mask)
    np.testing.assert_allclose(value, 1 - expected, atol=2e-7)


@pytest.mark.parametrize("pixels", [2, 5])
def test_a_few_pixels_far_from_zero(pixels):
    """Wherever they lie: what tells how far from 0 an image is looks at a sparse grid, which may miss them all."""
    rng = np.random.default_rng(0)
    x, y = (534 + rng.random((16, 23, 1), np.float32) for _ in range(2))
    for _ in range(4):
        mask = np.zeros(16 * 23, bool)
        mask[rng.choice(mask.size, pixels, replace=False)] = True
        mask = mask.reshape(16, 23)
        expected, _ = masked_dissimilarity(x, y, mask, SMALL.window.taps(2))
        similarity = jaxssim.ssim_map(x, y, data_range=1.0, convention=SMALL, mask=mask)
        np.testing.assert_allclose(similarity, 1 - expected, atol=5e-6)


def test_where_images_are_the_same_their_map_is_one():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (30, 40, 1)).astype(np.float32)
    y = x.copy()
    y[:, 30:] += 7
    mask = rng.random((30, 40)) < 0.3
    similarity = jaxssim.ssim_map(x, y, data_range=255.0, convention=SMALL, mask=mask)
    assert (similarity[:, :26] == 1).all()
    assert (similarity[:, 26:] != 1).any()


@pytest.mark.parametrize("name", LOSSES)
def test_derivatives_to_second_order(name):
    with jax.enable_x64(True):
        x, y = np.random.default_rng(0).random((2, 11, 10, 2))
        weight = np.random.default_rng(1).random((11, 10)) * (np.random.default_rng(2).random((11, 10)) < 0.7)
        loss = functools.partial(LOSSES[name], data_range=1.0, mask=weight)
        y = 0.8 * x + 0.2 * y
        check_grads(loss, (x, y), order=2, modes=("rev",), eps=1e-6)
        check_grads(lambda x: loss(x, y), (x,), order=1, modes=("rev",), eps=1e-6)
        check_grads(lambda y: loss(x, y), (y,), order=1, modes=("rev",), eps=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_a_volume_of_222_fits_in_memory(masked):
    def loss(x, y, mask=None):
        return jaxssim.ssim_loss(x, y, data_range=1.0, spatial_ndim=3, channel_axis=None, mask=mask)

    volume = jax.ShapeDtypeStruct((222, 222, 222), jnp.float32)
    arguments = (volume, volume, jax.ShapeDtypeStruct(volume.shape, bool)) if masked else (volume, volume)
    memory = jax.jit(jax.value_and_grad(loss)).lower(*arguments).compile().memory_analysis()
    assert memory.temp_size_in_bytes + memory.argument_size_in_bytes <= 1.5 * 2**30


class TestErrors:
    x = np.zeros((2, 16, 16, 3), np.float32)

    @pytest.mark.parametrize("shape", [(16,), (2, 16), (16, 16, 3), (3, 16, 16), (2, 16, 16, 1), (1, 16, 16, 3)])
    def test_shape(self, shape):
        with pytest.raises(ValueError, match=r"mask has shape .*\(16, 16\) or \(2, 16, 16\) or \(2, 16, 16, 3\)"):
            jaxssim.ssim(self.x, self.x, data_range=1.0, mask=np.ones(shape))

    @pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
    def test_weights(self, value):
        mask = np.ones((16, 16))
        mask[3, 4] = value
        with pytest.raises(ValueError, match="mask must hold weights of at least 0"):
            jaxssim.ssim(self.x, self.x, data_range=1.0, mask=mask)
        traced = jax.jit(lambda mask: jaxssim.ssim(self.x, self.x, data_range=1.0, mask=mask))(mask)
        assert np.isnan(traced).all()

    def test_type(self):
        with pytest.raises(ValueError, match=r"mask must be bool or hold weights.*complex64"):
            jaxssim.ssim(self.x, self.x, data_range=1.0, mask=np.ones((16, 16), np.complex64))

    def test_sample_covariance(self):
        with pytest.raises(ValueError, match=r"mask .*sample covariance.*population"):
            jaxssim.ssim(self.x, self.x, data_range=1.0, mask=np.ones((16, 16)), convention=conventions.SKIMAGE)
