"""Structural similarity in JAX: exact in float32, fast, differentiable to any order.

Modules whose name starts with an underscore are private. The docstring of `jaxssim._core` says what the modules of that
package do.
"""

from jaxssim import conventions, metrics, sharded
from jaxssim._cw_ssim import cw_ssim, cw_ssim_loss
from jaxssim._evaluator import Evaluator
from jaxssim._iw_ssim import iw_ssim, iw_ssim_loss
from jaxssim._maps import Components, ssim_and_map, ssim_components, ssim_map
from jaxssim._ms_ssim import MS_SSIM_WEIGHTS, ms_ssim, ms_ssim_loss
from jaxssim._ms_ssim_l1 import ms_ssim_l1_loss
from jaxssim._pairwise import pairwise
from jaxssim._pointwise import luma, mae, mse, psnr
from jaxssim._pyramid import Pyramid, frequency_masks, steerable_pyramid
from jaxssim._ssim import dssim, ssim, ssim_loss
from jaxssim._ssimulacra2 import ssimulacra2, ssimulacra2_loss
from jaxssim.conventions import Convention, Gaussian, Uniform

__version__ = "0.1.0"

__all__ = [
    "MS_SSIM_WEIGHTS",
    "Components",
    "Convention",
    "Evaluator",
    "Gaussian",
    "Pyramid",
    "Uniform",
    "conventions",
    "cw_ssim",
    "cw_ssim_loss",
    "dssim",
    "frequency_masks",
    "iw_ssim",
    "iw_ssim_loss",
    "luma",
    "mae",
    "metrics",
    "ms_ssim",
    "ms_ssim_l1_loss",
    "ms_ssim_loss",
    "mse",
    "pairwise",
    "psnr",
    "sharded",
    "ssim",
    "ssim_and_map",
    "ssim_components",
    "ssim_loss",
    "ssim_map",
    "ssimulacra2",
    "ssimulacra2_loss",
    "steerable_pyramid",
]
