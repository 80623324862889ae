"""Trains autoencoders with L2 and with SSIM and marks defects by what the autoencoders fail to reconstruct.

Follows Bergmann, Löwe, Fauser, Sattlegger and Steger, "Improving Unsupervised Defect Segmentation by Applying
Structural Similarity to Autoencoders", VISAPP 2019. The trained networks, in RUNS/NAME/MATERIAL-LOSS-SEED, mark the
defects of new pictures by `python -m examples.defect_segmentation.detect`.
"""

import dataclasses
import time

import tyro
from rich.console import Console

from examples.defect_segmentation import figures, report
from examples.defect_segmentation.config import LOSSES, Config, Loss
from examples.defect_segmentation.data import Material, load_materials
from examples.defect_segmentation.detector import Detector
from examples.defect_segmentation.maps import Inspection, choose_threshold, inspect
from examples.defect_segmentation.training import train
from examples.notices import print_report
from examples.progress import open_console, progress_bar, say
from examples.saving import make_folder


def main(config: Config) -> None:
    """Trains and scores a network for every seed, material and loss; draws figures of the first seed."""
    console, start = open_console(width=110), time.perf_counter()
    make_folder(config.folder)
    (config.folder / "config.json").write_text(config.to_json())
    scores, curves = [], {}
    for seed in range(config.seed, config.seed + config.seeds):
        seed_config = dataclasses.replace(config, seed=seed)
        for material in load_materials(seed_config):
            print_report(material.report, console)
            inspections, new_scores = evaluate(material, seed_config, console)
            scores += new_scores
            if seed == config.seed and new_scores:
                figures.draw_material(material, inspections, config.folder / f"{material.name}.png")
                curves[material.name] = {
                    loss: figures.roc_points(material.tests, inspections[loss]) for loss in inspections
                }
    if scores:
        figures.draw_roc_curves(curves, config.folder / "roc.png")
        console.print(report.write_scores(scores, config))
    say(console, f"finished in {time.perf_counter() - start:.0f} s, results in {config.folder}")


def evaluate(
    material: Material, config: Config, console: Console
) -> tuple[dict[Loss, list[Inspection]], list[report.Score]]:
    """Trains and saves a detector for each loss; returns its inspections of the test pictures and its scores."""
    folders = {loss: config.folder / f"{material.name}-{loss}-{config.seed}" for loss in LOSSES}
    for folder in folders.values():  # before the training, which a name that is too long must not end
        make_folder(folder, "pass another --runs or --name, or rename the folder of --data")
    inspections: dict[Loss, list[Inspection]] = {}
    scores = []
    for loss, folder in folders.items():
        detector = train_detector(material, loss, config, console)
        detector.save(folder)
        inspections[loss] = [detector.inspect(test.pixels) for test in material.tests]
        scores += report.score(material, inspections[loss], detector.threshold, loss, config.seed)
    return inspections, scores


def train_detector(material: Material, loss: Loss, config: Config, console: Console) -> Detector:
    """Trains a network and chooses its threshold."""
    title = f"{material.name} {LOSSES[loss]}, seed {config.seed}"
    with progress_bar(console, "loss {task.fields[loss]:.4f}") as progress:
        model = train(material.training, loss, config, title, progress)
    residuals = [inspect(model, picture, loss, config.stride).residual for picture in material.validation]
    threshold = choose_threshold(residuals, config.false_positives)
    return Detector(model, loss, config.stride, config.resize, threshold)


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m examples.defect_segmentation"))
