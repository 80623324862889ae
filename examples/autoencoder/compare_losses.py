"""Trains the same network with several losses and scores each by measures that most of the losses do not minimise.

Each combination of a loss, a bottleneck and a seed is a run of its own, in RUNS/NAME. The same command goes on with a
study that was stopped.
"""

import dataclasses
import json
from itertools import product
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console

from examples.autoencoder import loss_tables, report
from examples.autoencoder.config import Config, LossName
from examples.autoencoder.images import load_images
from examples.autoencoder.input_pipeline import test_patches
from examples.autoencoder.loss_tables import PCA, Result
from examples.autoencoder.measures import SIDE, measure
from examples.autoencoder.steps import Network
from examples.autoencoder.stopping import stoppable
from examples.autoencoder.train import train
from examples.saving import make_folder
from jaxssim._cli.console import open_console, print_report, say
from jaxssim._pictures import show_name

SCALES = (0.2, 0.3, 0.5)  # weights of MS-SSIM, of which five scales need patches of 168 pixels


@dataclasses.dataclass(frozen=True)
class Study:
    """Train the same network with several losses and score each by measures of image quality."""

    data: Path | None = None
    """The images, as for `python -m examples.autoencoder`. Default: the photographs that ship with scikit-image."""
    losses: tuple[LossName, ...] = ("mse", "l1", "ssim", "ms-ssim", "cw-ssim", "ms-ssim-l1", "dssim-l1")
    """The losses to compare, at least one."""
    bottlenecks: tuple[int, ...] = (3, 6, 12)
    """The lengths of the code of a block of 8x8 pixels, which has 192 values."""
    seeds: int = 3
    """Number of seeds, from 0."""
    steps: int = 400
    """Number of training steps of each run."""
    batch_size: int = 32
    """Patches per batch."""
    width: int = 64
    """Channels of the hidden convolutions."""
    name: str = "losses"
    """Name of the study; all its files are written to RUNS/NAME."""
    runs: Path = Path("runs")
    """Folder that holds all runs and studies."""

    def __post_init__(self) -> None:
        """Raises SystemExit where an option is out of range."""
        for field in ("losses", "bottlenecks", "seeds"):
            if not getattr(self, field):
                raise SystemExit(f"--{field} is {getattr(self, field)}; pass at least one of the {field}")
        try:
            self.configs()
        except ValueError as error:
            raise SystemExit(str(error)) from None

    @property
    def folder(self) -> Path:
        """Returns the folder to which the study writes."""
        return self.runs.expanduser() / self.name

    def configs(self) -> list[Config]:
        """Returns the config of each run."""
        return [
            Config(
                data=self.data,
                loss=loss,
                ms_ssim_weights=SCALES,
                bottleneck=bottleneck,
                seed=seed,
                steps=self.steps,
                evaluate_every=self.steps,
                batch_size=self.batch_size,
                width=self.width,
                name=f"{loss}-{bottleneck}-{seed}",
                runs=self.folder,
            )
            for seed, bottleneck, loss in product(range(self.seeds), self.bottlenecks, self.losses)
        ]


def main(study: Study) -> None:
    """Trains and scores all runs, then writes and prints a table for each bottleneck and draws the narrowest one."""
    console, configs = open_console(width=150), study.configs()
    check_same_study(study)
    for config in configs:
        make_folder(config.folder)  # a name too long for the last run must not end the program after the first
    patches = measured_patches(configs[0], console)
    results: list[Result] = []
    drawn: dict[str, np.ndarray] = {}
    for count, config in enumerate(configs, start=1):
        say(console, f"run {count} of {len(configs)}: {config.name}")
        for title, network in trained_networks(config, config.loss == study.losses[0], console).items():
            reconstructed, values = measure(network, patches)
            results.append(Result(title, config.bottleneck, config.seed, values))
            if config.bottleneck == min(study.bottlenecks) and config.seed == 0:
                drawn[title] = reconstructed
    folder = study.folder
    report.draw_losses(patches, drawn, folder / "losses.png")
    loss_tables.write(results, f"{study.steps} steps of {study.batch_size} patches, width {study.width}", folder)
    for table in loss_tables.tables(results):
        console.print(table)
    say(console, folder / "losses.png", folder / "losses.md", folder / "losses.csv")


def trained_networks(config: Config, with_pca: bool, console: Console) -> dict[str, Network]:
    """Trains a run, or loads it where it has finished; returns its network by its loss, after PCA where asked for."""
    quiet = open_console(quiet=True)
    with stoppable(config.folder, console):
        run = train(config, quiet)
    networks: dict[str, Network] = {PCA: run.pca} if with_pca else {}
    return networks | {config.loss: run.model}


def check_same_study(study: Study) -> None:
    """Writes study.json; raises SystemExit where the folder holds another study, whose tables must not be replaced."""
    make_folder(study.folder)
    path, text = study.folder / "study.json", json.dumps(dataclasses.asdict(study), indent=2, default=str)
    if path.exists() and path.read_text() != text:
        raise SystemExit(f"{show_name(study.folder)} holds a study with other options; pass another --name")
    path.write_text(text)


def measured_patches(config: Config, console: Console) -> np.ndarray:
    """Returns the patches of the test images that all runs are scored on, uint8 (patches, SIDE, SIDE, 3).

    Prints which files were left out.
    """
    data = load_images(config)
    print_report(data.report, console)
    images = [image for image in data.test if min(image.shape[:2]) >= SIDE]
    if not images:
        source = f"--data {show_name(config.data)}" if config.data else "scikit-image"
        raise SystemExit(f"{source} has no test image of at least {SIDE}x{SIDE} pixels; pass larger images")
    return test_patches(images, SIDE)


if __name__ == "__main__":
    main(tyro.cli(Study, prog="python -m examples.autoencoder.compare_losses", description=__doc__))
