"""The autoencoder in one file: a short training run improves the test scores."""

import re

import numpy as np
import pytest

for name in ("flax", "optax", "skimage", "tyro"):
    pytest.importorskip(name)

from flax import nnx

import jaxssim
from examples import minimal


def test_a_short_training_run_improves_the_printed_scores(capsys):
    test = minimal.patches(minimal.TEST, minimal.PATCH)
    assert not set(minimal.TRAINING) & set(minimal.TEST)
    untrained = minimal.Autoencoder(nnx.Rngs(0))(test)
    assert untrained.shape == test.shape
    minimal.main(steps=40)
    ssim, psnr = map(float, re.search(r"test SSIM (\S+), test PSNR (\S+) dB", capsys.readouterr().out).groups())
    assert ssim > np.mean(jaxssim.ssim(test, untrained, data_range=1.0)) + 0.1
    assert psnr > np.mean(jaxssim.psnr(test, untrained, data_range=1.0)) + 1
