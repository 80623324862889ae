"""Writes peer_values.json: what other libraries and ffmpeg give at their defaults for the pairs of peer_pairs.py.

None of these packages is a dependency of jaxssim, so that the tests compare with this file. To write it again, in an
environment that holds `PACKAGES` (PyTorch's build for CPU is enough), JAX, and scikit-image for the photographs:

    PYTHONPATH=. python benchmarks/peer_values.py [--only sewar ffmpeg ...]

The program prints the rounding error of each library: its distance from its own definition in float64.
"""

import argparse
import importlib.metadata
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import peer_pairs
import reference

from jaxssim import conventions

PACKAGES = {  # of each library
    "torchmetrics": ("torch", "torchmetrics"),
    "pytorch-msssim": ("torch", "pytorch-msssim"),
    "piq": ("torch", "piq"),
    "kornia": ("torch", "kornia"),
    "opencv": ("opencv-contrib-python-headless",),
    "piqa": ("torch", "piqa"),
    "monai": ("torch", "monai"),
    "sewar": ("sewar",),
    "fast-ssim": ("fast-ssim",),
    "ffmpeg": ("ffmpeg",),
}
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
    "piqa": conventions.PIQA,
    "piqa, padding=True": conventions.FUSED_SSIM,
    "monai": conventions.MONAI,
    "sewar": conventions.SEWAR,
    "fast-ssim": conventions.FAST_SSIM,
    "ffmpeg": conventions.FFMPEG,
}
DIGITS = 12  # decimals
# docs/conventions.md shows the values of MS-SSIM for these pairs.
MS_SSIM = ("384x400x1 noise", "521x603x1 gradient, blur", "640x648x1 noise", "astronaut noise")


def on_tensors(function, scale=255, dtype="float64"):
    """Returns a function of uint8 images that calls one of tensors (1, channels, height, width), divided by `scale`."""
    import torch

    def call(x, y):
        arrays = (np.moveaxis(image / scale, -1, 0)[None].astype(dtype) for image in (x, y))
        return float(function(*map(torch.from_numpy, arrays)).mean())

    return call


def torchmetrics(metric):
    """Returns the function of that name."""
    import torchmetrics.functional.image

    function = getattr(torchmetrics.functional.image, f"{metric}_similarity_index_measure")
    return on_tensors(lambda x, y: function(x, y, data_range=1.0))


def pytorch_msssim(exact_window=False):
    """Returns `ssim`, which rounds its own weights to float32: their sum is then not 1, which shifts its variances."""
    import pytorch_msssim
    import torch

    window = torch.from_numpy(reference.gaussian(11, 1.5))[None, None, None]
    return on_tensors(
        lambda x, y: pytorch_msssim.ssim(
            x, y, data_range=1.0, win=window.expand(x.shape[1], -1, -1, -1) if exact_window else None
        )
    )


def pytorch_ms_ssim():
    """Returns `ms_ssim`."""
    import pytorch_msssim

    return on_tensors(lambda x, y: pytorch_msssim.ms_ssim(x, y, data_range=1.0))


def piq(name):
    """Returns the function of that name."""
    import piq

    return on_tensors(getattr(piq, name))


def kornia(max_val):
    """Returns the map of `ssim`, of which `on_tensors` takes the mean."""
    import kornia

    return on_tensors(lambda x, y: kornia.metrics.ssim(x, y, window_size=11, max_val=max_val), 255 / max_val)


def piqa(padding):
    """Returns `ssim` with the weights of its class, in float64."""
    from piqa.ssim import gaussian_kernel, ssim

    def call(x, y):
        kernel = gaussian_kernel(11, 1.5).double().repeat(x.shape[1], 1, 1)
        return ssim(x, y, kernel, padding=padding)[0]

    return on_tensors(call)


def monai():
    """Returns `SSIMMetric`, which computes in float32."""
    from monai.metrics import SSIMMetric

    return on_tensors(SSIMMetric(2), dtype="float32")


def sewar():
    """Returns `ssim`, whose second result is the mean of contrast and structure."""
    import sewar

    return lambda x, y: float(sewar.ssim(x, y)[0])


def fast_ssim():
    """Returns `ssim`."""
    import fast_ssim

    return lambda x, y: fast_ssim.ssim(np.ascontiguousarray(x), np.ascontiguousarray(y))


def opencv():
    """Returns QualitySSIM, which has a value for each channel, in float32, with the constants of 8-bit images."""
    import cv2

    return lambda x, y: float(np.mean(cv2.quality.QualitySSIM_compute(x, y)[0][: x.shape[-1]]))


def ffmpeg():
    """Returns the filter `ssim` of each channel, without SIMD, which errs where a row has 4 n + 1 windows."""

    def of_plane(x, y):
        with tempfile.TemporaryDirectory() as folder:
            inputs = []
            for name, plane in (("x", x), ("y", y)):
                plane.tofile(f"{folder}/{name}")
                size = f"{plane.shape[1]}x{plane.shape[0]}"
                inputs += ["-f", "rawvideo", "-pix_fmt", "gray", "-s", size, "-i", f"{folder}/{name}"]
            command = ["ffmpeg", "-v", "error", "-cpuflags", "0", *inputs, "-lavfi", f"ssim=stats_file={folder}/log"]
            subprocess.run([*command, "-f", "null", "-"], check=True)
            return float(Path(folder, "log").read_text().split("All:")[1].split()[0])

    return lambda x, y: float(np.mean([of_plane(x[..., i], y[..., i]) for i in range(x.shape[-1])]))


SSIM = {  # each returns a function of a pair of uint8 images
    "torchmetrics": lambda: torchmetrics("structural"),
    "pytorch-msssim": pytorch_msssim,
    "pytorch-msssim, win of float64": lambda: pytorch_msssim(exact_window=True),
    "piq": lambda: piq("ssim"),
    "kornia": lambda: kornia(1.0),
    "kornia, max_val=255": lambda: kornia(255.0),
    "opencv": opencv,
    "piqa": lambda: piqa(padding=False),
    "piqa, padding=True": lambda: piqa(padding=True),
    "monai": monai,
    "sewar": sewar,
    "fast-ssim": fast_ssim,
    "ffmpeg": ffmpeg,
}
MULTISCALE = {
    "torchmetrics": lambda: torchmetrics("multiscale_structural"),
    "pytorch-msssim": pytorch_ms_ssim,
    "piq": lambda: piq("multi_scale_ssim"),
}


def version(package):
    """Returns the installed version of a package, or that of ffmpeg."""
    if package == "ffmpeg":
        return subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    return importlib.metadata.version(package).split("+")[0]


def main(only):
    """Computes the values, prints the rounding errors and writes the file; without `only`, all values."""
    pairs = list(peer_pairs.pairs())
    content = json.loads(FILE.read_text()) if only else {"versions": {}, "values": {}, "ms_ssim": {}}
    content["inputs"] = peer_pairs.checksum(pairs)
    chosen = [peer for peer in SSIM if peer in (only or SSIM)]
    for peer in chosen:
        function = SSIM[peer]()
        values = {name: round(function(x, y), DIGITS) for name, x, y in pairs}
        exact = {name: 1 - reference.one_minus_ssim(x, y, 255, DEFINITIONS[peer]) for name, x, y in pairs}
        errors = {name: abs(values[name] - exact[name]) for name in exact}
        worst = max(errors, key=errors.get)
        print(f"{peer}: within {errors[worst]:.1e} of its definition in float64, the farthest for {worst!r}")
        content["values"][peer] = values
        if peer in MULTISCALE:
            function = MULTISCALE[peer]()
            content["ms_ssim"][peer] = {name: round(function(x, y), DIGITS) for name, x, y in pairs if name in MS_SSIM}
    packages = {package for peer in chosen for package in PACKAGES[peer.partition(",")[0]]}
    content["versions"] |= {package: version(package) for package in sorted(packages)}
    FILE.write_text(json.dumps(content, indent=0) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SSIM, help="libraries to run; the values of others stay")
    main(parser.parse_args().only)
