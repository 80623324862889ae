"""Loading a finished run from its folder."""

from pathlib import Path

from flax import nnx

from examples.autoencoder.config import Config
from examples.autoencoder.model import Autoencoder
from examples.saving import load_parameters


def load_run(folder: Path) -> tuple[Config, Autoencoder]:
    """Loads the config and the trained network of a run.

    Raises:
      SystemExit: the folder holds no run.
    """
    if not (folder / "config.json").is_file():
        raise SystemExit(f"{folder} holds no config.json; pass a run's folder, such as runs/photographs")
    config = Config.from_json((folder / "config.json").read_text())
    model = Autoencoder(config, nnx.Rngs(config.seed))
    load_parameters(model, folder)
    return config, model
