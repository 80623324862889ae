"""Structural similarity in JAX: exact in float32, fast, differentiable to any order."""

from jaxssim import conventions as conventions
from jaxssim import metrics as metrics
from jaxssim.color import luma as luma
from jaxssim.components import Components as Components
from jaxssim.components import ssim_components as ssim_components
from jaxssim.conventions import Convention as Convention
from jaxssim.losses import cw_ssim_loss as cw_ssim_loss
from jaxssim.losses import ms_ssim_l1_loss as ms_ssim_l1_loss
from jaxssim.losses import ms_ssim_loss as ms_ssim_loss
from jaxssim.losses import ssim_loss as ssim_loss
from jaxssim.multiscale import MS_SSIM_WEIGHTS as MS_SSIM_WEIGHTS
from jaxssim.multiscale import ms_ssim as ms_ssim
from jaxssim.pairs import pairwise as pairwise
from jaxssim.pointwise import mae as mae
from jaxssim.pointwise import mse as mse
from jaxssim.pointwise import psnr as psnr
from jaxssim.pyramid import Pyramid as Pyramid
from jaxssim.pyramid import frequency_masks as frequency_masks
from jaxssim.pyramid import steerable_pyramid as steerable_pyramid
from jaxssim.structural import dssim as dssim
from jaxssim.structural import ssim as ssim
from jaxssim.structural import ssim_map as ssim_map
from jaxssim.wavelet import cw_ssim as cw_ssim
from jaxssim.windows import Gaussian as Gaussian
from jaxssim.windows import Uniform as Uniform

__version__ = "0.1.0"
