"""Everything a run depends on: one frozen dataclass, whose fields are the command line."""

import dataclasses
import json
from pathlib import Path
from typing import Literal

Loss = Literal["ssim", "dssim-l1", "l1", "mse"]
Augment = Literal["all", "flips", "crops"]


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
    """What training minimises: 1 - SSIM; DSSIM and L1 in equal parts; the mean absolute or the mean squared error."""
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    """The learning rate over time: a warm-up and half a cosine; a third at 60% of the way, a ninth at 85%; constant."""
    learning_rate: float = 1e-3
    """Of Adam, at its highest."""
    steps: int = 2000
    """Batches to train on."""
    batch_size: int = 32
    """Patches in a batch."""
    evaluate_every: int = 250
    """Steps between two looks at the test photographs."""
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

    def __post_init__(self) -> None:
        """Check what no type says."""
        if self.block < 1 or self.patch % self.block:
            raise ValueError(f"patch must be a multiple of block, got {self.patch} and {self.block}; pass --patch 64")
        if self.patch < 11:
            raise ValueError(f"patch must hold SSIM's window of 11 pixels, got {self.patch}; pass --patch 64")
        for field in ("steps", "batch_size", "evaluate_every", "bottleneck", "width", "learning_rate"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} must be positive, got {getattr(self, field)}")
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
