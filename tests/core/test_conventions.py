"""Each named convention against its library at that library's defaults, live or by the values in peer_values.json.

`pytest -s` prints how far each is from it.
"""

import functools
import itertools
import json

import jax
import numpy as np
import peer_pairs
import peer_values
import pytest
import truth

import jaxssim
from jaxssim import conventions

pytest.importorskip("skimage", reason="the photographs among the pairs are scikit-image's")
FLOAT64 = 3e-7  # the library computes in float64: what is left is jaxssim's float32, which promises 2e-7


@functools.cache
def stacks(shrinking=False):
    """The pairs, those of a shape together: (names, x, y). For conventions that shrink large images, few small ones."""
    groups = itertools.groupby(peer_pairs.pairs(), key=lambda pair: pair[1].shape)
    kept = (group for shape, group in groups if not shrinking or min(shape[:2]) >= 384 or shape == (64, 64, 3))
    return [(names, np.stack(x), np.stack(y)) for names, x, y in (zip(*group, strict=True) for group in kept)]


def by_name(batched, shrinking=False):
    """The value of each pair by its name, of a function that takes batches."""
    values = {}
    for names, x, y in stacks(shrinking):
        values.update(zip(names, np.asarray(batched(x, y), np.float64).tolist(), strict=True))
    return values


@functools.cache
def of_jaxssim(convention):
    return by_name(lambda x, y: jaxssim.ssim(x, y, convention=convention), convention.downsample is not None)


def assert_agree(convention, expected, atol, median=FLOAT64):
    """No pair is farther from the library than `atol`, and half of them no farther than `median`."""
    ours = of_jaxssim(convention)
    errors = {name: abs(value - expected[name]) for name, value in ours.items()}
    worst, middle = max(errors, key=errors.get), float(np.median(list(errors.values())))
    print(f"\n{len(errors)} pairs, half within {middle:.1e}, all within {errors[worst]:.1e}: {worst!r}", end=" ")
    assert errors[worst] <= atol, f"{worst}: jaxssim has {ours[worst]}, the library {expected[worst]}"
    assert middle <= median


@functools.cache
def committed():
    return json.loads(peer_values.FILE.read_text())


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", [(700, 771), (902, 1030)])
@pytest.mark.parametrize(("convention", "rule"), [(conventions.PIQ, "pool"), (conventions.WANG_AUTODOWNSAMPLE, "wang")])
def test_images_that_shrink_by_more_than_two(convention, rule, shape, masked):
    """f is 3 and 4 here, where whole blocks and windows about a pixel part ways."""
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.integers(-9, 10, (*shape, 1)), 1).clip(0, 255).astype(np.uint8)
    y = np.clip(x.astype(int) + rng.integers(-40, 41, x.shape), 0, 255).astype(np.uint8)
    mask = np.ones(shape, bool) if masked else None
    value = jaxssim.ssim(x, y, convention=convention, mask=mask)
    np.testing.assert_allclose(value, peer_values.definition(x, y, shrink=rule), atol=FLOAT64)


def test_the_committed_values_are_of_these_pairs():
    assert committed()["inputs"] == peer_pairs.checksum(peer_pairs.pairs()), "run tests/peer_values.py anew"


@pytest.mark.parametrize(
    ("convention", "peer", "atol"),
    [
        (conventions.TORCHMETRICS, "torchmetrics", FLOAT64),
        # Its weights are rounded to float32 whatever the images; in float64, through its own `win`, it is exact.
        (conventions.PYTORCH_MSSSIM, "pytorch-msssim", 2e-5),
        (conventions.PYTORCH_MSSSIM, "pytorch-msssim, win of float64", FLOAT64),
        (conventions.PIQ, "piq", FLOAT64),
        # It adds 1e-12 to a denominator that is 9e-8 where both images are black and max_val is 1.
        (conventions.KORNIA, "kornia", 1.2e-5),
        (conventions.KORNIA, "kornia, max_val=255", FLOAT64),
        # It computes in float32 on values up to 255, whose variance it takes as E[x²] - E[x]².
        (conventions.OPENCV, "opencv", 5e-5),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_committed_values(convention, peer, atol):
    assert_agree(convention, committed()["values"][peer], atol)


def test_tensorflow():
    tf = pytest.importorskip("tensorflow")
    # Its value is a running mean in float32, which drifts with the size of the image; so its map is averaged here. The
    # map is float32 too, with variances as E[x²] - E[x]², which flat and smooth images feel.
    expected = by_name(lambda x, y: tf.image.ssim(x, y, 255, return_index_map=True).numpy().mean((1, 2), np.float64))
    assert_agree(conventions.TENSORFLOW, expected, 1e-4, median=5e-6)


@pytest.mark.parametrize(
    ("convention", "options"),
    [(conventions.SKIMAGE, {}), (conventions.SKIMAGE_GAUSSIAN, {"gaussian_weights": True})],
    ids=["default", "gaussian_weights"],
)
def test_scikit_image(convention, options):
    metrics = pytest.importorskip("skimage.metrics")
    expected = by_name(
        lambda x, y: [
            metrics.structural_similarity(*pair, channel_axis=-1, **options) for pair in zip(x, y, strict=True)
        ]
    )
    assert_agree(convention, expected, FLOAT64)


def test_dm_pix():
    dm_pix = pytest.importorskip("dm_pix")
    with jax.enable_x64(True):
        expected = by_name(lambda x, y: jax.jit(dm_pix.ssim)(x / 255, y / 255))
    assert_agree(conventions.DM_PIX, expected, FLOAT64)


def test_wang_autodownsample():
    shrunk = functools.partial(peer_values.definition, shrink="wang")
    expected = by_name(lambda x, y: [shrunk(*pair) for pair in zip(x, y, strict=True)], shrinking=True)
    assert_agree(conventions.WANG_AUTODOWNSAMPLE, expected, FLOAT64)


@pytest.mark.parametrize(
    "pair",
    [pair for pair in truth.reference_values() if "ssim_wang_autodownsample" in pair],
    ids=lambda pair: pair["distorted"],
)
def test_wang_autodownsample_as_the_matlab_code(pair):
    image = pytest.importorskip("PIL.Image")
    x, y = (np.asarray(image.open(truth.SHARED / "reference" / pair[key])) for key in ("reference", "distorted"))
    ours = jaxssim.ssim(x, y, channel_axis=None, convention=conventions.WANG_AUTODOWNSAMPLE)
    np.testing.assert_allclose(ours, pair["ssim_wang_autodownsample"], atol=FLOAT64)
    np.testing.assert_allclose(
        peer_values.definition(x[..., None], y[..., None], shrink="wang"), pair["ssim_wang_autodownsample"], atol=1e-11
    )


def test_the_pairs_tell_the_conventions_apart():
    different = {
        conventions.WANG2004,
        conventions.WANG_AUTODOWNSAMPLE,
        conventions.PIQ,
        conventions.KORNIA,
        conventions.SKIMAGE,
        conventions.SKIMAGE_GAUSSIAN,
    }
    for a, b in itertools.combinations(different, 2):
        a, b = of_jaxssim(a), of_jaxssim(b)
        assert max(abs(a[name] - b[name]) for name in a.keys() & b.keys()) > 1e-3
