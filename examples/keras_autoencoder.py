"""A Keras 3 autoencoder of the usual layers, trained with 1 - SSIM on the JAX backend.

Three lines are particular to jaxssim: the choice of the backend, the import, and the loss in `compile`. The training
patches and the test patches are those of `examples.autoencoder`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported

import keras
import matplotlib.image
import numpy as np
import tyro
from keras import layers
from skimage.util import montage

import jaxssim.keras
from examples.autoencoder.config import Config
from examples.autoencoder.images import load_images
from examples.autoencoder.input_pipeline import test_patches, training_batches
from jaxssim._cli.console import open_console, say


@dataclass(frozen=True)
class Options:
    """Train a Keras autoencoder with a structural loss."""

    epochs: int = 12
    """Number of epochs; each ends with an evaluation on the test photographs."""
    steps: int = 50
    """Batches of 32 patches per epoch."""
    seed: int = 0
    """Seed of the initial weights and the patches."""
    output: Path = Path("keras.png")
    """Where to draw test patches above their reconstructions."""


def main(options: Options) -> None:
    """Trains, prints the test scores and draws reconstructions."""
    keras.utils.set_random_seed(options.seed)
    config = Config(seed=options.seed)
    images = load_images(config)
    test = test_patches(images.test, config.patch).astype(np.float32) / 255
    model = autoencoder(config.patch)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate=1e-3), loss=jaxssim.keras.SSIMLoss(data_range=1.0))
    model.fit(
        input_target_pairs(training_batches(images.training, config)),
        epochs=options.epochs,
        steps_per_epoch=options.steps,
        shuffle=False,  # the batches are random already
        validation_data=(test, test),
        callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: learning_rate(epoch, options.epochs))],
        verbose=2,
    )
    reconstructed = model.predict(test, verbose=0)
    for name, metric in (("SSIM", jaxssim.ssim), ("PSNR", jaxssim.psnr)):
        print(f"test {name} {metric(test, reconstructed, data_range=1.0).mean():.4f}")
    draw(test, reconstructed, options.output)
    say(open_console(), options.output)


def autoencoder(patch: int) -> keras.Model:
    """Builds an autoencoder whose bottleneck has an eighth of the values of a patch.

    The decoder enlarges by repeating pixels before each convolution, which avoids the checkerboard patterns of
    transposed convolutions.
    """
    encoder = [layers.Conv2D(width, 3, strides=2, padding="same", activation="relu") for width in (32, 64)]
    bottleneck = layers.Conv2D(24, 3, strides=2, padding="same")
    decoder = [
        layer
        for width in (64, 32)
        for layer in (layers.UpSampling2D(), layers.Conv2D(width, 3, padding="same", activation="relu"))
    ]
    output = [layers.UpSampling2D(), layers.Conv2D(3, 3, padding="same", activation="sigmoid")]
    return keras.Sequential([layers.Input((patch, patch, 3)), *encoder, bottleneck, *decoder, *output])


def learning_rate(epoch: int, epochs: int) -> float:
    """Returns the learning rate of an epoch: a tenth of the initial one in the last quarter."""
    return 1e-3 if epoch < 0.75 * epochs else 1e-4


def input_target_pairs(batches: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields each batch twice, as input and as target, float32 in [0, 1]."""
    for batch in batches:
        patches = batch.astype(np.float32) / 255
        yield patches, patches


def draw(test: np.ndarray, reconstructed: np.ndarray, path: Path) -> None:
    """Draws eight test patches above their reconstructions, (patches, height, width, 3) in [0, 1]."""
    chosen = np.linspace(0, len(test) - 1, 8).round().astype(int)
    grid = montage(
        np.concatenate([test[chosen], reconstructed[chosen]]),
        grid_shape=(2, 8),
        padding_width=4,
        fill=(1, 1, 1),
        channel_axis=-1,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    matplotlib.image.imsave(path, grid.repeat(3, axis=0).repeat(3, axis=1))


if __name__ == "__main__":
    main(tyro.cli(Options, prog="python -m examples.keras_autoencoder"))
