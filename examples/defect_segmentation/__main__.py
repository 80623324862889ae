"""Autoencoders, trained with L2 and with 1 - SSIM, that mark defects by what they fail to reconstruct.

Bergmann, Löwe, Fauser, Sattlegger & Steger, "Improving Unsupervised Defect Segmentation by Applying Structural
Similarity to Autoencoders", VISAPP 2019. `python -m examples.defect_segmentation --help` has the options; `python -m
examples.defect_segmentation.detect` takes the trained networks from RUNS/NAME/MATERIAL-LOSS-SEED.
"""

import dataclasses
import time

import tyro
from rich.console import Console

from examples.defect_segmentation import report
from examples.defect_segmentation.config import LOSSES, Config, Loss
from examples.defect_segmentation.data import Material, materials
from examples.defect_segmentation.maps import Detector, Seen, slide, threshold
from examples.defect_segmentation.report import Score
from examples.defect_segmentation.training import train
from examples.progress import progress_bar


def main(config: Config) -> None:
    """Every seed, material and loss: train, look at the test pictures, score; figures are of the first seed."""
    console, start = Console(), time.perf_counter()
    config.folder.mkdir(parents=True, exist_ok=True)
    (config.folder / "config.json").write_text(config.to_json())
    scores, curves = [], {}
    for seed in range(config.seed, config.seed + config.seeds):
        for material in materials(dataclasses.replace(config, seed=seed)):
            if material.skipped:
                console.print(f"{len(material.skipped)} skipped:", *material.skipped, sep="\n", style="yellow")
            seen, of_material = look(material, dataclasses.replace(config, seed=seed), console)
            scores += of_material
            if seed == config.seed and of_material:
                report.draw_material(material, seen, config.folder / f"{material.name}.png")
                curves[material.name] = {loss: report.curve(material.tests, seen[loss]) for loss in LOSSES}
    if scores:
        report.draw_curves(curves, config.folder / "roc.png")
        Console(width=max(110, console.width)).print(report.write_scores(scores, config))
    console.print(f"written in {time.perf_counter() - start:.0f} s: {config.folder}", soft_wrap=True)


def look(material: Material, config: Config, console: Console) -> tuple[dict[Loss, list[Seen]], list[Score]]:
    """Both networks of a material: trained, saved with their thresholds, and what they see in the test pictures."""
    seen: dict[Loss, list[Seen]] = {}
    scores = []
    for loss, title in LOSSES.items():
        with progress_bar(console, "loss {task.fields[loss]:.4f}") as bar:
            model = train(material.training, loss, config, f"{material.name} {title}, seed {config.seed}", bar)
        good = [slide(model, picture, loss, config.stride).residual for picture in material.good]
        limit = threshold(good, config.false_positives)
        detector = Detector(model, loss, config.stride, config.resize, limit)
        detector.save(config.folder / f"{material.name}-{loss}-{config.seed}")
        seen[loss] = [detector.see(test.picture) for test in material.tests]
        scores += report.score(material, seen[loss], limit, loss, config.seed)
    return seen, scores


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m examples.defect_segmentation"))
