"""SSIM's constants begin at 1 and end at those of the paper."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

for name in ("flax", "optax", "skimage"):
    pytest.importorskip(name)

from marks import slow

import jaxssim
from examples.gentle_start import ssim_constants

CURE = "k1 and k2 from 1, warm-up over a third"


@pytest.mark.parametrize("steps", [1, 2, 300])
def test_constants_shrink_geometrically_to_those_of_the_convention(steps):
    half = max(1, steps // 2)
    own = jaxssim.conventions.WANG2004
    for name in ("k1", "k2"):
        values = np.array([ssim_constants(step, steps)[name] for step in range(steps + 1)], np.float64)
        np.testing.assert_allclose(values[0], 1.0)
        np.testing.assert_allclose(values[half:], getattr(own, name), rtol=1e-6)
        ratios = values[1 : half + 1] / values[:half]
        np.testing.assert_allclose(ratios, getattr(own, name) ** (1 / half), rtol=1e-5)


@pytest.mark.parametrize("loss", [jaxssim.ssim_loss, jaxssim.ms_ssim_loss])
def test_they_are_arguments_of_the_losses(loss):
    assert set(ssim_constants(0, 10)) <= set(inspect.signature(loss).parameters)


def test_a_step_that_is_traced_compiles_once():
    traces = []

    @jax.jit
    def loss(x, y, step):
        traces.append(step)
        return jaxssim.ssim_loss(x, y, data_range=1.0, **ssim_constants(step, 100))

    x = jax.random.uniform(jax.random.key(0), (1, 16, 16, 1))
    values = [float(loss(x, jnp.full_like(x, 0.5), step)) for step in (0, 25, 50, 100)]
    assert len(traces) == 1
    assert values == sorted(values)
    assert values[0] < 0.1  # nearly a squared error of 1/12
    assert values[2] == values[3] == pytest.approx(float(jaxssim.ssim_loss(x, jnp.full_like(x, 0.5), data_range=1.0)))


@slow
def test_it_saves_runs_that_are_stuck_without_it():
    """By the program that measured what the site says, with the network that has a dense code, on brick."""
    import stuck_runs

    dense, training, test = stuck_runs.cases()["brick"]
    train = stuck_runs.trainer(dense, jaxssim.ssim_loss, jnp.asarray(training), jnp.asarray(test), 300)
    found = {}
    for name in ("none", CURE):
        cures = jax.tree.map(lambda value: jnp.full(2, value), stuck_runs.CURES[name])
        outputs = np.asarray(train((jnp.arange(2), jnp.full(2, 0.01), cures)))
        found[name] = [stuck_runs.verdict(test, y) for y in outputs]
    assert found["none"].count("stuck") >= 1
    assert found[CURE] == ["healthy"] * 2
