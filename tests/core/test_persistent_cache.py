"""JAX's cache on disk holds every program of jaxssim: a second process compiles nothing."""

import collections
import json
import os
import subprocess
import sys

import pytest

CALLS = """
import collections, json
import jax, jax.monitoring, numpy as np
counts = collections.Counter()
jax.monitoring.register_event_listener(lambda event, **_: counts.update([event.rpartition("/")[2]]))
import jaxssim

x, y = np.random.default_rng(0).random((2, 2, 48, 64, 3), np.float32)
known, scales = dict(data_range=1.0), dict(data_range=1.0, weights=(0.5, 0.5))
for loss, options in ((jaxssim.ssim_loss, known), (jaxssim.ms_ssim_loss, scales)):
    jax.grad(lambda y: loss(x, y, **options))(y)
jax.grad(lambda y: jaxssim.cw_ssim_loss(x, y, levels=3))(y)
for name in ("ssim", "dssim", "ssim_map", "ssim_and_map", "ssim_components", "psnr", "ms_ssim"):
    getattr(jaxssim, name)(x, y, **(scales if name == "ms_ssim" else known))
jaxssim.mse(x, y), jaxssim.mae(x, y), jaxssim.luma(x, data_range=1.0), jaxssim.cw_ssim(x, y, levels=3)
jaxssim.pairwise(x, data_range=1.0)
jaxssim.Evaluator(("ssim", "psnr", "ssim_map"), data_range=1.0)(x, y)
print(json.dumps(counts))
"""


@pytest.mark.slow
def test_a_second_process_compiles_nothing(tmp_path):
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    first, second = (
        collections.Counter(json.loads(subprocess.check_output([sys.executable, "-c", CALLS], env=environment)))
        for _ in range(2)
    )
    assert first["cache_misses"] > 20
    assert second["cache_misses"] == 0
    assert second["cache_hits"] == first["cache_misses"]
