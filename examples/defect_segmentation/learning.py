"""What a network has learned of its texture, measured on good pictures that were not used for training."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import jaxssim
from examples.defect_segmentation.residuals import SSIM

LEAST = 0.3  # of the structure of a good picture that a network must reconstruct to mark defects


class Learning(NamedTuple):
    """The mean SSIM of good pictures and two reconstructions."""

    network: float  # the network's reconstruction
    grey: float  # a reconstruction of uniform grey, the mean of the picture

    @property
    def fraction(self) -> float:
        """Returns the fraction of the structure that is learned: 0 where grey is as good, 1 if nothing is missing."""
        return (self.network - self.grey) / (1 - self.grey)

    @property
    def enough(self) -> bool:
        """Tells whether the network can mark defects."""
        return self.fraction >= LEAST

    @property
    def style(self) -> str:
        """Returns the style in which `rich` prints the sentence."""
        return "" if self.enough else "yellow"

    def __str__(self) -> str:
        """Returns a sentence about the network, which says so if its detector will not work."""
        measured = f"reconstructions of good pictures have SSIM {self.network:.2f}, uniform grey {self.grey:.2f}"
        return measured if self.enough else f"{measured}: the texture is not learned, this detector will not work"


def measure_learning(pictures: Sequence[np.ndarray], reconstructions: Sequence[np.ndarray]) -> Learning:
    """Compares good pictures (height, width) of uint8 with their reconstructions in [0, 1]."""
    scaled = [(picture / 255).astype(np.float32) for picture in pictures]
    greys = [np.full_like(picture, picture.mean()) for picture in scaled]
    return Learning(mean_ssim(scaled, reconstructions), mean_ssim(scaled, greys))


def mean_ssim(pictures: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> float:
    """Returns the mean SSIM of pairs of pictures, which may differ in size from pair to pair."""
    pairs = zip(pictures, others, strict=True)
    return float(np.mean([jaxssim.ssim(x, y, data_range=1.0, convention=SSIM, channel_axis=None) for x, y in pairs]))
