"""Ranks pairs of images by each metric, and draws how alike the rankings are.

    python benchmarks/rank_metrics.py FOLDER [--picture docs/which_metric.png]

FOLDER holds colour pairs and `ssimulacra2.json`, as tests/core/reference/rgb does. CW-SSIM has three levels, MS-SSIM
and IW-SSIM have three scales, since some pictures have 64 pixels a side. Identical pairs are left out. Prints each
distortion's mean rank, 1 for the best, and Spearman's rank correlations.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.stats import rankdata, spearmanr

import jaxssim
from jaxssim._pictures import read

SCALES = jaxssim.MS_SSIM_WEIGHTS[:3]
METRICS = {
    "PSNR": jaxssim.psnr,
    "SSIM": jaxssim.ssim,
    "MS-SSIM": lambda x, y: jaxssim.ms_ssim(x, y, weights=SCALES),
    "CW-SSIM": lambda x, y: jaxssim.cw_ssim(x, y, levels=3),
    "IW-SSIM": lambda x, y: jaxssim.iw_ssim(x, y, weights=SCALES),
    "SSIMULACRA 2": jaxssim.ssimulacra2,
}


def rank(folder):
    """Returns the name of each pair's distortion, and its rank by each metric: (pairs, metrics)."""
    pairs = [p for p in json.loads((folder / "ssimulacra2.json").read_text()) if p["reference"] != p["distorted"]]
    values = []
    for pair in pairs:
        images = [read(folder / pair[name]).pixels for name in ("reference", "distorted")]
        values.append([float(metric(*images)) for metric in METRICS.values()])
    names = [pair["distorted"].rpartition("_")[2].removesuffix(".png") for pair in pairs]
    return names, len(pairs) + 1 - rankdata(values, axis=0)


def draw(correlations, path):
    """Draws the correlations as a matrix of colours."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 4.8), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(correlations, vmin=0, vmax=1, cmap="viridis")
    for i, j in np.ndindex(*correlations.shape):
        axes.text(
            j, i, f"{correlations[i, j]:.2f}", ha="center", va="center", color="w" if correlations[i, j] < 0.7 else "k"
        )
    axes.set_xticks(range(len(METRICS)), METRICS, rotation=30, ha="right")
    axes.set_yticks(range(len(METRICS)), METRICS)
    figure.colorbar(image, label="Spearman's rank correlation")
    figure.savefig(path, dpi=110)


def main():
    """Ranks, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    names, ranks = rank(options.folder)
    correlations = spearmanr(ranks).statistic
    print("| distortion |", " | ".join(METRICS), "|\n| ---", "| --: " * len(METRICS), "|", sep="")
    means = {name: ranks[[each == name for each in names]].mean(0) for name in dict.fromkeys(names)}
    for name, row in sorted(means.items(), key=lambda item: item[1].mean()):
        print(f"| {name} |", " | ".join(f"{value:.0f}" for value in row), "|")
    print(np.round(correlations, 2))
    if options.picture:
        draw(correlations, options.picture)


if __name__ == "__main__":
    main()
