"""Folders of pictures to compare, and the command run in this process or as a program of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from pictures import photograph
from PIL import Image

from jaxssim.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("astronaut", "coffee", "rocket")


def crop(name, height=64, width=80):
    """Returns a part of a photograph of scikit-image, uint8 (height, width, channels)."""
    return np.ascontiguousarray(photograph(name)[100 : 100 + height, 120 : 120 + width])


def write_folders(folder, height=64, width=80):
    """Writes parts of photographs into FOLDER/ref as PNG and FOLDER/test as JPEG; returns both folders."""
    for which, suffix in (("ref", "png"), ("test", "jpg")):
        (folder / which / "deep").mkdir(parents=True)
        for k, name in enumerate(NAMES):
            path = folder / which / ("deep" if k == 2 else "") / f"{name}.{suffix}"
            Image.fromarray(crop(name, height + 7 * k, width)).save(path, quality=30 + 20 * k)
    return folder / "ref", folder / "test"


def write_many(folder, count):
    """Writes COUNT names of one picture into FOLDER/ref, and of another with flipped bits into FOLDER/test."""
    image = crop("coffee", 160, 200)
    for which, picture in (("ref", image), ("test", image ^ 8)):
        (folder / which).mkdir()
        Image.fromarray(picture).save(folder / f"{which}.png")
        for k in range(count):
            (folder / which / f"{k:05}.png").symlink_to(folder / f"{which}.png")


def read_pairs(ref, test):
    """Returns the pixels of the pairs in float64, by name, read by Pillow alone."""
    names = [f"deep/{name}" if name == "rocket" else name for name in NAMES]
    files = {name: (ref / f"{name}.png", test / f"{name}.jpg") for name in names}
    return {name: tuple(np.asarray(Image.open(path), float) for path in pair) for name, pair in files.items()}


def run(capsys, *arguments):
    """Runs the command in this process; returns the exit status, and what it printed on both streams."""
    try:
        status = main(list(map(str, arguments)))
    except SystemExit as error:  # of tyro
        status = error.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def scores(capsys, *arguments, status=0):
    """Runs a comparison with `--json -`; returns what it wrote to standard output."""
    ended, out, err = run(capsys, "compare", *arguments, "--json", "-")
    assert ended == status, err
    return json.loads(out)


def launch(*arguments, **options):
    """Starts the real program in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"} | options.pop("environment", {})
    command = [sys.executable, "-m", "jaxssim", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def finish(process, timeout=300):
    """Waits for a program; returns the exit status and the texts of both streams."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out.decode(), err.decode()


def program(*arguments, **options):
    """Runs the real program to its end."""
    return finish(launch(*arguments, **options))
