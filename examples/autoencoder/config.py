"""The configuration of a training run: one frozen dataclass, whose fields are also the command line's options."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Literal, Self

from jaxssim import MS_SSIM_WEIGHTS

LossName = Literal["ssim", "ms-ssim", "cw-ssim", "ms-ssim-l1", "dssim-l1", "l1", "mse"]
Augment = Literal["all", "flips", "crops"]
POSITIVE = (
    "l1_weight",
    "plateau_patience",
    "plateau_factor",
    "learning_rate",
    "steps",
    "batch_size",
    "evaluate_every",
    "keep",
    "keep_best",
    "bottleneck",
)
# The options that may differ when a run is resumed.
MAY_CHANGE = {"name", "runs", "keep", "keep_best", "profile", "distributed", "coordinator", "processes", "process"}


@dataclasses.dataclass(frozen=True)
class Config:
    """Train a convolutional autoencoder on images and show what it learned."""

    data: Path | None = None
    """The images: a folder of image files, searched recursively; an .npy or .npz file; a folder of idx files (MNIST,
    Fashion-MNIST); or cifar-10-binary.tar.gz. Default: the photographs that ship with scikit-image."""
    data_range: float | None = None
    """Value of white in images of 16 bits or floats, such as 4095 for 12 bits in files of 16. Default: what the file
    says, 65535 for uint16 and 1 for floats; where that is in doubt, the image is left out and named."""
    augment: Augment = "all"
    """How training patches vary besides random cropping. all: rotated, flipped, colour channels permuted, darkened;
    useful for few images. flips: flipped from left to right. crops: not at all, for images with one right orientation,
    such as digits."""
    name: str = "photographs"
    """Name of the run; all its files are written to RUNS/NAME."""
    runs: Path = Path("runs")
    """Folder that holds all runs."""

    loss: LossName = "dssim-l1"
    """The training loss. ssim, ms-ssim, cw-ssim: 1 minus the metric. ms-ssim-l1: the mix of Zhao et al. 2017.
    dssim-l1: DSSIM plus L1_WEIGHT times the mean absolute error. l1, mse: the mean absolute and the mean squared
    error."""
    l1_weight: float = 8.0
    """Weight of the mean absolute error in loss dssim-l1. A higher weight keeps colours, a lower one texture."""
    ms_ssim_weights: tuple[float, ...] = MS_SSIM_WEIGHTS
    """Exponents of the scales of MS-SSIM, the finest first. Fewer scales allow smaller patches."""
    schedule: Literal["cosine", "step", "plateau", "constant"] = "cosine"
    """The learning rate schedule. cosine: linear warm-up, then half a cosine. step: divided by 3 after 60% and after
    85% of the steps. plateau: reduced whenever the test loss has stopped falling."""
    plateau_patience: int = 3
    """Number of evaluations without a lower test loss after which schedule plateau reduces the learning rate."""
    plateau_factor: float = 0.1
    """Factor by which schedule plateau multiplies the learning rate."""
    learning_rate: float = 1e-3
    """Highest learning rate of Adam."""
    clip: float | None = 1.0
    """Largest global norm of the gradients; longer gradients are scaled down to it. None: no clipping."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type in which the convolutions compute. Parameters, the cosine transform and losses are always float32."""
    steps: int = 2000
    """Number of training steps, of one batch each."""
    batch_size: int = 32
    """Patches per batch, over all devices together."""
    evaluate_every: int = 250
    """Steps between two evaluations on the test images. A checkpoint follows each evaluation."""
    keep: int = 3
    """Number of latest checkpoints to keep."""
    keep_best: int = 1
    """Number of checkpoints of highest test SSIM to keep in addition."""
    profile: bool = False
    """Write a trace of ten steps to RUNS/NAME/profile, for XProf or Perfetto."""
    seed: int = 0
    """Seed of the initial weights, the patches, and the split into training and test images."""

    patch: int = 64
    """Height and width of a patch in pixels, a multiple of BLOCK."""
    block: int = 8
    """Height and width in pixels of the block that one vector of the bottleneck represents."""
    bottleneck: int = 6
    """Length of that vector; the block itself has 3 * BLOCK^2 values."""
    width: int = 128
    """Channels of the hidden convolutions. 0 leaves out the nonlinear part, so that the code is linear."""
    blocks: int = 2
    """Number of residual blocks of the decoder."""
    test_fraction: float = 0.2
    """Fraction of the images kept for testing, where the data set has no test images of its own."""

    distributed: bool = False
    """Run as one of several processes of a job, described by SLURM, Open MPI or the metadata of a TPU, or else by the
    next three options."""
    coordinator: str | None = None
    """HOST:PORT of the first process."""
    processes: int | None = None
    """Number of processes in the job."""
    process: int | None = None
    """Index of this process, from 0."""

    def __post_init__(self) -> None:
        """Raises ValueError where an option is out of range."""
        if self.block < 1 or self.patch % self.block:
            raise ValueError(f"patch must be a multiple of block, got {self.patch} and {self.block}; pass --patch 64")
        if self.patch < 11:
            raise ValueError(f"patch must hold SSIM's window of 11 pixels, got {self.patch}; pass --patch 64")
        for field in POSITIVE:
            if not getattr(self, field) > 0:
                default = getattr(type(self), field)
                raise ValueError(f"{field} must be positive, got {getattr(self, field)}; the default is {default}")
        for field in ("width", "blocks", "seed"):
            if getattr(self, field) < 0:
                default = getattr(type(self), field)
                raise ValueError(f"{field} must be at least 0, got {getattr(self, field)}; the default is {default}")
        if self.bottleneck > 3 * self.block**2:
            values = 3 * self.block**2
            raise ValueError(
                f"bottleneck must be at most the {values} values of a block, got {self.bottleneck}; pass 6"
            )
        if self.data_range is not None and not self.data_range > 0:
            raise ValueError(f"data_range must be positive, got {self.data_range}; pass the value of white")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be positive, got {self.clip}; pass None to leave gradients unclipped")
        if not self.plateau_factor < 1:
            raise ValueError(f"plateau_factor must be less than 1, got {self.plateau_factor}; pass 0.1")
        if not self.distributed and (self.coordinator, self.processes, self.process) != (None, None, None):
            raise ValueError("coordinator, processes and process need --distributed; pass --distributed too")
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction must lie between 0 and 1, got {self.test_fraction}; pass 0.2")

    @property
    def folder(self) -> Path:
        """Returns the folder to which the run writes."""
        return Path(os.path.expanduser(self.runs)) / self.name  # shells leave the ~ of --runs=~/runs

    def to_json(self) -> str:
        """Returns all fields as JSON, with paths as text."""
        return json.dumps(dataclasses.asdict(self), indent=2, default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Returns the config that `to_json` wrote as `text`."""
        fields = json.loads(text)
        paths = {name: fields[name] and Path(fields[name]) for name in ("data", "runs")}
        tuples = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        return cls(**fields | paths | tuples)


PRESETS = {
    "default": Config(),  # minutes on 2 CPU cores
    "long": Config(
        name="photographs-long", steps=12000, evaluate_every=500, blocks=4
    ),  # three quarters of an hour on one CPU core
}
