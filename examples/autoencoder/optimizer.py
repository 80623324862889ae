"""Adam, and what changes its steps: the schedule, the clipping of gradients, a plateau of the test loss."""

import jax
import jax.numpy as jnp
import optax

from examples.autoencoder.config import Config


def adam(config: Config) -> optax.GradientTransformationExtraArgs:
    """Adam as the config says; updates take a `test_loss`, NaN where there is no new one."""
    stages = [optax.adam(learning_rate(config), b2=0.99)]
    if config.clip is not None:
        stages.insert(0, optax.clip_by_global_norm(config.clip))
    if config.schedule == "plateau":
        stages.append(scale_on_plateau(config.plateau_factor, config.plateau_patience))
    return optax.with_extra_args_support(optax.chain(*stages))


def learning_rate(config: Config) -> optax.Schedule:
    """Adam's learning rate at each step, from which a plateau takes its factor."""
    peak, steps = config.learning_rate, config.steps
    match config.schedule:
        case "cosine":
            return optax.warmup_cosine_decay_schedule(
                0.0, peak, min(100, max(1, steps // 10)), max(2, steps), peak / 100
            )
        case "step":
            return optax.piecewise_constant_schedule(peak, {int(0.6 * steps): 1 / 3, int(0.85 * steps): 1 / 3})
        case "constant" | "plateau":
            return optax.constant_schedule(peak)


def scale_on_plateau(factor: float, patience: int) -> optax.GradientTransformationExtraArgs:
    """Optax's reduction on a plateau, which here counts the evaluations, not the steps between them."""
    plateau = optax.contrib.reduce_on_plateau(factor, patience)

    def update(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        *,
        test_loss: jax.Array,
        **_: object,
    ) -> tuple[optax.Updates, optax.OptState]:
        counted = plateau.update(updates, state, value=test_loss)[1]
        state = jax.tree.map(lambda new, old: jnp.where(jnp.isnan(test_loss), old, new), counted, state)
        return jax.tree.map(lambda each: state.scale * each, updates), state

    return optax.GradientTransformationExtraArgs(plateau.init, update)
