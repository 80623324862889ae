"""The subcommands of `jaxssim`, and how they end."""

from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from jaxssim._cli import compare, conventions, options
from jaxssim._cli.console import open_console, say
from jaxssim._cli.limits import NOT_SCORED

COMMANDS: dict[Any, Any] = {options.Options: compare.main, conventions.Options: conventions.main}
Chosen = (
    Annotated[options.Options, tyro.conf.subcommand("compare")]
    | Annotated[conventions.Options, tyro.conf.subcommand("conventions")]
)

CONFIG = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)


def run(arguments: Sequence[str] | None) -> int:
    """Runs a subcommand; returns the exit status, 2 with one line on standard error where it cannot."""
    chosen: Any = tyro.cli(Chosen, prog="jaxssim", description="Compare pictures.", args=arguments, config=CONFIG)
    try:
        return int(COMMANDS[type(chosen)](chosen))
    except SystemExit as error:
        if not isinstance(error.code, str):
            raise
        message = error.code
    except OSError as error:  # a full disk, a folder that cannot be written
        message = f"{error.filename or 'cannot write'}: {error.strerror or error}"
    say(open_console(stderr=True), message, style="red")
    return NOT_SCORED
