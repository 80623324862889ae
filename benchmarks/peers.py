"""The libraries that are compared, each called in the fastest way that its users have.

Each function here takes a row of a table (such as `speed.Row`). It returns a function without arguments to be timed and
a function that waits for its result, or None where the library lacks such a function. A result is the mean over the
batch, followed by any derivatives.
"""

import functools

import measuring
import numpy as np


def noise(shape):
    """Returns noise within [0, 1], and the same image with more noise, in float64."""
    rng = np.random.default_rng(0)
    x = rng.random(shape)
    return x, np.clip(x + 0.1 * rng.standard_normal(shape), 0, 1)


def arrays(row):
    """Returns the two images of a row, and a direction for the jvp."""
    direction = np.random.default_rng(1).standard_normal(row.shape)
    return tuple(array.astype(row.dtype) for array in (*row.images(), direction))


def of_jax(row, value, loss):
    """Calls JAX functions of two images."""
    import jax

    functions = {
        "forward": lambda x, y, direction: (value(x, y).mean(),),
        "gradient": lambda x, y, direction: jax.value_and_grad(loss, 1)(x, y),
        "both": lambda x, y, direction: jax.value_and_grad(loss, (0, 1))(x, y),
        "jvp": lambda x, y, direction: jax.jvp(functools.partial(loss, x), (y,), (direction,)),
    }
    given = [jax.numpy.asarray(array) for array in arrays(row)]
    return functools.partial(jax.jit(functions[row.work]), *given), jax.block_until_ready


def of_jaxssim(row):
    """Calls this library."""
    import jaxssim

    value = getattr(jaxssim, row.metric)
    if row.metric == "psnr":
        return of_jax(row, functools.partial(value, data_range=1.0), lambda x, y: -value(x, y, data_range=1.0).mean())
    loss = getattr(jaxssim, f"{row.metric}_loss")
    if row.metric not in ("ssim", "ms_ssim"):
        return of_jax(row, functools.partial(value, data_range=1.0), functools.partial(loss, data_range=1.0))
    window = jaxssim.Gaussian(row.size, row.sigma) if row.sigma else jaxssim.Uniform(row.size)
    convention = jaxssim.Convention(window=window, covariance="population" if row.sigma else "sample")
    options = dict(data_range=1.0, convention=convention, channel_axis=-1)
    return of_jax(row, functools.partial(value, **options), functools.partial(loss, **options))


def of_dm_pix(row):
    """Calls DeepMind's image processing library for JAX."""
    import dm_pix

    return of_jax(row, dm_pix.ssim, lambda x, y: 1 - dm_pix.ssim(x, y).mean()) if row.metric == "ssim" else None


def of_tensorflow(row):
    """Calls `tf.image`. It has no uniform window, so that a very wide Gaussian takes its place."""
    import tensorflow as tf

    metric = {"ssim": tf.image.ssim, "ms_ssim": tf.image.ssim_multiscale}.get(row.metric)
    if metric is None:
        return None

    def mean(x, y):
        return tf.reduce_mean(metric(x, y, 1.0, filter_size=row.size, filter_sigma=row.sigma or 1e6))

    def gradients(x, y, by):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(by)
            loss = 1 - mean(x, y)
        return loss, tape.gradient(loss, by)

    def jvp(x, y, direction):
        with tf.autodiff.ForwardAccumulator(y, direction) as accumulator:
            loss = 1 - mean(x, y)
        return loss, accumulator.jvp(loss)

    functions = {
        "forward": lambda x, y, direction: (mean(x, y),),
        "gradient": lambda x, y, direction: gradients(x, y, [y]),
        "both": lambda x, y, direction: gradients(x, y, [x, y]),
        "jvp": jvp,
    }
    return functools.partial(tf.function(functions[row.work]), *map(tf.constant, arrays(row))), lambda result: None


def of_torch(row, mean):
    """Calls a PyTorch function of two images, channels first."""
    import torch

    torch.set_num_threads(measuring.cores())
    gpu = torch.cuda.is_available()
    channels_first = (np.ascontiguousarray(np.moveaxis(array, -1, 1)) for array in arrays(row))
    x, y, _ = (torch.from_numpy(array).to("cuda" if gpu else "cpu") for array in channels_first)

    def forward():
        with torch.no_grad():
            return (mean(x, y),)

    def gradients(*by):
        loss = 1 - mean(x, y)
        return loss.detach(), torch.autograd.grad(loss, by)

    by = {"gradient": [y], "both": [x, y]}.get(row.work, [])
    for tensor in by:
        tensor.requires_grad_()
    call = forward if row.work == "forward" else functools.partial(gradients, *by)
    return None if row.work == "jvp" else (call, lambda result: torch.cuda.synchronize() if gpu else None)


def of_kornia(row):
    """Calls kornia with the windows inside the image, so that it computes the same number."""
    import kornia

    each = functools.partial(kornia.metrics.ssim, window_size=11, padding="valid")
    return of_torch(row, lambda x, y: each(x, y).mean()) if row.metric == "ssim" else None


def of_pytorch_msssim(row):
    """Calls `ssim` and `ms_ssim`, which average over the batch."""
    import pytorch_msssim

    metric = getattr(pytorch_msssim, row.metric, None)
    return metric and of_torch(row, functools.partial(metric, data_range=1.0))


def of_piq(row):
    """Calls piq without shrinking large images, its default, so that it computes the same number."""
    import piq

    metrics = {
        "ssim": functools.partial(piq.ssim, downsample=False),
        "ms_ssim": piq.multi_scale_ssim,
        "iw_ssim": piq.information_weighted_ssim,
    }
    metric = metrics.get(row.metric)
    return metric and of_torch(row, metric)


def of_torchmetrics(row):
    """Calls torchmetrics, which includes the windows over the edge."""
    import torchmetrics.functional.image as functions

    name = "structural_similarity_index_measure"
    prefixes = {"ssim": "", "ms_ssim": "multiscale_"}
    if row.metric not in prefixes:
        return None
    metric = getattr(functions, prefixes[row.metric] + name)
    return of_torch(row, functools.partial(metric, data_range=1.0))


def of_images(row, similarity, scale=1, metric="ssim"):
    """Calls a function of one pair of NumPy arrays for one pair after the other."""
    if (row.work, row.metric) != ("forward", metric):
        return None
    pairs = [(scale * x, scale * y) for x, y in zip(*arrays(row)[:2], strict=True)]
    return lambda: (np.mean([similarity(x, y) for x, y in pairs]),), lambda result: None


def of_skimage(row):
    """Calls scikit-image with Wang's definition, or its own where the window is uniform."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    if row.metric == "psnr":
        return of_images(row, functools.partial(peak_signal_noise_ratio, data_range=1.0), metric="psnr")
    wang = dict(gaussian_weights=True, sigma=row.sigma, use_sample_covariance=False) if row.sigma else {}
    options = dict(win_size=row.size, data_range=1.0, channel_axis=-1, **wang)
    return of_images(row, functools.partial(structural_similarity, **options))


def of_fast_ssim(row):
    """Calls fast-ssim, in C++ with SIMD and threads, which has scikit-image's uniform window alone."""
    import fast_ssim

    options = dict(data_range=1.0, win_size=row.size)
    return None if row.sigma else of_images(row, functools.partial(fast_ssim.ssim, **options))


def of_blazediff(row):
    """Calls blazediff-ssim, in Rust with SIMD on one thread, which compares the luma of RGBA pixels.

    Its SSIM shrinks larger images to about 256 pixels first.
    """
    metric = {"ssim": "ssim", "ms_ssim": "ms-ssim"}.get(row.metric)
    shrinks = row.metric == "ssim" and min(row.shape[1:3]) > 256
    if shrinks or (row.work, row.dtype, row.size, row.sigma) != ("forward", "float32", 11, 1.5) or metric is None:
        return None
    import blazediff_ssim

    pairs = [[rgba(image) for image in pair] for pair in zip(*arrays(row)[:2], strict=True)]
    height, width = row.shape[1:3]

    def similarity(x, y):
        return blazediff_ssim.compare_rgba(x, y, width, height, metric=metric).score

    return lambda: (np.mean([similarity(x, y) for x, y in pairs]),), lambda result: None


def rgba(image):
    """Returns the 8-bit RGBA pixels of an image in [0, 1] with 1 or 3 channels."""
    colours = np.broadcast_to(np.uint8(255 * image + 0.5), (*image.shape[:2], 3))
    return np.dstack([colours, np.full(image.shape[:2], 255, np.uint8)]).tobytes()


def of_opencv(row):
    """Computes the well-known recipe of five Gaussian blurs and NumPy."""
    import cv2

    def similarity(x, y):
        mean_x, mean_y, xx, yy, xy = (
            cv2.GaussianBlur(image, (11, 11), 1.5)[5:-5, 5:-5] for image in (x, y, x * x, y * y, x * y)
        )
        luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        covariance, variances = xy - mean_x * mean_y, xx - mean_x**2 + yy - mean_y**2
        return (luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2)).mean()

    return of_images(row, similarity)


def of_opencv_contrib(row):
    """Calls `cv2.quality`, which expects values up to 255."""
    from cv2 import quality

    return of_images(row, lambda x, y: np.mean(quality.QualitySSIM_compute(x, y)[0][: row.shape[-1]]), scale=255)


def of_ssimulacra2(row):
    """Calls the package `ssimulacra2`, which reads pictures from files; its values differ from the authors' program."""
    if (row.work, row.metric) != ("forward", "ssimulacra2"):
        return None
    import tempfile
    from pathlib import Path

    import ssimulacra2
    from PIL import Image

    folder = Path(tempfile.mkdtemp())
    pairs = []
    for i, pair in enumerate(zip(*arrays(row)[:2], strict=True)):
        pairs.append([str(folder / f"{i}{name}.bmp") for name in "xy"])
        for path, image in zip(pairs[-1], pair, strict=True):
            Image.fromarray(np.uint8(255 * image + 0.5)).save(path)
    return lambda: (np.mean([ssimulacra2.compute_ssimulacra2(*pair) for pair in pairs]),), lambda result: None


PEERS = {  # by name: the function here, and the modules whose versions are printed
    "jaxssim": (of_jaxssim, ("jaxssim", "jax", "jaxlib", "numpy")),
    "tensorflow": (of_tensorflow, ("tensorflow", "numpy")),
    "kornia": (of_kornia, ("kornia", "torch")),
    "pytorch-msssim": (of_pytorch_msssim, ("pytorch_msssim", "torch")),
    "piq": (of_piq, ("piq", "torch")),
    "torchmetrics": (of_torchmetrics, ("torchmetrics", "torch")),
    "dm-pix": (of_dm_pix, ("dm_pix", "jax")),
    "scikit-image": (of_skimage, ("skimage", "numpy")),
    "fast-ssim": (of_fast_ssim, ("fast_ssim", "numpy")),
    "blazediff": (of_blazediff, ("blazediff_ssim", "numpy")),
    "opencv": (of_opencv, ("cv2", "numpy")),
    "opencv-contrib": (of_opencv_contrib, ("cv2", "cv2.quality")),
    "ssimulacra2": (of_ssimulacra2, ("ssimulacra2", "numpy")),
}
CPU_ONLY = ("tensorflow", "scikit-image", "fast-ssim", "blazediff", "opencv", "opencv-contrib", "ssimulacra2")
