"""From images to patches: random training batches by Grain, and the fixed patches of the test images."""

from collections.abc import Sequence

import grain
import numpy as np

from examples.autoencoder.config import Augment, Config

MAX_TEST_PATCHES = 512


def training_batches(
    images: Sequence[np.ndarray], config: Config, process: int = 0, processes: int = 1
) -> grain.DatasetIterator[np.ndarray]:
    """Returns an endless iterator over one process's share of the training batches.

    Each batch is uint8 (batch size / processes, patch, patch, 3) and takes a random patch from each image in turn. The
    position in the stream alone determines a patch, so that the whole batch is the same for any number of processes.
    The stream is not shuffled: the images come in random order, and Grain's shuffle of a few images takes 2 ms per
    patch.
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
    """Crops a patch (size, size, 3) at a random position and augments it as `Config.augment` describes."""
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
    """Cuts images into adjacent patches and returns them as uint8 (patches, size, size, 3).

    Where there are more than `MAX_TEST_PATCHES`, every n-th patch is returned.
    """
    patches = [
        image[top : top + size, left : left + size]
        for image in images
        for top in range(0, image.shape[0] - size + 1, size)
        for left in range(0, image.shape[1] - size + 1, size)
    ]
    every = -(-len(patches) // MAX_TEST_PATCHES)
    return np.stack(patches[::every])
