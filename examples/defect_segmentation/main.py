"""Autoencoders, trained with L2 and with 1 - SSIM, that mark defects by what they fail to reconstruct.

Bergmann, Löwe, Fauser, Sattlegger & Steger, "Improving Unsupervised Defect Segmentation by Applying Structural
Similarity to Autoencoders", VISAPP 2019. `python main.py --help` has the options; detect.py takes the trained networks
from RUNS/NAME/MATERIAL-LOSS-SEED.
"""

import dataclasses
import time

import defect_report
import tyro
from defect_config import LOSSES, Config, Loss
from defect_data import Material, materials
from defect_maps import Detector, Seen, slide, threshold
from defect_report import Score
from defect_training import train
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


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
                defect_report.draw_material(material, seen, config.folder / f"{material.name}.png")
                curves[material.name] = {loss: defect_report.curve(material.tests, seen[loss]) for loss in LOSSES}
    if scores:
        defect_report.draw_curves(curves, config.folder / "roc.png")
        Console(width=max(110, console.width)).print(defect_report.write_scores(scores, config))
    console.print(f"written in {time.perf_counter() - start:.0f} s: {config.folder}", soft_wrap=True)


def look(material: Material, config: Config, console: Console) -> tuple[dict[Loss, list[Seen]], list[Score]]:
    """Both networks of a material: trained, saved with their thresholds, and what they see in the test pictures."""
    seen: dict[Loss, list[Seen]] = {}
    scores = []
    for loss, title in LOSSES.items():
        with progress_bar(console) as bar:
            model = train(material.training, loss, config, f"{material.name} {title}, seed {config.seed}", bar)
        good = [slide(model, picture, loss, config.stride).residual for picture in material.good]
        limit = threshold(good, config.false_positives)
        detector = Detector(model, loss, config.stride, config.resize, limit)
        detector.save(config.folder / f"{material.name}-{loss}-{config.seed}")
        seen[loss] = [detector.see(test.picture) for test in material.tests]
        scores += defect_report.score(material, seen[loss], limit, loss, config.seed)
    return seen, scores


def progress_bar(console: Console) -> Progress:
    """The loss and the time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
        console=console,
    )


if __name__ == "__main__":
    main(tyro.cli(Config))
