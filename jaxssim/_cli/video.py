"""`jaxssim video`: scores two videos frame by frame and plane by plane."""

import contextlib
import csv
import itertools
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from jaxssim._cli.console import one_line, open_console, say, show_table
from jaxssim._cli.conventions import find_convention
from jaxssim._cli.frame_scores import ALL, PSNR, FrameScores, mean_over_frames, score_frames
from jaxssim._cli.frames import Clip, Frames, Mismatch, check_rates, read_frames
from jaxssim._cli.limits import NOT_SCORED
from jaxssim._cli.metrics import Metric, find_metrics
from jaxssim._cli.options import Video
from jaxssim._cli.progress import tracked
from jaxssim._cli.results import MetricInfo
from jaxssim._cli.stopping import Stop, stoppable
from jaxssim._cli.tables import format_value
from jaxssim._pictures import show_name


def main(options: Video) -> int:
    """Compares two videos, prints the mean and the worst frame of each plane; returns the exit status."""
    console = open_console()
    for option, path in (("--csv", options.csv), ("--plot", options.plot)):
        if path and os.path.realpath(path) in map(os.path.realpath, (options.reference, options.test)):
            raise SystemExit(f"{option} would overwrite {show_name(path)}, which is to be read; pass another path")
    metrics = video_metrics(options.metrics)
    infos = [metric.info for metric in metrics]
    convention = find_convention(options.convention)
    reference, test = Clip(options.reference), Clip(options.test)
    if not options.any_rate:
        check_rates(reference, test)
    problems: list[str] = []
    scores = []
    with stoppable() as stop, contextlib.ExitStack() as stack:
        write = open_csv(options, infos, stack)
        frames = readable(read_frames(reference, test, options), problems, stop)
        total = reference.stream.frames or test.stream.frames
        try:
            for frame in tracked(score_frames(frames, metrics, convention), total, console, "frames"):
                scores.append(frame)
                write(len(scores) - 1, frame)
        except ValueError as error:
            raise SystemExit(str(error).split("; pass ")[0]) from error
    if scores:
        print_scores(scores, infos, console)
        if options.plot is not None:
            from jaxssim._cli.curves import draw_curves  # matplotlib takes long to start

            draw_curves(scores, infos, options.plot)
    for problem in problems:
        say(console, problem, style="red")
    if stop():
        say(console, f"stopped: {len(scores)} frames", style="red")
        return stop.exit_status
    return NOT_SCORED if problems or not scores else 0


def video_metrics(names: tuple[str, ...]) -> list[Metric]:
    """Returns the metrics of these names; exits where one of them is for pictures alone."""
    metrics = find_metrics(names)
    if unfit := [metric.info.name for metric in metrics if not metric.evaluated]:
        raise SystemExit(f"{', '.join(unfit)} is not for video; pass some of ssim ms-ssim psnr mse mae")
    return metrics


def readable(frames: Iterator[Frames], problems: list[str], stop: Stop) -> Iterator[Frames]:
    """Yields frames until one cannot be compared, which it adds to `problems`, or until the user stops."""
    try:
        yield from itertools.takewhile(lambda _: not stop(), frames)
    except Mismatch as error:
        problems.append(str(error))


def open_csv(
    options: Video, metrics: Sequence[MetricInfo], stack: contextlib.ExitStack
) -> Callable[[int, FrameScores], None]:
    """Returns what writes a row for each frame, if the options name a file; the stack closes it."""
    if options.csv is None:
        return lambda number, frame: None
    file = stack.enter_context(options.csv.open("w", newline="", encoding="utf-8"))
    writer = csv.writer(file, lineterminator="\n")

    def write(number: int, frame: FrameScores) -> None:
        if number == 0:
            writer.writerow(["frame", "seconds", *(f"{m.name}_{plane}" for m in metrics for plane in frame.values)])
        values = (values[metric.name] for metric in metrics for values in frame.values.values())
        writer.writerow([number, frame.seconds, *values])
        file.flush()

    return write


def print_scores(scores: Sequence[FrameScores], metrics: Sequence[MetricInfo], console: Console) -> None:
    """Prints the mean over the frames and the worst frame of each metric, for each plane."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(f"{len(scores)} frames")
    for metric in metrics:
        for title in (f"{metric.label} [{metric.unit}]" if metric.unit else metric.label, "worst", "frame"):
            table.add_column(one_line(title), justify="right")
    for plane in scores[0].values:
        cells = []
        for metric in metrics:
            values = np.array([frame.values[plane][metric.name] for frame in scores])
            worst = int(values.argmin() if metric.higher_is_better else values.argmax())
            cells += [
                format_value(mean_over_frames(metric.name, values)),
                format_value(float(values[worst])),
                str(worst),
            ]
        table.add_row(plane.upper() if plane != ALL else ALL, *cells)
    show_table(console, table)
    if any(metric.name == PSNR for metric in metrics):
        say(console, "PSNR of all frames is that of their mean squared error")
