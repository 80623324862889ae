"""What a run has: its pictures, in numbers and by name, its parameters and its devices."""

import csv
from collections import Counter

import jax
from flax import nnx
from rich.console import Console

from examples.autoencoder.config import Config
from examples.autoencoder.images import Images
from jaxssim._cli.console import one_line, say
from jaxssim._pictures import show_name

PICTURES = "pictures.csv"


def say_inventory(config: Config, images: Images, patches: int, model: nnx.Module, console: Console) -> None:
    """Prints how many pictures there are and where they came from, the parameters, the devices and the steps.

    Args:
      config: the config of the run.
      images: its training and test images.
      patches: the number of test patches.
      model: the network.
      console: where to print.
    """
    source = "scikit-image's photographs" if config.data is None else show_name(config.data)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    kinds = Counter(device.device_kind for device in jax.devices())
    devices = ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
    if jax.process_count() > 1:
        devices += f" of {jax.process_count()} processes"
    say(
        console,
        f"pictures: {len(images.training)} to train on, {len(images.test)} to test ({patches} patches), from {source}; "
        f"named in {show_name(config.folder / PICTURES)}",
        f"network: {parameters:,} parameters; devices: {devices}; {config.steps:,} steps of {config.batch_size} "
        f"patches of {config.patch}x{config.patch} pixels",
    )


def write_names(config: Config, images: Images) -> None:
    """Writes a row for each picture: whether it trains, tests or was left out, its name, and notes or the reason.

    A note that holds for none of these pictures, such as one on a whole file of arrays, has a row of its own.
    """
    notes: dict[str, list[str]] = {}
    for note, paths in images.report.notes.items():
        for path in paths:
            notes.setdefault(show_name(path, "utf-8"), []).append(one_line(note).plain)
    rows = [
        (use, name, "; ".join(notes.pop(name, ())))
        for use, names in (("training", images.training_names), ("test", images.test_names))
        for name in (show_name(name, "utf-8") for name in names)
    ]
    rows += [
        ("left out", show_name(error.path, "utf-8"), one_line(error.reason).plain) for error in images.report.unreadable
    ]
    rows += [("note", name, "; ".join(remaining)) for name, remaining in notes.items()]
    with (config.folder / PICTURES).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("use", "name", "notes"), *rows])
