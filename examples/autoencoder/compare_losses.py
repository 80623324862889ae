"""The article's claim, tested: the same network, from the same seed, for as long, with MSE and with 1 - SSIM.

All options are those of `python -m examples.autoencoder`; --loss has no say here.
"""

import dataclasses

import jax
import tyro
from rich.console import Console

from examples.autoencoder import parallel, report
from examples.autoencoder.config import Config, Loss
from examples.autoencoder.train import Run, train


def main(config: Config) -> None:
    """Train twice, print both rows and draw both reconstructions."""
    with parallel.processes(config):
        console = Console(quiet=jax.process_index() > 0)
        twins: dict[Loss, str] = {"mse": "MSE", "ssim": "1 - SSIM"}
        runs = {}
        for loss, title in twins.items():
            console.print(f"trained with {title}")
            twin = dataclasses.replace(config, loss=loss, name=f"{config.name}-{loss}")
            runs[title] = train(twin, console)
        if jax.process_index() == 0:
            show(runs, config, console)


def show(runs: dict[str, Run], config: Config, console: Console) -> None:
    """Draw and print what came of the runs."""
    picture = config.runs / f"{config.name}-losses.png"
    report.reconstructions(runs, picture)
    console.print(report.score_table(runs))
    console.print(str(picture), soft_wrap=True)


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m examples.autoencoder.compare_losses", description=__doc__))
