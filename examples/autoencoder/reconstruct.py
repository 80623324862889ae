"""Reconstruct whole images with a trained network, score the reconstructions, and export the network.

The network takes patches of one size. An image of any size is divided into tiles of that size that overlap by half; the
network reconstructs each tile, and the tiles are blended so that no seam remains.
"""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import matplotlib.image
import numpy as np
import tyro
from PIL import Image

import jaxssim
from examples.autoencoder.comparison import COLOURS, draw_comparison
from examples.autoencoder.model import Autoencoder
from examples.autoencoder.runs import Choice, choose_step, load_run
from examples.autoencoder.yardstick import BlockPCA
from examples.blending import blend_tiles
from jaxssim._cli.console import open_console, print_report, say
from jaxssim._pictures import Picture, Report, Unreadable, list_pictures, read, show_name, to_rgb

BATCH = 64  # tiles that pass through the network at once
SSIM_WINDOW = 11  # pixels; smaller images have no SSIM
SCORES = ("ssim", "psnr", "mse")
Network = Callable[[np.ndarray], jax.Array]


@dataclass(frozen=True)
class Options:
    """Reconstruct whole images with a trained network, score the reconstructions, and export the network."""

    run: tyro.conf.Positional[Path]
    """Folder of a run, such as runs/photographs."""
    images: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Image files of any size, and folders of image files."""
    output: Path | None = None
    """Folder for scores.csv, images/, ssim_maps/ and comparisons/. Default: RUN/reconstructed."""
    export: bool = False
    """Write the network, for any batch size, to RUN/model.stablehlo, which jax.export reads."""
    checkpoint: Choice | None = None
    """The checkpoint whose network to take: the latest, the best by test SSIM, or that of a step. Default: the network
    of the finished run, or the latest checkpoint of a run that has not finished."""
    data_range: float | None = None
    """Value of white in images of 16 bits or floats, where the file does not say it for certain."""


class Networks(NamedTuple):
    """What reconstructs tiles; each maps float32 (BATCH, tile, tile, 3) in [0, 1] to the same shape."""

    network: Network
    pca: Network
    tile: int  # height and width of a tile in pixels


def main(options: Options) -> None:
    """Exports the network and reconstructs the images, as the options say."""
    paths, unreadable = list_images(options.images)
    report = Report(unreadable)
    console = open_console()
    if not (paths or options.export):
        print_report(report, console)
        raise SystemExit("there are no images to reconstruct; pass image files or folders of them, or --export")
    step = choose_step(options.run, options.checkpoint)
    config, model = load_run(options.run, step)
    if step is not None:
        say(console, f"network of step {step} of {config.steps}")
    if options.export:
        (options.run / "model.stablehlo").write_bytes(export(model, config.patch))
        say(console, options.run / "model.stablehlo")
    if paths:
        output = options.output or options.run / "reconstructed"
        pca = BlockPCA.load(options.run, config)
        networks = Networks(jax.jit(lambda tiles: model(tiles)), jax.jit(lambda tiles: pca(tiles)), config.patch)
        means = reconstruct_files(networks, paths, output, report, options.data_range)
        say(console, output / "scores.csv", *mean_lines(means))
    print_report(report, console)


def list_images(images: Iterable[Path]) -> tuple[list[Path], list[Unreadable]]:
    """Returns the image files among paths to files and folders, and what cannot be opened."""
    paths, unreadable = [], []
    for image in images:
        found, closed = list_pictures(image) if image.is_dir() else ([image], [])
        paths += found
        unreadable += closed
    return paths, unreadable


def export(model: Autoencoder, patch: int) -> bytes:
    """Serialises the network with its parameters as StableHLO for CPU, CUDA and TPU.

    The exported function maps float32 (batch, patch, patch, 3) in [0, 1] to the same shape, for any batch size.
    """
    shape = jax.export.symbolic_shape(f"batch, {patch}, {patch}, 3")
    exporter = jax.export.export(jax.jit(lambda patches: model(patches)), platforms=("cpu", "cuda", "tpu"))
    return bytes(exporter(jax.ShapeDtypeStruct(shape, jnp.float32)).serialize())


def reconstruct_files(
    networks: Networks, paths: list[Path], output: Path, report: Report, data_range: float | None = None
) -> np.ndarray:
    """Writes the reconstruction and the SSIM map of each image, both beside the image, and a table of all scores.

    Args:
      networks: the network, and PCA for comparison.
      paths: the image files.
      output: the folder to write to.
      report: takes the files that could not be read as images, and the notes of the others.
      data_range: the value of white, where a file does not say it for certain.

    Returns:
      SSIM, PSNR and MSE of the network, then those of PCA: (images, 6).
    """
    all_scores = []
    for folder in ("images", "ssim_maps", "comparisons"):
        (output / folder).mkdir(parents=True, exist_ok=True)
    with (output / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("file", "name", "height", "width", *SCORES, *(f"pca_{name}" for name in SCORES), "notes"))
        for path, name in zip(paths, unique_names(paths), strict=True):
            try:
                picture = read(path, data_range=data_range)
            except Unreadable as error:
                report.unreadable.append(error)
                continue
            report.add(path, picture.notes)
            size, scores, notes = reconstruct_picture(networks, picture, output, name)
            table.writerow((show_name(path, "utf-8"), show_name(name, "utf-8"), *size, *scores, notes))
            all_scores.append(scores)
    return np.reshape(all_scores, (-1, 2 * len(SCORES)))


def mean_lines(scores: np.ndarray) -> list[str]:
    """Returns a line each with the mean scores of the network and of PCA, of the images that have an SSIM."""
    scores = scores[~np.isnan(scores).any(1)]
    if not len(scores):
        return []
    return [
        f"{title}: SSIM {ssim:.4f}, PSNR {psnr:.2f} dB, MSE {mse:.6f}, mean of {len(scores)} images"
        for title, (ssim, psnr, mse) in zip(("network", "PCA"), scores.mean(0).reshape(2, -1), strict=True)
    ]


def reconstruct_picture(
    networks: Networks, picture: Picture, output: Path, name: str
) -> tuple[tuple[int, int], tuple[float, ...], str]:
    """Writes the reconstruction of a picture, its SSIM map and all three; returns its size, scores and notes."""
    original = to_rgb(picture.pixels).astype(np.float32) / np.float32(picture.data_range)
    rounded, rounded_pca = (
        np.rint(255 * reconstruct_image(network, original, networks.tile).clip(0, 1)).astype(np.uint8)
        for network in networks[:2]
    )
    Image.fromarray(rounded).save(output / "images" / f"{name}.png")
    reconstructed = rounded.astype(np.float32) / 255
    notes, ssim_map = list(picture.notes), None
    if min(original.shape[:2]) < SSIM_WINDOW:
        notes.append(f"no SSIM: smaller than its window of {SSIM_WINDOW}x{SSIM_WINDOW} pixels")
    else:
        ssim_map = np.asarray(jaxssim.ssim_map(original, reconstructed, data_range=1.0).mean(-1))
        matplotlib.image.imsave(output / "ssim_maps" / f"{name}.png", ssim_map, cmap=COLOURS, vmin=0, vmax=1)
    scores = compute_scores(original, reconstructed)
    title, path = show_name(name, "utf-8"), output / "comparisons" / f"{name}.png"
    draw_comparison(original, reconstructed, ssim_map, scores, title, path)
    pca_scores = compute_scores(original, rounded_pca.astype(np.float32) / 255)
    return original.shape[:2], (*scores, *pca_scores), "; ".join(notes)


def unique_names(paths: list[Path]) -> list[str]:
    """Returns a name for the outputs of each file: its stem, preceded by a number where two files share a stem."""
    stems = [path.stem for path in paths]
    if len({stem.casefold() for stem in stems}) == len(stems):
        return stems
    return [f"{i}-{stem}" for i, stem in enumerate(stems, start=1)]


def compute_scores(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Computes SSIM, PSNR and MSE of two float32 images in [0, 1].

    SSIM is NaN where the image is smaller than its window.
    """
    ssim = float(jaxssim.ssim(x, y, data_range=1.0)) if min(x.shape[:2]) >= SSIM_WINDOW else np.nan
    return ssim, float(jaxssim.psnr(x, y, data_range=1.0)), float(jaxssim.mse(x, y))


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
