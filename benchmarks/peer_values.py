"""Writes peer_values.json: what the PyTorch packages and OpenCV give at their defaults for the pairs of peer_pairs.py.

None of these packages is a dependency of jaxssim, so that the tests compare with this file. To write it again, in an
environment that holds `PACKAGES` (PyTorch's build for CPU is enough), JAX, and scikit-image for the photographs:

    PYTHONPATH=. python benchmarks/peer_values.py

The program prints the rounding error of each library: its distance from its own definition in float64.
"""

import argparse
import importlib.metadata
import json
from pathlib import Path

import numpy as np
import peer_pairs
import reference

from jaxssim import conventions

PACKAGES = ("torch", "torchmetrics", "pytorch-msssim", "piq", "kornia", "opencv-contrib-python-headless")
FILE = Path(__file__).with_suffix(".json")
# The convention that each library defines.
DEFINITIONS = {
    "torchmetrics": conventions.TORCHMETRICS,
    "pytorch-msssim": conventions.PYTORCH_MSSSIM,
    "pytorch-msssim, win of float64": conventions.PYTORCH_MSSSIM,
    "piq": conventions.PIQ,
    "kornia": conventions.KORNIA,
    "kornia, max_val=255": conventions.KORNIA,
    "opencv": conventions.OPENCV,
}
# docs/conventions.md shows the values of MS-SSIM for these pairs.
MS_SSIM = ("384x400x1 noise", "521x603x1 gradient, blur", "640x648x1 noise", "astronaut noise")


def peers():
    """Returns the libraries as functions of a pair of uint8 images, those for SSIM and those for MS-SSIM."""
    import cv2
    import kornia
    import piq
    import pytorch_msssim
    import torch
    import torchmetrics.functional.image as torchmetrics

    # pytorch-msssim rounds its own weights to float32; their sum is then not 1, which shifts its variances.
    window = torch.from_numpy(reference.gaussian(11, 1.5))[None, None, None]

    def on_tensors(function, scale=255):
        """Wraps a function of float64 tensors (1, channels, height, width) whose values are divided by `scale`."""

        def call(x, y):
            tensors = (torch.from_numpy(np.moveaxis(image / scale, -1, 0)[None].copy()) for image in (x, y))
            return float(function(*tensors).mean())

        return call

    def opencv(x, y):
        # One value for each channel, in float32; the constants are those of 8-bit images.
        per_channel, _ = cv2.quality.QualitySSIM_compute(x, y)
        return float(np.mean(per_channel[: x.shape[-1]]))

    ssim = {
        "torchmetrics": on_tensors(lambda x, y: torchmetrics.structural_similarity_index_measure(x, y, data_range=1.0)),
        "pytorch-msssim": on_tensors(lambda x, y: pytorch_msssim.ssim(x, y, data_range=1.0)),
        "pytorch-msssim, win of float64": on_tensors(
            lambda x, y: pytorch_msssim.ssim(x, y, data_range=1.0, win=window.expand(x.shape[1], -1, -1, -1))
        ),
        "piq": on_tensors(piq.ssim),
        "kornia": on_tensors(lambda x, y: kornia.metrics.ssim(x, y, window_size=11)),
        "kornia, max_val=255": on_tensors(lambda x, y: kornia.metrics.ssim(x, y, window_size=11, max_val=255.0), 1),
        "opencv": opencv,
    }
    ms_ssim = {
        "torchmetrics": on_tensors(
            lambda x, y: torchmetrics.multiscale_structural_similarity_index_measure(x, y, data_range=1.0)
        ),
        "pytorch-msssim": on_tensors(lambda x, y: pytorch_msssim.ms_ssim(x, y, data_range=1.0)),
        "piq": on_tensors(piq.multi_scale_ssim),
    }
    return ssim, ms_ssim


def main():
    """Computes all values, prints the rounding errors and writes the file."""
    pairs = list(peer_pairs.pairs())
    ssim, ms_ssim = peers()
    values = {peer: {name: function(x, y) for name, x, y in pairs} for peer, function in ssim.items()}
    multiscale = {
        peer: {name: function(x, y) for name, x, y in pairs if name in MS_SSIM} for peer, function in ms_ssim.items()
    }
    for peer, by_pair in values.items():
        exact = {name: 1 - reference.one_minus_ssim(x, y, 255, DEFINITIONS[peer]) for name, x, y in pairs}
        errors = {name: abs(by_pair[name] - exact[name]) for name in exact}
        worst = max(errors, key=errors.get)
        print(f"{peer}: within {errors[worst]:.1e} of its definition in float64, the farthest for {worst!r}")
    content = {
        "versions": {package: importlib.metadata.version(package).split("+")[0] for package in PACKAGES},
        "inputs": peer_pairs.checksum(pairs),
        "values": rounded(values),
        "ms_ssim": rounded(multiscale),
    }
    FILE.write_text(json.dumps(content, indent=0) + "\n")


def rounded(values, digits=12):
    """Returns the values of each library rounded to `digits` decimals."""
    return {peer: {name: round(value, digits) for name, value in by_pair.items()} for peer, by_pair in values.items()}


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    main()
