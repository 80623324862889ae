"""What holds for every pair of images."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxssim
from jaxssim import Convention, Gaussian, Uniform

# A handful of shapes and windows: each new one compiles.
WINDOWS = st.sampled_from([Gaussian(5, 1.0), Uniform(3), Gaussian(11, 1.5)])
SHAPES = st.sampled_from([(13, 12, 3), (2, 11, 17, 1)])
CONVENTIONS = st.builds(
    Convention, window=WINDOWS, covariance=st.sampled_from(["population", "sample"]), padding=st.just("valid")
)


@st.composite
def pairs(draw):
    """Two images of any scale, offset and likeness, their data range and a convention."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(SHAPES)
    noise, other = rng.standard_normal((2, *shape))
    likeness = draw(st.sampled_from([-1.0, -0.5, 0.0, 0.9, 0.999999, 1.0]))
    offsets = draw(st.tuples(*[st.sampled_from([0.0, 1.0, -3.0, 1e4])] * 2))
    scale = 10.0 ** draw(st.integers(-18, 15))
    x = scale * (noise + offsets[0])
    y = scale * (likeness * noise + (1 - abs(likeness)) * other + offsets[1])
    return x.astype(np.float32), y.astype(np.float32), draw(CONVENTIONS)


@settings(deadline=None, max_examples=150)
@given(pairs())
def test_bounded_symmetric_and_one_for_identity(pair):
    x, y, convention = pair
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


@settings(deadline=None, max_examples=30)
@given(pairs())
def test_blind_to_channel_order_and_flips(pair):
    x, y, convention = pair
    options = dict(data_range=1.0, convention=convention)
    value = jaxssim.ssim(x, y, **options)
    for same in (
        lambda image: image[..., ::-1],
        lambda image: image[..., ::-1, :],
        lambda image: image[..., ::-1, :, :],
    ):
        np.testing.assert_allclose(jaxssim.ssim(same(x), same(y), **options), value, atol=5e-7)


@settings(deadline=None, max_examples=30)
@given(pairs(), st.integers(0, 2))
def test_the_map_shifts_with_the_image(pair, shift):
    x, y, convention = pair
    convention = dataclasses.replace(convention, window=Uniform(3))
    options = dict(data_range=1.0, convention=convention)
    whole = jaxssim.ssim_map(x, y, **options)
    part = jaxssim.ssim_map(x[..., shift:, :, :], y[..., shift:, :, :], **options)
    np.testing.assert_allclose(part, whole[..., shift:, :, :], atol=5e-6)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 100), st.integers(0, 99))
def test_only_the_ratio_to_the_data_range_matters(scale, seed):
    x, y = np.random.default_rng(seed).random((2, 13, 12, 3), np.float32)
    expected = jaxssim.ssim(x, y, data_range=1.0)
    np.testing.assert_allclose(jaxssim.ssim(x * scale, y * scale, data_range=scale), expected, atol=1e-6)
