"""A finished run, from its folder: what it was asked, and the network that came of it."""

import json
from pathlib import Path

import orbax.checkpoint as ocp
from flax import nnx

from examples.autoencoder.config import Config
from examples.autoencoder.model import Autoencoder


def load(folder: Path) -> tuple[Config, Autoencoder]:
    """The config and the trained network that `python -m examples.autoencoder` left in a folder."""
    if not (folder / "config.json").is_file():
        raise SystemExit(f"{folder} holds no config.json; pass a run's folder, such as runs/photographs")
    config = from_json((folder / "config.json").read_text())
    model = Autoencoder(config, nnx.Rngs(config.seed))
    with ocp.StandardCheckpointer() as checkpointer:
        parameters = nnx.to_pure_dict(nnx.state(model, nnx.Param))
        nnx.update(model, checkpointer.restore((folder / "parameters").absolute(), parameters))
    return config, model


def from_json(text: str) -> Config:
    """A config from what its `to_json` wrote, where paths are text and tuples are lists."""
    fields = json.loads(text)
    paths = {name: fields[name] and Path(fields[name]) for name in ("data", "runs")}
    tuples = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return Config(**fields | paths | tuples)
