"""Trains autoencoders with L2 and with SSIM and marks defects by what the autoencoders fail to reconstruct.

Follows Bergmann, Löwe, Fauser, Sattlegger and Steger, "Improving Unsupervised Defect Segmentation by Applying
Structural Similarity to Autoencoders", VISAPP 2019. The trained networks, in RUNS/NAME/MATERIAL-LOSS-SEED, mark the
defects of new pictures by `python -m examples.defect_segmentation.detect`.
"""

import dataclasses
import time

import tyro
from rich.console import Console

from examples.defect_segmentation import figures, report, scores
from examples.defect_segmentation.config import LOSSES, Config, Loss
from examples.defect_segmentation.data import Material, load_materials
from examples.defect_segmentation.detector import Detector
from examples.defect_segmentation.learning import measure_learning
from examples.defect_segmentation.maps import Inspection, choose_threshold, inspect
from examples.defect_segmentation.training import train
from examples.saving import make_folder
from jaxssim._cli.console import open_console, print_report, progress_bar, say


def main(config: Config) -> None:
    """Trains and scores a network for every seed, material and loss; draws figures of the first seed."""
    console, start = open_console(width=150), time.perf_counter()
    make_folder(config.folder)
    (config.folder / "config.json").write_text(config.to_json())
    results, curves = [], {}
    for seed in range(config.seed, config.seed + config.seeds):
        seed_config = dataclasses.replace(config, seed=seed)
        for material in load_materials(seed_config):
            print_report(material.report, console)
            inspections, new_scores = evaluate(material, seed_config, console)
            results += new_scores
            if seed == config.seed and new_scores:
                figures.draw_material(material, inspections, config.folder / f"{material.name}.png")
                curves[material.name] = {
                    loss: figures.roc_points(material.tests, [one.residuals[loss] for one in each])
                    for loss, each in inspections.items()
                }
    if results:
        figures.draw_roc_curves(curves, config.folder / "roc.png")
        console.print(report.write_scores(results, config))
    say(console, f"finished in {time.perf_counter() - start:.0f} s, results in {config.folder}")


def evaluate(
    material: Material, config: Config, console: Console
) -> tuple[dict[Loss, list[Inspection]], list[scores.Score]]:
    """Trains and saves a detector for each loss; returns its inspections of the test pictures and its scores."""
    folders = {loss: config.folder / f"{material.name}-{loss}-{config.seed}" for loss in LOSSES}
    for folder in folders.values():  # before the training, which a name that is too long must not end
        make_folder(folder, "pass another --runs or --name, or rename the folder of --data")
    inspections: dict[Loss, list[Inspection]] = {}
    results = []
    for loss, folder in folders.items():
        detector = train_detector(material, loss, config, console)
        detector.save(folder)
        inspections[loss] = [detector.inspect(test.pixels, config.maps_of(loss)) for test in material.tests]
        for residual in detector.thresholds:
            maps = [one.residuals[residual] for one in inspections[loss]]
            results += scores.score(material, detector, maps, residual, config.seed)
    return inspections, results


def train_detector(material: Material, loss: Loss, config: Config, console: Console) -> Detector:
    """Trains a network, chooses its thresholds and prints what the network has learned."""
    title = f"{material.name} {LOSSES[loss]}, seed {config.seed}"
    with progress_bar(console, "loss {task.fields[loss]:.4f}") as progress:
        model = train(material.training, loss, config, title, progress)
    residuals = config.maps_of(loss)
    inspections = [inspect(model, picture, residuals, config.stride) for picture in material.validation]
    thresholds = {
        residual: choose_threshold([one.residuals[residual] for one in inspections], config.false_positives)
        for residual in residuals
    }
    learning = measure_learning(material.validation, [one.reconstruction for one in inspections])
    say(console, f"{title}: {learning}", style=learning.style)
    return Detector(model, loss, config.stride, config.resize, thresholds, learning)


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m examples.defect_segmentation"))
