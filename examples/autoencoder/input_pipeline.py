"""Images in, patches out: what to train on, and what is kept for testing."""

from collections.abc import Sequence

import grain
import numpy as np

from examples.autoencoder.config import Augment, Config

MOST_TEST_PATCHES = 512


def training_batches(
    images: Sequence[np.ndarray], config: Config, process: int = 0, processes: int = 1
) -> grain.DatasetIterator[np.ndarray]:
    """A process's share of the batches, (batch / processes, patch, patch, 3) of uint8 without end.

    A random patch comes from each image in turn. Which, its place in the stream says, so that a batch is the same
    however many processes share it. Not shuffled besides: images come in random order, and Grain's shuffle of few
    takes 2 ms an index.
    """
    return iter(
        grain.MapDataset.source(images)
        .seed(config.seed)
        .repeat()
        .random_map(lambda image, rng: random_patch(image, config.patch, rng, config.augment))[process::processes]
        .batch(config.batch_size // processes)
        .to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=8))
    )


def random_patch(image: np.ndarray, size: int, rng: np.random.Generator, augment: Augment = "all") -> np.ndarray:
    """A patch from anywhere in an image; with "all" in any orientation, order of colours and exposure besides."""
    top, left = (rng.integers(side - size + 1) for side in image.shape[:2])
    patch = image[top : top + size, left : left + size]
    match augment:
        case "crops":
            return patch
        case "flips":
            return patch[:, :: rng.choice((1, -1))]
        case "all":
            patch = np.rot90(patch[..., rng.permutation(3)], int(rng.integers(4)))[:: rng.choice((1, -1))]
            return (patch * rng.uniform(0.5, 1)).astype(np.uint8)


def test_patches(images: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Tiles of the test photographs, (patches, size, size, 3) of uint8, evenly thinned out where they are many."""
    tiles = [
        image[top : top + size, left : left + size]
        for image in images
        for top in range(0, image.shape[0] - size + 1, size)
        for left in range(0, image.shape[1] - size + 1, size)
    ]
    return np.stack(tiles[:: -(-len(tiles) // MOST_TEST_PATCHES)])
