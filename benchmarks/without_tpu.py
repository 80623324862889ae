"""What programs share that compile for TPUs without a TPU: libtpu's settings, and the training step as a function."""

import jax
import jax.numpy as jnp
import numpy as np

ENVIRONMENT = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "JAX_PLATFORMS": "cpu",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",  # has no effect on the program; libtpu warns without it
    "TPU_LOG_DIR": "disabled",
    "TPU_WORKER_HOSTNAMES": "localhost",
}


def training_step(**options):
    """Returns the step of a configuration with `options`, its state, and the shape of its batch.

    The step maps a state and a batch of patches to the next state and the loss.
    """
    from flax import nnx

    from examples.autoencoder import steps
    from examples.autoencoder.config import Config
    from examples.autoencoder.losses import loss_of

    config = Config(**options)
    model, optimizer, _ = steps.initial_state(config)
    structure, state = nnx.split((model, optimizer))

    def step(state, batch):
        model, optimizer = nnx.merge(structure, state)
        loss = steps.train_step(model, optimizer, batch, loss_of(config), np.float32(np.nan))
        return nnx.state((model, optimizer)), loss

    return step, state, jax.ShapeDtypeStruct((config.batch_size, config.patch, config.patch, 3), jnp.uint8)
