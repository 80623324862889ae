"""The command `jaxssim`, also `python -m jaxssim`."""

import signal
import sys
from collections.abc import Sequence

INTERRUPTED = 128 + signal.SIGINT  # as shells have it


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command with these arguments, by default those of the process; returns the exit status."""
    try:
        from jaxssim._cli.program import run

        return run(arguments)
    except ModuleNotFoundError as error:  # also of a package that only one subcommand or option needs
        install = 'pip install "jaxssim[cli]"'
        print(f"the command jaxssim needs the package {error.name}; install it with: {install}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
