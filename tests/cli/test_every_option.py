"""Every option of the subcommands, through the real program in a process of its own."""

import dataclasses
import json
import re

import numpy as np
import pytest

for name in ("av", "jinja2", "matplotlib", "rich", "skimage", "sklearn", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

from commands import NAMES, crop, program, write_folders
from videos import write_video

from jaxssim._cli.options import Cluster, Compare, Video

POSITIONAL = {"reference", "test", "folder"}
COMPARE = [  # words of each command, and the exit status
    ("--metrics mse ms-ssim iw-ssim ssimulacra2 cw-ssim --csv scores.csv --json scores.json --maps maps", 2),
    ("--convention kornia --luma --crop-border 3 --mask mask.png --html report.html --junit junit.xml", 0),
    ("--pairs pairs.csv --resize test --filter box", 0),
    ("--metrics ssim --rows 1 --csv kept.csv", 0),
    ("--metrics ssim --rows 1 --csv kept.csv --resume", 0),
    ("--fail-below ssim=0.99999 --fail-above mse=0.001 --data-range 255", 1),
]
VIDEO = "--metrics psnr --convention ffmpeg --shortest --any-rate --resize test --filter area --csv f.csv --plot f.png"
CLUSTER = "--metrics mse --clusters 2 --size 40 32 --color --seed 1 --output out --labels labels.json --data-range 255"
OTHERS = {  # tested so elsewhere: the processes of a job, and the format of streams without one
    Compare: {"distributed", "coordinator", "processes", "process"},
    Video: {"format"},
    Cluster: set(),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_folders(folder)
    Image.fromarray(np.full((64, 80), 255, np.uint8)).save(folder / "mask.png")
    (folder / "pairs.csv").write_text("reference,test\nref/coffee.png,test/astronaut.jpg\n")
    (folder / "many").mkdir()
    for name in NAMES:
        Image.fromarray(crop(name)).save(folder / "many" / f"{name}.png")
    (folder / "labels.json").write_text(json.dumps({f"{name}.png": int(k > 0) for k, name in enumerate(NAMES)}))
    return folder


def untried(commands, options):
    """Returns the options of a subcommand that no command names."""
    named = {name.replace("-", "_") for name in re.findall(r"--([a-z-]+)", commands)}
    return {field.name for field in dataclasses.fields(options)} - POSITIONAL - named - OTHERS[options]


def test_no_option_is_left_out():
    commands = " ".join(command for command, _ in COMPARE)
    assert [untried(commands, Compare), untried(VIDEO, Video), untried(CLUSTER, Cluster)] == [set()] * 3


@pytest.mark.slow
def test_compare(folder):
    for command, expected in COMPARE:
        pictures = ("ref", "test")
        if "--mask" in command:
            pictures = ("ref/astronaut.png", "test/astronaut.jpg")
        elif "--pairs" in command:
            pictures = ()
        status, out, err = program("compare", *pictures, *command.split(), cwd=folder)
        assert status == expected, f"{command}: {out}{err}"
        assert "Traceback" not in out + err
    for name in ("scores.csv", "scores.json", "report.html", "junit.xml", "kept.csv", "maps"):
        assert (folder / name).exists(), name
    values = json.loads((folder / "scores.json").read_text())["pairs"][0]["values"]
    assert values.keys() == {"mse", "cw-ssim", "ssimulacra2"}  # the pictures are too small for the scales of the others


@pytest.mark.slow
def test_cluster_and_conventions(folder):
    status, out, err = program("cluster", "many", *CLUSTER.split(), cwd=folder)
    assert status == 0, out + err
    assert (folder / "out").is_dir()
    status, out, _ = program("conventions", cwd=folder)
    assert status == 0
    assert "ffmpeg" in out


@pytest.mark.slow
def test_video(folder):
    for name, noise in (("a", 0), ("b", 5)):
        write_video(folder / f"{name}.mkv", noise=noise)
    status, out, err = program("video", "a.mkv", "b.mkv", *VIDEO.split(), cwd=folder)
    assert status == 0, out + err
    assert (folder / "f.csv").exists()
    assert (folder / "f.png").exists()
