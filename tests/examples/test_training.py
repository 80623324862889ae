"""The training loop: it resumes with the same bits, records every evaluation, and reports what is wrong."""

import dataclasses
import io
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

for name in ("flax", "grain", "matplotlib", "optax", "orbax.checkpoint", "rich", "skimage", "tensorboardX", "tyro"):
    pytest.importorskip(name)

from marks import slow
from rich.console import Console
from tensorboardX.proto.event_pb2 import Event
from training_runs import QUIET, SMALL, content, finished, launch, records, trained

from examples.autoencoder import input_pipeline, steps
from examples.autoencoder import train as training
from examples.autoencoder.checkpoints import Checkpoints, check_same_config
from examples.autoencoder.config import Config


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


@slow
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


@slow
@pytest.mark.parametrize("damage", [flip, Path.unlink])
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


@slow
def test_a_run_whose_checkpoints_are_all_damaged_is_left_untouched(run, tmp_path):
    config = copied(run, tmp_path)
    for path in (config.folder / "checkpoints").rglob("metadata"):
        path.write_text("{")
    with pytest.raises(SystemExit, match=r"no checkpoint in .* can be read; delete the folder"):
        training.train(config, QUIET)
    assert (config.folder / "checkpoints" / "6").is_dir()


@slow
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


@slow
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
            if (name, record["step"]) == ("loss", 1):  # a single batch, not the mean of several
                assert ("loss", 1) not in scalars
                continue
            np.testing.assert_allclose(scalars[name, record["step"]], value, rtol=1e-6)
    assert {"images_per_second", "waiting_for_data"} <= {tag for tag, _ in scalars}
    assert set(images) == {1, 2, 4, 6}
    assert images[6].encoded_image_string.startswith(b"\x89PNG")
    assert (images[6].height, images[6].width) == (2 * 16, 8 * 16)


@slow
def test_a_trace_is_written(run):
    config, _ = run
    assert any((config.folder / "profile").rglob("*.xplane.pb"))


@slow
def test_a_loss_of_nan_ends_the_run_with_advice(tmp_path, monkeypatch):
    step = training.train_step
    values = iter([0.5, 0.4, 0.3, float("nan"), 0.3, 0.3])
    monkeypatch.setattr(training, "train_step", lambda *arguments: step(*arguments) * 0 + next(values))
    with pytest.raises(
        SystemExit,
        match=r"the loss is nan at step 4; last good checkpoint: .*checkpoints/2\. Under another --name, try a lower",
    ):
        trained(tmp_path)


@pytest.mark.slow
def test_a_run_that_diverges_ends(tmp_path):
    with pytest.raises(SystemExit, match=r"is (nan|inf|-inf) at step \d+; last good checkpoint: "):
        trained(tmp_path, learning_rate=1e30)
