"""Train the same network from the same seed twice, with MSE and with 1 - SSIM, and compare the reconstructions.

The options are those of `python -m examples.autoencoder`; --loss is ignored.
"""

import dataclasses

import jax
import tyro
from rich.console import Console

from examples.autoencoder import parallel, report
from examples.autoencoder.config import Config, LossName
from examples.autoencoder.stopping import stoppable
from examples.autoencoder.train import Run, train
from examples.progress import open_console, say
from examples.saving import make_folder

TITLES: dict[LossName, str] = {"mse": "MSE", "ssim": "1 - SSIM"}


def main(config: Config) -> None:
    """Trains with each loss, then prints both scores and draws both reconstructions."""
    with parallel.join_job(config):
        console = open_console(quiet=jax.process_index() > 0)
        configs = {
            title: dataclasses.replace(config, loss=loss, name=f"{config.name}-{loss}")
            for loss, title in TITLES.items()
        }
        for each in configs.values():
            make_folder(each.folder)  # a name too long for the second must not end the program after the first
        runs = {}
        for title, each in configs.items():
            say(console, f"trained with {title}")
            with stoppable(each.folder, console):
                runs[title] = train(each, console)
        if jax.process_index() == 0:
            show(runs, config, console)


def show(runs: dict[str, Run], config: Config, console: Console) -> None:
    """Draws the reconstructions of the runs and prints their scores."""
    path = config.folder.with_name(f"{config.folder.name}-losses.png")
    report.draw_reconstructions(runs, path)
    console.print(report.score_table(runs))
    say(console, path)


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m examples.autoencoder.compare_losses", description=__doc__))
