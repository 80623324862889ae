"""How far each metric, in float32, is from values that others computed in double precision.

    python benchmarks/accuracy.py --reference DIR

DIR holds `values.json` and the PNG pairs that it names: values of the original MATLAB code, run in Octave. Without it,
the peers' values that the tests keep are all there is. Errors are the largest and the median over all pairs.
"""

import argparse
import functools
import json
import platform
import sys
from pathlib import Path

import jax
import numpy as np

import jaxssim
from jaxssim import conventions

TESTS = Path(__file__).resolve().parents[1] / "tests"
MATLAB = {
    "ssim_wang2004": jaxssim.ssim,
    "ssim_wang_autodownsample": functools.partial(jaxssim.ssim, convention=conventions.WANG_AUTODOWNSAMPLE),
    "msssim_wang2003": jaxssim.ms_ssim,
    "cwssim_l4_o8": functools.partial(jaxssim.cw_ssim, levels=4, orientations=8),
    "cwssim_l5_o16": functools.partial(jaxssim.cw_ssim, levels=5, orientations=16),
    "cwssim_l3_o4": functools.partial(jaxssim.cw_ssim, levels=3, orientations=4),
}


def against_matlab(folder):
    """Of each metric that MATLAB code defines, the errors over all pairs for which it has a real value."""
    from PIL import Image

    for key, metric in MATLAB.items():
        errors = []
        for pair in json.loads((folder / "values.json").read_text()):
            if pair.get(key) is not None:
                x, y = (np.asarray(Image.open(folder / pair[name])) for name in ("reference", "distorted"))
                errors.append(abs(float(metric(x, y, channel_axis=None)) - pair[key]))
        report(f"MATLAB, {key}", errors)


def against_peers():
    """Of each convention whose library's values the tests keep, the errors over all of their pairs."""
    sys.path.insert(0, str(TESTS))
    import peer_pairs

    kept = json.loads((TESTS / "peer_values.json").read_text())
    pairs = {name: (x, y) for name, x, y in peer_pairs.pairs()}
    for peer, values in kept["values"].items():
        convention = getattr(conventions, peer.split(",")[0].upper().replace("-", "_"), None)
        if convention is not None:
            metric = functools.partial(jaxssim.ssim, convention=convention, channel_axis=-1)
            report(peer, [abs(float(metric(*pairs[name])) - value) for name, value in values.items()])


def report(name, errors):
    """One row."""
    print(f"| {name} | {len(errors)} | {np.max(errors):.1e} | {np.median(errors):.1e} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How far each metric is from double precision.")
    parser.add_argument("--reference", type=Path)
    reference = parser.parse_args().reference
    print(f"jax {jax.__version__}, Python {platform.python_version()}, {jax.default_backend()}, float32\n")
    print("| against | pairs | largest error | median |\n| --- | --: | --: | --: |")
    if reference:
        against_matlab(reference)
    against_peers()
