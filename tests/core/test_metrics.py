"""The running average: each image has the same weight, for any batches and any number of processes."""

import functools
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import slow

import jaxssim
from jaxssim.metrics import Average


def images(n=11):
    x, y = np.random.default_rng(0).random((2, n, 16, 14, 3), np.float32)
    return x, 0.6 * x + 0.4 * y


def batches(size):
    x, y = images()
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]


@slow
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("metric", [jaxssim.ssim, jaxssim.psnr])
def test_average_is_exact_for_batches_of_any_size(metric, size):
    average = Average(metric, data_range=1.0)
    for x, y in batches(size):
        average.update(x=x, y=y)
    expected = np.mean(np.float64(metric(*images(), data_range=1.0)))
    np.testing.assert_allclose(average.compute(), expected, rtol=2e-7)
    assert average.count == 11


def test_average_of_no_images_is_nan():
    average = Average(data_range=1.0, keep=True)
    assert np.isnan(average.compute())
    x, y = images()
    average.update(x=x, y=x)
    average.reset()
    assert np.isnan(average.compute())
    assert average.values == ()
    average.update(x=x, y=y)
    np.testing.assert_allclose(average.compute(), jaxssim.ssim(x, y, data_range=1.0).mean(), rtol=1e-6)


def test_keep_returns_all_values():
    kept, plain = Average(data_range=1.0, keep=True), Average(data_range=1.0)
    for x, y in batches(4):
        kept.update(x=x, y=y)
        plain.update(x=x, y=y)
    np.testing.assert_allclose(np.concatenate(kept.values), jaxssim.ssim(*images(), data_range=1.0), atol=2e-7)
    assert plain.values == ()


def test_images_that_are_not_valid_do_not_count():
    x, y = images(8)
    valid = np.arange(8) < 5
    average = Average(data_range=1.0, keep=True)
    average.update(x=np.where(valid[:, None, None, None], x, np.nan), y=y, valid=valid)
    np.testing.assert_allclose(average.compute(), jaxssim.ssim(x[:5], y[:5], data_range=1.0).mean(), rtol=1e-6)
    assert np.concatenate(average.values).shape == (5,)


def test_infinite_value_gives_an_infinite_average():
    x, y = images()
    average = Average(jaxssim.psnr, data_range=1.0)
    average.update(x=x, y=np.concatenate([x[:1], y[1:]]))
    average.update(x=x, y=y)
    assert average.compute() == np.inf


@pytest.mark.parametrize("valid", [np.ones(11), np.ones(11, int), np.ones(10, bool), np.ones((11, 1), bool), True])
def test_valid_must_be_one_bool_for_each_image(valid):
    x, y = images()
    with pytest.raises(ValueError, match=r"valid must be bool of shape \(11,\)"):
        Average(data_range=1.0).update(x=x, y=y, valid=valid)


def test_metric_must_be_a_function_or_a_name():
    with pytest.raises(ValueError, match=r"metric must be a function of two images, .* got 4"):
        Average(4)


def test_a_metric_must_not_average_over_the_batch():
    x, y = images()
    with pytest.raises(ValueError, match=r'metric ssim_loss returns one mean for a batch.*pass reduction="none"'):
        Average(jaxssim.ssim_loss, data_range=1.0)
    loss = Average(functools.partial(jaxssim.ssim_loss, reduction="none"), data_range=1.0)
    loss.update(x=x, y=y)
    assert loss.count == len(x)
    np.testing.assert_allclose(loss.compute(), 1 - jaxssim.ssim(x, y, data_range=1.0).mean(), rtol=1e-6)


def test_the_kept_values_of_valid_images_are_not_traced():
    x, y = images()
    with pytest.raises(ValueError, match=r"valid is traced, but keep=True"):
        jax.jit(lambda valid: Average(data_range=1.0, keep=True).update(x=x, y=y, valid=valid))(np.ones(len(x), bool))


@slow
def test_scan_under_x64_keeps_the_types():
    x, y = images(6)
    with jax.enable_x64(True):
        start = Average(jaxssim.ssim, data_range=1.0)
        xs, ys = (np.float64(image).reshape(3, 2, *image.shape[1:]) for image in (x, y))

        def step(average, pair):
            average.update(x=pair[0], y=pair[1])
            return average, None

        average, _ = jax.lax.scan(step, jax.tree.map(jnp.asarray, start), (xs, ys))
        expected = jaxssim.ssim(np.float64(x), np.float64(y), data_range=1.0).mean()
    np.testing.assert_allclose(average.compute(), expected, rtol=2e-7)


def test_update_inside_jit_is_traced_once():
    @jax.jit
    @chex.assert_max_traces(n=1)
    def step(average, x, y):
        average.update(x=x, y=y)
        return average

    average = Average(data_range=1.0)
    x, y = images(12)
    for i in range(0, 12, 3):
        average = step(average, x[i : i + 3], y[i : i + 3])
    np.testing.assert_allclose(average.compute(), jaxssim.ssim(x, y, data_range=1.0).mean(), rtol=1e-6)


def test_merge_of_pickled_averages():
    whole, parts = Average(data_range=1.0, keep=True), []
    for x, y in batches(3):
        whole.update(x=x, y=y)
        part = Average(data_range=1.0, keep=True)
        part.update(x=x, y=y)
        parts.append(pickle.loads(pickle.dumps(jax.device_get(part))))
    first, *others = parts
    first.merge(*others)
    np.testing.assert_allclose(first.compute(), whole.compute(), rtol=1e-7)
    np.testing.assert_array_equal(np.concatenate(first.values), np.concatenate(whole.values))
    assert first.count == whole.count == 11


def test_merge_of_gathered_averages():
    """Merges what `process_allgather` returns: each number stacked along a first axis of processes."""
    parts = []
    for x, y in batches(4):
        part = Average(data_range=1.0)
        part.update(x=x, y=y)
        parts.append(part)
    gathered = jax.tree.map(lambda *leaves: np.stack(leaves), *parts)
    total = Average(data_range=1.0)
    total.merge(*(jax.tree.map(lambda leaf, i=i: leaf[i], gathered) for i in range(3)))
    np.testing.assert_allclose(total.compute(), jaxssim.ssim(*images(), data_range=1.0).mean(), rtol=1e-6)


def test_average_of_a_million_values_is_exact():
    values = (0.9 + 0.1 * np.random.default_rng(0).random((1000, 1000))).astype(np.float32)

    @jax.jit
    def run(average, values):
        def step(average, batch):
            average.update(x=batch, y=batch)
            return average, None

        return jax.lax.scan(step, average, values)[0]

    start = jax.tree.map(jnp.asarray, Average(lambda x, y: x))
    average = run(start, values)
    np.testing.assert_allclose(average.compute(), np.float64(values).mean(), rtol=2e-7)
    assert average.rounding != 0  # the compiler keeps the compensated sum


def test_updates_like_the_metrics_of_flax():
    nnx = pytest.importorskip("flax.nnx")
    theirs, ours = nnx.metrics.Average(), Average(jaxssim.mse)
    for metric in (theirs, ours):
        metric.reset()
    for x, y in batches(4):
        updates = dict(values=jaxssim.mse(x, y), x=x, y=y)
        for metric in (theirs, ours):
            metric.update(**updates)
    np.testing.assert_allclose(ours.compute(), theirs.compute(), rtol=1e-6)


def test_average_of_a_partial_function():
    x, y = images()
    average = Average(functools.partial(jaxssim.ssim, convention=jaxssim.conventions.SKIMAGE, data_range=1.0))
    average.update(x=x, y=y)
    assert average.compute() != jaxssim.ssim(x, y, data_range=1.0).mean()


def test_a_metric_by_its_name_and_options_that_are_lists():
    x, y = np.random.default_rng(0).random((2, 3, 32, 32, 1), np.float32)
    average = Average("ms_ssim", data_range=1.0, weights=[0.5, 0.5])
    update = jax.jit(lambda average, x, y: (average.update(x=x, y=y), average)[1])
    expected = jaxssim.ms_ssim(x, y, data_range=1.0, weights=(0.5, 0.5)).mean()
    np.testing.assert_allclose(update(average, x, y).compute(), expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"or one of 'mse', .*'ssimulacra2', got 'lpips'"):
        Average("lpips")
