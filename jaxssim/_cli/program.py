"""The subcommands of `jaxssim`, and how they end."""

import importlib
import signal
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from jaxssim._cli import options
from jaxssim._cli.console import describe, open_console, say
from jaxssim._cli.limits import NOT_SCORED

COMMANDS = {
    options.Compare: "compare",
    options.Video: "video",
    options.Cluster: "cluster",
    options.Conventions: "conventions",
}
CONFIG = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)
Chosen = (
    Annotated[options.Compare, tyro.conf.subcommand("compare")]
    | Annotated[options.Video, tyro.conf.subcommand("video")]
    | Annotated[options.Cluster, tyro.conf.subcommand("cluster")]
    | Annotated[options.Conventions, tyro.conf.subcommand("conventions")]
)


def run(arguments: Sequence[str] | None) -> int:
    """Runs a subcommand; returns the exit status, 2 with one line on standard error where it cannot."""
    chosen: Any = tyro.cli(Chosen, prog="jaxssim", description="Compare pictures.", args=arguments, config=CONFIG)
    try:
        command = importlib.import_module(f"jaxssim._cli.{COMMANDS[type(chosen)]}")  # what others need stays out
        return int(command.main(chosen))
    except KeyboardInterrupt:  # where nothing is scored yet
        return 128 + signal.SIGINT
    except SystemExit as error:
        if not isinstance(error.code, str):
            raise
        message = error.code
    except OSError as error:  # a full disk, a folder that cannot be written
        message = describe(error)
    say(open_console(stderr=True), message, style="red")
    return NOT_SCORED
