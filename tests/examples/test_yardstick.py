"""The yardstick of the autoencoder: PCA of blocks, against numpy's singular value decomposition."""

import dataclasses

import numpy as np
import pytest

for name in ("flax", "grain", "optax", "orbax.checkpoint", "rich", "skimage", "sklearn", "tensorboardX", "tyro"):
    pytest.importorskip(name)

from training_runs import SMALL

from examples.autoencoder import input_pipeline, yardstick
from examples.autoencoder.yardstick import BlockPCA

CONFIG = dataclasses.replace(SMALL, bottleneck=5)


@pytest.fixture
def images():
    return list(np.random.default_rng(0).integers(0, 256, (3, 24, 40, 3), np.uint8))


def blocks_of(patches):
    """Returns the blocks of patches of 16x16 pixels, float64 (blocks, 192)."""
    return (patches / 255).reshape(-1, 2, 8, 2, 8, 3).swapaxes(2, 3).reshape(-1, 192)


def test_the_components_are_those_of_the_training_blocks(images, monkeypatch):
    monkeypatch.setattr(yardstick, "MAX_PATCHES", 160)
    pca = BlockPCA.fit(images, CONFIG)
    batches = input_pipeline.training_batches(images, CONFIG)
    patches = np.concatenate([next(batches) for _ in range(160 // CONFIG.batch_size)])
    blocks = blocks_of(patches)
    mean = blocks.mean(0)
    _, _, rows = np.linalg.svd(blocks - mean, full_matrices=False)
    projected = (blocks - mean) @ rows[:5].T @ rows[:5] + mean
    reconstructed = np.asarray(pca((patches / 255).astype(np.float32)))
    np.testing.assert_allclose(blocks_of(255 * reconstructed), projected, atol=1e-4)


def test_all_components_reconstruct_exactly(images):
    pca = BlockPCA.fit(images, dataclasses.replace(CONFIG, bottleneck=192))
    x = np.random.default_rng(1).random((2, 24, 40, 3), np.float32)
    np.testing.assert_allclose(pca(x), x, atol=1e-5)


def test_pca_is_read_from_the_folder_of_its_run(images, tmp_path):
    pca = BlockPCA.fit(images, CONFIG)
    pca.save(tmp_path)
    x = np.random.default_rng(1).random((1, 16, 16, 3), np.float32)
    np.testing.assert_array_equal(BlockPCA.load(tmp_path, CONFIG)(x), pca(x))
