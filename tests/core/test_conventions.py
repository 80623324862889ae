"""Each named convention against its library at its defaults, run here or by its values in peer_values.json.

`pytest -s` prints the largest difference from each library.
"""

import functools
import itertools
import json

import jax
import numpy as np
import peer_pairs
import peer_values
import pytest
import reference
from marks import slow, slow_except

import jaxssim
from jaxssim import conventions

pytest.importorskip("skimage", reason="some pairs are photographs of scikit-image")
FLOAT64 = 3e-7  # the library computes in float64, jaxssim in float32 within 2e-7


SMALL, LARGE = (64, 64, 3), (521, 603, 1)


@functools.cache
def stacks(shapes=None):
    """Returns (names, x, y) for the pairs of each shape, of all shapes by default."""
    groups = itertools.groupby(peer_pairs.pairs(), key=lambda pair: pair[1].shape)
    chosen = (group for shape, group in groups if shapes is None or shape in shapes)
    return [(names, np.stack(x), np.stack(y)) for names, x, y in (zip(*group, strict=True) for group in chosen)]


def by_name(batched, shapes=None):
    """Returns by name the value that a function of batches gives for each pair."""
    values = {}
    for names, x, y in stacks(shapes):
        values.update(zip(names, np.asarray(batched(x, y), np.float64).tolist(), strict=True))
    return values


@functools.cache
def values_of_jaxssim(convention, shapes=None):
    """Returns by name the values of jaxssim; of few small pairs under conventions that shrink only large ones."""
    if shapes is None and convention.downsample is not None:
        shapes = frozenset(x.shape[1:] for _, x, _ in stacks() if min(x.shape[1:3]) >= 384) | {SMALL}
    return by_name(lambda x, y: jaxssim.ssim(x, y, convention=convention), shapes)


def assert_agree(convention, expected, atol, median=FLOAT64, shapes=None):
    """Asserts that all pairs are within `atol` of the library, and half of them within `median`."""
    ours = values_of_jaxssim(convention, shapes)
    errors = {name: abs(value - expected[name]) for name, value in ours.items()}
    worst, middle = max(errors, key=errors.get), float(np.median(list(errors.values())))
    print(f"\n{len(errors)} pairs, half within {middle:.1e}, all within {errors[worst]:.1e}: {worst!r}", end=" ")
    assert errors[worst] <= atol, f"{worst}: jaxssim gives {ours[worst]}, the library {expected[worst]}"
    assert middle <= median


@functools.cache
def committed():
    return json.loads(peer_values.FILE.read_text())


@slow
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", [(700, 771), (902, 1030)])
@pytest.mark.parametrize("convention", [conventions.PIQ, conventions.WANG_AUTODOWNSAMPLE], ids=["piq", "wang"])
def test_downsampling_by_three_and_four(convention, shape, masked):
    """At these factors the two rules of downsampling differ most."""
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.integers(-9, 10, (*shape, 1)), 1).clip(0, 255).astype(np.uint8)
    y = np.clip(x.astype(int) + rng.integers(-40, 41, x.shape), 0, 255).astype(np.uint8)
    mask = np.ones(shape, bool) if masked else None
    value = jaxssim.ssim(x, y, convention=convention, mask=mask)
    np.testing.assert_allclose(value, 1 - reference.one_minus_ssim(x, y, 255, convention), atol=FLOAT64)


def test_the_committed_values_belong_to_these_pairs():
    inputs = peer_pairs.checksum(peer_pairs.pairs())
    assert committed()["inputs"] == inputs, "the pairs changed: run benchmarks/peer_values.py again"


PEERS = [
    (conventions.TORCHMETRICS, "torchmetrics", FLOAT64),
    # It rounds its weights to float32; with float64 weights passed as `win` it is exact.
    (conventions.PYTORCH_MSSSIM, "pytorch-msssim", 2e-5),
    (conventions.PYTORCH_MSSSIM, "pytorch-msssim, win of float64", FLOAT64),
    (conventions.PIQ, "piq", FLOAT64),
    # It adds 1e-12 to a denominator that is 9e-8 for two black images with max_val=1.
    (conventions.KORNIA, "kornia", 1.2e-5),
    (conventions.KORNIA, "kornia, max_val=255", FLOAT64),
    # It computes E[x²] - E[x]² in float32 of values up to 255.
    (conventions.OPENCV, "opencv", 5e-5),
    # These compute E[x²] - E[x]²; MONAI and fast-ssim in float32, and piqa rounds its weights to float32.
    (conventions.PIQA, "piqa", 2e-5),
    (conventions.FUSED_SSIM, "piqa, padding=True", 2e-5),
    (conventions.MONAI, "monai", 2e-4),
    (conventions.FAST_SSIM, "fast-ssim", 5e-6),
    (conventions.SEWAR, "sewar", FLOAT64),
    # Its log has six decimals.
    (conventions.FFMPEG, "ffmpeg", 8e-7),
]
QUICK = [row for row in PEERS if row[1] in ("torchmetrics", "pytorch-msssim", "piqa, padding=True", "ffmpeg")]
NAMES = [row[1] for row in PEERS]
each_peer = pytest.mark.parametrize(("convention", "peer", "atol"), PEERS, ids=NAMES)


@pytest.mark.parametrize(("convention", "peer", "atol"), slow_except(QUICK, PEERS), ids=NAMES)
def test_committed_values_for_two_shapes(convention, peer, atol):
    assert_agree(convention, committed()["values"][peer], atol, median=atol, shapes=frozenset({SMALL, LARGE}))


@slow
@each_peer
def test_committed_values_for_all_shapes(convention, peer, atol):
    median = 2e-6 if peer == "monai" else FLOAT64  # MONAI computes in float32
    assert_agree(convention, committed()["values"][peer], atol, median)


@slow
def test_values_equal_tensorflow():
    tf = pytest.importorskip("tensorflow")
    # Its own mean is one float32 sum, whose error grows with the image; so this test averages its map. The map computes
    # variances as E[x²] - E[x]² in float32, which is inaccurate for flat images.
    expected = by_name(lambda x, y: tf.image.ssim(x, y, 255, return_index_map=True).numpy().mean((1, 2), np.float64))
    assert_agree(conventions.TENSORFLOW, expected, 1e-4, median=5e-6)


@pytest.mark.parametrize(
    ("convention", "options"),
    [(conventions.SKIMAGE, {}), (conventions.SKIMAGE_GAUSSIAN, {"gaussian_weights": True})],
    ids=["default", "gaussian_weights"],
)
@slow
def test_values_equal_scikit_image(convention, options):
    metrics = pytest.importorskip("skimage.metrics")
    expected = by_name(
        lambda x, y: [
            metrics.structural_similarity(*pair, channel_axis=-1, **options) for pair in zip(x, y, strict=True)
        ]
    )
    assert_agree(convention, expected, FLOAT64)


@slow
def test_values_equal_dm_pix():
    dm_pix = pytest.importorskip("dm_pix")
    with jax.enable_x64(True):
        expected = by_name(lambda x, y: jax.jit(dm_pix.ssim)(x / 255, y / 255))
    assert_agree(conventions.DM_PIX, expected, FLOAT64)


@slow
def test_values_equal_wangs_later_code():
    convention, shapes = conventions.WANG_AUTODOWNSAMPLE, frozenset({SMALL, LARGE})
    expected = by_name(lambda x, y: 1 - reference.one_minus_ssim(x, y, 255, convention), shapes)
    assert_agree(convention, expected, FLOAT64, shapes=shapes)


@slow
def test_values_equal_wangs_later_code_for_all_shapes():
    convention = conventions.WANG_AUTODOWNSAMPLE
    expected = by_name(lambda x, y: 1 - reference.one_minus_ssim(x, y, 255, convention))
    assert_agree(convention, expected, FLOAT64)


@slow
def test_the_pairs_give_each_convention_a_different_value():
    different = {
        conventions.WANG2004,
        conventions.WANG_AUTODOWNSAMPLE,
        conventions.PIQ,
        conventions.KORNIA,
        conventions.SKIMAGE,
        conventions.SKIMAGE_GAUSSIAN,
    }
    for a, b in itertools.combinations(different, 2):
        a, b = values_of_jaxssim(a), values_of_jaxssim(b)
        assert max(abs(a[name] - b[name]) for name in a.keys() & b.keys()) > 1e-3


@pytest.mark.parametrize(
    ("options", "expected"), [({}, 0.282242298), ({"spatial_ndim": 3, "channel_axis": None}, 0.488575444)]
)
def test_matlab_toolbox_by_channel_and_as_a_volume(options, expected):
    """The values are those of benchmarks/toolbox_ssim.m, for the pair of docs/conventions.md."""
    x = pytest.importorskip("skimage").data.astronaut()
    noise = np.random.default_rng(0).integers(-50, 51, x.shape)
    y = np.clip(x + noise, 0, 255).astype(np.uint8)
    value = jaxssim.ssim(x, y, convention=conventions.MATLAB, **options)
    np.testing.assert_allclose(value, expected, atol=FLOAT64)
