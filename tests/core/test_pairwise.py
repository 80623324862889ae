"""The matrix of all pairs against the metric of each pair."""

import functools

import jax
import numpy as np
import pytest
from compilations import count_compilations
from marks import slow, slow_except

import jaxssim
from jaxssim import Convention, Gaussian, _pairwise, conventions  # private: one test changes its BLOCK

SMALL = Convention(window=Gaussian(5, 1.0))
CASES = {
    "mse": ("mse", {}),
    "mae": ("mae", {}),
    "psnr": ("psnr", dict(data_range=1.0)),
    "ssim of other constants": ("ssim", dict(data_range=1.0, k1=0.05, k2=0.1)),
    "ssim": ("ssim", dict(data_range=1.0)),
    "skimage": ("ssim", dict(data_range=1.0, convention=conventions.SKIMAGE)),
    "kornia": ("ssim", dict(data_range=1.0, convention=conventions.KORNIA)),
    "ms_ssim": ("ms_ssim", dict(data_range=1.0, weights=(0.3, 0.7), convention=SMALL)),
    "ms_ssim of all": ("ms_ssim", dict(data_range=1.0, weights=(0.3, 0.7), convention=conventions.OPENCV)),
    "ms_ssim of one scale": ("ms_ssim", dict(data_range=1.0, weights=(2.0,), convention=SMALL)),
    "cw_ssim": ("cw_ssim", dict(levels=2, orientations=4)),
}


# Both values are float32, each within 2e-7 of float64.
CLOSE = 4e-7


def images(n=5, shape=(34, 37, 3)):
    stack = np.random.default_rng(0).random((max(n, 4), *shape), np.float32)
    stack[1] = stack[0]
    stack[2] = 0.9 * stack[0] + 0.1 * stack[2]
    stack[3] = 1 - stack[0]
    return stack[:n]


@pytest.mark.parametrize("name", slow_except(["mse", "psnr", "ssim", "ms_ssim", "cw_ssim"], list(CASES)))
def test_each_entry_is_the_metric_of_its_pair(name):
    metric, options = CASES[name]
    stack = images()
    one = getattr(jaxssim, metric)
    expected = [one(np.broadcast_to(image, stack.shape), stack, **options) for image in stack]
    matrix = jaxssim.pairwise(stack, metric=metric, **options)
    np.testing.assert_allclose(matrix, expected, rtol=1e-6, atol=1e-6 if metric == "cw_ssim" else CLOSE)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_array_equal(jaxssim.pairwise(stack, metric=one, **options), matrix)


@slow
@pytest.mark.parametrize("size", [1, 34 * 37 * 3 * 4, 10**9])
def test_block_size_changes_no_value(size, monkeypatch):
    jax.clear_caches()
    monkeypatch.setattr(_pairwise, "BLOCK", size)
    stack = images(6)
    expected = [jaxssim.ssim(np.broadcast_to(image, stack.shape), stack, data_range=1.0) for image in stack]
    np.testing.assert_allclose(jaxssim.pairwise(stack, data_range=1.0), expected, atol=CLOSE)
    jax.clear_caches()


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_images_make_a_matrix(n):
    assert jaxssim.pairwise(images(n), data_range=1.0).tolist() == [[1.0] * n] * n


@slow
def test_layouts_and_types_change_no_value():
    stack = images()
    expected = jaxssim.pairwise(stack, data_range=1.0)
    for axis in (-3, -4):
        moved = np.moveaxis(stack, -1, axis)
        np.testing.assert_array_equal(jaxssim.pairwise(moved, data_range=1.0, channel_axis=axis), expected)
    grey = jaxssim.pairwise(stack[..., 0], data_range=1.0, channel_axis=None)
    np.testing.assert_array_equal(grey, jaxssim.pairwise(stack[..., :1], data_range=1.0))
    integers = np.uint8(255 * stack)
    np.testing.assert_allclose(jaxssim.pairwise(integers)[0, 3], jaxssim.ssim(integers[0], integers[3]), atol=CLOSE)


def test_images_far_from_zero_and_from_each_other():
    rng = np.random.default_rng(0)
    offsets = np.asarray([60000, 60000, 59000, 100]).reshape(-1, 1, 1, 1)
    stack = (offsets + rng.integers(-3, 4, (4, 34, 37, 1))).astype(np.float32)
    expected = [jaxssim.ssim(np.broadcast_to(image, stack.shape), stack, data_range=255.0) for image in stack]
    np.testing.assert_allclose(jaxssim.pairwise(stack, data_range=255.0), expected, atol=5e-7)


def test_nan_affects_only_the_pairs_of_its_image():
    stack = images()
    stack[2, 3, 4] = np.nan
    nan = np.isnan(jaxssim.pairwise(stack, data_range=1.0))
    np.testing.assert_array_equal(nan, (np.arange(5) == 2) | (np.arange(5) == 2)[:, None])


@slow
@pytest.mark.parametrize("name", ["mse", "ssim", "ms_ssim", "cw_ssim"])
def test_gradients_equal_those_of_the_metrics(name):
    metric, options = CASES[name]
    stack = images(3, (16, 14, 1))
    if name == "cw_ssim":
        stack = images(3, (40, 44, 1))
    one = getattr(jaxssim, metric)
    gradient = jax.grad(lambda s: jaxssim.pairwise(s, metric=metric, **options)[0, 2])(stack)
    expected = jax.grad(lambda s: one(s[0], s[2], **options))(stack)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert np.isfinite(jax.grad(lambda s: jaxssim.pairwise(s, metric=metric, **options).sum())(stack)).all()


@slow
def test_new_data_range_or_k_compiles_nothing():
    stack = images()
    jax.clear_caches()
    with count_compilations() as first:
        jaxssim.pairwise(stack, data_range=1.0)
        jaxssim.pairwise(stack, metric="cw_ssim", levels=2, orientations=4, k=0.0)
    with count_compilations() as later:
        jaxssim.pairwise(stack, data_range=3.0)
        jaxssim.pairwise(stack, metric="cw_ssim", levels=2, orientations=4, k=0.3)
    assert first
    assert not later
    assert jaxssim.pairwise(stack, data_range=1.0)[0, 2] < jaxssim.pairwise(stack, data_range=3.0)[0, 2]


@pytest.mark.parametrize("name", slow_except(["mse", "ssim"], ["mse", "mae", "psnr", "ssim", "kornia", "ms_ssim"]))
@pytest.mark.parametrize("kind", slow_except(["channels first"], ["pixels", "channel", "channels", "channels first"]))
def test_a_mask_of_all_images(name, kind):
    metric, options = CASES[name]
    stack = images()
    mask = np.random.default_rng(1).random((34, 37, 3)) * (np.arange(37)[:, None] > 4)
    mask = {"pixels": mask[..., 0], "channel": mask[..., :1]}.get(kind, mask)
    stack[:, mask[..., 0] == 0 if kind == "pixels" else (mask == 0).all(-1)] = np.nan
    one = getattr(jaxssim, metric)
    expected = [[one(a, b, mask=mask, **options) for b in stack] for a in stack]
    if kind == "channels first":
        stack, mask, options = np.moveaxis(stack, -1, -3), np.moveaxis(mask, -1, -3), options | {"channel_axis": -3}
    matrix = jaxssim.pairwise(stack, metric=metric, mask=mask, **options)
    np.testing.assert_allclose(matrix, expected, rtol=1e-6, atol=CLOSE)


def test_a_function_of_ones_own_for_all_pairs():
    stack = np.uint8(255 * images())
    brightest = lambda x, y, scale, power=1: ((x.max() / 255 - y.mean() / 255) * scale) ** power  # noqa: E731
    matrix = jaxssim.pairwise(stack, metric=brightest, scale=np.float32(2), power=3)
    expected = [[(2 * (a.max() / 255 - b.mean() / 255)) ** 3 for b in stack] for a in stack]
    np.testing.assert_allclose(matrix, expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"metric must return a scalar .* shape \(34, 37\)"):
        jaxssim.pairwise(stack, metric=lambda x, y: (x - y).sum(-1))


def test_guard_and_k_reach_cw_ssim():
    stack = images(4, (24, 21, 3))
    options = dict(levels=2, orientations=3, guard=2, k=0.2)
    expected = [[jaxssim.cw_ssim(a, b, **options) for b in stack] for a in stack]
    matrix = jaxssim.pairwise(stack, metric="cw_ssim", **options)
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=3e-7)
    assert (np.diagonal(matrix) == 1).all()


@slow
@pytest.mark.parametrize("kind", ["pixels", "channel", "channels", "channels first", "no channels"])
def test_a_mask_reaches_cw_ssim(kind):
    stack = np.random.default_rng(0).random((3, 34, 37, 3), np.float32)
    mask = np.random.default_rng(1).random((34, 37, 3)) * (np.arange(37)[:, None] > 16)
    mask = {"pixels": mask[..., 0], "channel": mask[..., :1]}.get(kind, mask)
    options = dict(levels=2, orientations=4)
    if kind == "no channels":
        stack, mask, options = stack[..., 0], mask[..., 0], options | {"channel_axis": None}
    expected = [[jaxssim.cw_ssim(a, b, mask=mask, **options) for b in stack] for a in stack]
    if kind == "channels first":
        stack, mask, options = np.moveaxis(stack, -1, -3), np.moveaxis(mask, -1, -3), options | {"channel_axis": -3}
    matrix = jaxssim.pairwise(stack, metric="cw_ssim", mask=mask, **options)
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=3e-7)
    assert abs(matrix - jaxssim.pairwise(stack, metric="cw_ssim", **options)).max() > 1e-3


class TestErrors:
    def test_unknown_metric(self):
        for metric in ("lpips", ["mse"], None):
            with pytest.raises(ValueError, match=r"metric must be one of 'mse', .* 'ssimulacra2' or a function, got"):
                jaxssim.pairwise(images(), metric=metric, data_range=1.0)

    def test_shape_and_type(self):
        with pytest.raises(ValueError, match=r"images must be \(n, height, width, channels\).*\(34, 37, 3\)"):
            jaxssim.pairwise(images()[0], data_range=1.0)
        with pytest.raises(ValueError, match=r"images must be .*\(0, 34, 37, 3\)"):
            jaxssim.pairwise(images()[:0], data_range=1.0)
        with pytest.raises(ValueError, match="images has type int64"):
            jaxssim.pairwise(images().astype(np.int64))

    def test_data_range(self):
        with pytest.raises(ValueError, match="data_range must be given"):
            jaxssim.pairwise(images())
        with pytest.raises(ValueError, match="data_range has shape"):
            jaxssim.pairwise(images(), data_range=np.ones(5))

    def test_an_option_of_another_metric(self):
        with pytest.raises(
            ValueError, match=r"metric='ssim' takes .*'data_range', 'convention', 'k1', 'k2', 'mask'\], got .*levels"
        ):
            jaxssim.pairwise(images(), data_range=1.0, levels=3)
        with pytest.raises(ValueError, match="metric='mse' takes the options"):
            jaxssim.pairwise(images(), metric="mse", data_range=1.0)
        with pytest.raises(ValueError, match=r"metric='iw_ssim' takes .* got \['mask'\]; leave"):
            jaxssim.pairwise(images(), metric="iw_ssim", data_range=1.0, mask=np.ones((34, 37)))


@slow
@pytest.mark.parametrize(
    ("name", "channels"), [("iw_ssim", None), ("iw_ssim", 3), ("dssim", None), ("dssim", 5), ("ssim_loss", None)]
)
def test_other_functions_of_grey_images_and_of_many_channels(name, channels):
    stack = images(4, (34, 37, channels or 1))
    options = dict(channel_axis=-1 if channels else None, data_range=1.0)
    stack = stack if channels else stack[..., 0]
    function = functools.partial(getattr(jaxssim, name), **options)
    if name == "iw_ssim":
        function, options = functools.partial(function, weights=(0.4, 0.6)), options | {"weights": (0.4, 0.6)}
    matrix = jaxssim.pairwise(stack, metric=name if name == "iw_ssim" else getattr(jaxssim, name), **options)
    np.testing.assert_allclose(matrix, [[function(a, b) for b in stack] for a in stack], atol=1e-6)


@slow
def test_options_of_ones_own_functions_and_channels_first():
    stack = images()
    first = np.moveaxis(stack, -1, -3)
    expected = 1 - jaxssim.pairwise(stack, data_range=1.0)
    loss = jaxssim.pairwise(first, metric=jaxssim.ssim_loss, data_range=1.0, channel_axis=-3)
    np.testing.assert_allclose(loss, expected, atol=CLOSE)
    several = jaxssim.pairwise(stack, metric=jaxssim.ms_ssim_loss, data_range=1.0, weights=[0.5, 0.5], convention=SMALL)
    assert several.shape == expected.shape
    with pytest.raises(ValueError, match="data_range must be hashable, got a dict"):
        jaxssim.pairwise(stack, metric=jaxssim.ssim_loss, data_range={"a": 1})
