"""Keeps training with a structural loss from getting stuck: SSIM's constants begin large and then shrink.

A network of random weights reconstructs flat grey. There, 1 - SSIM with its small constants punishes a first guess at
structure more than flat grey, wherever the guess is wrong. With constants of 1 it is close to a squared error. A
warm-up of the learning rate over a third of the steps helps further; `docs/training.md` has the figures.
"""

import jax
import optax

FIRST = 1.0  # of both constants
LAST = {"k1": 0.01, "k2": 0.03}  # of Wang, Bovik, Sheikh & Simoncelli 2004


def ssim_constants(step: jax.Array | int, steps: int) -> dict[str, jax.Array]:
    """Returns the arguments `k1` and `k2` of `jaxssim.ssim_loss` or `ms_ssim_loss` at a step, which may be traced.

    Both shrink geometrically from 1 to the values of the paper over the first half of the steps, and stay there.

    Args:
      step: the number of steps taken, such as `optimizer.step[...]` of an `nnx.Optimizer`.
      steps: the length of the training.
    """
    half = max(1, steps // 2)
    return {name: optax.exponential_decay(FIRST, half, last, end_value=last)(step) for name, last in LAST.items()}
