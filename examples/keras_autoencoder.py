"""The autoencoder of many a Keras tutorial, trained with 1 - SSIM: Keras 3 on JAX.

    python -m examples.keras_autoencoder [--epochs 12] [--steps 50] [--output keras.png]

Four lines make it so: the backend, the import, the loss and its place in `compile`. The photographs are those of
`autoencoder/`, and so are the patches that are kept for testing.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported

import keras
import numpy as np
import tyro
from keras import layers
from matplotlib.figure import Figure

import jaxssim
from examples.autoencoder.config import Config
from examples.autoencoder.input_pipeline import test_patches, training_batches
from examples.autoencoder.pictures import photographs

SSIMLoss = lambda y_true, y_pred: jaxssim.ssim_loss(y_true, y_pred, data_range=1.0)  # noqa: E731


@dataclass(frozen=True)
class Options:
    """Train a Keras autoencoder with a structural loss."""

    epochs: int = 12
    """Passes, between which the learning rate changes and the test photographs are looked at."""
    steps: int = 50
    """Batches of 32 patches in an epoch."""
    seed: int = 0
    """Of the network's first weights and the patches."""
    output: Path = Path("keras.png")
    """Where the reconstructions are drawn."""


def main(options: Options) -> None:
    """Train, print the scores, draw the reconstructions."""
    keras.utils.set_random_seed(options.seed)
    config = Config(seed=options.seed)
    images = photographs(config)
    test = test_patches(images.testing, config.patch).astype(np.float32) / 255
    model = autoencoder(config.patch)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate=1e-3), loss=[SSIMLoss])
    model.fit(
        pairs(training_batches(images.training, config)),
        epochs=options.epochs,
        steps_per_epoch=options.steps,
        shuffle=False,  # they come shuffled
        validation_data=(test, test),
        callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: learning_rate(epoch, options.epochs))],
        verbose=2,
    )
    reconstructed = model.predict(test, verbose=0)
    for name, metric in (("SSIM", jaxssim.ssim), ("PSNR", jaxssim.psnr)):
        print(f"test {name} {metric(test, reconstructed, data_range=1.0).mean():.4f}")
    draw(test, reconstructed, options.output)
    print(options.output)


def autoencoder(patch: int) -> keras.Model:
    """Convolutions down to an eighth of the numbers, and up again by resizing, which leaves no checkerboard."""
    down = [layers.Conv2D(width, 3, strides=2, padding="same", activation="relu") for width in (32, 64)]
    code = layers.Conv2D(24, 3, strides=2, padding="same")
    up = [
        layer
        for width in (64, 32)
        for layer in (layers.UpSampling2D(), layers.Conv2D(width, 3, padding="same", activation="relu"))
    ]
    last = [layers.UpSampling2D(), layers.Conv2D(3, 3, padding="same", activation="sigmoid")]
    return keras.Sequential([layers.Input((patch, patch, 3)), *down, code, *up, *last])


def learning_rate(epoch: int, epochs: int) -> float:
    """Of Adam: a tenth in the last quarter."""
    return 1e-3 if epoch < 0.75 * epochs else 1e-4


def pairs(batches: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What an autoencoder sees, and is to give back."""
    for batch in batches:
        patches = batch.astype(np.float32) / 255
        yield patches, patches


def draw(test: np.ndarray, reconstructed: np.ndarray, path: Path) -> None:
    """Eight test patches over what became of them."""
    chosen = np.linspace(0, len(test) - 1, 8).round().astype(int)
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    grid = figure.subplots(2, 8, subplot_kw={"xticks": (), "yticks": ()})
    for row, images in zip(grid, (test[chosen], reconstructed[chosen]), strict=True):
        for axes, image in zip(row, images, strict=True):
            axes.imshow(image)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main(tyro.cli(Options, prog="python -m examples.keras_autoencoder"))
