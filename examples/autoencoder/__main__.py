"""Trains the autoencoder, then draws and prints the results."""

import jax
import tyro
from rich.console import Console

from examples.autoencoder import parallel, report
from examples.autoencoder.config import Config
from examples.autoencoder.stopping import stoppable
from examples.autoencoder.train import Run, train
from examples.progress import open_console, say


def main(config: Config) -> None:
    """Trains, or resumes, the run that the config describes."""
    with parallel.join_job(config):
        console = open_console(quiet=jax.process_index() > 0)
        with stoppable(config.folder, console):
            run = train(config, console)
            if jax.process_index() == 0:
                show(run, config, console)


def show(run: Run, config: Config, console: Console) -> None:
    """Draws the curves and reconstructions of a run and prints its scores."""
    curves, reconstructions = config.folder / "curves.png", config.folder / "reconstructions.png"
    report.draw_curves(run, curves)
    report.draw_reconstructions({config.loss: run}, reconstructions)
    console.print(report.score_table({config.loss: run}))
    say(console, curves, reconstructions)


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m examples.autoencoder"))
