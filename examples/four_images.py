"""Four pictures by MSE and by SSIM: J. Roubaud's "Working with Structural Similarity Index", done again.

That article holds a picture (1) against itself under salt-and-pepper noise (2), under gray overlays (3) and with a
higher HSV value (4). Here its conclusions meet the numbers, which depend on the picture: try your own.
"""

import bisect
import dataclasses
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tyro
from matplotlib.figure import Figure
from PIL import Image
from rich import box, print
from rich.table import Table
from skimage.color import hsv2rgb, rgb2hsv
from skimage.data import astronaut
from skimage.metrics import structural_similarity
from skimage.util import img_as_ubyte, random_noise

import jaxssim
from jaxssim.conventions import SKIMAGE, TENSORFLOW

Picture = npt.NDArray[np.uint8]
ITSELF, NOISE, OVERLAYS, VALUE = "1 itself", "2 salt and pepper", "3 gray overlays", "4 value + 30"
RECTANGLES = ((0.08, 0.08, 0.38, 0.48), (0.55, 0.04, 0.85, 0.30), (0.34, 0.62, 0.74, 0.90))  # top, left, bottom, right


@dataclasses.dataclass(frozen=True)
class Scores:
    """How near two pictures are; SSIM as two libraries define it, by jaxssim and by the library itself."""

    mse: float
    psnr: float
    tensorflow: float
    tensorflow_live: float | None
    skimage: float
    skimage_live: float


# "Huge" and "high" are matters of opinion, so opinion scores define them: the grades that Zinner, Hohlfeld, Abboud &
# Hossfeld 2010 map to PSNR, which is MSE in decibels, and to SSIM. The numbers are where each grade after "bad" starts.
GRADES = ("bad", "poor", "fair", "good", "excellent")
STARTS = {"psnr": (18.7, 27.4, 33.0, 45.0), "tensorflow": (0.5, 0.88, 0.95, 0.99)}
# A claim: the picture, what the article says of it, the score meant, and the grades of it at which the claim holds.
CLAIMS = (
    (NOISE, "MSE huge", "psnr", "bad"),
    (NOISE, "SSIM reasonable, if low", "tensorflow", "fair"),
    (OVERLAYS, "MSE very high", "psnr", "poor or bad"),
    (OVERLAYS, "SSIM sees same structure", "tensorflow", "good or excellent"),
    (VALUE, "MSE small", "psnr", "good or excellent"),
    (VALUE, "SSIM high", "tensorflow", "good or excellent"),
)


def load(path: Path | None) -> Picture:
    """A picture file as (height, width, 3), or the astronaut."""
    try:
        image = Image.fromarray(astronaut()) if path is None else Image.open(path)
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
        return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise SystemExit(f"cannot read {path} as a picture: {error}") from error


def gray_overlays(picture: Picture) -> Picture:
    """Rectangles of middle gray, half transparent: opaque ones would leave no structure to see."""
    covered = picture.copy()
    for edges in RECTANGLES:
        top, left, bottom, right = (np.asarray(edges) * (picture.shape[:2] * 2)).astype(int)
        covered[top:bottom, left:right] = picture[top:bottom, left:right] // 2 + 64
    return covered


def raised_value(picture: Picture) -> Picture:
    """30 of 255 more of HSV's value, as far as there is room."""
    hsv = rgb2hsv(picture)
    hsv[..., 2] = np.minimum(hsv[..., 2] + 30 / 255, 1)
    return img_as_ubyte(hsv2rgb(hsv))


def four_pictures(picture: Picture, seed: int) -> dict[str, Picture]:
    """The article's four, by name. Noise strikes each channel on its own, which is scikit-image's way."""
    noisy = img_as_ubyte(random_noise(picture, mode="s&p", amount=0.05, rng=seed))
    return {ITSELF: picture, NOISE: noisy, OVERLAYS: gray_overlays(picture), VALUE: raised_value(picture)}


def live_tensorflow(x: Picture, y: Picture) -> float | None:
    """`tf.image.ssim`, or None without TensorFlow. Its mean is one running float32 sum, which costs it 1e-3 here."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")  # or its log fills the screen
    try:
        import tensorflow as tf
    except ImportError:
        return None
    return float(tf.image.ssim(x, y, 255))


def compare(x: Picture, y: Picture) -> Scores:
    """Every score of a pair; the data range follows from uint8."""
    return Scores(
        mse=float(jaxssim.mse(x, y)),
        psnr=float(jaxssim.psnr(x, y)),
        tensorflow=float(jaxssim.ssim(x, y, convention=TENSORFLOW)),
        tensorflow_live=live_tensorflow(x, y),
        skimage=float(jaxssim.ssim(x, y, convention=SKIMAGE)),
        skimage_live=float(structural_similarity(x, y, channel_axis=-1)),
    )


def grade(scores: Scores, score: str) -> str:
    """The opinion that goes with a score."""
    return GRADES[bisect.bisect(STARTS[score], getattr(scores, score))]


def table(*headers: str) -> Table:
    """An empty one, narrow enough for 80 columns."""
    return Table(*headers, box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)


def score_table(scores: dict[str, Scores]) -> Table:
    """A row a picture: SSIM by jaxssim in a library's convention, then by that library."""
    rows = table(
        "\nagainst 1", "\n   MSE", "\n PSNR", "jaxssim\nTENSORFLOW", "\ntf.image", "jaxssim\nSKIMAGE", "\nskimage"
    )
    for name, s in scores.items():
        ssims = (s.tensorflow, s.tensorflow_live, s.skimage, s.skimage_live)
        rows.add_row(name, f"{s.mse:6.1f}", f"{s.psnr:5.2f}", *("absent" if v is None else f"{v:.6f}" for v in ssims))
    return rows


def claim_table(scores: dict[str, Scores]) -> Table:
    """A row a claim: the grades it takes, the score, its grade, and whether the claim holds."""
    rows = table("", "the article says", "that takes", "score", "grade", "so the claim")
    for picture, text, score, grades in CLAIMS:
        found = grade(scores[picture], score)
        verdict = "[green]holds" if found in grades else "[red]does not hold"
        rows.add_row(picture[0], text, grades, f"{getattr(scores[picture], score):.4g}", found, verdict)
    return rows


def summary(scores: dict[str, Scores]) -> str:
    """Which conclusions hold, in both their claims, and in which order each measure puts the pictures."""
    failed = {picture for picture, _, score, grades in CLAIMS if grade(scores[picture], score) not in grades}
    verdicts = (f"{name}: {'does not hold' if name in failed else 'holds'}\n" for name in (NOISE, OVERLAYS, VALUE))
    by_mse = sorted(scores, key=lambda name: scores[name].mse)
    by_ssim = sorted(scores, key=lambda name: -scores[name].tensorflow)
    orders = (" ".join(name[0] for name in order) for order in (by_mse, by_ssim))
    return "The conclusion on\n" + "".join(verdicts) + "From best to worst by MSE: {}; by SSIM: {}".format(*orders)


def draw(pictures: dict[str, Picture], scores: dict[str, Scores]) -> Figure:
    """The pictures over their maps of SSIM, which are averaged over the channels."""
    height, width, _ = pictures[ITSELF].shape
    figure = Figure(figsize=(12, 6 * height / width + 1.6), layout="constrained")
    axes = figure.subplots(2, 4, subplot_kw={"xticks": (), "yticks": ()})
    for (name, picture), (above, below) in zip(pictures.items(), axes.T, strict=True):
        above.imshow(picture)
        above.set_title(f"{name}\nMSE {scores[name].mse:.1f}")
        similarity = jaxssim.ssim_map(pictures[ITSELF], picture, convention=TENSORFLOW).mean(-1)
        drawn = below.imshow(similarity, vmin=0, vmax=1, cmap="magma")
        below.set_title(f"SSIM {scores[name].tensorflow:.4f}")
    figure.colorbar(drawn, ax=axes, location="bottom", shrink=0.6, aspect=40, extend="min", label="SSIM of each window")
    return figure


def main(
    picture: tyro.conf.Positional[Path | None] = None, output: Path = Path("runs/four_images.png"), seed: int = 0
) -> None:
    """Compare a picture with three distorted ones by MSE, PSNR and SSIM.

    Args:
        picture: any file that pillow reads; by default scikit-image's astronaut.
        output: the figure, a PNG.
        seed: of the salt and pepper.
    """
    pictures = four_pictures(load(picture), seed)
    scores = {name: compare(pictures[ITSELF], other) for name, other in pictures.items()}
    print(score_table(scores), claim_table(scores), summary(scores))
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(pictures, scores).savefig(output, dpi=120, bbox_inches="tight")
    print(f"The pictures over their maps of SSIM: {output}")


if __name__ == "__main__":
    tyro.cli(main)
