"""The training loop: it resumes with the same bits, gives the same curve on any devices, and reports what is wrong."""

import dataclasses
import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

for name in ("flax", "grain", "matplotlib", "optax", "orbax.checkpoint", "rich", "skimage", "tensorboardX", "tyro"):
    pytest.importorskip(name)

import jax
import jax.numpy as jnp
from flax import nnx
from rich.console import Console
from tensorboardX.proto.event_pb2 import Event

ROOT = Path(__file__).resolve().parents[2]
import jaxssim
from examples.autoencoder import input_pipeline, losses, optimizer, parallel, steps
from examples.autoencoder import train as training
from examples.autoencoder.checkpoints import Checkpoints, array_bytes, check_same_config
from examples.autoencoder.config import Config
from examples.autoencoder.images import load_images

SMALL = Config(steps=6, evaluate_every=2, batch_size=8, width=16, patch=16, loss="mse", schedule="constant")
QUIET = Console(quiet=True)


def launch(runs, *options, devices=1, **overridden):
    """Starts the program in its own process, without jaxssim installed, on virtual devices."""
    settings = {"steps": 6, "evaluate_every": 2, "batch_size": 8, "width": 16, "patch": 16, "loss": "mse"} | overridden
    flags = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "120",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    command = [sys.executable, "-m", "examples.autoencoder", "--runs", str(runs), *flags, *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(process):
    """Waits for a process and returns its output; fails where the process failed."""
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def job(runs, *options, **overridden):
    """Starts a job of two processes with two virtual devices each, connected over the loopback interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = ("--distributed", "--coordinator", f"127.0.0.1:{port}", "--processes", "2")
    return [launch(runs, *together, "--process", str(i), *options, devices=2, **overridden) for i in range(2)]


def records(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def content(folder):
    """Returns all that a resumed run must reproduce bit for bit: the last checkpoint, the records, and the scores."""
    stored = json.loads((folder / "config.json").read_text())
    config = Config(**stored | {"runs": folder.parent, "name": folder.name})
    state = steps.initial_state(config)
    checkpoints = Checkpoints(config, QUIET)
    arrays, progress = checkpoints.read(config.steps, state)
    checkpoints.close()
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics["images_per_second"]
    return list(array_bytes(arrays)), progress, (folder / "metrics.jsonl").read_text(), metrics


def trained(runs, **options):
    """Trains in this process; returns the config and the run."""
    config = dataclasses.replace(SMALL, runs=runs, **options)
    return config, training.train(config, QUIET)


# Stopping and resuming.


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_the_same_bits(tmp_path):
    """It is killed as a save begins, and twice at a random moment after one."""
    settings = {"steps": 24, "evaluate_every": 4}
    finished(launch(tmp_path / "whole", **settings))
    rng = random.Random(0)
    checkpoints = tmp_path / "killed" / "photographs" / "checkpoints"
    for saved, delay in ((1, 0), (4, rng.uniform(0, 0.3)), (12, rng.uniform(0, 0.3))):
        process = launch(tmp_path / "killed", **settings)
        # Orbax writes to a temporary folder whose name begins with the step.
        while process.poll() is None and not any(checkpoints.glob(f"{saved}*")):
            time.sleep(0.001)
        time.sleep(delay)
        process.kill()
        process.communicate()
        assert process.returncode < 0
    output = finished(launch(tmp_path / "killed", **settings))
    assert "resumed after step" in output
    assert content(tmp_path / "killed" / "photographs") == content(tmp_path / "whole" / "photographs")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The config and the result of a finished run, for tests that inspect or copy its folder."""
    return trained(tmp_path_factory.mktemp("run"), profile=True, learning_rate=0.01)


def copied(run, tmp_path):
    config, _ = run
    shutil.copytree(config.folder, tmp_path / config.name)
    return dataclasses.replace(config, runs=tmp_path)


def test_the_latest_checkpoints_and_the_best_are_kept(tmp_path):
    config = dataclasses.replace(SMALL, runs=tmp_path, keep=2, keep_best=1)
    state = steps.initial_state(config)
    batches = input_pipeline.training_batches([np.zeros((16, 16, 3), np.uint8)], config)
    for ssims in ((0.1, 0.9, 0.3), (0.4, 0.5)):  # the second tuple after a restart
        checkpoints = Checkpoints(config, QUIET)
        history = checkpoints.restore(state, batches)
        for ssim in ssims:
            history.append({"step": len(history) + 1, "ssim": ssim})
            checkpoints.save(state, batches, history)
        checkpoints.close()
        (tmp_path / config.name / "config.json").write_text(config.to_json())
    assert {int(path.name) for path in (config.folder / "checkpoints").iterdir()} == {2, 4, 5}
    checkpoints = Checkpoints(config, QUIET)
    for step in (2, 4, 5):  # each holds the history up to its own step
        assert len(checkpoints.read(step, state)[1]["history"]) == step
    checkpoints.close()


def test_a_finished_run_is_not_trained_again(run, tmp_path):
    config = copied(run, tmp_path)
    console = Console(record=True, width=300, file=io.StringIO())
    again = training.train(config, console)
    assert "finished after step 6 of 6" in console.export_text()
    assert again.history == run[1].history
    assert again.metrics == run[1].metrics


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [flip, pytest.param(Path.unlink, marks=pytest.mark.slow)])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_restored(run, tmp_path, damage):
    config = copied(run, tmp_path)
    before = content(config.folder)
    largest = max((config.folder / "checkpoints" / "6").rglob("*"), key=lambda path: path.stat().st_size)
    damage(largest)
    console = Console(record=True, width=300, file=io.StringIO())
    training.train(config, console)
    text = console.export_text()
    assert "checkpoint 6 is damaged and moved to" in text
    assert "resumed after step 4 of 6" in text
    assert (config.folder / "damaged" / "6").is_dir()
    assert content(config.folder) == before


def test_a_run_whose_checkpoints_are_all_damaged_is_left_untouched(run, tmp_path):
    config = copied(run, tmp_path)
    for path in (config.folder / "checkpoints").rglob("metadata"):
        path.write_text("{")
    with pytest.raises(SystemExit, match=r"no checkpoint in .* can be read; delete the folder"):
        training.train(config, QUIET)
    assert (config.folder / "checkpoints" / "6").is_dir()


def test_a_run_of_another_config_is_not_resumed(run, tmp_path):
    config, _ = run
    with pytest.raises(
        SystemExit, match=r"\(--seed is 1, was 0; --width is 8, was 16\); pass the same .* another --name"
    ):
        training.train(dataclasses.replace(config, width=8, seed=1), QUIET)
    check_same_config(dataclasses.replace(config, keep=7, profile=False))
    cosine = Config(runs=tmp_path, name="")
    (tmp_path / "config.json").write_text(cosine.to_json())
    with pytest.raises(SystemExit, match="--steps is 6, was 2000"):
        check_same_config(dataclasses.replace(cosine, steps=6))


@pytest.mark.slow
def test_a_run_of_constant_rate_can_be_given_more_steps(run, tmp_path):
    options, whole = run
    config = dataclasses.replace(options, runs=tmp_path, profile=False)
    short = training.train(dataclasses.replace(config, steps=4), QUIET)
    assert short.history == whole.history[:3]
    assert training.train(config, QUIET).history == whole.history


# Several devices and processes.


@pytest.mark.slow
def test_any_number_of_devices_gives_the_same_curve(tmp_path):
    """Compares one device, four devices of one process, and two devices of each of two processes, with loss ssim.

    With loss mse, most gradients of such small patches are rounding errors, which Adam's first steps amplify.
    """
    processes = [launch(tmp_path / "1", loss="ssim"), launch(tmp_path / "4", devices=4, loss="ssim")]
    for process in (*processes, *job(tmp_path / "2x2", loss="ssim")):
        finished(process)
    curves = {
        name: [
            [record[key] for key in ("loss", "test_loss", "ssim", "psnr", "mse")]
            for record in records(tmp_path / name / "photographs")
        ]
        for name in ("1", "4", "2x2")
    }
    assert len(curves["1"]) == 4
    np.testing.assert_allclose(curves["4"], curves["1"], rtol=1e-4)
    np.testing.assert_allclose(curves["2x2"], curves["1"], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_job(tmp_path, victim):
    processes = job(tmp_path, steps=100_000)
    while processes[victim].poll() is None and not (tmp_path / "photographs" / "checkpoints" / "4").exists():
        time.sleep(0.05)
    processes[victim].kill()
    output, _ = processes[1 - victim].communicate(timeout=120)
    assert processes[1 - victim].returncode != 0
    assert output.splitlines()[-1].startswith(f"process {1 - victim} of 2 ended before the job was done")
    processes[victim].communicate()


def test_processes_share_each_batch():
    images = load_images(SMALL).training
    whole = input_pipeline.training_batches(images, SMALL)
    shares = [input_pipeline.training_batches(images, SMALL, process, 4) for process in range(4)]
    for _ in range(5):
        parts = [next(share) for share in shares]
        assert parts[0].shape == (2, 16, 16, 3)
        np.testing.assert_array_equal(np.stack(parts, 1).reshape(8, 16, 16, 3), next(whole))


def test_a_batch_size_that_devices_cannot_share_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 3)
    with pytest.raises(
        SystemExit, match=r"--batch-size 32 cannot be divided evenly among 3 devices; .* --batch-size 33"
    ):
        parallel.device_mesh(32)


# Losses, schedules, clipping and types.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "ms-ssim"}, "at least 168 pixels, got --patch 64; pass --patch 168, or fewer --ms-ssim-weights"),
        ({"loss": "ms-ssim-l1", "patch": 32}, "at least 40 pixels, got --patch 32; pass --patch 40$"),
    ],
)
def test_patches_too_small_for_a_loss_are_refused(options, words):
    with pytest.raises(SystemExit, match=words):
        losses.check_patch_size(Config(**options))
    losses.check_patch_size(Config(loss="ms-ssim", patch=168))
    losses.check_patch_size(Config(loss="ms-ssim", ms_ssim_weights=(0.2, 0.3, 0.5)))


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["ms-ssim", "cw-ssim", "ms-ssim-l1"])
def test_twenty_steps_lower_the_loss(loss):
    config = Config(loss=loss, ms_ssim_weights=(0.2, 0.3), patch=56, batch_size=4, width=16, schedule="constant")
    losses.check_patch_size(config)
    images = load_images(config)
    model, adam, _ = steps.initial_state(config)
    batch = next(input_pipeline.training_batches(images.training, config))
    function = losses.loss_of(config)
    values = [float(steps.train_step(model, adam, batch, function, np.nan)) for _ in range(20)]
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
    value = losses.loss_of(Config(loss=loss, patch=56, ms_ssim_weights=weights))(x, y)
    np.testing.assert_allclose(value, expected[loss](), rtol=1e-4)


def test_plateau_patience_counts_evaluations():
    """The update is halved after three test losses in a row that are not below the best; other steps do not count."""
    config = Config(schedule="plateau", plateau_patience=3, plateau_factor=0.5, learning_rate=1.0)
    adam = optimizer.adam(config)
    plain = optimizer.adam(dataclasses.replace(config, schedule="constant"))
    parameters = {"w": jnp.ones(3)}
    states = [adam.init(parameters), plain.init(parameters)]
    test_losses = [1.0, None, 0.5, None, None, None, None, 0.6, 0.5, None, 0.7, None, 0.4, 0.8, 0.9, 0.6]
    ratios = []
    for value in test_losses:
        test_loss = jnp.float32(jnp.nan if value is None else value)
        updates = []
        for i, transformation in enumerate((adam, plain)):
            update, states[i] = transformation.update(parameters, states[i], parameters, test_loss=test_loss)
            updates.append(update["w"][0])
        ratios.append(float(updates[0] / updates[1]))
    assert ratios == [1.0] * 10 + [0.5] * 5 + [0.25]


@pytest.mark.slow
def test_the_plateau_schedule_follows_the_test_loss_and_resumes(tmp_path):
    options = {"schedule": "plateau", "plateau_patience": 1, "learning_rate": 0.05}
    config, _ = trained(tmp_path / "whole", **options)
    stopped, _ = trained(tmp_path, **options, steps=4)
    training.train(dataclasses.replace(stopped, steps=6), QUIET)
    assert content(stopped.folder) == content(config.folder)
    test_losses = [record["test_loss"] for record in records(config.folder)[:-1]]  # no step follows the last
    plateaus = sum(loss >= min(test_losses[:i]) for i, loss in enumerate(test_losses) if i)
    assert plateaus > 0
    checkpoints = Checkpoints(config, QUIET)
    arrays, _ = checkpoints.read(6, steps.initial_state(config))
    checkpoints.close()
    np.testing.assert_allclose(arrays["optimizer"]["opt_state"][1]["scale"], 0.1**plateaus, rtol=1e-6)


def test_gradients_are_clipped():
    gradients = {"w": jnp.asarray([3.0, 4.0])}
    for clip, shorter in ((1.0, 5.0), (10.0, 1.0)):
        adam = optimizer.adam(Config(clip=clip, schedule="constant"))
        _, state = adam.update(gradients, adam.init(gradients), gradients, test_loss=jnp.nan)
        (mean,) = (
            part.mu for part in jax.tree.leaves(state, is_leaf=lambda x: hasattr(x, "mu")) if hasattr(part, "mu")
        )
        np.testing.assert_allclose(mean["w"], 0.1 * gradients["w"] / shorter, rtol=1e-6)


@pytest.mark.slow
def test_bfloat16_leaves_parameters_and_losses_in_float32():
    config = dataclasses.replace(SMALL, dtype="bfloat16")
    model, adam, _ = steps.initial_state(config)
    batch = next(input_pipeline.training_batches(load_images(config).training, config))
    function = losses.loss_of(config)
    traced = str(jax.make_jaxpr(lambda x: model(x))(jnp.zeros((1, 16, 16, 3))))
    assert "bf16[3,3,16,16]" in traced
    value = steps.train_step(model, adam, batch, function, np.nan)
    assert value.dtype == model(jnp.zeros((1, 16, 16, 3))).dtype == jnp.float32
    for leaf in jax.tree.leaves(nnx.state((model, adam), nnx.Any(nnx.Param, nnx.optimizer.OptState))):
        assert leaf.dtype in (jnp.float32, jnp.int32, jnp.uint32)
    exact = steps.train_step(*steps.initial_state(SMALL)[:2], batch, function, np.nan)
    assert value != exact
    np.testing.assert_allclose(value, exact, rtol=0.02)


# What a run records.


def test_every_evaluation_is_recorded(run):
    config, result = run
    assert (config.folder / "metrics.json").exists()
    assert [record["step"] for record in records(config.folder)] == [1, 2, 4, 6]
    scalars, images = {}, {}
    for path in (config.folder / "tensorboard").iterdir():
        content = path.read_bytes()
        while content:  # 8 bytes of length, their 4-byte CRC, the event, its 4-byte CRC
            length = int.from_bytes(content[:8], "little")
            event = Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]
            for value in event.summary.value:
                if value.HasField("image"):
                    images[event.step] = value.image
                else:
                    scalars[value.tag, event.step] = value.simple_value
    for record in result.history:
        for name, value in record.items():
            np.testing.assert_allclose(scalars[name, record["step"]], value, rtol=1e-6)
    assert {"images_per_second", "waiting_for_data"} <= {tag for tag, _ in scalars}
    assert set(images) == {1, 2, 4, 6}
    assert images[6].encoded_image_string.startswith(b"\x89PNG")
    assert (images[6].height, images[6].width) == (2 * 16, 8 * 16)


def test_a_trace_is_written(run):
    config, _ = run
    assert any((config.folder / "profile").rglob("*.xplane.pb"))


def test_a_loss_of_nan_ends_the_run_with_advice(tmp_path, monkeypatch):
    step = training.train_step
    values = iter([0.5, 0.4, 0.3, float("nan"), 0.3, 0.3])
    monkeypatch.setattr(training, "train_step", lambda *arguments: step(*arguments) * 0 + next(values))
    with pytest.raises(
        SystemExit,
        match=r"the loss is nan at step 4; last good checkpoint: .*checkpoints/2\. Under another --name, try --clip 1",
    ):
        trained(tmp_path)


@pytest.mark.slow
def test_a_run_that_diverges_ends(tmp_path):
    with pytest.raises(SystemExit, match=r"is (nan|inf|-inf) at step \d+; last good checkpoint: "):
        trained(tmp_path, learning_rate=1e30)
