"""What a run says and writes about its pictures, network and devices before it trains."""

import csv
import dataclasses
import io
import os

import numpy as np
import pytest

for name in ("flax", "grain", "rich", "skimage"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

from flax import nnx
from rich.console import Console

from examples.autoencoder.config import Config
from examples.autoencoder.images import load_images
from examples.autoencoder.inventory import say_inventory, write_names

CONFIG = Config(width=16, patch=16, test_fraction=0.4)


def rows(config):
    """Writes the names of a run's pictures and reads them back."""
    config.folder.mkdir(parents=True, exist_ok=True)
    write_names(config, load_images(config))
    with (config.folder / "pictures.csv").open(newline="", encoding="utf-8") as file:
        lines = file.read().splitlines()
    table = list(csv.DictReader(lines))
    assert len(table) == len(lines) - 1  # one line for each
    return [(row["use"], row["name"], row["notes"]) for row in table]


def test_every_picture_of_a_folder_is_named(tmp_path):
    """The pictures differ in colour, which tells which of them train."""
    escaped = {"two\nlines.png": r"two\nlines.png", os.fsdecode(b"\xe9.png"): r"\xe9.png"}
    shown = {name: name for name in ("a.png", "d,'.png")} | escaped
    folder = tmp_path / "data"
    folder.mkdir()
    for i, name in enumerate(shown):
        Image.fromarray(np.full((20, 20), 50 * i, np.uint8)).save(folder / name)
    (folder / "text\n.png").write_text("words")
    (folder / "z.png").symlink_to(folder / "a.png")
    config = dataclasses.replace(CONFIG, data=folder, runs=tmp_path)
    images = load_images(config)
    expected = [
        (use, f"{folder}/{list(shown.values())[image[0, 0, 0] // 50]}", "")
        for use, part in (("training", images.training), ("test", images.test))
        for image in part
    ]
    expected.append(("left out", rf"{folder}/text\n.png", "not an image"))
    expected.append(("note", f"{folder}/z.png", "another link to a file that is read already, left out"))
    assert rows(config) == expected


def test_notes_stand_beside_the_names(tmp_path):
    for name in "ab":
        Image.fromarray(np.zeros((20, 20, 4), np.uint8)).save(tmp_path / f"{name}.png")
    notes = {notes for _, _, notes in rows(dataclasses.replace(CONFIG, data=tmp_path, runs=tmp_path))}
    assert notes == {"laid over white where it is transparent"}


@pytest.mark.parametrize("test", [False, True])
def test_images_of_arrays_are_named_by_their_place(tmp_path, test):
    arrays = {"x_train": np.arange(7, dtype=np.uint8)[:, None, None] * np.ones((7, 16, 16), np.uint8)}
    arrays |= {"x_test": np.zeros((3, 16, 16), np.uint8)} if test else {}
    path = tmp_path / "x.npz"
    np.savez(path, **arrays, masks=np.zeros((7, 16, 16), np.uint8))
    config = dataclasses.replace(CONFIG, data=path, runs=tmp_path)
    images = load_images(config)
    expected = [("training", f"{path}: image {image[0, 0, 0]}", "") for image in images.training]
    if test:
        expected += [("test", f"{path}: test image {i}", "") for i in range(3)]
    else:
        expected += [("test", f"{path}: image {image[0, 0, 0]}", "") for image in images.test]
    note = "the array masks holds no training or test images by its name, left out"
    assert rows(config) == [*expected, ("note", str(path), note)]


def test_a_run_says_what_it_has(tmp_path):
    console = Console(file=io.StringIO(), width=40)
    config = dataclasses.replace(CONFIG, runs=tmp_path)
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    say_inventory(config, load_images(config), 206, model, console)
    pictures, network = console.file.getvalue().splitlines()
    assert pictures == (
        "pictures: 13 to train on, 4 to test (206 patches), from scikit-image's photographs; "
        f"named in {config.folder}/pictures.csv"
    )
    assert network == "network: 9 parameters; devices: 4 x cpu; 2,000 steps of 32 patches of 16x16 pixels"
