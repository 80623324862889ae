"""The yardstick of a network: PCA, of all linear codes of single blocks the one of least squared error."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from sklearn.decomposition import PCA

from examples.autoencoder.block_dct import join_blocks, split_blocks
from examples.autoencoder.config import Config
from examples.autoencoder.input_pipeline import training_batches

MAX_PATCHES, MAX_BLOCKS = 2048, 2**17  # for the fit; more change its scores by less than 0.001
FILE = "pca.npz"


class BlockPCA(nnx.Module):
    """Reconstructs each block of an image from its first principal components."""

    def __init__(self, block: int, mean: np.ndarray, components: np.ndarray) -> None:
        """Takes the mean of the blocks, (3 * block^2,), and orthonormal components, (components, 3 * block^2)."""
        self.block = block
        self.mean = nnx.Variable(jnp.asarray(mean, jnp.float32))
        self.components = nnx.Variable(jnp.asarray(components, jnp.float32))

    @classmethod
    def fit(cls, images: Sequence[np.ndarray], config: Config) -> Self:
        """Fits as many components as the bottleneck is long to the blocks of training patches.

        Args:
          images: the training images, uint8 (height, width, 3).
          config: says how patches are taken and varied, as for the network.
        """
        count = max(1, min(MAX_PATCHES, MAX_BLOCKS // (config.patch // config.block) ** 2) // config.batch_size)
        batches = training_batches(images, config)
        patches = jnp.asarray(np.concatenate([next(batches) for _ in range(count)]).astype(np.float32) / 255)
        blocks = np.asarray(split_blocks(patches, config.block)).reshape(-1, 3 * config.block**2)
        pca = PCA(min(config.bottleneck, *blocks.shape), svd_solver="covariance_eigh").fit(blocks)
        return cls(config.block, pca.mean_, pca.components_)

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        """Reads what `save` wrote to a run's folder."""
        with np.load(folder / FILE) as arrays:
            return cls(config.block, arrays["mean"], arrays["components"])

    def save(self, folder: Path) -> None:
        """Writes the mean and the components to a run's folder."""
        np.savez(folder / FILE, mean=self.mean[...], components=self.components[...])

    def __call__(self, patches: jax.Array) -> jax.Array:
        """Returns the reconstructions of patches (batch, height, width, 3), of the same shape."""
        blocks = split_blocks(patches, self.block) - self.mean[...]
        return join_blocks(blocks @ self.components[...].T @ self.components[...] + self.mean[...], self.block)
