"""The losses and metrics for Keras: their values, weights of samples, integer targets, saving, and mixed precision."""

import doctest
import inspect
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

keras = pytest.importorskip("keras")

from marks import slow

import jaxssim
import jaxssim.keras
from jaxssim.keras import MSSSIM, SSIM, MSSSIMLoss, SSIMLoss

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {name: getattr(jaxssim.keras, name) for name in jaxssim.keras.__all__}
WEIGHTS = np.array([0.0, 1.0, 0.5, 3.0, 0.0, 2.0, 1.0, 0.25], np.float32)
HALVES = {"weights": (0.5, 0.5)}
OTHER = jaxssim.Convention(window=jaxssim.Gaussian((7, 9), (1.0, 1.2)), padding="reflect", k1=0.02)
OTHER_3D = jaxssim.Convention(window=jaxssim.Uniform((3, 7, 7)))


def images(shape=(8, 24, 24, 3)):
    """Returns targets and outputs in [0, 1], float32, each pair less alike than the one before."""
    rng = np.random.default_rng(0)
    x = rng.random(shape, np.float32)
    share = np.linspace(0.05, 0.9, shape[0], dtype=np.float32).reshape(-1, *[1] * (len(shape) - 1))
    return x, (1 - share) * x + share * rng.random(shape, np.float32)


def one_minus(function, x, y, **options):
    return 1 - np.asarray(function(x, y, data_range=1.0, **options), np.float64)


def network(**options):
    """Returns a compiled network of one convolution, whose values depend on nothing but the options."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(3, 3, padding="same", activation="sigmoid")]
    model = keras.Sequential([keras.layers.Input((None, None, 3)), *layers])
    model.compile("adam", **{"loss": SSIMLoss(1.0), "weighted_metrics": [SSIM(1.0)]} | options)
    return model


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", None])
@pytest.mark.parametrize("weights", [None, WEIGHTS, WEIGHTS[:, None], WEIGHTS.tolist()])
def test_a_loss_weighs_one_value_for_each_image(weights, reduction):
    x, y = images()
    each = one_minus(jaxssim.ssim, x, y)
    scale = np.ones(8) * (1 if weights is None else np.ravel(weights))
    sums = {"sum": 1, "sum_over_batch_size": 8, "mean_with_sample_weight": scale.sum()}
    expected = each * scale if reduction is None else (each * scale).sum() / sums[reduction]
    found = SSIMLoss(1.0, reduction=reduction)(x, y, sample_weight=weights)
    np.testing.assert_allclose(np.ravel(found), np.ravel(expected), atol=3e-6)


@slow
def test_a_loss_is_precise_where_images_are_almost_equal():
    x, _ = images((2, 32, 32, 1))
    y = x + np.float32(1e-3) * images((2, 32, 32, 1))[1]
    for loss, function, options in ((SSIMLoss, jaxssim.ssim, {}), (MSSSIMLoss, jaxssim.ms_ssim, HALVES)):
        with jax.enable_x64(True):
            expected = 1 - function(x.astype(float), y.astype(float), data_range=1.0, **options)
        found = loss(1.0, reduction=None, **options)(x, y)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@slow
@pytest.mark.parametrize(("metric", "function", "options"), [(SSIM, "ssim", {}), (MSSSIM, "ms_ssim", HALVES)])
def test_a_metric_is_the_mean_over_images_however_batches_are_cut(metric, function, options):
    x, y = images()
    values = getattr(jaxssim, function)(x, y, data_range=1.0, **options)
    for weights in (None, WEIGHTS):
        found = metric(1.0, **options)
        for part in (slice(0, 5), slice(5, 8)):
            found.update_state(x[part], y[part], None if weights is None else weights[part])
        np.testing.assert_allclose(found.result(), np.average(values, weights=weights), atol=1e-6)


def test_a_sequence_of_images_has_one_value():
    x, y = images((4, 3, 16, 16, 1))
    expected = one_minus(jaxssim.ssim, x, y).mean(1)
    np.testing.assert_allclose(SSIMLoss(1.0, reduction=None)(x, y), expected, atol=1e-6)
    volumes = one_minus(jaxssim.ssim, x, y, spatial_ndim=3, convention=OTHER_3D)
    np.testing.assert_allclose(SSIMLoss(1.0, spatial_ndim=3, convention=OTHER_3D)(x, y), volumes.mean(), atol=1e-6)


@slow
@pytest.mark.parametrize("settings", [{}, {"jit_compile": True}, {"run_eagerly": True}])
def test_training_uses_the_weights_of_samples(settings):
    """An image of weight 0 changes neither the loss nor the trained network."""
    x, _ = images()
    spoiled = np.where(WEIGHTS[:, None, None, None] == 0, 0, x)
    trained = []
    for target in (x, spoiled):
        model = network(**settings)
        history = model.fit(x, target, sample_weight=WEIGHTS, batch_size=4, epochs=2, shuffle=False, verbose=0)
        trained.append([*history.history["loss"], *history.history["ssim"], *map(np.ravel, model.get_weights())])
    for left, right in zip(*trained, strict=True):
        np.testing.assert_array_equal(left, right)
    found = model.evaluate(x, x, sample_weight=WEIGHTS, batch_size=8, verbose=0, return_dict=True)
    each = one_minus(jaxssim.ssim, x, model.predict(x, verbose=0))
    assert found["loss"] == pytest.approx((WEIGHTS * each).mean(), abs=1e-6)
    assert found["ssim"] == pytest.approx(1 - np.average(each, weights=WEIGHTS), abs=1e-6)


@slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_computes_in_float32(policy):
    x, y = images()
    half = keras.dtype_policies.get(policy).compute_dtype
    rounded = jnp.asarray(y, half)
    keras.config.set_dtype_policy(policy)
    try:
        loss, metric, model = SSIMLoss(1.0), SSIM(1.0), network()
        history = model.fit(x, x, epochs=3, verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    expected = one_minus(jaxssim.ssim, x, rounded.astype(np.float32)).mean()
    assert (loss.dtype, metric.dtype) == ("float32", "float32")
    assert float(loss(x, rounded)) == pytest.approx(expected, abs=1e-6)
    assert float(metric(x, rounded)) == pytest.approx(1 - expected, abs=1e-6)
    assert history.history["loss"][-1] < history.history["loss"][0]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "bool"])
@pytest.mark.parametrize("compare", [SSIMLoss, MSSSIMLoss, SSIM, MSSSIM])
def test_integer_targets_that_do_not_fit_the_data_range_are_refused(compare, dtype):
    x, y = images()
    integers = (x * 255).astype(dtype)
    with pytest.raises(ValueError, match=rf"y_true is {dtype}, .* data_range=1\.0; pass float32 .* such as y / 255"):
        compare(1.0)(integers, y)
    with pytest.raises(ValueError, match=rf"y_pred is {dtype}, "):
        compare(1.0)(y, integers)


@slow
def test_integer_targets_are_refused_in_training_and_evaluation():
    x, _ = images()
    integers = (x * 255).astype(np.uint8)
    for model in (network(), network(loss="mse"), network(weighted_metrics=None)):
        for call in (model.fit, model.evaluate):
            with pytest.raises(ValueError, match="y_true is uint8, whose values do not fit"):
                call(x, integers, verbose=0)


@pytest.mark.parametrize(("dtype", "largest"), [("uint8", 255), ("uint16", 65535)])
def test_integer_targets_of_their_own_data_range_count_as_they_are(dtype, largest):
    x, y = images()
    integers = (x * largest).astype(dtype)
    expected = one_minus(jaxssim.ssim, integers / np.float32(largest), y).mean()
    assert float(SSIMLoss(largest)(integers, y * np.float32(largest))) == pytest.approx(expected, abs=1e-6)
    assert float(SSIM(largest)(integers, y * np.float32(largest))) == pytest.approx(1 - expected, abs=1e-6)


@pytest.mark.parametrize("weights", [np.ones((8, 24, 24)), np.ones((8, 24)), np.ones(3), np.ones((1, 8))])
@pytest.mark.parametrize("compare", [SSIMLoss, SSIM])
def test_weights_that_are_not_one_for_each_sample_are_refused(compare, weights):
    with pytest.raises(ValueError, match=r"sample_weight must hold one weight for each sample, shape \(8,\), got \("):
        compare(1.0)(*images(), sample_weight=weights)


@pytest.mark.parametrize("data_range", [0, -1.0, float("nan"), None, "1"])
def test_a_data_range_that_is_not_positive_is_refused(data_range):
    with pytest.raises(ValueError, match="data_range must be a positive number, got"):
        SSIMLoss(data_range)


def test_other_mistakes_are_errors_of_jaxssim():
    x, y = images()
    with pytest.raises(ValueError, match="y_true must be a batch of images, got one of shape"):
        SSIMLoss(1.0)(x[0], y[0])
    with pytest.raises(ValueError, match="must have the same shape"):
        SSIMLoss(1.0)(x, y[..., :1])
    with pytest.raises(ValueError, match="channel_axis was left to its default"):
        SSIMLoss(1.0)(x[..., 0], y[..., 0])
    with pytest.raises(TypeError, match="unexpected keyword argument 'window'"):
        SSIMLoss(1.0, window=7)


@slow
@pytest.mark.parametrize("format", ["keras", "h5"])
def test_a_saved_model_is_loaded_with_its_loss_and_metrics(tmp_path, format):
    x, _ = images()
    loss = MSSSIMLoss(1.0, convention=OTHER, channel_axis=-1, reduction="sum", name="mine", **HALVES)
    metrics = [SSIM(1.0, convention=jaxssim.conventions.SKIMAGE), MSSSIM(1.0, **HALVES)]
    model = network(loss=loss, metrics=metrics, weighted_metrics=None)
    model.fit(x, x, verbose=0)
    model.save(tmp_path / f"model.{format}")
    loaded = keras.saving.load_model(tmp_path / f"model.{format}")
    assert (type(loaded.loss), loaded.loss.options) == (MSSSIMLoss, loss.options)
    assert (loaded.loss.name, loaded.loss.reduction, loaded.loss.dtype) == ("mine", "sum", "float32")
    assert loaded.evaluate(x, x, verbose=0) == model.evaluate(x, x, verbose=0)
    if format == "keras":  # an optimizer from h5 cannot train on, whatever the loss
        left, right = (each.fit(x, x, epochs=2, shuffle=False, verbose=0).history for each in (model, loaded))
        assert left == right


@pytest.mark.parametrize("name", CLASSES)
def test_a_config_gives_an_equal_object(name):
    options = {"convention": OTHER, "spatial_ndim": 3, "channel_axis": None, "name": "n"}
    for each in (CLASSES[name](0.5), CLASSES[name](255, **options)):
        again = type(each).from_config(each.get_config())
        assert again.options == each.options
        assert again.get_config() == each.get_config()
        assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(each)).options == each.options


@pytest.mark.parametrize("name", CLASSES)
def test_docstrings_document_the_options_and_their_examples_run(name):
    documented = inspect.getdoc(CLASSES[name])
    for option in list(inspect.signature(CLASSES[name]).parameters):
        assert f"    {option}: " in documented
    names = {"jaxssim": jaxssim, "jnp": jnp}
    for test in doctest.DocTestFinder(recurse=False).find(CLASSES[name], name, globs=names):
        assert test.examples
        assert not doctest.DocTestRunner().run(test).failed
    assert f".. autoclass:: {name}\n" in (ROOT / "docs/api.md").read_text()


def test_callbacks_know_that_a_higher_ssim_is_better():
    x, _ = images()
    stop = keras.callbacks.EarlyStopping(monitor="val_ssim", patience=1)
    network(metrics=[SSIM(1.0)], weighted_metrics=None).fit(x, x, validation_data=(x, x), callbacks=[stop], verbose=0)
    assert stop.monitor_op(1.0, 0.0)


def python(code, **environment):
    settings = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_jaxssim_itself_does_not_import_keras():
    done = python("import sys, jaxssim; print('keras' in sys.modules)")
    assert done.stdout == "False\n", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "numpy"])
def test_another_backend_is_refused(backend):
    if backend == "tensorflow":
        pytest.importorskip("tensorflow")
    done = python("import jaxssim.keras", KERAS_BACKEND=backend)
    assert f"jaxssim.keras needs Keras on JAX, got the backend '{backend}'; set the environment" in done.stderr
    assert "KERAS_BACKEND=jax before Keras is imported" in done.stderr


@pytest.mark.slow
def test_another_program_loads_a_model(tmp_path):
    network().save(tmp_path / "model.keras")
    code = f"import keras, jaxssim.keras; print(keras.saving.load_model({str(tmp_path / 'model.keras')!r}).loss.name)"
    done = python(code)
    assert done.stdout == "ssim_loss\n", done.stderr
