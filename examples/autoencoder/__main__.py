"""Train an autoencoder with a structural loss, and look at what it learned: `python -m examples.autoencoder --help`."""

import jax
import tyro
from rich.console import Console

from examples.autoencoder import parallel, report
from examples.autoencoder.config import Config
from examples.autoencoder.train import Run, train


def main(config: Config) -> None:
    """Train, then draw and print what came of it."""
    with parallel.processes(config):
        console = Console(quiet=jax.process_index() > 0)
        run = train(config, console)
        if jax.process_index() == 0:
            show(run, config, console)


def show(run: Run, config: Config, console: Console) -> None:
    """Draw and print what came of a run."""
    named = {str(config.loss): run}
    pictures = config.folder / "curves.png", config.folder / "reconstructions.png"
    report.curves(run, pictures[0])
    report.reconstructions(named, pictures[1])
    console.print(report.score_table(named))
    console.print(*(f"{picture}\n" for picture in pictures), sep="", end="", soft_wrap=True)


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m examples.autoencoder"))
