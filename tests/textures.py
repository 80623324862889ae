"""Grey pictures and untrained networks for the tests of defect segmentation."""

import math

import numpy as np


def wave(height=128, width=128, seed=0):
    """Returns a grey picture of regular waves and a little noise, (height, width) of uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = np.sin(rows * rng.uniform(0.2, 0.6)) * np.cos(columns * rng.uniform(0.2, 0.6))
    return (127 * (1 + 0.8 * waves) + rng.uniform(-5, 5, waves.shape)).astype(np.uint8)


def write(path, picture):
    """Writes an array as a picture file; makes its folder."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def untrained_network(bottleneck):
    """Returns an autoencoder with random weights from NumPy; JAX would compile a random generator for every shape."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from examples.defect_segmentation.model import Autoencoder

    rng = np.random.default_rng(0)

    def fill(parameter):
        if parameter.ndim in (1, 3):  # a bias
            return jnp.zeros(parameter.shape)
        deviation = math.sqrt(2 / math.prod(parameter.shape[:-1]))
        return jnp.asarray(rng.normal(0, deviation, parameter.shape), jnp.float32)

    graph, state = nnx.split(nnx.eval_shape(lambda: Autoencoder(bottleneck, nnx.Rngs(0))))
    return nnx.merge(graph, jax.tree.map(fill, state))
