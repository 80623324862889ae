"""Tables in Markdown, and cells that show the mean and the spread over seeds."""

from collections.abc import Iterable, Sequence

import numpy as np


def markdown(headers: Sequence[str], rows: Iterable[Sequence[str]], names: int = 1) -> str:
    """Returns a table in Markdown, whose first `names` columns hold text and the others numbers."""
    alignment = ["---"] * names + ["--:"] * (len(headers) - names)
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headers, alignment, *escaped))


def mean_and_deviation(values: Sequence[float] | np.ndarray, digits: int) -> str:
    """Formats the mean of values, and their standard deviation if there are several."""
    mean = f"{np.mean(values):.{digits}f}"
    return mean + (f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else "")
