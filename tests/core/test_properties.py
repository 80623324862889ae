"""Properties that hold for every pair of images."""

import dataclasses

import jax
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import NamedSharding, PartitionSpec
from marks import slow

import jaxssim
from jaxssim import Convention, Gaussian, Uniform

# Few shapes, types and conventions, because each new one compiles.
SHAPES = [(13, 12, 3), (2, 1, 11, 17, 1)]
CONVENTIONS = st.sampled_from(
    [
        Convention(),
        Convention(window=Uniform(3), covariance="sample"),
        Convention(window=Gaussian((3, 5), (0.5, 1.0)), padding="reflect", average="all"),
        Convention(window=Gaussian(11, 3.0), padding="symmetric", average="all", covariance="sample", k1=0.05, k2=0.01),
    ]
)


@st.composite
def pairs(draw, shapes=SHAPES):
    """Draws two images of any scale, offset and likeness, and a convention."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.sampled_from(shapes))
    noise, other = rng.standard_normal((2, *shape))
    likeness = draw(st.sampled_from([-1.0, -0.5, 0.0, 0.9, 0.999999, 1.0]))
    offsets = draw(st.tuples(*[st.sampled_from([0.0, 1.0, -3.0, 1e4])] * 2))
    scale = 10.0 ** draw(st.integers(-18, 15))
    x = scale * (noise + offsets[0])
    y = scale * (likeness * noise + (1 - abs(likeness)) * other + offsets[1])
    return x.astype(np.float32), y.astype(np.float32), draw(CONVENTIONS)


TYPES = ["float32", "float16", "uint8", "uint16", ml_dtypes.bfloat16]


@st.composite
def typed_pairs(draw):
    """Draws two batches within their data range, and the data range."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    data_range = np.iinfo(dtype).max if dtype.kind == "u" else 1.0
    x, other = rng.random((2, 4, 19, 18, 3))
    y = np.clip(draw(st.sampled_from([1.0, 0.7, 0.0, -1.0])) * (x - 0.5) + 0.5 + 0.2 * (other - 0.5), 0, 1)
    return (x * data_range).astype(dtype), (y * data_range).astype(dtype), float(data_range)


SCALES = dict(weights=(0.3, 0.7), convention=Convention(window=Gaussian(5, 1.0)))
FAMILY = {
    "ssim": lambda x, y, r: jaxssim.ssim(x, y, data_range=r),
    "ms_ssim": lambda x, y, r: jaxssim.ms_ssim(x, y, data_range=r, **SCALES),
    "cw_ssim": lambda x, y, r: jaxssim.cw_ssim(x, y, levels=2, orientations=3),
}


@slow
@pytest.mark.parametrize("name", FAMILY)
@settings(deadline=None, max_examples=30)
@given(typed_pairs())
def test_metrics_of_all_types(name, pair):
    assert_properties(FAMILY[name], *pair, lowest=-1 if name == "ssim" else 0)


def assert_properties(metric, x, y, data_range, lowest):
    """Asserts range, symmetry, identity, and equal values for every transform."""
    values = metric(x, y, data_range)
    assert values.dtype == np.float32
    assert values.min() >= lowest
    assert values.max() <= 1
    np.testing.assert_allclose(metric(y, x, data_range), values, atol=4e-7)
    np.testing.assert_array_equal(metric(x, x, data_range), np.ones_like(values))
    np.testing.assert_allclose(metric(x[..., ::-1], y[..., ::-1], data_range), values, atol=4e-7)
    np.testing.assert_allclose(jax.jit(metric, static_argnums=2)(x, y, data_range), values, atol=4e-7)
    if jax.device_count() >= 4:
        across = NamedSharding(jax.make_mesh((4,), ("batch",), devices=jax.devices()[:4]), PartitionSpec("batch"))
        np.testing.assert_allclose(metric(*jax.device_put((x, y), across), data_range), values, atol=4e-7)
    alone = [metric(a, b, data_range) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(values, alone, atol=4e-7)
    np.testing.assert_allclose(jax.vmap(lambda a, b: metric(a, b, data_range))(x, y), values, atol=4e-7)
    if x.dtype.kind != "u":
        gradients = jax.grad(lambda x, y: metric(x, y, data_range).sum(), argnums=(0, 1))(x, y)
        assert all(np.isfinite(np.float32(gradient)).all() for gradient in gradients)


@settings(deadline=None, max_examples=30)
@given(pairs(shapes=SHAPES[:1]))
def test_ssim_is_bounded_symmetric_and_one_for_equal_images(pair):
    assert_bounded_symmetric_and_one_for_equal_images(*pair)


@slow
@settings(deadline=None, max_examples=100)
@given(pairs())
def test_ssim_of_batches_is_bounded_symmetric_and_one_for_equal_images(pair):
    assert_bounded_symmetric_and_one_for_equal_images(*pair)


def assert_bounded_symmetric_and_one_for_equal_images(x, y, convention):
    """Asserts these properties of `ssim`, `ssim_map` and `dssim`."""
    options = dict(data_range=1.0, convention=convention)
    value, similarity = jaxssim.ssim(x, y, **options), jaxssim.ssim_map(x, y, **options)
    assert np.isfinite(value).all()
    assert np.isfinite(similarity).all()
    for values in (value, similarity):
        assert values.min() >= -1
        assert values.max() <= 1
    np.testing.assert_allclose(jaxssim.ssim(y, x, **options), value, atol=2e-7)
    assert (jaxssim.ssim(x, x, **options) == 1).all()
    assert (jaxssim.dssim(x, x, **options) == 0).all()
    assert (jaxssim.dssim(x, y, **options) >= 0).all()


@slow
@settings(deadline=None, max_examples=30)
@given(pairs())
def test_ssim_is_invariant_to_channel_order_and_flips(pair):
    x, y, convention = pair
    options = dict(data_range=1.0, convention=convention)
    value = jaxssim.ssim(x, y, **options)
    for same in (
        lambda image: image[..., ::-1],
        lambda image: image[..., ::-1, :],
        lambda image: image[..., ::-1, :, :],
    ):
        np.testing.assert_allclose(jaxssim.ssim(same(x), same(y), **options), value, atol=5e-7)


@slow
@settings(deadline=None, max_examples=30)
@given(pairs(), st.integers(0, 2))
def test_map_of_a_crop_is_the_crop_of_the_map(pair, shift):
    x, y, convention = pair
    convention = dataclasses.replace(convention, window=Uniform(3), padding="valid")
    options = dict(data_range=1.0, convention=convention)
    whole = jaxssim.ssim_map(x, y, **options)
    part = jaxssim.ssim_map(x[..., shift:, :, :], y[..., shift:, :, :], **options)
    np.testing.assert_allclose(part, whole[..., shift:, :, :], atol=5e-6)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 100), st.integers(0, 99))
def test_ssim_depends_on_the_ratio_of_values_to_data_range(scale, seed):
    x, y = np.random.default_rng(seed).random((2, 13, 12, 3), np.float32)
    expected = jaxssim.ssim(x, y, data_range=1.0)
    np.testing.assert_allclose(jaxssim.ssim(x * scale, y * scale, data_range=scale), expected, atol=1e-6)
