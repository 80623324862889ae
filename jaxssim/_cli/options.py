"""The options of each subcommand."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxssim._cli.loading import Filter, Which
from jaxssim._cli.metrics import COMPILED, METRICS, UNMASKED
from jaxssim._pictures.names import show_text

Similarity = Literal["mse", "ssim", "ms-ssim", "cw-ssim"]
VideoFilter = Literal["point", "area", "bilinear", "bicubic", "lanczos"]
File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")]
METRICS_HELP = (
    f"Some of: {', '.join(METRICS)}. The first one orders the table. Compiled for each new size of pictures, which "
    f"takes seconds: {', '.join(COMPILED)}. Without a mask: {', '.join(UNMASKED)}. ssimulacra2 is 100 for "
    "equal pictures."
)
Limits = Annotated[tuple[str, ...], tyro.conf.arg(metavar="METRIC=NUMBER ...")]


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compare pictures with their references: two files, or all files of two folders.

    Files of two folders are a pair where they have one relative path without suffix, so that a.png is compared with
    a.webp. Pictures are scored at the depth of their files. The exit status is 1 where a pair breaks a limit, else 2
    where one could not be scored or has no partner, else 0.
    """

    reference: tyro.conf.Positional[Annotated[Path | None, tyro.conf.arg(metavar="REF")]] = None
    """The reference: a file or a folder."""
    test: tyro.conf.Positional[Annotated[Path | None, tyro.conf.arg(metavar="TEST")]] = None
    """What to compare with it: a file or a folder."""
    pairs: File = None
    """A CSV with the columns reference and test, and perhaps name and mask, in place of REF and TEST."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...", help=METRICS_HELP)] = ("ssim", "psnr")
    convention: str = "wang2004"
    """Which SSIM: a name that `jaxssim conventions` lists."""
    luma: bool = False
    """Compare the luma of colours (ITU-R BT.601, as in MATLAB's rgb2ycbcr)."""
    crop_border: int = 0
    """Pixels to leave out along each side."""
    mask: Folder = None
    """A folder of masks, named as the pictures are, or one mask for all: white counts, black does not, grey is a
    weight."""
    data_range: Annotated[float | None, tyro.conf.arg(metavar="WHITE")] = None
    """The value of white in files of 16 bits or floats that do not say it for certain."""
    resize: Which | None = None
    """Which picture to resize where the two sizes differ; by default that is an error of the pair."""
    filter: Filter = "lanczos"
    """The filter of --resize, as Pillow names it."""
    rows: int = 20
    """The number of pairs that the table shows."""
    csv: File = None
    """Write a row for each pair to this file, as soon as the pair is scored."""
    resume: bool = False
    """Take the pairs that the file of --csv holds already from there; pass the options of the first run, which the
    file names."""
    json: File = None
    """Write versions, options, summary and all pairs to this file; - is standard output, which then holds nothing else.
    """
    maps: Folder = None
    """Write a picture of SSIM at each pixel for each pair into this folder."""
    html: Annotated[Path | None, tyro.conf.arg(metavar="FILE.html|FOLDER")] = None
    """Write a report with pictures, to open in a browser: one file, or a folder where pictures are many or large."""
    fail_below: Limits = ()
    """Limits such as ssim=0.98 psnr=30: a lower value gives exit status 1. A metric that --metrics does not name is
    computed too."""
    fail_above: Limits = ()
    """Limits such as mse=20: a higher value gives exit status 1."""
    junit: File = None
    """Write the results as JUnit's XML to this file."""
    distributed: bool = False
    """Run as one of several processes that share the pairs, in a job that SLURM, Open MPI or the metadata of a TPU
    describe, or else the next three options. --csv must name a file in a folder that all processes share."""
    coordinator: str | None = None
    """HOST:PORT of the first process."""
    processes: int | None = None
    """Number of processes in the job."""
    process: int | None = None
    """Index of this process, from 0."""

    @property
    def of_values(self) -> str:
        """The options on which the values of the metrics depend, where they are not the defaults, on one line."""
        names = ["convention", "luma", "crop_border", "mask", "data_range", "resize", *["filter"] * bool(self.resize)]
        given = {name: getattr(self, name) for name in names if getattr(self, name) != getattr(Compare, name)}
        options = {f"--{name.replace('_', '-')}": value for name, value in given.items()}
        return " ".join(name if value is True else f"{name} {show_text(str(value))}" for name, value in options.items())


@dataclasses.dataclass(frozen=True)
class Video:
    """Compare a video with its reference, frame by frame.

    Each plane of the streams is compared as it is stored, without a conversion of colours. Over all planes, SSIM and
    the squared error are averaged with the number of samples of each plane as its weight. PSNR of several planes or
    frames is that of their mean squared error. The exit status is 2 where frames could not be scored, else 0.
    """

    reference: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="REF")]]
    """The reference: a file that FFmpeg reads."""
    test: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="TEST")]]
    """What to compare with it."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ("ssim", "psnr")
    """Some of: ssim, ms-ssim, psnr, mse, mae."""
    convention: str = "wang2004"
    """Which SSIM: a name that `jaxssim conventions` lists."""
    shortest: bool = False
    """End with the shorter video; by default it is an error where one has more frames."""
    any_rate: bool = False
    """Compare frame by frame also where the rates of frames differ."""
    resize: Which | None = None
    """Which video to resize where the two sizes differ; by default that is an error."""
    filter: VideoFilter = "bicubic"
    """The filter of --resize, as swscale names it."""
    format: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """A pixel format of FFmpeg, such as yuv420p10le, into which both are converted; by default formats that differ are
    an error."""
    csv: File = None
    """Write a row for each frame to this file."""
    plot: Annotated[Path | None, tyro.conf.arg(metavar="FILE.png")] = None
    """Draw each metric over the frames."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Cluster a folder of pictures by their similarity, and score the clusters where the true labels are known."""

    folder: tyro.conf.Positional[Path | None] = None
    """A folder of at least 3 pictures; by default six photographs of scikit-image, each in seven variants."""
    labels: Path | None = None
    """A JSON file that maps each file name to the number of its true group."""
    metrics: tuple[Similarity, ...] = ("mse", "ssim", "ms-ssim", "cw-ssim")
    """The similarities to cluster by."""
    clusters: int | None = None
    """The number of clusters for spectral clustering; by default the number of true groups, or else the number that
    affinity propagation finds."""
    size: tuple[int, int] = (640, 480)
    """The width and height to which every picture is resized."""
    data_range: float | None = None
    """The value of white in pictures of 16 bits or floats, where the file does not say it for certain."""
    color: bool = False
    """Compare the pictures in colour; by default in grey."""
    seed: int = 0
    """The seed of the clustering, and of the noise in the default photographs."""
    output: Path = Path("clusters")
    """The folder for heat maps, contact sheets and clusters; the clusters have the format of LABELS."""


@dataclasses.dataclass(frozen=True)
class Conventions:
    """List the definitions of SSIM by name, and what each computes."""
