"""Trains the autoencoder, then draws and prints the results."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from typing import Literal

import jax
import tyro
from rich.console import Console

from examples.autoencoder import parallel, report
from examples.autoencoder.config import PRESETS, Config
from examples.autoencoder.losses import loss_of
from examples.autoencoder.steps import evaluate
from examples.autoencoder.stopping import stoppable
from examples.autoencoder.train import Run, train
from jaxssim._cli.console import open_console, say

TIMED_STEPS = 10  # the fewest steps whose mean speed says something


def main(config: Config) -> None:
    """Trains, or resumes, the run that the config describes."""
    with parallel.join_job(config):
        console = open_console(quiet=jax.process_index() > 0)
        with stoppable(config.folder, console):
            run = train(config, console)
            if jax.process_index() == 0:
                show(run, config, console)


def show(run: Run, config: Config, console: Console) -> None:
    """Draws the curves and reconstructions of a run and prints its scores beside those of PCA."""
    curves, reconstructions = config.folder / "curves.png", config.folder / "reconstructions.png"
    network, pca = f"network, {config.loss}", f"PCA, {config.bottleneck} values a block"
    report.draw_curves(run, curves)
    report.draw_reconstructions({network: run.model, pca: run.pca}, run.patches, reconstructions)
    scores = {
        network: {name: run.metrics[f"test_{name}"] for name in ("ssim", "psnr", "mse")},
        pca: evaluate(run.pca, run.patches, config.batch_size, loss_of(config)),
    }
    say(console, curves, reconstructions)
    if config.steps >= TIMED_STEPS:
        say(console, f"{run.metrics['images_per_second']:.0f} images/s in training")
    console.print(report.score_table(scores))


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """Train a convolutional autoencoder on images and show what it learned."""

    preset: Literal["default", "long"]
    """The options that the others change. long: a larger network for longer, three quarters of an hour on one CPU
    core."""
    config: tyro.conf.OmitArgPrefixes[Config]


def parse(arguments: Sequence[str]) -> Config:
    """Returns the config that a command line describes: a preset, changed by the options."""
    program = "python -m examples.autoencoder"
    presets = argparse.ArgumentParser(program, add_help=False, allow_abbrev=False)
    presets.add_argument("--preset", choices=PRESETS, default="default")
    preset = presets.parse_known_args(arguments)[0].preset
    defaults = CommandLine(preset, PRESETS[preset])
    return tyro.cli(CommandLine, args=arguments, default=defaults, prog=program).config


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
