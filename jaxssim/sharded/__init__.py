"""SSIM and MS-SSIM of images that devices share by their spatial axes, for use inside `jax.shard_map`.

Each device passes its part of the images, and `axis_names`: the axis of the mesh that shards each spatial axis. Devices
exchange the pixels by which windows reach into the parts of their neighbours, never whole images. JAX shards even sizes
only: `pad` makes a size even, and `valid_size` says which pixels count.
"""

from jaxssim.sharded._ms_ssim import ms_ssim, ms_ssim_loss
from jaxssim.sharded._padding import pad
from jaxssim.sharded._ssim import ssim, ssim_loss, ssim_map

__all__ = ["ms_ssim", "ms_ssim_loss", "pad", "ssim", "ssim_loss", "ssim_map"]
