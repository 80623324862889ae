"""The programs on folders with hostile names, links, unreadable files and pictures of every depth."""

import io
import os
import sys

import numpy as np
import pytest

for name in ("flax", "grain", "matplotlib", "rich", "skimage", "sklearn", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

from rich.console import Console

from examples.autoencoder import images
from examples.autoencoder.config import Config
from examples.defect_segmentation import config as defect_config
from examples.defect_segmentation import data as defect_data
from jaxssim._cli.console import print_report

NAMES = ["a.png", "two\nlines.png", os.fsdecode(b"\xe9 [bold] :smile:.png"), "\x1b[2J.png"]
BROKEN = "broken [red] 大\n.png"


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A folder of four different pictures and a broken one, all with hostile names."""
    path = tmp_path / "pictures [red]"
    path.mkdir()
    for i, name in enumerate(NAMES):
        Image.fromarray(np.roll(noise(140, 150, 3), i)).save(path / name)
    (path / BROKEN).write_bytes(b"words")
    return path


def load(program, folder):
    """Returns the report of a program that has read the folder, and the number of pictures that it uses."""
    if program == "autoencoder":
        loaded = images.load_images(Config(data=folder))
        return loaded.report, len(loaded.training + loaded.test)
    (material,) = defect_data.load_materials(defect_config.Config(data=folder, painted=1))
    return material.report, len(material.training) + len(material.validation) + 1  # one is painted on


@pytest.mark.parametrize("program", ["autoencoder", "defects"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_hostile_names_are_read_and_shown_on_any_terminal(folder, monkeypatch, program, encoding):
    report, used = load(program, folder)
    assert used == len(NAMES)
    terminal = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    report.add(folder / NAMES[2], ["a note"])
    print_report(report, Console())
    terminal.flush()
    lines = terminal.buffer.getvalue().decode(encoding).splitlines()
    shown = "大" if encoding == "utf-8" else r"\u5927"
    assert lines == [
        rf"1 unreadable: {folder}/broken [red] {shown}\n.png (not an image)",
        rf"a note: 1 file ({folder}/\xe9 [bold] :smile:.png)",
    ]


@pytest.mark.parametrize("program", ["autoencoder", "defects"])
def test_a_file_that_links_reach_twice_is_read_once(folder, program):
    (folder / "again").symlink_to(folder)
    (folder / "zero.png").symlink_to(folder / "a.png")
    (folder / "linked").symlink_to(folder.parent / "elsewhere")
    (folder.parent / "elsewhere").mkdir()
    Image.fromarray(noise(160, 150, 3)).save(folder.parent / "elsewhere" / "e.png")
    report, used = load(program, folder)
    assert used == len(NAMES) + 1
    assert report.notes == {"another link to a file that is read already, left out": [folder / "zero.png"]}


@pytest.mark.parametrize("program", ["autoencoder", "defects"])
def test_conversions_and_formats_that_are_not_read_are_named(folder, program):
    hidden = np.dstack([noise(140, 150, 3), np.zeros((140, 150), np.uint8)])
    Image.fromarray(hidden).save(folder / "hidden.png")
    Image.fromarray(noise(140, 150) / np.float32(255)).save(folder / "float.tif")
    for name in ("x.exr", "y.cr2", "z.jxl"):
        (folder / name).touch()
    report, used = load(program, folder)
    assert used == len(NAMES) + 2
    assert len(report.unreadable) == 4
    assert set(report.notes) == {
        "laid over white where it is transparent",
        "floats within [0, 1], whose white is taken to be 1",
    }
