"""Loading the network of a run from its folder: that of its end, or that of a checkpoint, also while the run trains."""

import json
from contextlib import closing
from pathlib import Path
from typing import Literal

import orbax.checkpoint as ocp
from flax import nnx

from examples.autoencoder.checkpoints import best_steps, read
from examples.autoencoder.config import Config
from examples.autoencoder.model import Autoencoder
from examples.autoencoder.steps import initial_state
from examples.saving import load_parameters, plain_path

Choice = Literal["latest", "best"] | int  # of a checkpoint: the last, that of highest test SSIM, or that of a step


def load_run(folder: Path, checkpoint: Choice | None = None) -> tuple[Config, Autoencoder]:
    """Loads the config and the network of a run.

    Args:
      folder: the run's folder.
      checkpoint: which checkpoint to load, as for `choose_step`.

    Raises:
      SystemExit: the folder holds no run, or not this checkpoint, or the checkpoint cannot be read.
    """
    if not (folder / "config.json").is_file():
        raise SystemExit(f"{folder} holds no config.json; pass a run's folder, such as runs/photographs")
    config = Config.from_json((folder / "config.json").read_text())
    step = choose_step(folder, checkpoint)
    if step is not None:
        return config, load_checkpoint(folder, config, step)
    model = Autoencoder(config, nnx.Rngs(config.seed))
    load_parameters(model, folder)
    return config, model


def choose_step(folder: Path, checkpoint: Choice | None = None) -> int | None:
    """Returns the step of the checkpoint to load, or None for the parameters of the finished run.

    Args:
      folder: the run's folder.
      checkpoint: the latest, the best or that of a step. By default it is None for a finished run, else the latest.

    Raises:
      SystemExit: the run does not keep this checkpoint; the message says which it keeps.
    """
    if checkpoint is None and (folder / "parameters").is_dir():
        return None
    kept = kept_steps(folder)
    if not kept:
        raise SystemExit(f"{folder} holds no checkpoint; the first one follows the first evaluation of a run")
    if isinstance(checkpoint, int):
        if checkpoint not in kept:
            raise SystemExit(f"--checkpoint {checkpoint} is not kept; {advice(folder)}")
        return checkpoint
    history = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return best_steps(list(history), set(kept), 1)[0] if checkpoint == "best" else kept[-1]


def load_checkpoint(folder: Path, config: Config, step: int) -> Autoencoder:
    """Loads a network from a checkpoint; a run that writes others meanwhile is not disturbed."""
    state = initial_state(config)
    options = ocp.CheckpointManagerOptions(create=False)
    with plain_path(folder) as path, closing(ocp.CheckpointManager(path / "checkpoints", options=options)) as manager:
        try:
            arrays, _ = read(manager, step, state)
        except Exception as error:  # the exception depends on which file is missing or damaged
            reason = f"cannot be read ({type(error).__name__})"
            raise SystemExit(f"the checkpoint of step {step} {reason}; {advice(folder)}") from error
    nnx.update(state, arrays)
    return state.model


def kept_steps(folder: Path) -> list[int]:
    """Returns the steps of the checkpoints in a run's folder, in order."""
    return sorted(int(path.name) for path in (folder / "checkpoints").glob("*") if path.name.isdigit())


def advice(folder: Path) -> str:
    """Returns what to pass as --checkpoint."""
    return f"pass --checkpoint latest, best, or one of those in {folder}: {', '.join(map(str, kept_steps(folder)))}"
