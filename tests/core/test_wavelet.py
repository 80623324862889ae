"""CW-SSIM and its pyramid: against the textbook in float64, the original's values, and every transform."""

import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import truth
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.test_util import check_grads

from jaxssim import wavelet
from jaxssim.losses import cw_ssim_loss
from jaxssim.pyramid import frequency_masks, steerable_pyramid
from jaxssim.wavelet import Setting, cw_ssim

SETTINGS = {"cwssim_l4_o8": (4, 8), "cwssim_l5_o16": (5, 16), "cwssim_l3_o4": (3, 4)}
SHAPES = [(64, 64), (49, 53), (51, 64), (97, 50), (50, 48)]
small = functools.partial(cw_ssim, levels=2, orientations=3)
loss = functools.partial(cw_ssim_loss, levels=2, orientations=3)
GRADIENTS = jax.jit(jax.grad(loss, argnums=(0, 1)))
HESSIAN = jax.jit(jax.hessian(loss))
REVERSE_FORWARD = jax.jit(jax.jacrev(jax.jacfwd(loss)))


def textbook_pyramid(image, levels, orientations):
    """Portilla & Simoncelli's recursion in float64: filter, keep the centre of the spectrum, repeat."""

    def inverse(spectrum):
        return np.fft.ifft2(np.fft.ifftshift(spectrum))

    def high(edge):
        return np.sqrt(1 - low(edge) ** 2)

    def low(edge):
        x = np.clip(log_radius - edge + 1, 0, 1)  # an octave's transition, ending at the edge
        return np.sqrt(0.5 * (1 + np.cos(np.pi * x)))

    ramps = [(np.arange(n) - n // 2) / (n / 2) for n in image.shape]
    y, x = np.meshgrid(*ramps, indexing="ij")
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    radius[radius == 0] = 1e-9
    log_radius = np.log2(radius)
    order = orientations - 1
    const = 2 ** (2 * order) * math.factorial(order) ** 2 / (orientations * math.factorial(2 * order))
    spectrum = np.fft.fftshift(np.fft.fft2(image))
    highpass = inverse(spectrum * high(0)).real
    spectrum = spectrum * low(0)
    bands = []
    for level in range(1, levels + 1):
        band = []
        for k in range(orientations):
            turn = np.angle(np.exp(1j * (angle - np.pi * k / orientations)))
            facing = np.where(np.abs(np.abs(turn) - np.pi / 2) < 1e-9, angle > 0, np.abs(turn) < np.pi / 2)
            lobe = 2 * np.sqrt(const) * np.cos(turn) ** order * facing
            band.append(inverse((-1j) ** order * spectrum * high(-level) * lobe))
        bands.append(np.stack(band))
        centre = tuple(
            slice(n // 2 - (n + 1) // 2 // 2, n // 2 - (n + 1) // 2 // 2 + (n + 1) // 2) for n in radius.shape
        )
        spectrum, log_radius, angle, radius = (a[centre] for a in (spectrum, log_radius, angle, radius))
        spectrum = spectrum * low(-level)
    return highpass, bands, inverse(spectrum).real


def textbook_cw_ssim(x, y, levels, orientations, guard=0, k=0.0):
    """Its definition, window by window, in float64."""

    def windows(field):
        return np.lib.stride_tricks.sliding_window_view(field, (7, 7), (-2, -1)).mean((-2, -1))

    rim = guard // 2 ** (levels - 1)
    a, b = (textbook_pyramid(np.float64(image), levels, orientations)[1][-1] for image in (x, y))
    a, b = (band[:, rim : band.shape[1] - rim, rim : band.shape[2] - rim] for band in (a, b))
    similarity = (2 * np.abs(windows(a * b.conj())) + k) / (windows(np.abs(a) ** 2 + np.abs(b) ** 2) + k)
    v, u = (np.arange(n) - (n - 1) / 2 for n in similarity.shape[1:])
    weights = np.exp(-(v[:, None] ** 2 + u**2) / (2 * (a.shape[1] / 4) ** 2))
    return (similarity * weights).sum((1, 2)).mean() / weights.sum()


def pair(*shape, likeness=0.5):
    x, y = np.random.default_rng(0).random((2, *shape), np.float32)
    return x, np.float32(likeness) * x + np.float32(1 - likeness) * y


class TestPyramid:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("orientations", [1, 2, 5, 8])
    def test_squared_masks_sum_to_one(self, shape, orientations):
        masks = frequency_masks(*shape, levels=3, orientations=orientations)
        total = masks.highpass**2 + masks.lowpass**2 + sum((band**2).sum(0) for band in masks.bands)
        np.testing.assert_allclose(total, 1, rtol=0, atol=1e-12)
        assert [band.shape for band in masks.bands] == [(orientations, *shape)] * 3
        assert masks.lowpass[0, 0] == 1

    @pytest.mark.parametrize(("shape", "orientations"), [((64, 64), 4), ((49, 53), 7), ((97, 50), 1)])
    def test_equal_to_the_textbook(self, shape, orientations):
        x = 100 + np.random.default_rng(0).random(shape)
        highpass, bands, lowpass = textbook_pyramid(x, 3, orientations)
        options = dict(levels=3, orientations=orientations, channel_axis=None)
        with jax.enable_x64(True):
            for atol, image in ((1e-10, x), (3e-4, np.float32(x))):
                ours = steerable_pyramid(image, **options)
                np.testing.assert_allclose(ours.highpass, highpass, rtol=0, atol=atol)
                np.testing.assert_allclose(ours.lowpass, lowpass, rtol=2e-7, atol=atol)
                for band, expected in zip(ours.bands, bands, strict=True):
                    np.testing.assert_allclose(band, expected, rtol=0, atol=atol)

    @pytest.mark.parametrize(("shape", "orientations"), [((50, 48), 6), ((49, 53), 1), ((51, 64), 3)])
    def test_energy_and_reconstruction(self, shape, orientations):
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
            phase = (1j * np.sign(np.cos(angle))) ** (orientations - 1)  # the sign that the mask leaves out, as squared
            total += (spread(np.fft.fft2(band.real)) * mask * phase).sum(0)
        np.testing.assert_allclose(np.fft.ifft2(total), x, rtol=0, atol=1e-12)

    def test_shapes_and_layouts(self):
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
    def test_a_wave_is_answered_by_its_orientation_with_its_phase(self, orientation):
        v, u = np.mgrid[:64, :64] * 2 * np.pi / 64
        p, q = [(16, 0), (11, 11), (0, 16), (-11, 11)][orientation]
        for shift in (0.0, 0.7):
            band = np.asarray(
                steerable_pyramid(np.cos(p * u + q * v + shift), orientations=4, channel_axis=None).bands[0]
            )
            assert np.argmax(np.abs(band).mean((1, 2))) == orientation
            turned = band[orientation] / np.exp(1j * (p * u + q * v + shift))  # one analytic wave
            np.testing.assert_allclose(turned, turned[0, 0], rtol=0, atol=1e-5)

    def test_derivatives(self):
        def energy(x):
            coefficients = jax.tree.leaves(steerable_pyramid(x, levels=1, orientations=2, channel_axis=None))
            return sum((jnp.abs(c) ** 2 * jnp.arange(c.size).reshape(c.shape) / c.size).sum() for c in coefficients)

        with jax.enable_x64(True):
            check_grads(jax.jit(energy), (np.random.default_rng(0).random((9, 8)),), order=2, modes=("fwd", "rev"))

    def test_errors(self):
        image = np.zeros((33, 40), np.float32)
        with raises("x has spatial shape (33, 40)", "levels=5", "64 pixels", "at most 4"):
            steerable_pyramid(image, levels=5, channel_axis=None)
        for name in ("levels", "orientations"):
            with raises(f"{name} must be an integer of at least 1, got 0"):
                frequency_masks(8, 8, **{name: 0})


def raises(*words):
    return pytest.raises(ValueError, match="(?s)" + ".*".join(map(re.escape, words)))


class TestValues:
    @pytest.mark.parametrize("reference", truth.reference_values(), ids=lambda reference: reference["distorted"])
    def test_the_original_matlab_code(self, reference):
        image = pytest.importorskip("PIL.Image")
        folder = truth.SHARED / "reference"
        x, y = (np.asarray(image.open(folder / reference[key])) for key in ("reference", "distorted"))
        checked = 0
        for key, (levels, orientations) in SETTINGS.items():
            if reference.get(key) is not None:
                options = dict(levels=levels, orientations=orientations, channel_axis=None)
                single = cw_ssim(x, y, **options)
                with jax.enable_x64(True):
                    double = cw_ssim(np.float64(x), np.float64(y), **options)
                assert (single.dtype, double.dtype) == (np.float32, np.float64)
                # The original interpolates its masks from tables, which moves values by up to 2.6e-7.
                np.testing.assert_allclose(single, reference[key], rtol=0, atol=6e-7)
                np.testing.assert_allclose(double, reference[key], rtol=0, atol=4e-7)
                checked += 1
        assert checked

    @pytest.mark.parametrize(
        ("shape", "options"),
        [
            ((64, 64), {}),
            ((49, 53), {}),
            ((51, 64), {"guard": 5}),
            ((97, 50), {"k": 30.0}),
            ((50, 48), {"orientations": 1}),
            ((53, 49), {"orientations": 5, "levels": 2, "guard": 2}),
        ],
        ids=str,
    )
    def test_equal_to_the_textbook(self, shape, options):
        x, y = pair(*shape)
        options = {"levels": 3, "orientations": 4, **options}
        expected = textbook_cw_ssim(x, y, **options)
        np.testing.assert_allclose(cw_ssim(x, y, channel_axis=None, **options), expected, rtol=0, atol=3e-7)
        with jax.enable_x64(True):
            double = cw_ssim(np.float64(x), np.float64(y), channel_axis=None, **options)
        np.testing.assert_allclose(double, expected, rtol=0, atol=1e-12)

    def test_a_guard_hides_what_lies_in_the_rim_alone_only_in_part(self):
        x, _ = pair(64, 64)
        y = x.copy()
        y[:3] = 0
        options = dict(levels=2, orientations=4, channel_axis=None)
        assert cw_ssim(x, y, guard=12, **options) > cw_ssim(x, y, guard=1, **options) == cw_ssim(x, y, **options)

    @pytest.mark.parametrize("step", [0.3, 1e-2, 1e-4, 1e-7])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_one_minus_it_is_precise_however_small(self, step, sign):
        x, y = pair(64, 80, 3)
        y = np.float32(sign) * (x + np.float32(step) * (y - x))
        with jax.enable_x64(True):
            expected = cw_ssim_loss(np.float64(x), np.float64(y), levels=3)
        np.testing.assert_allclose(cw_ssim_loss(x, y, levels=3), expected, rtol=2e-6)

    @pytest.mark.parametrize("offset", [1e2, 6e4])
    def test_precise_far_from_zero(self, offset):
        x, y = (np.float32(offset) + np.round(8 * image) for image in pair(64, 64))
        with jax.enable_x64(True):
            expected = cw_ssim_loss(np.float64(x), np.float64(y), levels=3, channel_axis=None)
        np.testing.assert_allclose(cw_ssim_loss(x, y, levels=3, channel_axis=None), expected, rtol=2e-6)

    def test_shifts_hardly_matter_and_noise_does(self):
        rng = np.random.default_rng(0)
        x = np.float32(textbook_pyramid(rng.random((256, 256)), 3, 4)[2])  # smooth
        x = np.kron((x - x.min()) / np.ptp(x), np.ones((4, 4), np.float32))
        shifted = np.roll(x, 2, axis=(0, 1))
        noisy = x + np.float32(np.sqrt(np.mean((x - shifted) ** 2)) * rng.standard_normal(x.shape))
        value = functools.partial(cw_ssim, levels=4, channel_axis=None)
        assert value(x, shifted) > 0.9 > value(x, x[::-1])
        assert value(x, shifted) < value(x, x)
        assert value(x, noisy) < 1

    @pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, np.uint8, np.uint16])
    def test_every_type(self, dtype):
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

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_where_there_is_nothing_but_rounding_noise_images_are_the_same(self, dtype):
        with jax.enable_x64(True):
            flat = np.full((40, 37), 0.3, dtype)
            live = np.random.default_rng(0).random((40, 37)).astype(dtype)
            for x, y in ((flat, flat), (flat, flat / 3), (0 * flat, flat), (1e15 * flat, flat), (255 * flat, flat)):
                assert small(x, y, channel_axis=None) == 1
                gradients = jax.grad(functools.partial(loss, channel_axis=None), argnums=(0, 1))(x, y)
                assert all((gradient == 0).all() for gradient in gradients)
            for other in (flat, 0 * flat):
                np.testing.assert_allclose(small(other, live, channel_axis=None), 0, atol=1e-6)
            # Halves without structure, in images of their own: they count as the same, the others do not.
            x, y = (
                np.where(np.arange(400) < 100, noise, 0.5) for noise in np.random.default_rng(0).random((2, 24, 400))
            )
            value = small(x.astype(dtype), y.astype(dtype), channel_axis=None)
            assert np.isfinite(value)
            assert 0 < value < 1

    def test_k_hides_what_is_fainter(self):
        x, y = pair(30, 30, 1)
        values = [float(small(x, y, k=k)) for k in (0.0, 1e-3, 1.0, 1e6, 1e38, 1e300)]
        assert values == sorted(values)
        assert values[0] < 0.95
        assert values[-1] == 1
        np.testing.assert_allclose(small(1e3 * x, 1e3 * y, k=1e6), small(x, y, k=1.0), rtol=1e-6)
        compiled = wavelet.of_images._cache_size()
        for k in (3, np.float32(2), 0.1):
            small(x, y, k=k)
        assert wavelet.of_images._cache_size() == compiled


@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(13, 16, 1), (2, 22, 13, 3)]),
    st.sampled_from([-1.0, -0.5, 0.0, 0.9, 0.999999, 1.0]),
    st.sampled_from([0.0, 1.0, -3.0, 1e4]),
    st.integers(-15, 15),
    st.sampled_from([0.0, 1.0]),
)
def test_bounded_symmetric_and_one_for_identity(seed, shape, likeness, offset, exponent, k):
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


CASES = {
    "identical": lambda r: (r, r),
    "noise": lambda r: (r, 1 - 0.7 * r**2),
    "constant": lambda r: (0 * r + 0.3, 0 * r + 0.8),
    "black": lambda r: (0 * r, 0 * r),
    "black and noise": lambda r: (0 * r, r),
    "constant and noise": lambda r: (0 * r + 0.7, r),
    "negatively correlated": lambda r: (r, 1 - r),
    "opposite": lambda r: (r, -r),
    "tiny": lambda r: (1e-15 * r, 1e-15 * r[::-1]),
    "huge": lambda r: (1e15 * r, 1e15 * r[::-1]),
    "hugely opposite": lambda r: (1e15 * r, -1e15 * r),
    "tiny and huge": lambda r: (1e-15 * r, 1e15 * r[::-1]),
    "far from 0": lambda r: (1e4 + r, 1e4 + r[::-1]),
}


class TestDerivatives:
    @pytest.mark.parametrize(("order", "modes", "k"), [(2, ("rev",), 0.0), (1, ("fwd", "rev"), 0.1)])
    def test_both_modes(self, order, modes, k):
        with jax.enable_x64(True):
            x, y = np.random.default_rng(0).random((2, 18, 17, 1))
            check_grads(jax.jit(functools.partial(loss, k=k, guard=2)), (x, y), order, modes=modes, eps=1e-5)

    @pytest.mark.parametrize("name", CASES)
    def test_finite_to_second_order_and_equal_to_float64(self, name):
        x, y = (np.float32(image) for image in CASES[name](np.random.default_rng(0).random((13, 14, 1))))
        assert np.isfinite(HESSIAN(x, y)).all()
        assert np.isfinite(REVERSE_FORWARD(x, y)).all()
        with jax.enable_x64(True):
            expected = GRADIENTS(np.float64(x), np.float64(y))
        for actual, wide in zip(GRADIENTS(x, y), expected, strict=True):
            assert np.isfinite(actual).all()
            # Where the value is 0, a cone's tip, no direction is the right one; at its 1, all slopes are 0.
            if "and" not in name:
                np.testing.assert_allclose(actual, wide, rtol=0, atol=1e-5 * np.abs(wide).max() + 1e-8)

    @pytest.mark.parametrize("k", [0.0, 0.1])
    @pytest.mark.parametrize("name", ["black", "black and noise"])
    def test_finite_along_both_images(self, name, k):
        x, y = (np.float32(image) for image in CASES[name](np.random.default_rng(0).random((16, 15, 1))))
        gradient = jax.grad(functools.partial(loss, k=k), argnums=(0, 1))
        assert np.isfinite(jax.jvp(gradient, (x, y), (1 + x, y - 1))[1]).all()

    def test_the_hessian_at_identical_images_is_that_of_float64(self):
        x = np.random.default_rng(0).random((13, 14, 1))
        with jax.enable_x64(True):
            expected = HESSIAN(x, x)
        actual = HESSIAN(np.float32(x), np.float32(x))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        eigenvalues = np.linalg.eigvalsh(expected.reshape(x.size, x.size))
        assert eigenvalues[-1] > 0
        assert eigenvalues[0] > -1e-9 * eigenvalues[-1]

    def test_a_step_down_the_gradient_raises_similarity(self):
        x, y = pair(64, 64, 3, likeness=0.0)
        value, gradient = jax.value_and_grad(functools.partial(cw_ssim_loss, levels=3), argnums=1)(x, y)
        assert cw_ssim_loss(x, y - 10 * gradient, levels=3) < value


class TestTransforms:
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
    def test_nan_and_infinity_stay_in_their_image(self, value):
        x, y = pair(3, 20, 20, 3)
        expected = small(x, y)
        x[1, 3, 4, 0] = value
        actual = small(x, y)
        assert np.isnan(actual[1])
        np.testing.assert_allclose(actual[::2], expected[::2], rtol=0, atol=2e-7)

    def test_scan_checkpoint_and_modes(self):
        x, y = pair(4, 16, 16, 1)
        gradient = jax.grad(loss)(x, y)
        _, scanned = lax.scan(lambda _, images: (None, loss(*images)), None, (x, y))
        np.testing.assert_allclose(scanned, jax.vmap(loss)(x, y), rtol=1e-5)
        np.testing.assert_allclose(jax.grad(jax.checkpoint(loss))(x, y), gradient, rtol=1e-4, atol=1e-8)
        np.testing.assert_allclose(jax.jacfwd(loss)(x, y), gradient, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(jax.jvp(lambda x: loss(x, y), (x,), (y,))[1], (gradient * y).sum(), rtol=1e-4)

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

    def test_export(self):
        from jax import export

        shape = jax.ShapeDtypeStruct(export.symbolic_shape("n, 16, 16, 3"), jnp.float32)
        x, y = pair(4, 16, 16, 3)
        exported = export.export(jax.jit(jax.value_and_grad(loss)), platforms=("cpu", "cuda", "tpu"))(shape, shape)
        for n in (1, 4):
            value, gradient = export.deserialize(exported.serialize()).call(x[:n], y[:n])
            np.testing.assert_allclose(value, loss(x[:n], y[:n]), rtol=1e-5)
            np.testing.assert_allclose(gradient, jax.grad(loss)(x[:n], y[:n]), rtol=1e-4, atol=1e-8)

    def test_no_rank_is_promoted_and_empty_batches_pass(self):
        x, y = pair(2, 16, 16, 3)
        with jax.numpy_rank_promotion("raise"):
            jax.grad(loss)(x, y)
            steerable_pyramid(x, levels=2)
        assert small(x[:0], y[:0]).shape == (0,)
        assert steerable_pyramid(x[:0], levels=2, orientations=3).bands[1].shape == (0, 3, 8, 8, 3)

    def test_bands_at_hand_give_the_same_values(self):
        setting = Setting(levels=2, orientations=3, guard=2)
        x = np.stack([*pair(24, 21, 3, likeness=0.2), *(1e3 * np.float32(i) for i in pair(24, 21, 3)[::-1])])
        bands = wavelet.bands(jnp.moveaxis(x, -1, -3), setting)
        of_pair = jax.vmap(jax.vmap(wavelet.dissimilarity, (None, 0, None)), (0, None, None))
        values = of_pair(bands, bands, np.float32(0.2))
        expected = [[1 - small(a, b, guard=2, k=0.2) for b in x] for a in x]
        np.testing.assert_allclose(values, expected, rtol=0, atol=3e-7)
        assert (np.diagonal(values) == 0).all()


class TestErrors:
    IMAGE = np.zeros((48, 60, 3), np.float32)

    @pytest.mark.parametrize("metric", [cw_ssim, cw_ssim_loss])
    def test_too_small(self, metric):
        with raises("spatial shape (48, 60)", "levels=4", "7x7", "at least 49 pixels", "levels of at most 3"):
            metric(self.IMAGE, self.IMAGE)
        with raises("levels=3", "guard=14", "at least 49 pixels", "levels of at most 2"):
            metric(self.IMAGE, self.IMAGE, levels=3, guard=14)
        with raises("guard=30", "at least 67", "a smaller guard"):
            metric(self.IMAGE, self.IMAGE, levels=1, guard=30)

    def test_the_smallest_size_passes(self):
        for levels, guard, size in ((4, 0, 49), (2, 0, 13), (1, 3, 13), (3, 7, 33)):
            ones = np.ones((size, size, 1), np.float32)
            assert cw_ssim(ones, ones, levels=levels, guard=guard) == 1
            with raises(f"at least {size} pixels"):
                cw_ssim(ones[1:], ones[1:], levels=levels, guard=guard)

    @pytest.mark.parametrize("name", ["levels", "orientations"])
    @pytest.mark.parametrize("value", [0, -1, 2.0, True, "4", None])
    def test_counts(self, name, value):
        with raises(f"{name} must be an integer of at least 1, got {value!r}"):
            cw_ssim(self.IMAGE, self.IMAGE, **{name: value})

    @pytest.mark.parametrize("value", [-1, 2.0, True, "4", None])
    def test_guard(self, value):
        with raises(f"guard must be a number of pixels, an integer of at least 0, got {value!r}"):
            cw_ssim(self.IMAGE, self.IMAGE, guard=value)

    @pytest.mark.parametrize("value", [-1, -0.1, np.nan, np.inf, True, "4", None, 1j])
    def test_k(self, value):
        with raises("k must be a finite number of at least 0", "got"):
            cw_ssim(self.IMAGE, self.IMAGE, k=value)

    def test_images(self):
        with raises("x and y must have the same shape"):
            cw_ssim(self.IMAGE, self.IMAGE[None])
        with raises("x has type int64"):
            cw_ssim(self.IMAGE.astype(np.int64), self.IMAGE.astype(np.int64))
        with raises("channel_axis was left to its default"):
            cw_ssim(self.IMAGE.reshape(2, 24, 180), self.IMAGE.reshape(2, 24, 180))
