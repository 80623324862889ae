"""Compares a picture with three distorted versions of itself by MSE, PSNR and SSIM.

J. Roubaud's article "Working with Structural Similarity Index" compares a picture (1) with itself under salt-and-pepper
noise (2), under grey overlays (3) and with a higher HSV value (4). This program computes the numbers behind the
article's conclusions. The numbers depend on the picture, so the program accepts any picture.

    python -m examples.four_images [PICTURE] [--output runs/four_images.png] [--seed 0]
"""

import bisect
import dataclasses
import os
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import tyro
from matplotlib.figure import Figure
from rich import box
from rich.table import Table
from skimage.color import hsv2rgb, rgb2hsv
from skimage.data import astronaut
from skimage.metrics import structural_similarity
from skimage.util import img_as_ubyte, random_noise

import jaxssim
from jaxssim._cli.console import open_console, print_report, say
from jaxssim._pictures import Report, Unreadable, read, show_name, to_rgb, to_uint8
from jaxssim.conventions import SKIMAGE, TENSORFLOW

Picture = npt.NDArray[np.uint8]
WINDOW = 11  # pixels
ITSELF, NOISE, OVERLAYS, VALUE = "1 itself", "2 salt and pepper", "3 grey overlays", "4 value + 30"
# Top, left, bottom and right edge of each overlay, as fractions of the picture's height and width.
RECTANGLES = ((0.08, 0.08, 0.38, 0.48), (0.55, 0.04, 0.85, 0.30), (0.34, 0.62, 0.74, 0.90))


@dataclasses.dataclass(frozen=True)
class Scores:
    """The similarity of two pictures; SSIM by two definitions, each computed by jaxssim and by the library itself."""

    mse: float
    psnr: float
    ssim_tensorflow: float  # by jaxssim
    tensorflow_itself: float | None  # None where TensorFlow is not installed
    ssim_skimage: float  # by jaxssim
    skimage_itself: float


# The article calls an error "huge" and a similarity "high". These grades give such words a meaning: Zinner, Hohlfeld,
# Abboud and Hossfeld 2010 map opinion scores to PSNR, which is the MSE in decibels, and to SSIM.
GRADES = ("bad", "poor", "fair", "good", "excellent")
GradedScore = Literal["psnr", "ssim_tensorflow"]
# The lowest score of each grade after "bad".
GRADE_STARTS: dict[GradedScore, tuple[float, ...]] = {
    "psnr": (18.7, 27.4, 33.0, 45.0),
    "ssim_tensorflow": (0.5, 0.88, 0.95, 0.99),
}


class Claim(NamedTuple):
    """A statement of the article about one picture; it holds if the grade of the score is one of `grades`."""

    picture: str
    text: str
    score: GradedScore
    grades: tuple[str, ...]

    def grade_reached(self, scores: dict[str, Scores]) -> str:
        """Returns the grade that the picture's score has."""
        return grade(getattr(scores[self.picture], self.score), self.score)

    def holds(self, scores: dict[str, Scores]) -> bool:
        """Returns whether the picture's grade agrees with the claim."""
        return self.grade_reached(scores) in self.grades


CLAIMS = (
    Claim(NOISE, "MSE huge", "psnr", ("bad",)),
    Claim(NOISE, "SSIM reasonable, if low", "ssim_tensorflow", ("fair",)),
    Claim(OVERLAYS, "MSE very high", "psnr", ("poor", "bad")),
    Claim(OVERLAYS, "SSIM sees same structure", "ssim_tensorflow", ("good", "excellent")),
    Claim(VALUE, "MSE small", "psnr", ("good", "excellent")),
    Claim(VALUE, "SSIM high", "ssim_tensorflow", ("good", "excellent")),
)


def load_picture(path: Path | None, data_range: float | None = None) -> Picture:
    """Reads a picture file as (height, width, 3), in 8 bits; returns scikit-image's astronaut if `path` is None."""
    if path is None:
        return astronaut()
    try:
        picture = read(path, data_range=data_range)
    except Unreadable as error:
        raise SystemExit(f"cannot read {show_name(path)} as a picture: {error.reason}") from error
    height, width, _ = picture.pixels.shape
    if min(height, width) < WINDOW:
        needed = f"smaller than SSIM's window; pass at least {WINDOW}x{WINDOW} pixels"
        raise SystemExit(f"{show_name(path)} is {width}x{height}, {needed}")
    report = Report()
    report.add(path, picture.notes)
    print_report(report, open_console())
    return to_rgb(to_uint8(picture.pixels, picture.data_range))


def add_overlays(picture: Picture) -> Picture:
    """Blends rectangles of middle grey over a picture, half transparent so that its structure stays visible."""
    covered = picture.copy()
    for edges in RECTANGLES:
        top, left, bottom, right = (np.asarray(edges) * (picture.shape[:2] * 2)).astype(int)
        covered[top:bottom, left:right] = picture[top:bottom, left:right] // 2 + 64
    return covered


def raise_value(picture: Picture) -> Picture:
    """Adds 30 of 255 to the HSV value of each pixel and clips at 255."""
    hsv = rgb2hsv(picture)
    hsv[..., 2] = np.minimum(hsv[..., 2] + 30 / 255, 1)
    return img_as_ubyte(hsv2rgb(hsv))


def distort(picture: Picture, seed: int) -> dict[str, Picture]:
    """Returns the article's four pictures by name; the noise changes each channel independently."""
    noisy = img_as_ubyte(random_noise(picture, mode="s&p", amount=0.05, rng=seed))
    return {ITSELF: picture, NOISE: noisy, OVERLAYS: add_overlays(picture), VALUE: raise_value(picture)}


def tensorflow_ssim(x: Picture, y: Picture) -> float | None:
    """Returns `tf.image.ssim`, or None if TensorFlow is not installed.

    TensorFlow averages the map by one running sum in float32, which makes its value up to 1e-3 wrong here.
    """
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")  # silences TensorFlow's log
    try:
        import tensorflow as tf
    except ImportError:
        return None
    return float(tf.image.ssim(x, y, 255))


def compare(x: Picture, y: Picture) -> Scores:
    """Computes every score of two pictures; jaxssim takes the data range, 255, from uint8."""
    return Scores(
        mse=float(jaxssim.mse(x, y)),
        psnr=float(jaxssim.psnr(x, y)),
        ssim_tensorflow=float(jaxssim.ssim(x, y, convention=TENSORFLOW)),
        tensorflow_itself=tensorflow_ssim(x, y),
        ssim_skimage=float(jaxssim.ssim(x, y, convention=SKIMAGE)),
        skimage_itself=float(structural_similarity(x, y, channel_axis=-1)),
    )


def grade(value: float, score: GradedScore) -> str:
    """Returns the opinion grade of a value of PSNR or SSIM."""
    return GRADES[bisect.bisect(GRADE_STARTS[score], value)]


def empty_table(*headers: str) -> Table:
    """Returns a table without rows that fits into 80 columns."""
    return Table(*headers, box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)


def score_table(scores: dict[str, Scores]) -> Table:
    """Returns a table of one row per picture; each SSIM of jaxssim stands beside the value of the library."""
    table = empty_table(
        "\nagainst 1", "\n   MSE", "\n PSNR", "jaxssim\nTENSORFLOW", "\ntf.image", "jaxssim\nSKIMAGE", "\nskimage"
    )
    for name, s in scores.items():
        ssims = (s.ssim_tensorflow, s.tensorflow_itself, s.ssim_skimage, s.skimage_itself)
        cells = ("absent" if ssim is None else f"{ssim:.6f}" for ssim in ssims)
        table.add_row(name, f"{s.mse:6.1f}", f"{s.psnr:5.2f}", *cells)
    return table


def claim_table(scores: dict[str, Scores]) -> Table:
    """Returns a table of one row per claim: the grades that the claim needs, the score, its grade and the verdict."""
    table = empty_table("", "the article says", "which needs", "score", "grade", "so the claim")
    for claim in CLAIMS:
        verdict = "[green]holds" if claim.holds(scores) else "[red]does not hold"
        score = f"{getattr(scores[claim.picture], claim.score):.4g}"
        needed, reached = " or ".join(claim.grades), claim.grade_reached(scores)
        table.add_row(claim.picture[0], claim.text, needed, score, reached, verdict)
    return table


def summarize(scores: dict[str, Scores]) -> str:
    """Says for which pictures both claims hold, and how MSE and SSIM each order the pictures."""
    failed = {claim.picture for claim in CLAIMS if not claim.holds(scores)}
    verdicts = (f"{name}: {'does not hold' if name in failed else 'holds'}\n" for name in (NOISE, OVERLAYS, VALUE))
    by_mse = sorted(scores, key=lambda name: scores[name].mse)
    by_ssim = sorted(scores, key=lambda name: scores[name].ssim_tensorflow, reverse=True)
    orders = (" ".join(name[0] for name in order) for order in (by_mse, by_ssim))
    return "The conclusion on\n" + "".join(verdicts) + "From best to worst by MSE: {}; by SSIM: {}".format(*orders)


def draw(pictures: dict[str, Picture], scores: dict[str, Scores]) -> Figure:
    """Draws each picture above its SSIM map, which is the mean over the channels."""
    height, width, _ = pictures[ITSELF].shape
    figure = Figure(figsize=(12, 6 * height / width + 1.6), layout="constrained")
    axes = figure.subplots(2, 4, subplot_kw={"xticks": (), "yticks": ()})
    for (name, picture), (above, below) in zip(pictures.items(), axes.T, strict=True):
        above.imshow(picture)
        above.set_title(f"{name}\nMSE {scores[name].mse:.1f}")
        ssim_map = jaxssim.ssim_map(pictures[ITSELF], picture, convention=TENSORFLOW).mean(-1)
        drawn_map = below.imshow(ssim_map, vmin=0, vmax=1, cmap="magma")
        below.set_title(f"SSIM {scores[name].ssim_tensorflow:.4f}")
    figure.colorbar(
        drawn_map, ax=axes, location="bottom", shrink=0.6, aspect=40, extend="min", label="SSIM of each window"
    )
    return figure


def main(
    picture: tyro.conf.Positional[Path | None] = None,
    output: Path = Path("runs/four_images.png"),
    seed: int = 0,
    data_range: float | None = None,
) -> None:
    """Compare a picture with three distorted versions of itself by MSE, PSNR and SSIM.

    Args:
        picture: A picture file; scikit-image's astronaut by default.
        output: Where the figure is written, as PNG.
        seed: The seed of the salt-and-pepper noise.
        data_range: The value of white in a picture of 16 bits or floats that does not say it for certain.
    """
    pictures = distort(load_picture(picture, data_range), seed)
    scores = {name: compare(pictures[ITSELF], distorted) for name, distorted in pictures.items()}
    console = open_console()
    console.print(score_table(scores), claim_table(scores), summarize(scores))
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(pictures, scores).savefig(output, dpi=120, bbox_inches="tight")
    say(console, f"The pictures and their SSIM maps: {output}")


if __name__ == "__main__":
    tyro.cli(main, prog="python -m examples.four_images")
