"""Kills the training of the autoencoder again and again, and compares what it ends with to a run that nobody killed.

    python benchmarks/kill.py [--kills 20] [--seed 0] [--output DIR]

A third of the kills come at a random moment after the start, a third as a checkpoint is begun, a third up to a second
later. The signal is SIGKILL: the process has no say.
"""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measuring

ROOT = Path(__file__).parents[1]
OPTIONS = {
    "steps": 1500,
    "evaluate_every": 30,
    "batch_size": 8,
    "patch": 32,
    "width": 16,
    "schedule": "plateau",
    "clip": 1.0,
}
KINDS = {"after the start": (0, 15), "as a save begins": (0, 0.02), "after a save began": (0, 1)}  # seconds


def start(folder):
    """The program, as a user starts it."""
    flags = [word for name, value in OPTIONS.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "examples.autoencoder", "--runs", folder.parent, "--name", folder.name, *flags]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(list(map(str, command)), env=environment, stdout=subprocess.PIPE, text=True)


def saved(folder):
    """Steps whose checkpoints are complete, and those whose are being written."""
    names = [path.name for path in (folder / "checkpoints").glob("[0-9]*")]
    return {int(name) for name in names if name.isdigit()}, {name for name in names if not name.isdigit()}


def kill(process, folder, kind, rng):
    """Kill at a moment of a kind; what was complete and what was being written, or None if the run had ended."""
    before = saved(folder)
    while kind != "after the start" and process.poll() is None and not saved(folder)[1] - before[1]:
        time.sleep(0.0005)
    time.sleep(rng.uniform(*KINDS[kind]))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return saved(folder) if process.returncode == -signal.SIGKILL else None


def outcome(folder):
    """Everything that must be equal: the bits of the last checkpoint, its progress, the records and the metrics."""
    from rich.console import Console

    from examples.autoencoder import checkpoints, train
    from examples.autoencoder.config import Config

    config = dataclasses.replace(Config(**OPTIONS), runs=folder.parent, name=folder.name)
    stored = checkpoints.Checkpoints(config, Console())
    arrays, progress = stored.read(config.steps, train.initial(config))
    stored.close()
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics["images_per_second"]
    log = (folder / "metrics.jsonl").read_text()
    return {"checkpoint": checkpoints.bits(arrays), "progress": progress, "metrics": metrics, "log": log}


def main():
    """Kill, compare, print, keep."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    lines = [f"python benchmarks/kill.py --kills {options.kills} --seed {options.seed}", measuring.header()]
    with tempfile.TemporaryDirectory() as scratch:
        whole, killed = Path(scratch) / "whole", Path(scratch) / "killed"
        start(whole).communicate()
        for number in range(options.kills):
            kind = list(KINDS)[number % len(KINDS)]
            found = kill(start(killed), killed, kind, rng)
            if found is None:
                raise SystemExit(f"the run ended before kill {number + 1}; raise steps in {__file__}")
            newest = f"checkpoint {max(found[0])}" if found[0] else "no checkpoint"
            lines.append(f"kill {number + 1:2}, {kind}: {newest} complete, {len(found[1])} being written")
            print(lines[-1], flush=True)
        text, _ = start(killed).communicate()
        lines.append(next(line for line in text.splitlines() if "after step" in line).split(": ")[-1])
        ends = outcome(whole), outcome(killed)
    for name, value in ends[0].items():
        lines.append(f"{name}: {'identical' if value == ends[1][name] else 'DIFFERENT'}")
    lines.append(f"test SSIM after {OPTIONS['steps']} steps: {ends[0]['metrics']['test_ssim']:.6f}")
    (options.output / "kill-cpu.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    if any(value != ends[1][name] for name, value in ends[0].items()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
