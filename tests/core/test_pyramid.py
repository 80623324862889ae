"""The complex steerable pyramid against the float64 reference, its energy and its reconstruction."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_cw_ssim as reference
from jax.test_util import check_grads
from marks import slow_except

from jaxssim import frequency_masks, steerable_pyramid

SHAPES = [(64, 64), (49, 53), (51, 64), (97, 50), (50, 48)]


def raises(*words):
    return pytest.raises(ValueError, match="(?s)" + ".*".join(map(re.escape, words)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("orientations", [1, 2, 5, 8])
def test_squared_masks_sum_to_one(shape, orientations):
    masks = frequency_masks(*shape, levels=3, orientations=orientations)
    total = masks.highpass**2 + masks.lowpass**2 + sum((band**2).sum(0) for band in masks.bands)
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-12)
    assert [band.shape for band in masks.bands] == [(orientations, *shape)] * 3
    assert masks.lowpass[0, 0] == 1


@pytest.mark.parametrize(
    ("shape", "orientations"), slow_except([((49, 53), 7)], [((64, 64), 4), ((49, 53), 7), ((97, 50), 1)])
)
def test_coefficients_equal_the_reference(shape, orientations):
    x = 100 + np.random.default_rng(0).random(shape)
    highpass, bands, lowpass = reference.steerable_pyramid(x, 3, orientations)
    options = dict(levels=3, orientations=orientations, channel_axis=None)
    with jax.enable_x64(True):
        for atol, image in ((1e-10, x), (3e-4, np.float32(x))):
            ours = steerable_pyramid(image, **options)
            np.testing.assert_allclose(ours.highpass, highpass, rtol=0, atol=atol)
            np.testing.assert_allclose(ours.lowpass, lowpass, rtol=2e-7, atol=atol)
            for band, expected in zip(ours.bands, bands, strict=True):
                np.testing.assert_allclose(band, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("shape", "orientations"), slow_except([((51, 64), 3)], [((50, 48), 6), ((49, 53), 1), ((51, 64), 3)])
)
def test_energy_and_reconstruction(shape, orientations):
    x = np.random.default_rng(0).random(shape)
    masks = frequency_masks(*shape, levels=3, orientations=orientations)
    with jax.enable_x64(True):
        highpass, bands, lowpass = jax.tree.map(
            np.asarray, steerable_pyramid(x, levels=3, orientations=orientations, channel_axis=None)
        )
    parts = [(highpass, 1.0), (lowpass, 1.0), *((band, 0.5) for band in bands)]
    energy = [share * (np.abs(c) ** 2).sum() * c.shape[-2] * c.shape[-1] / x.size for c, share in parts]
    np.testing.assert_allclose(sum(energy), (x**2).sum(), rtol=1e-12)

    def spread(spectrum):
        wide = np.zeros((*spectrum.shape[:-2], *shape), complex)
        rows, columns = (np.fft.fftfreq(n, 1 / n).astype(int) for n in spectrum.shape[-2:])
        wide[..., rows[:, None], columns[None]] = spectrum
        return wide

    total = np.fft.fft2(highpass) * masks.highpass + spread(np.fft.fft2(lowpass)) * masks.lowpass
    for band, mask in zip(bands, masks.bands, strict=True):
        y, u = (np.fft.fftfreq(n) for n in shape)
        angle = np.arctan2(y[:, None], u[None]) - np.pi / orientations * np.arange(orientations)[:, None, None]
        phase = (1j * np.sign(np.cos(angle))) ** (orientations - 1)  # the sign that the squared masks lack
        total += (spread(np.fft.fft2(band.real)) * mask * phase).sum(0)
    np.testing.assert_allclose(np.fft.ifft2(total), x, rtol=0, atol=1e-12)


def test_bands_have_the_shapes_of_every_layout():
    x = np.random.default_rng(0).random((2, 5, 33, 40, 3), np.float32)
    last = steerable_pyramid(x, levels=2, orientations=3)
    assert last.highpass.shape == (2, 5, 33, 40, 3)
    assert [band.shape for band in last.bands] == [(2, 5, 3, 33, 40, 3), (2, 5, 3, 17, 20, 3)]
    assert last.lowpass.shape == (2, 5, 9, 10, 3)
    assert [c.dtype for c in jax.tree.leaves(last)] == [np.float32, np.complex64, np.complex64, np.float32]
    first = steerable_pyramid(np.moveaxis(x, -1, -3), levels=2, orientations=3, channel_axis=-3)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5), first, last)
    grey = steerable_pyramid(x[..., 1], levels=2, orientations=3, channel_axis=None)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[..., 1], rtol=0, atol=1e-5), grey, last)


@pytest.mark.parametrize("orientation", range(4))
def test_wave_appears_in_the_band_of_its_orientation_with_its_phase(orientation):
    v, u = np.mgrid[:64, :64] * 2 * np.pi / 64
    p, q = [(16, 0), (11, 11), (0, 16), (-11, 11)][orientation]
    for shift in (0.0, 0.7):
        band = np.asarray(steerable_pyramid(np.cos(p * u + q * v + shift), orientations=4, channel_axis=None).bands[0])
        assert np.argmax(np.abs(band).mean((1, 2))) == orientation
        turned = band[orientation] / np.exp(1j * (p * u + q * v + shift))  # a constant
        np.testing.assert_allclose(turned, turned[0, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("order", slow_except([1], [1, 2]))
def test_derivatives_in_both_modes(order):
    def energy(x):
        coefficients = jax.tree.leaves(steerable_pyramid(x, levels=1, orientations=2, channel_axis=None))
        return sum((jnp.abs(c) ** 2 * jnp.arange(c.size).reshape(c.shape) / c.size).sum() for c in coefficients)

    with jax.enable_x64(True):
        check_grads(jax.jit(energy), (np.random.default_rng(0).random((9, 8)),), order=order, modes=("fwd", "rev"))


def test_invalid_arguments_are_errors():
    image = np.zeros((33, 40), np.float32)
    with raises("x has spatial shape (33, 40)", "levels=5", "64 pixels", "at most 4"):
        steerable_pyramid(image, levels=5, channel_axis=None)
    for name in ("levels", "orientations"):
        with raises(f"{name} must be an integer of at least 1, got 0"):
            frequency_masks(8, 8, **{name: 0})
    for name in ("height", "width"):
        for pixels in (0, -8, 8.0, "8", True, None):
            with raises(f"{name} must be a number of pixels, an integer of at least 1, got {pixels!r}"):
                frequency_masks(**{"height": 8, "width": 8, name: pixels})


def test_rank_promotion_and_empty_batches():
    x = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    with jax.numpy_rank_promotion("raise"):
        steerable_pyramid(x, levels=2)
    assert steerable_pyramid(x[:0], levels=2, orientations=3).bands[1].shape == (0, 3, 8, 8, 3)
