"""The autoencoder's losses, learning rate schedules, gradient clipping, and types."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

for name in ("flax", "grain", "matplotlib", "optax", "orbax.checkpoint", "rich", "skimage", "tensorboardX", "tyro"):
    pytest.importorskip(name)

from flax import nnx
from training_runs import QUIET, SMALL, content, records, trained

import jaxssim
from examples.autoencoder import input_pipeline, steps
from examples.autoencoder.checkpoints import Checkpoints
from examples.autoencoder.config import Config
from examples.autoencoder.images import load_images
from examples.autoencoder.losses import check_patch_size, loss_of
from examples.autoencoder.optimizer import adam, learning_rate
from examples.autoencoder.train import train


def test_each_loss_has_the_value_that_its_name_promises():
    functions = {name: loss_of(Config(loss=name)) for name in ("ssim", "dssim-l1", "l1", "mse")}
    x, y = np.random.default_rng(0).random((2, 3, 32, 32, 3), np.float32)
    values = {name: float(loss(x, y)) for name, loss in functions.items()}
    np.testing.assert_allclose(values["l1"], np.abs(x - y).mean(), rtol=1e-5)
    np.testing.assert_allclose(values["mse"], ((x - y) ** 2).mean(), rtol=1e-5)
    np.testing.assert_allclose(values["dssim-l1"], values["ssim"] / 2 + 8 * values["l1"], rtol=1e-5)
    light = loss_of(Config(loss="dssim-l1", l1_weight=0.5))(x, y)
    np.testing.assert_allclose(light, values["ssim"] / 2 + values["l1"] / 2, rtol=1e-5)


def test_learning_rates_follow_the_schedules():
    config = Config(steps=1000, learning_rate=1.0)
    rates = {
        name: np.asarray(jax.vmap(learning_rate(dataclasses.replace(config, schedule=name)))(np.arange(1000)))
        for name in ("cosine", "step", "constant")
    }
    assert (rates["constant"] == 1).all()
    np.testing.assert_allclose(rates["step"][[0, 599, 601, 849, 851]], [1, 1, 1 / 3, 1 / 3, 1 / 9], rtol=1e-6)
    cosine = rates["cosine"]
    assert cosine[0] == 0
    assert cosine.argmax() == 100
    assert (np.diff(cosine[:101]) > 0).all()
    assert (np.diff(cosine[101:]) < 0).all()
    assert cosine[-1] < 0.011


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "ms-ssim"}, "at least 168 pixels, got --patch 64; pass --patch 168, or fewer --ms-ssim-weights"),
        ({"loss": "ms-ssim-l1", "patch": 32}, "at least 40 pixels, got --patch 32; pass --patch 40$"),
    ],
)
def test_patches_too_small_for_a_loss_are_refused(options, words):
    with pytest.raises(SystemExit, match=words):
        check_patch_size(Config(**options))
    check_patch_size(Config(loss="ms-ssim", patch=168))
    check_patch_size(Config(loss="ms-ssim", ms_ssim_weights=(0.2, 0.3, 0.5)))


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["ms-ssim", "cw-ssim", "ms-ssim-l1"])
def test_twenty_steps_lower_the_loss(loss):
    config = Config(loss=loss, ms_ssim_weights=(0.2, 0.3), patch=56, batch_size=4, width=16, schedule="constant")
    check_patch_size(config)
    images = load_images(config)
    model, optimizer, _ = steps.initial_state(config)
    batch = next(input_pipeline.training_batches(images.training, config))
    function = loss_of(config)
    values = [float(steps.train_step(model, optimizer, batch, function, np.nan)) for _ in range(20)]
    assert values[-1] < 0.8 * values[0]


SLOW_LOSSES = [pytest.param(name, marks=pytest.mark.slow) for name in ("cw-ssim", "ms-ssim-l1")]


@pytest.mark.parametrize("loss", ["ssim", "ms-ssim", *SLOW_LOSSES])
def test_structural_losses_are_one_minus_the_metrics(loss):
    x, y = np.random.default_rng(0).random((2, 2, 56, 56, 3), np.float32)
    weights = (0.2, 0.8)
    expected = {
        "ssim": lambda: 1 - jaxssim.ssim(x, y, data_range=1.0).mean(),
        "ms-ssim": lambda: 1 - jaxssim.ms_ssim(x, y, data_range=1.0, weights=weights).mean(),
        "cw-ssim": lambda: 1 - jaxssim.cw_ssim(x, y).mean(),
        "ms-ssim-l1": lambda: jaxssim.ms_ssim_l1_loss(x, y, data_range=1.0),
    }
    value = loss_of(Config(loss=loss, patch=56, ms_ssim_weights=weights))(x, y)
    np.testing.assert_allclose(value, expected[loss](), rtol=1e-4)


@pytest.mark.slow
def test_plateau_patience_counts_evaluations():
    """The update is halved after three test losses in a row that are not below the best; other steps do not count."""
    config = Config(schedule="plateau", plateau_patience=3, plateau_factor=0.5, learning_rate=1.0)
    reduced = adam(config)
    plain = adam(dataclasses.replace(config, schedule="constant"))
    parameters = {"w": jnp.ones(3)}
    states = [reduced.init(parameters), plain.init(parameters)]
    test_losses = [1.0, None, 0.5, None, None, None, None, 0.6, 0.5, None, 0.7, None, 0.4, 0.8, 0.9, 0.6]
    ratios = []
    for value in test_losses:
        test_loss = jnp.float32(jnp.nan if value is None else value)
        updates = []
        for i, transformation in enumerate((reduced, plain)):
            update, states[i] = transformation.update(parameters, states[i], parameters, test_loss=test_loss)
            updates.append(update["w"][0])
        ratios.append(float(updates[0] / updates[1]))
    assert ratios == [1.0] * 10 + [0.5] * 5 + [0.25]


@pytest.mark.slow
def test_the_plateau_schedule_follows_the_test_loss_and_resumes(tmp_path):
    options = {"schedule": "plateau", "plateau_patience": 1, "learning_rate": 0.05}
    config, _ = trained(tmp_path / "whole", **options)
    stopped, _ = trained(tmp_path, **options, steps=4)
    train(dataclasses.replace(stopped, steps=6), QUIET)
    assert content(stopped.folder) == content(config.folder)
    test_losses = [record["test_loss"] for record in records(config.folder)[:-1]]  # no step follows the last
    plateaus = sum(loss >= min(test_losses[:i]) for i, loss in enumerate(test_losses) if i)
    assert plateaus > 0
    checkpoints = Checkpoints(config, QUIET)
    arrays, _ = checkpoints.read(6, steps.initial_state(config))
    checkpoints.close()
    np.testing.assert_allclose(arrays["optimizer"]["opt_state"][2]["scale"], 0.1**plateaus, rtol=1e-6)


def test_gradients_are_clipped():
    gradients = {"w": jnp.asarray([3.0, 4.0])}
    for clip, shorter in ((1.0, 5.0), (10.0, 1.0)):
        transformation = adam(Config(clip=clip, schedule="constant"))
        _, state = transformation.update(gradients, transformation.init(gradients), gradients, test_loss=jnp.nan)
        (mean,) = (
            part.mu for part in jax.tree.leaves(state, is_leaf=lambda x: hasattr(x, "mu")) if hasattr(part, "mu")
        )
        np.testing.assert_allclose(mean["w"], 0.1 * gradients["w"] / shorter, rtol=1e-6)


@pytest.mark.slow
def test_bfloat16_leaves_parameters_and_losses_in_float32():
    config = dataclasses.replace(SMALL, dtype="bfloat16")
    model, optimizer, _ = steps.initial_state(config)
    batch = next(input_pipeline.training_batches(load_images(config).training, config))
    function = loss_of(config)
    traced = str(jax.make_jaxpr(lambda x: model(x))(jnp.zeros((1, 16, 16, 3))))
    assert "bf16[3,3,16,16]" in traced
    value = steps.train_step(model, optimizer, batch, function, np.nan)
    assert value.dtype == model(jnp.zeros((1, 16, 16, 3))).dtype == jnp.float32
    for leaf in jax.tree.leaves(nnx.state((model, optimizer), nnx.Any(nnx.Param, nnx.optimizer.OptState))):
        assert leaf.dtype in (jnp.float32, jnp.int32, jnp.uint32)
    exact = steps.train_step(*steps.initial_state(SMALL)[:2], batch, function, np.nan)
    assert value != exact
    np.testing.assert_allclose(value, exact, rtol=0.02)
