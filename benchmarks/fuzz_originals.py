"""What `fuzz.py` asks of IW-SSIM and SSIMULACRA 2, the metrics that tell the original from its copy.

Each function returns arrays of shape (pairs, values) by the name of a function of jaxssim, as those of `fuzz.py` do.
"""

import functools

import jax
import numpy as np
import reference_iw_ssim
import reference_ssimulacra2

import jaxssim

SCALES = (0.4, 0.6)  # the weights of IW-SSIM's two scales
OPTIONS = {"iw_ssim": {"weights": SCALES}, "ssimulacra2": {}}
# Limits of the error of IW-SSIM in float32: of most pairs, and where the original has windows that are nearly flat or
# neighbourhoods of nearly singular covariance, which float32 cannot tell from those that are.
REGULAR, SINGULAR = 1e-4, 2e-2
DOUBLE = 1e-8  # and in float64
SPAN = 100.0  # data ranges; IW-SSIM scales wider images down
SCORE = 0.01  # points of 100: the limit of the error of SSIMULACRA 2
SMOOTHED = 1e-4  # and in float64, in which jaxssim takes the smallest norms for 0, so that derivatives stay finite
ERROR = (2e-5, 1e-5)  # that of its loss: an absolute one and a share of the loss


@functools.cache
def loss_function(setting):
    """Returns a compiled function: the loss of each pair and its gradients by both images."""
    loss = getattr(jaxssim, f"{setting.metric}_loss")

    def of_pair(x, y, data_range):
        return loss(x, y, data_range=data_range, channel_axis=setting.layout["channel_axis"], **OPTIONS[setting.metric])

    return jax.jit(jax.vmap(jax.value_and_grad(of_pair, (0, 1))))


def compute(batch, setting):
    """Returns what jaxssim computes."""
    name, n = setting.metric, len(batch.x)
    options = dict(channel_axis=setting.layout["channel_axis"], **OPTIONS[name])
    metric = functools.partial(getattr(jaxssim, name), **options)
    loss, gradients = loss_function(setting)(batch.x, batch.y, batch.data_range)
    values = {
        name: metric(batch.x, batch.y, data_range=batch.data_range),
        f"{name}_loss": loss,
        f"{name}_loss, gradient": np.concatenate(gradients, -1),
    }
    with jax.enable_x64(True):
        images = (image.astype(np.float64) for image in (batch.x, batch.y))
        values[f"{name}, float64"] = metric(*images, data_range=batch.data_range.astype(np.float64))
    return {name: np.asarray(value, np.float64).reshape(n, -1) for name, value in values.items()}


def expect(batch, setting, values):
    """Returns by function the values of float64 and the largest errors allowed; `values` are those of `compute`."""
    pairs = [
        (x / data_range, y / data_range)
        for x, y, data_range in zip(*(np.asarray(a, float) for a in (batch.x, batch.y, batch.data_range)), strict=True)
    ]
    if setting.metric == "ssimulacra2":
        return expect_ssimulacra2(pairs)
    return expect_iw_ssim(pairs, values["iw_ssim, float64"])


def expect_ssimulacra2(pairs):
    """Takes the definition of SSIMULACRA 2."""
    errors = np.asarray([max(reference_ssimulacra2.error(*(image.clip(0, 1) for image in pair)), 0) for pair in pairs])
    errors = errors[:, None]
    scores = 100 - 10 * errors**0.6276336467831387
    absolute, share = ERROR
    return {
        "ssimulacra2": (scores, SCORE),
        "ssimulacra2, float64": (scores, SMOOTHED),
        "ssimulacra2_loss": (errors, absolute + share * errors),
    }


def expect_iw_ssim(pairs, double):
    """Takes jaxssim's own float64 where a covariance is singular, for which the definition has no value."""
    scaled = [tuple(255 * image for image in pair) for pair in pairs]
    regular = np.asarray([has_value(x, y) for x, y in scaled])[:, None]
    exact = [reference_iw_ssim.iw_ssim(x, y, SCALES) if one else 0 for (x, y), one in zip(scaled, regular, strict=True)]
    limit = np.where(regular, REGULAR, SINGULAR)
    return {
        "iw_ssim": (double, limit),
        "iw_ssim, float64": (np.asarray(exact)[:, None], np.where(regular, DOUBLE, np.inf)),
        "iw_ssim_loss": (1 - double, limit),
    }


def has_value(x, y):
    """Returns whether no window of the original is nearly flat, and its covariance of neighbourhoods is regular."""
    band = reference_iw_ssim.pyramid(x, len(SCALES))[0]
    neighbourhoods = np.lib.stride_tricks.sliding_window_view(band, (3, 3)).reshape(-1, 9)
    least, *_, most = np.linalg.eigvalsh(neighbourhoods.T @ neighbourhoods)
    wide = max(np.ptp(x), np.ptp(y), abs(x - y).max()) > SPAN * 255
    return least > 1e-6 * most and neighbourhoods.var(-1).min() > 1 and not wide
