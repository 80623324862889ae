"""Everything a run depends on: one frozen dataclass, whose fields are the command line."""

import dataclasses
import json
from pathlib import Path
from typing import Literal

from jaxssim import MS_SSIM_WEIGHTS

Loss = Literal["ssim", "ms-ssim", "cw-ssim", "ms-ssim-l1", "dssim-l1", "l1", "mse"]
Augment = Literal["all", "flips", "crops"]
MAY_DIFFER = {  # where a run is resumed
    *("name", "runs", "keep", "keep_best", "profile", "distributed", "coordinator", "processes", "process"),
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Train a convolutional autoencoder on photographs and show what it learned."""

    data: Path | None = None
    """A folder of images, searched through; an .npy or .npz file of images; a folder of MNIST's or Fashion-MNIST's idx
    files; cifar-10-binary.tar.gz. By default the photographs that ship inside scikit-image."""
    augment: Augment = "all"
    """What training patches are besides cropped at random: turned, flipped, recoloured and darkened, which makes few
    photographs do; flipped from left to right; nothing else, for what has one right way round, such as digits."""
    name: str = "photographs"
    """The run's name: everything is written into RUNS/NAME."""
    runs: Path = Path("runs")
    """The folder of all runs."""

    loss: Loss = "ssim"
    """What training minimises: 1 - SSIM, 1 - MS-SSIM or 1 - CW-SSIM; Zhao's mix of MS-SSIM and L1; DSSIM and L1 in
    equal parts; the mean absolute or the mean squared error."""
    ms_ssim_weights: tuple[float, ...] = MS_SSIM_WEIGHTS
    """Exponents of MS-SSIM's scales, the finest first; fewer of them for smaller patches."""
    schedule: Literal["cosine", "step", "plateau", "constant"] = "cosine"
    """The learning rate over time: a warm-up and half a cosine; a third at 60% of the way, a ninth at 85%; less
    whenever the test loss has stopped falling; constant."""
    plateau_patience: int = 3
    """Evaluations without a lower test loss after which a plateau is one."""
    plateau_factor: float = 0.1
    """What the learning rate is then multiplied by."""
    learning_rate: float = 1e-3
    """Of Adam, at its highest."""
    clip: float | None = None
    """The largest norm that gradients may have, all taken together; longer ones are shortened to it."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the network computes in; parameters, the change of basis and losses are float32 all the same."""
    steps: int = 2000
    """Batches to train on."""
    batch_size: int = 32
    """Patches in a batch, of all devices together."""
    evaluate_every: int = 250
    """Steps between two looks at the test photographs, each with a checkpoint."""
    keep: int = 3
    """How many of the last checkpoints are kept."""
    keep_best: int = 1
    """How many of the checkpoints of highest test SSIM are kept besides."""
    profile: bool = False
    """Write a trace of ten steps into RUNS/NAME/profile, for XProf or Perfetto."""
    seed: int = 0
    """Of the network's first weights, the patches and the split of a folder."""

    patch: int = 64
    """Height and width of a patch in pixels, a multiple of the block."""
    block: int = 8
    """Height and width in pixels of the square that the bottleneck holds one vector for."""
    bottleneck: int = 24
    """Numbers in that vector, where the block holds 3 * BLOCK^2."""
    width: int = 128
    """Channels of the hidden convolutions."""
    test_fraction: float = 0.2
    """The part of the images that is kept for testing, where a data set does not say which."""

    distributed: bool = False
    """This is one of several processes of a job, which SLURM, Open MPI or a TPU's metadata describe, or else the next
    three options."""
    coordinator: str | None = None
    """HOST:PORT of the first process."""
    processes: int | None = None
    """How many there are."""
    process: int | None = None
    """Which of them this is, from 0."""

    def __post_init__(self) -> None:
        """Check what no type says."""
        if self.block < 1 or self.patch % self.block:
            raise ValueError(f"patch must be a multiple of block, got {self.patch} and {self.block}; pass --patch 64")
        if self.patch < 11:
            raise ValueError(f"patch must hold SSIM's window of 11 pixels, got {self.patch}; pass --patch 64")
        for field in (
            *("steps", "batch_size", "evaluate_every", "bottleneck", "width", "learning_rate", "keep", "keep_best"),
            *("plateau_patience", "plateau_factor"),
        ):
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} must be positive, got {getattr(self, field)}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be positive, got {self.clip}; leave it out not to clip")
        if not self.plateau_factor < 1:
            raise ValueError(f"plateau_factor must be less than 1, got {self.plateau_factor}; pass 0.1")
        if not self.distributed and (self.coordinator, self.processes, self.process) != (None, None, None):
            raise ValueError("coordinator, processes and process are for --distributed; pass that too")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction must lie between 0 and 1, got {self.test_fraction}; pass 0.2")

    @property
    def folder(self) -> Path:
        """Where the run is written."""
        return self.runs / self.name

    def to_json(self) -> str:
        """Every field, paths as text."""
        return json.dumps(dataclasses.asdict(self), indent=2, default=str)
