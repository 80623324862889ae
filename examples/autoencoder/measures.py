"""The measures of image quality by which losses are compared."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxssim
from examples.autoencoder.steps import Network, reconstruct

SIDE = 192  # pixels of a patch; MS-SSIM with its five scales needs 161
BATCH = 8
MEASURES = ("SSIM", "MS-SSIM", "CW-SSIM", "PSNR, dB", "L1")
LOWER_IS_BETTER = {"L1"}


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
    """Computes the measures of each pair of images, (measures, batch)."""
    similarities = [metric(x, y, data_range=1.0) for metric in (jaxssim.ssim, jaxssim.ms_ssim)]
    errors = [jaxssim.psnr(x, y, data_range=1.0), jaxssim.mae(x, y)]
    return jnp.stack([*similarities, jaxssim.cw_ssim(x, y), *errors])
