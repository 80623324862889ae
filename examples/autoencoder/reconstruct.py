"""Reconstruct whole images with a trained network, score them, export it: `python -m examples.autoencoder.reconstruct`.

An image of any size is cut into tiles of the patches' size, each half over the next. The tiles are reconstructed alone
and blended by a window that falls to their edges, so that no seam is left.
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
from rich.console import Console

import jaxssim
from examples.autoencoder import pictures, runs
from examples.autoencoder.model import Autoencoder
from examples.blending import blend_tiles

BATCH = 64  # tiles that go through the network at once
WINDOW = 11  # pixels of SSIM's window


@dataclass(frozen=True)
class Options:
    """Reconstruct whole images with a trained network, score them, export it."""

    run: tyro.conf.Positional[Path]
    """A run's folder, such as runs/photographs."""
    images: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Image files of any size, and folders of them."""
    output: Path | None = None
    """Where to write scores.csv, images/ and ssim_maps/; by default RUN/reconstructed."""
    export: bool = False
    """Write the network, for any number of patches at once, to RUN/model.stablehlo, which jax.export reads."""


def main(options: Options) -> None:
    """Do what the options say, and tell what was written."""
    paths = [path for image in options.images for path in (pictures.files(image) if image.is_dir() else [image])]
    if not (paths or options.export):
        raise SystemExit("there are no images to reconstruct; pass image files or folders of them, or --export")
    console = Console()
    config, model = runs.load(options.run)
    if options.export:
        (options.run / "model.stablehlo").write_bytes(export(model, config.patch))
        console.print(str(options.run / "model.stablehlo"), soft_wrap=True)
    if paths:
        output = options.output or options.run / "reconstructed"
        unreadable = reconstruct_files(jax.jit(lambda tiles: model(tiles)), config.patch, paths, output)
        if unreadable:
            named = ", ".join(map(str, unreadable))
            console.print(f"{len(unreadable)} unreadable: {named}", style="yellow", markup=False, soft_wrap=True)
        console.print(str(output / "scores.csv"), soft_wrap=True)


def export(model: Autoencoder, patch: int) -> bytes:
    """The network and its parameters as StableHLO: float32 (b, patch, patch, 3) in [0, 1] to the same, for any b."""
    shape = jax.export.symbolic_shape(f"b, {patch}, {patch}, 3")
    exporter = jax.export.export(jax.jit(lambda patches: model(patches)), platforms=("cpu", "cuda", "tpu"))
    return bytes(exporter(jax.ShapeDtypeStruct(shape, jnp.float32)).serialize())


def reconstruct_files(
    network: Callable[[np.ndarray], jax.Array], patch: int, paths: list[Path], output: Path
) -> list[pictures.Unreadable]:
    """Write what becomes of each image, its SSIM map, and a table of all scores; the files that are no images."""
    unreadable = []
    for folder in ("images", "ssim_maps"):
        (output / folder).mkdir(parents=True, exist_ok=True)
    with (output / "scores.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "name", "height", "width", "ssim", "psnr", "mse"))
        for path, name in zip(paths, names(paths), strict=True):
            try:
                original = pictures.read(path, smallest=1)
            except pictures.UNREADABLE as error:
                unreadable.append(pictures.Unreadable(path, pictures.reason(error)))
                continue
            reconstructed = blended(network, original.astype(np.float32) / 255, patch)
            reconstructed = np.rint(255 * reconstructed.clip(0, 1)).astype(np.uint8)
            Image.fromarray(reconstructed).save(output / "images" / f"{name}.png")
            table.writerow((path, name, *original.shape[:2], *scores(original, reconstructed)))
            if min(original.shape[:2]) >= WINDOW:
                ssim_map = jaxssim.ssim_map(original, reconstructed).mean(-1)
                matplotlib.image.imsave(output / "ssim_maps" / f"{name}.png", ssim_map, cmap="magma", vmin=0, vmax=1)
    return unreadable


def names(paths: list[Path]) -> list[str]:
    """What each file's pictures are called: its stem, after a number where two files have the same."""
    stems = [path.stem for path in paths]
    if len({stem.casefold() for stem in stems}) == len(stems):
        return stems
    return [f"{i}-{stem}" for i, stem in enumerate(stems, start=1)]


def scores(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """SSIM, PSNR and MSE (of values in [0, 1]) of two images of uint8; NaN for SSIM where its window does not fit."""
    ssim = float(jaxssim.ssim(x, y)) if min(x.shape[:2]) >= WINDOW else np.nan
    return ssim, float(jaxssim.psnr(x, y)), float(jaxssim.mse(x, y)) / 255**2


def blended(network: Callable[[np.ndarray], jax.Array], image: np.ndarray, tile: int) -> np.ndarray:
    """An image (height, width, channels) through a network of tiles (batch, tile, tile, channels), in tiles and back.

    The image is mirrored at its edges, so that every pixel of it lies in four tiles. Their weights are squared sines
    along each axis, divided by their sum: a network that changes nothing gives the image back.
    """
    step = tile // 2
    counts = [-(-side // step) + 1 for side in image.shape[:2]]
    after = [(count - 1) * step + tile - step - side for count, side in zip(counts, image.shape[:2], strict=True)]
    padded = np.pad(image, (*((step, end) for end in after), (0, 0)), mode="symmetric")
    corners = [(step * i, step * j) for i, j in np.ndindex(*counts)]
    profile = np.sin(np.pi * (np.arange(tile, dtype=np.float32) + 0.5) / tile) ** 2
    output = blend_tiles(network, padded, corners, np.outer(profile, profile), image.shape[2], BATCH)
    height, width, _ = image.shape
    return output[step : step + height, step : step + width]


if __name__ == "__main__":
    main(tyro.cli(Options, prog="python -m examples.autoencoder.reconstruct", description=__doc__))
