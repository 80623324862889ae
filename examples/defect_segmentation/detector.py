"""A detector: a trained network with all that marking defects needs, saved and loaded."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from flax import nnx

from examples.defect_segmentation.config import Loss, Residual
from examples.defect_segmentation.learning import Learning
from examples.defect_segmentation.maps import Inspection, inspect
from examples.defect_segmentation.model import Autoencoder
from examples.saving import load_parameters, make_folder, save_parameters


class Detector(NamedTuple):
    """A trained network and the settings under which it marks defects."""

    model: Autoencoder
    loss: Loss
    stride: int
    resize: int | None
    thresholds: dict[Residual, float]  # a pixel is defective if its residual exceeds the threshold of the map
    learning: Learning

    def inspect(self, picture: np.ndarray, residuals: Sequence[Residual]) -> Inspection:
        """Reconstructs a picture (height, width) of uint8 and computes residual maps."""
        return inspect(self.model, picture, residuals, self.stride)

    def save(self, folder: Path) -> None:
        """Writes the parameters by Orbax and the rest to detector.json; replaces the files of an earlier run."""
        make_folder(folder)
        settings = {name: value for name, value in self._asdict().items() if name != "model"}
        settings |= {"learning": self.learning._asdict(), "bottleneck": self.model.squeeze.out_features}
        (folder / "detector.json").write_text(json.dumps(settings, indent=2))
        save_parameters(self.model, folder)


def load_detector(folder: Path) -> Detector:
    """Loads a detector that `Detector.save` has written."""
    if not (folder / "detector.json").is_file():
        raise SystemExit(
            f"{folder} holds no detector; pass a trained network's folder, such as runs/defects/cloth-ssim-0"
        )
    settings = json.loads((folder / "detector.json").read_text())
    bottleneck, learning = settings.pop("bottleneck"), Learning(**settings.pop("learning"))
    model = nnx.eval_shape(lambda: Autoencoder(bottleneck, nnx.Rngs(0)))  # shapes alone: initial weights are not needed
    load_parameters(model, folder)
    return Detector(model, learning=learning, **settings)
