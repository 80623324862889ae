"""SSIM and its three components against the float64 reference."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from jax.test_util import check_grads
from marks import slow, slow_except
from pictures import noisy, photograph

import jaxssim
from jaxssim import Convention, Gaussian, Uniform, conventions

SMALL = Convention(window=Gaussian(5, 1.0))


SHAPES = [(40, 2), (30, 34, 3), (12, 14, 13, 1)]


@pytest.mark.parametrize(
    ("shape", "covariance"),
    slow_except(
        [((30, 34, 3), "population"), ((12, 14, 13, 1), "sample")],
        list(itertools.product(SHAPES, ["population", "sample"])),
    ),
)
def test_components_equal_the_reference(shape, covariance):
    x, other = np.random.default_rng(0).random((2, *shape), np.float32)
    y = 0.3 + 0.5 * x - 0.3 * other
    convention = Convention(window=Uniform(5), covariance=covariance)
    expected = reference.ssim_components(x, y, 1.0, convention, spatial_ndim=len(shape) - 1)
    options = dict(data_range=1.0, convention=convention, spatial_ndim=len(shape) - 1)
    components = jaxssim.ssim_components(x, y, **options)
    for ours, theirs in zip(components, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    product = components.luminance * components.contrast * components.structure
    np.testing.assert_allclose(product, jaxssim.ssim_map(x, y, **options), atol=1e-5)


@slow
@pytest.mark.parametrize("name", ["astronaut", "camera", "moon"])
def test_components_of_photographs(name):
    pytest.importorskip("skimage")
    x, y = noisy(photograph(name)[:200, :180], np.random.default_rng(0))
    components = jaxssim.ssim_components(x, y, data_range=1.0)
    for ours, theirs in zip(components, reference.ssim_components(x, y, 1.0), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for values in components:
        assert values.min() >= -1
        assert values.max() <= 1


@slow
def test_components_have_the_shape_of_the_map():
    x, y = np.random.default_rng(0).random((2, 2, 30, 28, 3), np.float32)
    for options in (dict(convention=conventions.SKIMAGE), dict(crop_border=3), dict(mask=np.ones((30, 28), bool))):
        shape = jaxssim.ssim_map(x, y, data_range=1.0, **options).shape
        assert {values.shape for values in jaxssim.ssim_components(x, y, data_range=1.0, **options)} == {shape}


def test_each_component_measures_its_own_distortion():
    x = np.random.default_rng(0).random((40, 40, 1), np.float32)
    brighter = jaxssim.ssim_components(x, x + 0.2, data_range=1.0, convention=SMALL)
    assert brighter.luminance.max() < 0.98
    np.testing.assert_allclose(brighter.contrast, 1, atol=1e-6)
    np.testing.assert_allclose(brighter.structure, 1, atol=1e-5)
    flatter = jaxssim.ssim_components(x, 0.5 + 0.3 * (x - 0.5), data_range=1.0, convention=SMALL)
    assert flatter.contrast.max() < 0.6
    np.testing.assert_allclose(flatter.structure, 1, atol=1e-4)


@pytest.mark.parametrize("case", ["flat", "identical", "opposite"])
def test_derivatives_of_components_are_finite(case):
    r = np.random.default_rng(0).random((12, 11, 1), np.float32)
    x, y = {"flat": (0 * r, 0 * r + 0.5), "identical": (r, r), "opposite": (r, 1 - r)}[case]
    total = lambda x, y: sum(map(jnp.sum, jaxssim.ssim_components(x, y, data_range=1.0, convention=SMALL)))  # noqa: E731
    assert np.isfinite(jax.grad(total, argnums=(0, 1))(x, y)).all()


@slow
def test_derivatives_of_components_to_second_order():
    with jax.enable_x64(True):
        x, y = np.random.default_rng(0).random((2, 8, 7, 1))
        components = lambda x, y: tuple(jaxssim.ssim_components(x, y, data_range=1.0, convention=SMALL))  # noqa: E731
        check_grads(components, (x, y), order=2, modes=("rev",), eps=1e-5)


WINDOWS = [Gaussian((3, 5, 7), (0.5, 1.0, 1.5)), Uniform((3, 1, 5)), Gaussian((5, 3, 3), 0.8)]


@pytest.mark.parametrize("window", slow_except(WINDOWS[:1], WINDOWS))
def test_window_with_its_own_size_along_each_axis(window):
    x, other = np.random.default_rng(0).random((2, 12, 14, 16, 2), np.float32)
    y = 0.8 * x + 0.2 * other
    convention = Convention(window=window)
    expected = reference.one_minus_ssim_map(x, y, 1.0, convention, spatial_ndim=3)
    options = dict(data_range=1.0, convention=convention, spatial_ndim=3)
    np.testing.assert_allclose(jaxssim.ssim_map(x, y, **options), 1 - expected, atol=2e-6)
    np.testing.assert_allclose(jaxssim.ssim(x, y, **options), 1 - expected.mean(), atol=2e-7)
    first = window.size[0] if isinstance(window.size, tuple) else window.size
    assert len(window.taps(3)[0]) == first


def test_window_for_another_number_of_axes():
    x = np.zeros((20, 20, 1), np.float32)
    for window in (Gaussian((3, 5, 7)), Gaussian(3, (1.0, 1.0, 1.0)), Uniform((3,))):
        with pytest.raises(ValueError, match=r"the window's (size|sigma) .* spatial_ndim=2 .*one for each"):
            jaxssim.ssim(x, x, data_range=1.0, convention=Convention(window=window))
    with pytest.raises(ValueError, match=r"\(20, 20\), smaller than the window of 21x3 pixels"):
        jaxssim.ssim(x, x, data_range=1.0, convention=Convention(window=Uniform((21, 3))))
