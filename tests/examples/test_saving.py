"""Runs in folders of any name: they are saved, resumed and read, or refused before the first step."""

import dataclasses
import io
import os
from pathlib import Path

import numpy as np
import pytest

for name in ("flax", "grain", "matplotlib", "optax", "orbax.checkpoint", "rich", "skimage", "tensorboardX", "tyro"):
    pytest.importorskip(name)

import jax.numpy as jnp
from flax import nnx
from marks import slow_except
from rich.console import Console
from training_runs import QUIET, SMALL, content, trained

from examples import saving
from examples.autoencoder import compare_losses, input_pipeline, reconstruct, steps
from examples.autoencoder import train as training
from examples.autoencoder.checkpoints import Checkpoints, array_bytes
from examples.autoencoder.config import Config
from examples.autoencoder.runs import load_run
from examples.defect_segmentation.config import Config as DefectConfig

linux = pytest.mark.skipif(not saving.OPEN_FILES.is_dir(), reason="the system has no paths through open files")
BAD_BYTES = os.fsdecode(b"bad\xff")
MISREAD = ["a[ssim]", "exp [v2]", "a*", "a?", "back\\slash", "\\", BAD_BYTES, "a[ssim]/back\\slash/*"]
ALWAYS_READ = [
    "[",
    "br{a}ces",
    "two\nlines",
    "Übung 日本",
    "dot.",
    " spaces ",
    "-x",
    "~x",
    "$HOME",
    "a%20b#c",
    "s3:x",
    "x.orbax-checkpoint-tmp",
    "ocdbt.process_0",
    "n" * 255,
    "/".join(["n" * 200] * 17),
]


class Weights(nnx.Module):
    def __init__(self, value):
        self.weight = nnx.Param(jnp.full((3, 2), value))


@linux
@pytest.mark.parametrize("name", MISREAD + ALWAYS_READ)
def test_parameters_load_as_they_were_saved(tmp_path, name):
    folder, beside = tmp_path / name, tmp_path / "ab"
    for each, value in ((beside, 7.0), (folder, 1.0), (folder, 2.0)):
        saving.make_folder(each)
        saving.save_parameters(Weights(value), each)
    loaded = Weights(0.0)
    saving.load_parameters(loaded, folder)
    np.testing.assert_array_equal(loaded.weight, np.full((3, 2), 2.0))
    assert {path.name for path in tmp_path.iterdir()} == {Path(name).parts[0], "ab"}
    assert {path.name for path in folder.iterdir()} == {"parameters"}


@linux
@pytest.mark.parametrize("name", slow_except(["a[ssim]/back\\slash/*"], [*MISREAD, "two\nlines", "n" * 255]))
def test_checkpoints_are_kept_and_read(tmp_path, name):
    """A run whose name `a*` matches lies beside it."""
    batches = input_pipeline.training_batches([np.zeros((16, 16, 3), np.uint8)], SMALL)
    for each, seed in (("ab", 1), (name, 2)):
        config = dataclasses.replace(SMALL, runs=tmp_path, name=each, seed=seed, keep=2)
        config.folder.mkdir(parents=True)
        state = steps.initial_state(config)
        checkpoints = Checkpoints(config, QUIET)
        for step in (1, 2, 3):
            checkpoints.save(state, batches, [{"step": step, "ssim": 0.1 * step}])
        checkpoints.close()
        (config.folder / "config.json").write_text(config.to_json())
    restored = steps.initial_state(SMALL)
    checkpoints = Checkpoints(config, QUIET)
    assert checkpoints.restore(restored, batches) == [{"step": 3, "ssim": pytest.approx(0.3)}]
    checkpoints.close()
    assert list(array_bytes(nnx.state(restored))) == list(array_bytes(nnx.state(state)))
    assert {path.name for path in (config.folder / "checkpoints").iterdir()} == {"2", "3"}


@linux
@pytest.mark.slow
@pytest.mark.parametrize("name", [f"a[ssim]\\{BAD_BYTES}", "exp [v2]"])
def test_a_run_resumes_and_is_read(tmp_path, monkeypatch, name):
    """It has the bits of a run in a plain folder; its trace is written, and its messages name the whole path."""
    config, run = trained(tmp_path / "[v2]", name=name, profile=True)
    plain, _ = trained(tmp_path)
    assert content(config.folder) == content(plain.folder)
    assert any((config.folder / "profile").rglob("*.xplane.pb"))
    console = Console(record=True, width=500, file=io.StringIO())
    damaged = max((config.folder / "checkpoints" / "6").rglob("*"), key=lambda path: path.stat().st_size)
    damaged.write_bytes(bytes(byte ^ 1 for byte in damaged.read_bytes()))
    again = training.train(config, console)
    assert again.history == run.history
    shown = str(config.folder).replace("\udcff", "\\udcff")
    messages = console.export_text()
    assert f"checkpoint 6 is damaged and moved to {shown}/damaged/6" in messages
    assert f"{shown}: resumed after step 4 of 6" in messages
    assert "/proc/" not in messages
    monkeypatch.chdir(config.folder.parent)
    loaded, model = load_run(Path(config.name))
    assert loaded == config
    patches = run.patches[:4].astype(np.float32) / 255
    np.testing.assert_array_equal(model(patches), run.model(patches))
    reconstruct.main(reconstruct.Options(config.folder, export=True))
    assert (config.folder / "model.stablehlo").stat().st_size > 0


@linux
def test_links_and_relative_paths_are_followed(tmp_path, monkeypatch):
    (tmp_path / "real [1]").mkdir()
    (tmp_path / "deeper").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real [1]", target_is_directory=True)
    monkeypatch.chdir(tmp_path / "deeper")
    for folder in (Path("../link"), Path("../real [1]/../link")):
        saving.save_parameters(Weights(3.0), folder)
    loaded = Weights(0.0)
    saving.load_parameters(loaded, tmp_path / "real [1]")
    np.testing.assert_array_equal(loaded.weight, np.full((3, 2), 3.0))


@pytest.mark.parametrize("config", [Config, DefectConfig])
def test_a_home_folder_that_the_shell_left_is_expanded(config, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config(runs=Path("~/exp"), name="a").folder == tmp_path / "exp" / "a"
    assert config(runs=Path("."), name="~").folder == Path("~")


def test_a_path_that_orbax_misreads_is_refused_where_the_system_has_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "OPEN_FILES", tmp_path / "absent")
    for name, reason in (("a[ssim]", r"holds '\['"), ("a\\b", r"holds '\\\\'"), (BAD_BYTES, r"holds '\\udcff'")):
        with pytest.raises(SystemExit, match=f"whose path {reason}; pass --runs and --name, or rename"):
            trained(tmp_path, name=name)
        assert list((tmp_path / name).iterdir()) == []
    with saving.plain_path(tmp_path / "plain name") as path:
        assert path == tmp_path / "plain name"


@pytest.mark.parametrize("name", ["n" * 256, "file", "file/deeper"])
def test_a_folder_that_cannot_be_made_is_refused_before_the_first_step(tmp_path, monkeypatch, name):
    (tmp_path / "file").touch()
    monkeypatch.setattr(training, "train_step", None)
    with pytest.raises(SystemExit, match=r"cannot make the folder .*; pass another --runs or --name"):
        trained(tmp_path, name=name)


def test_a_comparison_of_losses_makes_its_folders_first(tmp_path, monkeypatch):
    monkeypatch.setattr(compare_losses, "train", None)
    study = compare_losses.Study(runs=tmp_path, name="n" * 256)
    with pytest.raises(SystemExit, match="File name too long; pass another --runs or --name"):
        compare_losses.main(study)
