"""Adam with gradient clipping, a learning rate schedule and a reduction on plateaus of the test loss."""

import jax
import jax.numpy as jnp
import optax

from examples.autoencoder.config import Config


def adam(config: Config) -> optax.GradientTransformationExtraArgs:
    """Returns the optimiser that the config describes.

    Its `update` takes an extra argument `test_loss`: a scalar, NaN in the steps that follow no evaluation.
    """
    stages = [optax.adam(learning_rate(config), b2=0.99)]
    if config.clip is not None:
        stages.insert(0, optax.clip_by_global_norm(config.clip))
    if config.schedule == "plateau":
        stages.append(reduce_on_plateau(config.plateau_factor, config.plateau_patience))
    return optax.with_extra_args_support(optax.chain(*stages))


def learning_rate(config: Config) -> optax.Schedule:
    """Returns the learning rate schedule, before any reduction on a plateau."""
    peak, steps = config.learning_rate, config.steps
    match config.schedule:
        case "cosine":
            warm_up = min(100, max(1, steps // 10))
            return optax.warmup_cosine_decay_schedule(0.0, peak, warm_up, max(2, steps), end_value=peak / 100)
        case "step":
            return optax.piecewise_constant_schedule(peak, {int(0.6 * steps): 1 / 3, int(0.85 * steps): 1 / 3})
        case "constant" | "plateau":
            return optax.constant_schedule(peak)


def reduce_on_plateau(factor: float, patience: int) -> optax.GradientTransformationExtraArgs:
    """Returns Optax's reduction on plateaus, with `patience` counted in evaluations instead of steps."""
    plateau = optax.contrib.reduce_on_plateau(factor, patience)

    def update(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        *,
        test_loss: jax.Array,
        **_: object,
    ) -> tuple[optax.Updates, optax.OptState]:
        _, next_state = plateau.update(updates, state, value=test_loss)
        state = jax.tree.map(lambda new, old: jnp.where(jnp.isnan(test_loss), old, new), next_state, state)
        return jax.tree.map(lambda each: state.scale * each, updates), state

    return optax.GradientTransformationExtraArgs(plateau.init, update)
