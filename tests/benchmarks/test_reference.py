"""The float64 reference against formulas written in another way, and against scikit-image."""

import numpy as np
import pytest
import reference

from jaxssim import Convention, Gaussian, Uniform, conventions


def pair(*shape):
    x, other = np.random.default_rng(0).random((2, *shape))
    return x, 0.7 * x + 0.3 * other


@pytest.mark.parametrize(
    "convention", [Convention(window=Gaussian(5, 1.0)), conventions.SKIMAGE], ids=["wang", "skimage"]
)
def test_map_is_the_product_of_the_components_of_the_paper(convention):
    x, y = pair(2, 30, 27, 3)
    luminance, contrast, structure = reference.ssim_components(x, y, 1.0, convention)
    expected = 1 - luminance * contrast * structure
    np.testing.assert_allclose(reference.one_minus_ssim_map(x, y, 1.0, convention), expected, rtol=0, atol=1e-13)


def test_mask_of_ones_equals_no_mask():
    x, y = pair(14, 12, 13, 2)
    plain, masked = (
        reference.one_minus_ssim(x, y, 1.0, mask=mask, spatial_ndim=3) for mask in (None, np.ones(x.shape))
    )
    np.testing.assert_allclose(masked, plain, rtol=1e-13)


def test_masked_statistics_equal_the_definition():
    x, y = pair(7, 7, 1)
    mask = np.random.default_rng(1).random((7, 7, 1)) * (np.random.default_rng(2).random((7, 7, 1)) < 0.6)
    weights = mask / mask.sum()
    a, b = (weights * x).sum(), (weights * y).sum()
    variances = (weights * ((x - a) ** 2 + (y - b) ** 2)).sum()
    covariance = (weights * (x - a) * (y - b)).sum()
    ssim = (2 * a * b + 1e-4) * (2 * covariance + 9e-4) / ((a**2 + b**2 + 1e-4) * (variances + 9e-4))
    value = reference.one_minus_ssim_map(x, y, 1.0, Convention(window=Uniform(7)), mask)
    np.testing.assert_allclose(value, 1 - ssim, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("convention", "options"), [(conventions.SKIMAGE, {}), (conventions.SKIMAGE_GAUSSIAN, {"gaussian_weights": True})]
)
def test_values_equal_scikit_image(convention, options):
    metrics = pytest.importorskip("skimage.metrics")
    x, y = pair(40, 37, 3)
    expected = metrics.structural_similarity(x, y, data_range=1.0, channel_axis=-1, **options)
    np.testing.assert_allclose(1 - reference.one_minus_ssim(x, y, 1.0, convention), expected, atol=1e-12)


def test_value_under_reflection_averages_all_windows():
    x, y = pair(20, 17, 2)
    expected = reference.one_minus_ssim(*(np.pad(i, [(5, 5), (5, 5), (0, 0)], mode="reflect") for i in (x, y)), 1.0)
    np.testing.assert_allclose(reference.one_minus_ssim(x, y, 1.0, conventions.KORNIA), expected, rtol=1e-13)
