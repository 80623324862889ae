"""Everything a run depends on: one frozen dataclass, whose fields are the command line."""

import dataclasses
import json
from pathlib import Path
from typing import Literal

Loss = Literal["l2", "ssim"]
LOSSES: dict[Loss, str] = {"l2": "AE(L2)", "ssim": "AE(SSIM)"}


@dataclasses.dataclass(frozen=True)
class Config:
    """Learn good textures or parts with two autoencoders, and mark defects by what they cannot reconstruct."""

    data: Path | None = None
    """A category of MVTec AD (it has train/good), a folder of categories, or a folder of good pictures alone, some of
    which get painted defects; by default scikit-image's brick, grass and gravel, with painted defects."""
    name: str = "defects"
    """The run's name: everything is written into RUNS/NAME."""
    runs: Path = Path("runs")
    """The folder of all runs."""

    seed: int = 0
    """Of the networks' first weights, the crops, the painted defects and the split of a folder."""
    seeds: int = 1
    """How many seeds to run, from SEED on; tables then have the mean and the standard deviation."""

    steps: int = 300
    """Batches to train each network on."""
    batch_size: int = 8
    """Crops of 128x128 in a batch."""
    learning_rate: float = 3e-3
    """Of Adam, at its highest: a warm-up and half a cosine."""
    bottleneck: int = 100
    """Numbers that a crop is squeezed into; the paper has 100 and 500."""
    augment: Literal["none", "flip", "rotate"] = "flip"
    """How training crops vary: as they are; flipped both ways; flipped and turned by quarters."""
    resize: int | None = None
    """Shrink or enlarge each picture of DATA to this shortest side in pixels; the paper shrinks MVTec AD to 256."""
    held_out: float = 0.2
    """The part of a folder's good pictures that is not trained on."""

    painted: int = 10
    """Pictures that each defect is painted on."""
    stride: int = 32
    """Pixels from one window to the next, whose residual maps are averaged; the paper has 30."""
    false_positives: float = 0.01
    """The share of the pixels of good pictures that the threshold may mark."""

    def __post_init__(self) -> None:
        """Check what no type says."""
        for field in ("seeds", "steps", "batch_size", "learning_rate", "bottleneck", "painted"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} must be positive, got {getattr(self, field)}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        if not 1 <= self.stride <= 128:
            raise ValueError(f"stride must lie between 1 and the window's 128 pixels, got {self.stride}; pass 32")
        if self.resize is not None and self.resize < 128:
            raise ValueError(f"resize must leave a window of 128 pixels, got {self.resize}; pass --resize 256")
        for field in ("held_out", "false_positives"):
            if not 0 < getattr(self, field) < 1:
                raise ValueError(f"{field} must lie between 0 and 1, got {getattr(self, field)}")

    @property
    def folder(self) -> Path:
        """Where the run is written."""
        return self.runs / self.name

    def to_json(self) -> str:
        """Every field, paths as text."""
        return json.dumps(dataclasses.asdict(self), indent=2, default=str)
