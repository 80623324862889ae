"""`jaxssim conventions`: the names of definitions of SSIM, and what each computes."""

from rich import box
from rich.table import Table

from jaxssim import conventions
from jaxssim._cli.console import open_console, show_table
from jaxssim._cli.options import Conventions
from jaxssim.conventions import Convention, Gaussian

NAMED = {
    name.lower().replace("_", "-"): value for name, value in vars(conventions).items() if isinstance(value, Convention)
}
SHRUNK = {None: "as they are", "wang": "shrunk to about 256, as Wang does", "pool": "shrunk to about 256, as piq does"}


def main(options: Conventions) -> int:
    """Prints a table of all conventions, one row for each definition."""
    names: dict[Convention, list[str]] = {}
    for name, convention in NAMED.items():
        names.setdefault(convention, []).append(name)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("--convention", no_wrap=True)
    for title in ("window", "covariance", "large pictures", "mean of", "k1, k2"):
        table.add_column(title)
    for convention, same in names.items():
        table.add_row("\n".join(same), *describe(convention))
    show_table(open_console(), table)
    return 0


def describe(convention: Convention) -> tuple[str, ...]:
    """Returns in words what a convention computes."""
    window = convention.window
    shape = (
        f"Gaussian {window.size}, sigma {window.sigma}" if isinstance(window, Gaussian) else f"uniform {window.size}"
    )
    shape += f", every {convention.stride} pixels" if convention.stride > 1 else ""
    average = f"all pixels, edges {convention.padding}" if convention.average == "all" else "windows inside"
    constants = f"{convention.k1:.4g}, {convention.k2:.4g}"
    return shape, convention.covariance, SHRUNK[convention.downsample], average, constants


def find_convention(name: str) -> Convention:
    """Returns the convention of a name, in capitals or not; exits where it is not known."""
    try:
        return NAMED[name.lower().replace("_", "-")]
    except KeyError:
        raise SystemExit(f"--convention must be one of {', '.join(NAMED)}, got {name!r}") from None
