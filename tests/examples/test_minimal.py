"""The autoencoder in one file: a short training run improves the test scores."""

import re

import pytest

for name in ("flax", "optax", "skimage", "tyro"):
    pytest.importorskip(name)

from flax import nnx
from marks import slow

import jaxssim
from examples import minimal


def test_training_and_test_photographs_differ():
    assert not set(minimal.TRAINING) & set(minimal.TEST)


@slow
def test_a_short_training_run_improves_the_printed_scores(capsys, monkeypatch):
    monkeypatch.setattr(minimal, "TRAINING", ("astronaut", "retina"))
    monkeypatch.setattr(minimal, "TEST", ("coffee",))
    monkeypatch.setattr(minimal, "PATCH", 16)
    test = minimal.patches(minimal.TEST, minimal.PATCH)
    untrained = minimal.Autoencoder(nnx.Rngs(0))(test)
    assert untrained.shape == test.shape == (25 * 37, 16, 16, 3)
    minimal.main(steps=60)
    ssim, psnr = map(float, re.search(r"test SSIM (\S+), test PSNR (\S+) dB", capsys.readouterr().out).groups())
    assert ssim > jaxssim.ssim(test, untrained, data_range=1.0).mean() + 0.05
    assert psnr > jaxssim.psnr(test, untrained, data_range=1.0).mean() + 3
