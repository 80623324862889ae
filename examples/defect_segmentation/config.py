"""The configuration of a run: one frozen dataclass, whose fields are also the command line's options."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Literal

Loss = Literal["l2", "ssim"]
Residual = Literal["l2", "ssim", "ms-ssim", "cw-ssim"]
Texture = Literal["cloth", "mat", "brick", "grass", "gravel"]
LOSSES: dict[Loss, str] = {"l2": "AE(L2)", "ssim": "AE(SSIM)"}  # the paper's names of the networks


@dataclasses.dataclass(frozen=True)
class Config:
    """Train two autoencoders on good pictures, one with L2 and one with SSIM, and mark what they cannot reconstruct."""

    data: Path | None = None
    """A category of MVTec AD (a folder that contains train/good), a folder of such categories, or a folder of good
    pictures. The program paints defects on some of the good pictures of such a folder. Default: TEXTURES, with painted
    defects."""
    textures: tuple[Texture, ...] = ("cloth", "mat", "brick")
    """The textures of a run without DATA. cloth, mat: pictures of a woven cloth and of a stitched fibre mat, generated
    from the seed. brick, grass, gravel: parts of a photograph of scikit-image."""
    name: str = "defects"
    """Name of the run; all its files are written to RUNS/NAME."""
    runs: Path = Path("runs")
    """Folder that holds all runs."""

    seed: int = 0
    """Seed of the initial weights, the crops, the painted defects and the split of a folder."""
    seeds: int = 3
    """Number of seeds to run, beginning with SEED. With several, the tables show mean and standard deviation."""

    steps: int = 400
    """Number of batches to train each network on."""
    batch_size: int = 4
    """Number of crops of 128x128 pixels in a batch."""
    learning_rate: float = 1e-3
    """Peak learning rate of Adam; the schedule is a linear warm-up and a half cosine. README.md compares others."""
    clip: float | None = 1.0
    """Largest global norm of the gradients; longer gradients are scaled down to it. None: no clipping."""
    bottleneck: int = 100
    """Length of the code of a crop; 100 and 500 in the paper."""
    augment: Literal["none", "flip", "rotate"] = "none"
    """How training crops vary. none: not at all. flip: flipped in both directions. rotate: also rotated by multiples of
    90 degrees."""
    resize: int | None = None
    """Resize each picture of DATA to this shortest side in pixels; the paper resizes MVTec AD to 256."""
    data_range: float | None = None
    """Value of white in pictures of 16 bits or floats, where the file does not say it for certain."""
    held_out: float = 0.2
    """Fraction of the good pictures of a folder that is not used for training."""

    painted: int = 10
    """Number of pictures on which each defect is painted."""
    residuals: tuple[Residual, ...] = ("l2", "ssim")
    """Residual maps by which each network is scored, besides the map of the network's loss. l2: squared difference.
    ssim, ms-ssim, cw-ssim: 1 minus the similarity."""
    stride: int = 32
    """Distance in pixels between neighbouring windows, whose residual maps are averaged; 30 in the paper."""
    false_positives: float = 0.01
    """Fraction of the pixels of good pictures that exceed the threshold."""

    def __post_init__(self) -> None:
        """Checks the ranges of the values; raises ValueError."""
        for field in ("seeds", "steps", "batch_size", "learning_rate", "bottleneck", "painted"):
            if not getattr(self, field) > 0:
                default = getattr(type(self), field)
                raise ValueError(f"{field} must be positive, got {getattr(self, field)}; the default is {default}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be positive, got {self.clip}; pass None to leave gradients unclipped")
        if not self.textures:
            raise ValueError("textures must name at least one texture, got none; pass cloth")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}; pass 0")
        if not 1 <= self.stride <= 128:
            raise ValueError(f"stride must be between 1 and the window's 128 pixels, got {self.stride}; pass 32")
        if self.resize is not None and self.resize < 128:
            raise ValueError(f"resize must be at least the window's 128 pixels, got {self.resize}; pass 256")
        if self.data_range is not None and not self.data_range > 0:
            raise ValueError(f"data_range must be positive, got {self.data_range}; pass the value of white")
        for field in ("held_out", "false_positives"):
            if not 0 < getattr(self, field) < 1:
                default = getattr(type(self), field)
                raise ValueError(
                    f"{field} must be between 0 and 1, got {getattr(self, field)}; the default is {default}"
                )

    def maps_of(self, loss: Loss) -> tuple[Residual, ...]:
        """Returns the residual maps by which a network that is trained with `loss` is scored, its own among them."""
        own: tuple[Residual, ...] = () if loss in self.residuals else (loss,)
        return (*own, *dict.fromkeys(self.residuals))

    @property
    def folder(self) -> Path:
        """Returns the folder of the run."""
        return Path(os.path.expanduser(self.runs)) / self.name  # shells leave the ~ of --runs=~/runs

    def to_json(self) -> str:
        """Returns all fields as JSON, paths as strings."""
        return json.dumps(dataclasses.asdict(self), indent=2, default=str)
