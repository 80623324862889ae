"""Draws the values of metrics over the frames of a video."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from jaxssim._cli.frame_scores import ALL, FrameScores
from jaxssim._cli.results import MetricInfo


def draw_curves(scores: Sequence[FrameScores], metrics: Sequence[MetricInfo], path: Path) -> None:
    """Draws a panel for each metric, with a curve for each plane and one for all."""
    figure = Figure(figsize=(10, 3 * len(metrics)), layout="constrained")
    panels = figure.subplots(len(metrics), 1, sharex=True, squeeze=False)[:, 0]
    for axes, metric in zip(panels, metrics, strict=True):
        for plane in scores[0].values:
            values = [frame.values[plane][metric.name] for frame in scores]
            axes.plot(values, label=plane, linewidth=1.5 if plane == ALL else 0.7)
        axes.set_ylabel(f"{metric.label}, {metric.unit}" if metric.unit else metric.label)
        axes.grid(alpha=0.3)
    panels[0].legend(loc="upper right")
    panels[-1].set_xlabel("frame")
    figure.savefig(path)
