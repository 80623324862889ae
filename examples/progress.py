"""The progress bar that the training programs share."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def progress_bar(console: Console, values: str) -> Progress:
    """Returns a progress bar that counts steps and shows a task's values and the time left.

    Args:
      console: where the bar is drawn.
      values: a format of the task's fields, for example "loss {task.fields[loss]:.4f}".
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(values),
        TimeRemainingColumn(),
        console=console,
    )
