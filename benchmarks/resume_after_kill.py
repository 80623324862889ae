"""Kills the autoencoder's training many times, and compares its result with that of a run that was not killed.

    python benchmarks/resume_after_kill.py [--kills 20] [--seed 0] [--output DIR]

Three runs share the kills: one in a plain folder, two in folders whose names Orbax or TensorStore would misread. A
third of the kills come at a random time after the start, a third as the saving of a checkpoint begins, and a third up
to a second later. The signal is SIGKILL, which a process cannot handle. The program exits with 1 where the results
differ in any bit.
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
DIFFERENT = "DIFFERENT"
OPTIONS = {
    "steps": 1500,
    "evaluate_every": 30,
    "batch_size": 8,
    "patch": 32,
    "width": 16,
    "schedule": "plateau",
    "clip": 1.0,
}
FOLDERS = ("killed", "killed [v2]", "killed*\\two\nlines")
DELAYS = {"after the start": (0, 15), "as a save begins": (0, 0.02), "after a save began": (0, 1)}  # seconds


def start(folder):
    """Starts the training program, which writes to `folder`."""
    flags = [word for name, value in OPTIONS.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "examples.autoencoder", "--runs", folder.parent, "--name", folder.name, *flags]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(list(map(str, command)), env=environment, stdout=subprocess.PIPE, text=True)


def checkpoints(folder):
    """Returns the steps of the complete checkpoints, and the names of those that are being written."""
    names = [path.name for path in (folder / "checkpoints").glob("[0-9]*")]
    return {int(name) for name in names if name.isdigit()}, {name for name in names if not name.isdigit()}


def kill(process, folder, kind, rng):
    """Kills the process at a random moment; returns `checkpoints(folder)`, or None if the process had ended.

    Args:
      process: the training program.
      folder: where it writes.
      kind: a key of `DELAYS`. All kinds but "after the start" wait for a save to begin.
      rng: draws the delay.
    """
    _, unfinished = checkpoints(folder)
    while kind != "after the start" and process.poll() is None and not checkpoints(folder)[1] - unfinished:
        time.sleep(0.0005)
    time.sleep(rng.uniform(*DELAYS[kind]))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return checkpoints(folder) if process.returncode == -signal.SIGKILL else None


def result(folder):
    """Returns all that must be equal: the last checkpoint's arrays and progress, the records, and the scores."""
    from rich.console import Console

    from examples.autoencoder.checkpoints import Checkpoints, array_bytes
    from examples.autoencoder.config import Config
    from examples.autoencoder.steps import initial_state

    config = dataclasses.replace(Config(**OPTIONS), runs=folder.parent, name=folder.name)
    saved = Checkpoints(config, Console())
    arrays, progress = saved.read(config.steps, initial_state(config))
    saved.close()
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics["images_per_second"]
    log = (folder / "metrics.jsonl").read_text()
    return {"checkpoint": list(array_bytes(arrays)), "progress": progress, "metrics": metrics, "log": log}


def kill_repeatedly(folder, kills, rng):
    """Yields a line for each kill, each followed by a restart, and a last line where the run resumed."""
    for number in range(kills):
        kind = list(DELAYS)[number % len(DELAYS)]
        found = kill(start(folder), folder, kind, rng)
        if found is None:
            raise SystemExit(f"the run ended before kill {number + 1}; raise steps in {__file__}")
        complete, unfinished = found
        newest = f"checkpoint {max(complete)}" if complete else "no checkpoint"
        yield f"kill {number + 1}, {kind}: {newest} complete, {len(unfinished)} being written"
    output, _ = start(folder).communicate()
    yield next(line for line in output.splitlines() if "after step" in line).split(": ")[-1]


def report(scratch, kills, rng):
    """Yields the lines of the report; the last lines say what is identical.

    Args:
      scratch: a folder for the runs.
      kills: the number of kills, over all folders together.
      rng: draws the delays.
    """
    start(scratch / "undisturbed").communicate()
    expected = result(scratch / "undisturbed")
    for index, name in enumerate(FOLDERS):
        yield f"folder {name!r}"
        yield from kill_repeatedly(scratch / name, len(range(index, kills, len(FOLDERS))), rng)
        found = result(scratch / name)
        for part, value in expected.items():
            yield f"{part}: {'identical' if found[part] == value else DIFFERENT}"
    yield f"test SSIM after {OPTIONS['steps']} steps: {expected['metrics']['test_ssim']:.6f}"


def main():
    """Prints and writes the report."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    command = f"python benchmarks/resume_after_kill.py --kills {options.kills} --seed {options.seed}"
    lines = [command, measuring.header()]
    with tempfile.TemporaryDirectory() as scratch:
        for line in report(Path(scratch), options.kills, random.Random(options.seed)):
            print(line, flush=True)
            lines.append(line)
    (options.output / "resume-after-kill-cpu.txt").write_text("\n".join(lines) + "\n")
    if any(DIFFERENT in line for line in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
