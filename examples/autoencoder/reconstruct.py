"""Reconstruct whole images with a trained network, score the reconstructions, and export the network.

The network takes patches of one size. An image of any size is divided into tiles of that size that overlap by half; the
network reconstructs each tile, and the tiles are blended so that no seam remains.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import matplotlib.image
import numpy as np
import tyro
from PIL import Image

import jaxssim
from examples.autoencoder.images import READ_ERRORS, Unreadable, image_files, read_image, reason
from examples.autoencoder.model import Autoencoder
from examples.autoencoder.runs import load_run
from examples.blending import blend_tiles
from examples.progress import open_console, say

BATCH = 64  # tiles that pass through the network at once
SSIM_WINDOW = 11  # pixels; smaller images have no SSIM
Network = Callable[[np.ndarray], jax.Array]


@dataclass(frozen=True)
class Options:
    """Reconstruct whole images with a trained network, score the reconstructions, and export the network."""

    run: tyro.conf.Positional[Path]
    """Folder of a run, such as runs/photographs."""
    images: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Image files of any size, and folders of image files."""
    output: Path | None = None
    """Folder for scores.csv, images/ and ssim_maps/. Default: RUN/reconstructed."""
    export: bool = False
    """Write the network, for any batch size, to RUN/model.stablehlo, which jax.export reads."""


def main(options: Options) -> None:
    """Exports the network and reconstructs the images, as the options say."""
    paths = [path for image in options.images for path in (image_files(image) if image.is_dir() else [image])]
    if not (paths or options.export):
        raise SystemExit("there are no images to reconstruct; pass image files or folders of them, or --export")
    console = open_console()
    config, model = load_run(options.run)
    if options.export:
        (options.run / "model.stablehlo").write_bytes(export(model, config.patch))
        say(console, options.run / "model.stablehlo")
    if paths:
        output = options.output or options.run / "reconstructed"
        unreadable = reconstruct_files(jax.jit(lambda tiles: model(tiles)), config.patch, paths, output)
        if unreadable:
            files = ", ".join(map(str, unreadable))
            say(console, f"{len(unreadable)} unreadable: {files}", style="yellow")
        say(console, output / "scores.csv")


def export(model: Autoencoder, patch: int) -> bytes:
    """Serialises the network with its parameters as StableHLO for CPU, CUDA and TPU.

    The exported function maps float32 (batch, patch, patch, 3) in [0, 1] to the same shape, for any batch size.
    """
    shape = jax.export.symbolic_shape(f"batch, {patch}, {patch}, 3")
    exporter = jax.export.export(jax.jit(lambda patches: model(patches)), platforms=("cpu", "cuda", "tpu"))
    return bytes(exporter(jax.ShapeDtypeStruct(shape, jnp.float32)).serialize())


def reconstruct_files(network: Network, patch: int, paths: list[Path], output: Path) -> list[Unreadable]:
    """Writes the reconstruction and the SSIM map of each image, and a table of all scores.

    Args:
      network: maps float32 (BATCH, patch, patch, 3) in [0, 1] to the same shape.
      patch: the height and width of a tile in pixels.
      paths: the image files.
      output: the folder to write to.

    Returns:
      The files that are no images.
    """
    unreadable = []
    for folder in ("images", "ssim_maps"):
        (output / folder).mkdir(parents=True, exist_ok=True)
    with (output / "scores.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "name", "height", "width", "ssim", "psnr", "mse"))
        for path, name in zip(paths, unique_names(paths), strict=True):
            try:
                original = read_image(path, smallest=1)
            except READ_ERRORS as error:
                unreadable.append(Unreadable(path, reason(error)))
                continue
            reconstructed = reconstruct_image(network, original.astype(np.float32) / 255, patch)
            reconstructed = np.rint(255 * reconstructed.clip(0, 1)).astype(np.uint8)
            Image.fromarray(reconstructed).save(output / "images" / f"{name}.png")
            table.writerow((path, name, *original.shape[:2], *scores(original, reconstructed)))
            if min(original.shape[:2]) >= SSIM_WINDOW:
                ssim_map = jaxssim.ssim_map(original, reconstructed).mean(-1)
                matplotlib.image.imsave(output / "ssim_maps" / f"{name}.png", ssim_map, cmap="magma", vmin=0, vmax=1)
    return unreadable


def unique_names(paths: list[Path]) -> list[str]:
    """Returns a name for the outputs of each file: its stem, preceded by a number where two files share a stem."""
    stems = [path.stem for path in paths]
    if len({stem.casefold() for stem in stems}) == len(stems):
        return stems
    return [f"{i}-{stem}" for i, stem in enumerate(stems, start=1)]


def scores(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Computes SSIM, PSNR, and the MSE of values in [0, 1], of two uint8 images.

    SSIM is NaN where the image is smaller than its window.
    """
    ssim = float(jaxssim.ssim(x, y)) if min(x.shape[:2]) >= SSIM_WINDOW else np.nan
    return ssim, float(jaxssim.psnr(x, y)), float(jaxssim.mse(x, y)) / 255**2


def reconstruct_image(network: Network, image: np.ndarray, tile: int) -> np.ndarray:
    """Reconstructs an image of any size from tiles that overlap by half.

    The image is mirrored at its edges, so that each of its pixels lies in four tiles. Tiles are weighted by the square
    of a sine along each axis, which falls to zero at their edges.

    Args:
      network: maps (BATCH, tile, tile, channels) to the same shape.
      image: float32 (height, width, channels).
      tile: the height and width of a tile in pixels.

    Returns:
      The reconstruction, of the shape of `image`.
    """
    step = tile // 2
    height, width, channels = image.shape
    rows, columns = (-(-side // step) + 1 for side in (height, width))
    bottom, right = ((count - 1) * step + tile - step - side for count, side in ((rows, height), (columns, width)))
    padded = np.pad(image, ((step, bottom), (step, right), (0, 0)), mode="symmetric")
    corners = [(step * i, step * j) for i, j in np.ndindex(rows, columns)]
    profile = np.sin(np.pi * (np.arange(tile, dtype=np.float32) + 0.5) / tile) ** 2
    blended = blend_tiles(network, padded, corners, np.outer(profile, profile), channels, BATCH)
    return blended[step : step + height, step : step + width]


if __name__ == "__main__":
    main(tyro.cli(Options, prog="python -m examples.autoencoder.reconstruct", description=__doc__))
