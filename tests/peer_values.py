"""Writes peer_values.json: what the PyTorch packages and OpenCV give for the pairs of peer_pairs.py, at their defaults.

None of them is a dependency of jaxssim, so the tests compare with this file. To make it anew, in an environment of its
own that holds `PACKAGES` (PyTorch's build for CPU is enough) and scikit-image for the photographs:

    python tests/peer_values.py

It prints how far each library is from what it defines, computed here in float64: the library's rounding.
"""

import importlib.metadata
import json
import math
from pathlib import Path

import numpy as np
import peer_pairs

PACKAGES = ("torch", "torchmetrics", "pytorch-msssim", "piq", "kornia", "opencv-contrib-python-headless")
FILE = Path(__file__).with_suffix(".json")
# What each defines: where its windows lie, and by which rule it shrinks large images first.
DEFINITIONS = {
    "torchmetrics": dict(border="reflect"),
    "pytorch-msssim": dict(),
    "pytorch-msssim, win of float64": dict(),
    "piq": dict(shrink="pool"),
    "kornia": dict(border="reflect"),
    "kornia, max_val=255": dict(border="reflect"),
    "opencv": dict(border="reflect"),
}
GAUSSIAN = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
GAUSSIAN /= GAUSSIAN.sum()
# For docs/conventions.md alone.
MS_SSIM = ("384x400x1 noise", "521x603x1 gradient, blur", "640x648x1 noise", "astronaut noise")


def definition(x, y, *, border=None, shrink=None):
    """SSIM of uint8 images from the textbook's moments, in float64: independent of jaxssim and of every library."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    if shrink == "pool":
        x, y = (pool(image, max(1, round(min(x.shape[:2]) / 256))) for image in (x, y))
    elif shrink == "wang":
        x, y = (filter_and_decimate(image, max(1, math.floor(min(x.shape[:2]) / 256 + 0.5))) for image in (x, y))
    if border is not None:
        x, y = (np.pad(image, ((5, 5), (5, 5), (0, 0)), mode=border) for image in (x, y))

    def mean(image):
        for axis in (0, 1):
            image = np.lib.stride_tricks.sliding_window_view(image, 11, axis) @ GAUSSIAN
        return image

    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y, covariance = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2, mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return float((luminance * (2 * covariance + c2) / (var_x + var_y + c2)).mean())


def pool(image, factor):
    """PyTorch's avg_pool2d: means of whole blocks."""
    height, width = (n // factor for n in image.shape[:2])
    return image[: height * factor, : width * factor].reshape(height, factor, width, factor, -1).mean((1, 3))


def filter_and_decimate(image, factor):
    """MATLAB's imfilter(image, ones(factor) / factor^2, "symmetric", "same"), then (1:factor:end, 1:factor:end)."""
    around = ((factor - 1) // 2, factor // 2)
    image = np.pad(image, (around, around, (0, 0)), mode="symmetric")
    for axis in (0, 1):
        image = np.lib.stride_tricks.sliding_window_view(image, factor, axis).mean(-1)
    return image[::factor, ::factor]


def peers():
    """The libraries as functions of a pair of uint8 images: values of SSIM, values of MS-SSIM."""
    import cv2
    import kornia
    import piq
    import pytorch_msssim
    import torch
    import torchmetrics.functional.image as torchmetrics

    # Left to itself, pytorch-msssim rounds its weights to float32; their sum is then not 1, which shifts its variances.
    window = torch.from_numpy(GAUSSIAN)[None, None, None]

    def of_tensors(function, scale=255):
        """Called with float64 tensors (1, channels, height, width) of the values over `scale`."""

        def call(x, y):
            tensors = (torch.from_numpy(np.moveaxis(image / scale, -1, 0)[None].copy()) for image in (x, y))
            return float(function(*tensors).mean())

        return call

    def opencv(x, y):
        # Per channel, in float32, with the constants of 8-bit images built in.
        per_channel, _ = cv2.quality.QualitySSIM_compute(x, y)
        return float(np.mean(per_channel[: x.shape[-1]]))

    ssim = {
        "torchmetrics": of_tensors(lambda x, y: torchmetrics.structural_similarity_index_measure(x, y, data_range=1.0)),
        "pytorch-msssim": of_tensors(lambda x, y: pytorch_msssim.ssim(x, y, data_range=1.0)),
        "pytorch-msssim, win of float64": of_tensors(
            lambda x, y: pytorch_msssim.ssim(x, y, data_range=1.0, win=window.expand(x.shape[1], -1, -1, -1))
        ),
        "piq": of_tensors(piq.ssim),
        "kornia": of_tensors(lambda x, y: kornia.metrics.ssim(x, y, window_size=11)),
        "kornia, max_val=255": of_tensors(lambda x, y: kornia.metrics.ssim(x, y, window_size=11, max_val=255.0), 1),
        "opencv": opencv,
    }
    ms_ssim = {
        "torchmetrics": of_tensors(
            lambda x, y: torchmetrics.multiscale_structural_similarity_index_measure(x, y, data_range=1.0)
        ),
        "pytorch-msssim": of_tensors(lambda x, y: pytorch_msssim.ms_ssim(x, y, data_range=1.0)),
        "piq": of_tensors(piq.multi_scale_ssim),
    }
    return ssim, ms_ssim


def main():
    pairs = list(peer_pairs.pairs())
    ssim, ms_ssim = peers()
    values = {peer: {name: function(x, y) for name, x, y in pairs} for peer, function in ssim.items()}
    multiscale = {
        peer: {name: function(x, y) for name, x, y in pairs if name in MS_SSIM} for peer, function in ms_ssim.items()
    }
    for peer, of_peer in values.items():
        errors = {name: abs(of_peer[name] - definition(x, y, **DEFINITIONS[peer])) for name, x, y in pairs}
        worst = max(errors, key=errors.get)
        print(f"{peer}: within {errors[worst]:.1e} of its definition in float64, the farthest on {worst!r}")
    content = {
        "versions": {package: importlib.metadata.version(package).split("+")[0] for package in PACKAGES},
        "inputs": peer_pairs.checksum(pairs),
        "values": rounded(values),
        "ms_ssim": rounded(multiscale),
    }
    FILE.write_text(json.dumps(content, indent=0) + "\n")


def rounded(values, digits=12):
    return {peer: {name: round(value, digits) for name, value in of.items()} for peer, of in values.items()}


if __name__ == "__main__":
    main()
