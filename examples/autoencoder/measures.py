"""The measures of image quality by which losses are compared."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxssim
from examples.autoencoder.steps import Network, reconstruct

SIDE = 192  # pixels of a patch; MS-SSIM and IW-SSIM with their five scales need 161
BATCH = 8
MEASURES = ("SSIM", "MS-SSIM", "CW-SSIM", "IW-SSIM", "SSIMULACRA 2", "PSNR, dB", "L1")
LOWER_IS_BETTER = {"L1"}
DECIMALS = {"SSIMULACRA 2": 2, "PSNR, dB": 2}  # of tables; 4 of all others


def measure(network: Network, patches: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Reconstructs uint8 patches; returns the reconstructions, float32 in [0, 1], and the mean of each measure."""
    reconstructed, scores = [], []
    for start in range(0, len(patches), BATCH):
        x, y = reconstruct(network, patches[start : start + BATCH])
        reconstructed.append(np.asarray(y))
        scores.append(np.asarray(compute_measures(x, y)))
    means = np.concatenate(scores, axis=1).mean(1, dtype=np.float64)
    return np.concatenate(reconstructed), dict(zip(MEASURES, means.tolist(), strict=True))


@jax.jit
def compute_measures(x: jax.Array, y: jax.Array) -> jax.Array:
    """Computes the measures of originals x and their reconstructions y, (measures, batch)."""
    ssim, ms_ssim, iw_ssim, ssimulacra2, psnr = (
        metric(x, y, data_range=1.0)
        for metric in (jaxssim.ssim, jaxssim.ms_ssim, jaxssim.iw_ssim, jaxssim.ssimulacra2, jaxssim.psnr)
    )
    return jnp.stack([ssim, ms_ssim, jaxssim.cw_ssim(x, y), iw_ssim, ssimulacra2, psnr, jaxssim.mae(x, y)])
