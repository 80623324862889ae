"""Small training runs of the autoencoder, for the tests: in this process or in others, and what they leave."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from examples.autoencoder import steps
from examples.autoencoder.checkpoints import Checkpoints, array_bytes
from examples.autoencoder.config import Config
from examples.autoencoder.train import train

ROOT = Path(__file__).resolve().parents[1]
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
    return config, train(config, QUIET)
