"""From a picture to where it is wrong: residual maps of windows that slide over it, averaged, and a threshold."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx

import jaxssim
from examples.blending import blend_tiles
from examples.defect_segmentation.config import Loss
from examples.defect_segmentation.model import WINDOW, Autoencoder

# Windows of 11 pixels at every pixel, over a picture mirrored at its edge: the map is as large as the picture.
SSIM = jaxssim.Convention(padding="reflect", average="all")
BATCH = 8  # windows that go through the network at once


class Seen(NamedTuple):
    """What an autoencoder makes of a picture, both (height, width) of float32."""

    reconstruction: np.ndarray  # in [0, 1]
    residual: np.ndarray  # from 0, which is as good


class Detector(NamedTuple):
    """A trained network, and what it takes to mark defects with it."""

    model: Autoencoder
    loss: Loss
    stride: int
    resize: int | None
    threshold: float  # of the residual, above which a pixel is marked

    def see(self, picture: np.ndarray) -> Seen:
        """A picture (height, width) of uint8, reconstructed and compared."""
        return slide(self.model, picture, self.loss, self.stride)

    def save(self, folder: Path) -> None:
        """The parameters by Orbax, in place of any that an earlier run left, the rest as JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        rest = {"loss": self.loss, "stride": self.stride, "resize": self.resize, "threshold": self.threshold}
        bottleneck = self.model.squeeze.out_features
        (folder / "detector.json").write_text(json.dumps(rest | {"bottleneck": bottleneck}, indent=2))
        with ocp.StandardCheckpointer() as checkpointer:
            parameters = nnx.to_pure_dict(nnx.state(self.model, nnx.Param))
            checkpointer.save((folder / "parameters").absolute(), parameters, force=True)


def load(folder: Path) -> Detector:
    """A detector that was saved."""
    if not (folder / "detector.json").is_file():
        raise SystemExit(f"{folder} holds no detector; pass a trained network's folder, as runs/defects/brick-ssim-0")
    rest = json.loads((folder / "detector.json").read_text())
    model = Autoencoder(rest.pop("bottleneck"), nnx.Rngs(0))
    with ocp.StandardCheckpointer() as checkpointer:
        template = nnx.to_pure_dict(nnx.state(model, nnx.Param))
        nnx.update(model, checkpointer.restore((folder / "parameters").absolute(), template))
    return Detector(model, **rest)


def training_loss(x: jax.Array, y: jax.Array, loss: Loss) -> jax.Array:
    """What training minimises: the mean of the residual map."""
    return jaxssim.mse(x, y).mean() if loss == "l2" else jaxssim.ssim_loss(x, y, data_range=1.0, convention=SSIM)


def residual_map(x: jax.Array, y: jax.Array, loss: Loss) -> jax.Array:
    """The squared difference of each pixel, or 1 - SSIM of the window about it; of the shape of x and y."""
    return (x - y) ** 2 if loss == "l2" else 1 - jaxssim.ssim_map(x, y, data_range=1.0, convention=SSIM)


@partial(nnx.jit, static_argnames="loss")
def see_windows(model: Autoencoder, windows: jax.Array, loss: Loss) -> tuple[jax.Array, jax.Array]:
    """Windows (batch, 128, 128, 1) of uint8, reconstructed and clipped as pictures are, and the residual maps."""
    x = windows.astype(jnp.float32) / 255
    y = jnp.clip(model(x), 0, 1)
    return y, residual_map(x, y, loss)


def slide(model: Autoencoder, picture: np.ndarray, loss: Loss, stride: int) -> Seen:
    """A picture (height, width) of uint8, seen through sliding windows: at each pixel the mean of theirs."""
    if min(picture.shape) < WINDOW:
        raise ValueError(f"a picture must hold the window of {WINDOW}x{WINDOW} pixels, got {picture.shape}")
    corners = [(top, left) for top in starts(picture.shape[0], stride) for left in starts(picture.shape[1], stride)]

    def network(windows: np.ndarray) -> np.ndarray:
        return np.concatenate(see_windows(model, windows, loss), axis=-1)

    blended = blend_tiles(network, picture[..., None], corners, np.ones((WINDOW, WINDOW), np.float32), 2, BATCH)
    return Seen(blended[..., 0], blended[..., 1])


def starts(side: int, stride: int) -> list[int]:
    """Where windows begin along a side: every `stride` pixels, and at its end."""
    return [*range(0, side - WINDOW, stride), side - WINDOW]


def threshold(residuals: Sequence[np.ndarray], false_positives: float) -> float:
    """The residual that this share of the pixels of good pictures exceeds."""
    return float(np.quantile(np.concatenate([residual.ravel() for residual in residuals]), 1 - false_positives))
