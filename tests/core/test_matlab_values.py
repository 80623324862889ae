"""SSIM, MS-SSIM and CW-SSIM against the values of the original MATLAB code; see reference/README.md."""

import functools

import jax
import numpy as np
import pytest
import reference
from marks import slow, slow_except
from pictures import COMMITTED, SHARED, matlab_pairs, read_pair

import jaxssim
from jaxssim import conventions

AUTODOWNSAMPLE = conventions.WANG_AUTODOWNSAMPLE
# Each metric with its largest error. MATLAB's CW-SSIM interpolates its filters from tables, which changes values by up
# to 2.6e-7.
METRICS = {
    "ssim_wang2004": (jaxssim.ssim, 3e-7),
    "ssim_wang_autodownsample": (functools.partial(jaxssim.ssim, convention=AUTODOWNSAMPLE), 3e-7),
    "msssim_wang2003": (jaxssim.ms_ssim, 3e-7),
    "cwssim_l4_o8": (functools.partial(jaxssim.cw_ssim, levels=4, orientations=8), 6e-7),
    "cwssim_l5_o16": (functools.partial(jaxssim.cw_ssim, levels=5, orientations=16), 6e-7),
    "cwssim_l3_o4": (functools.partial(jaxssim.cw_ssim, levels=3, orientations=4), 6e-7),
}
CW_SSIM = [name for name in METRICS if name.startswith("cwssim")]


def stacks(folder, name):
    """Returns (x, y, values) for all pairs of each shape."""
    groups = {}
    for pair in matlab_pairs(folder, name):
        x, y = read_pair(folder, pair)
        groups.setdefault(x.shape, []).append((x, y, pair[name]))
    if not groups and folder == SHARED:
        pytest.skip(f"no pairs in {folder}")
    assert groups, f"{folder} has no pair with a value of {name}"
    return [tuple(map(np.stack, zip(*group, strict=True))) for group in groups.values()]


@pytest.mark.parametrize("name", slow_except(["ssim_wang2004", "cwssim_l4_o8"], list(METRICS)))
def test_values_equal_matlab_on_committed_pairs(name):
    metric, error = METRICS[name]
    for x, y, values in stacks(COMMITTED, name):
        np.testing.assert_allclose(metric(x, y, channel_axis=None), values, rtol=0, atol=error)


@slow
@pytest.mark.parametrize("name", METRICS)
def test_values_equal_matlab_on_all_pairs(name):
    metric, error = METRICS[name]
    for x, y, values in stacks(SHARED, name):
        np.testing.assert_allclose(metric(x, y, channel_axis=None), values, rtol=0, atol=error)


@slow
@pytest.mark.parametrize("name", CW_SSIM)
@pytest.mark.parametrize("folder", [COMMITTED, SHARED], ids=["committed", "shared"])
def test_cw_ssim_in_float64(folder, name):
    metric, _ = METRICS[name]
    for x, y, values in stacks(folder, name):
        with jax.enable_x64(True):
            double = metric(np.float64(x), np.float64(y), channel_axis=None)
        assert double.dtype == np.float64
        np.testing.assert_allclose(double, values, rtol=0, atol=4e-7)


@pytest.mark.parametrize("name", ["ssim_wang2004", "ssim_wang_autodownsample", "msssim_wang2003"])
def test_float64_reference_equals_matlab(name):
    for x, y, values in stacks(COMMITTED, name):
        x, y = x[..., None], y[..., None]
        if name == "msssim_wang2003":
            value = reference.one_minus_ms_ssim(x, y, 255, jaxssim.MS_SSIM_WEIGHTS)
        else:
            value = reference.one_minus_ssim(x, y, 255, AUTODOWNSAMPLE if "auto" in name else conventions.WANG2004)
        np.testing.assert_allclose(1 - value, values, rtol=0, atol=1e-11)
