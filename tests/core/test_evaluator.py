"""Streams of images of any sizes: the numbers of the functions, few programs, lazy reading, clear errors."""

import dataclasses
import re
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from compilations import count_compilations
from marks import slow, slow_except

import jaxssim
from jaxssim import Convention, Evaluator, Gaussian, Uniform, conventions
from jaxssim._streaming import blocks  # private: the tests make blocks small
from jaxssim._streaming.prefetch import prefetched  # private: when it reads does not show in scores

PIXELS = ("mse", "mae", "psnr")
ALL = ("ssim", "ms_ssim", "ssim_map", *PIXELS)
SMALL = Convention(window=Gaussian(5, 1.0))
CASES = {
    "uint8": ((61, 83, 3), {}),
    "large window": ((90, 70, 2), dict(convention=Convention(window=Gaussian((25, 5), (4.0, 1.0))))),
    "reflected": ((47, 52, 3), dict(convention=dataclasses.replace(conventions.KORNIA, window=Gaussian(5, 1.0)))),
    "sample covariance": ((47, 52, 3), dict(convention=conventions.SKIMAGE)),
    "channels first, batches": ((2, 3, 47, 52), dict(channel_axis=-3)),
    "cropped": ((61, 63), dict(crop_border=3, channel_axis=None)),
    "signals": ((3, 700), dict(spatial_ndim=1, channel_axis=None)),
    "volume": ((40, 37, 50), dict(spatial_ndim=3, channel_axis=None, convention=SMALL)),
    "thin volume": (
        (6, 57, 50),
        dict(spatial_ndim=3, channel_axis=None, convention=Convention(window=Gaussian((1, 5, 5)))),
    ),
    "shrunk by Wang's rule": ((401, 530, 2), dict(convention=conventions.WANG_AUTODOWNSAMPLE)),
    "shrunk by piq's rule": ((650, 701, 1), dict(convention=conventions.PIQ)),
}
WEIGHTS = (0.4, 0.3, 0.3)


def pair(shape, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 220, shape)
    return x.astype(dtype), np.clip(0.8 * x + rng.integers(0, 60, shape), 0, 255).astype(dtype)


def truth(x, y, mask=None, metrics=ALL, data_range=255, spatial_ndim=2, channel_axis=-1, crop_border=0, **options):
    """Returns the scores in float64, by the plain definitions of the reference."""
    convention = options.get("convention", conventions.WANG2004)
    x, y = (
        np.float64(each)[..., None] if channel_axis is None else np.moveaxis(np.float64(each), channel_axis, -1)
        for each in (x, y)
    )
    if mask is not None:
        mask = np.float64(mask)
        has_channels = mask.ndim == x.ndim and channel_axis is not None
        mask = np.moveaxis(mask, channel_axis, -1) if has_channels else mask[..., None]
        mask = np.broadcast_to(mask, x.shape)
    inside = (..., *(slice(crop_border, -crop_border or None),) * spatial_ndim, slice(None))
    x, y, mask = (None if each is None else each[inside] for each in (x, y, mask))
    weight, axes = np.ones(x.shape) if mask is None else np.float64(mask), tuple(range(-1 - spatial_ndim, 0))
    squares = (np.square(x - y) * weight).sum(axes) / weight.sum(axes)
    work = {
        "ssim": lambda: 1 - reference.one_minus_ssim(x, y, data_range, convention, mask, spatial_ndim),
        "ms_ssim": lambda: 1 - reference.one_minus_ms_ssim(x, y, data_range, WEIGHTS, convention, mask, spatial_ndim),
        "ssim_map": lambda: 1 - reference.one_minus_ssim_map(x, y, data_range, convention, mask, spatial_ndim),
        "mse": lambda: squares,
        "mae": lambda: (np.abs(x - y) * weight).sum(axes) / weight.sum(axes),
        "psnr": lambda: 10 * np.log10(data_range**2 / squares),
    }
    found = {name: work[name]() for name in metrics}
    if "ssim_map" in found and channel_axis is None:
        found["ssim_map"] = found["ssim_map"][..., 0]
    return found


def by_functions(x, y, mask=None, metrics=ALL, data_range=255, **options):
    """Returns what the functions of these names give in float64."""
    only = {
        "ssim": ("convention", "k1", "k2"),
        "ssim_map": ("convention", "k1", "k2"),
        "ms_ssim": ("convention", "k1", "k2"),
    }
    common = {key: value for key, value in options.items() if key not in only["ssim"]} | {"mask": mask}
    found = {}
    with jax.enable_x64(True):
        for name in metrics:
            more = {key: options[key] for key in only.get(name, ()) if key in options}
            more |= {} if name in ("mse", "mae") else {"data_range": data_range}
            more |= {"weights": WEIGHTS} if name == "ms_ssim" else {}
            found[name] = np.asarray(getattr(jaxssim, name)(np.float64(x), np.float64(y), **common, **more))
    return found


def assert_close(scores, expected):
    assert list(scores) == list(expected)
    for name, value in expected.items():
        assert np.shape(scores[name]) == value.shape
        bounds = dict(rtol=2e-6) if name in PIXELS else dict(rtol=0, atol=2e-6 if name == "ssim_map" else 2e-7)
        np.testing.assert_allclose(scores[name], value, **bounds, err_msg=name)


def check(shape, dtype=np.uint8, mask=None, metrics=ALL, expected=truth, **options):
    x, y = pair(shape, dtype)
    scores = Evaluator(metrics, weights=WEIGHTS, **options)(x, y, mask=mask)
    assert_close(scores, expected(x, y, mask, metrics, **options))


@pytest.fixture
def small_blocks(monkeypatch):
    """Makes blocks so small that small images have many."""
    monkeypatch.setattr(blocks, "BLOCK", 2**11)


class Reader:
    """Slices like an array that is read from a file."""

    def __init__(self, array, read=lambda pixels: pixels):
        self.array, self.read = array, read
        self.shape, self.dtype, self.largest = array.shape, array.dtype, 0

    def __getitem__(self, slices):
        pixels = self.array[slices]
        self.largest = max(self.largest, pixels.size)
        return self.read(pixels)


def test_ssim_of_a_stream_is_that_of_float64_whatever_the_size():
    pairs = [pair((height, width, 3), seed=width) for height, width in ((11, 11), (12, 900), (301, 211), (64, 50))]
    found = [float(scores["ssim"]) for scores in Evaluator().stream(iter(pairs))]
    np.testing.assert_allclose(found, [1 - reference.one_minus_ssim(x, y, 255) for x, y in pairs], rtol=0, atol=2e-7)


def test_no_second_size_compiles():  # images of two channels, which no other test scores with these options
    evaluator = Evaluator(crop_border=2)
    sizes = [(40 + 7 * i, 90 - 3 * i, 2) for i in range(6)]
    with count_compilations() as programs:
        found = list(evaluator.stream(pair(size) for size in sizes))
    assert len(found) == 6
    assert len(programs) <= 1
    masked = [(*pair(size), np.ones(size[:2], bool)) for size in sizes]
    with count_compilations() as programs:
        np.testing.assert_allclose([s["ssim"] for s in evaluator.stream(masked)], [s["ssim"] for s in found], atol=1e-7)
    assert len(programs) == 1
    with count_compilations() as programs:
        list(evaluator.stream([*masked, *(pair(size) for size in sizes), *(pair((30, 31 + i, 2)) for i in range(5))]))
        Evaluator(crop_border=5, data_range=200, channel_axis=-1)(*pair((77, 78, 2)))
    assert not programs


@slow
def test_every_metric_has_as_many_programs_as_documented():
    jax.clear_caches()
    for metrics, count in (("ssim", 1), ("ms_ssim", 2), (PIXELS, 1), (("ssim", "ssim_map"), 1)):
        with count_compilations() as programs:
            list(Evaluator(metrics).stream(pair((180 + 11 * i, 190 + 3 * i, 1)) for i in range(3)))
        assert len(programs) == count, metrics


@pytest.mark.parametrize("case", slow_except(["sample covariance"], list(CASES)))
def test_values_and_maps_are_those_of_float64(case, small_blocks):
    shape, options = CASES[case]
    metrics = ("ssim", "ssim_map") if case == "large window" else ALL
    check(shape, metrics=metrics, **options)


@slow
@pytest.mark.parametrize("kind", ["spatial", "batch", "one channel", "weights"])
def test_masks_of_every_rank(kind, small_blocks):
    shape = (2, 61, 70, 2)
    of_kind = {"spatial": shape[1:3], "batch": shape[:3], "one channel": (*shape[:3], 1), "weights": shape}[kind]
    mask = np.random.default_rng(1).random(of_kind) - 0.3
    mask = 1e4 * np.maximum(mask, 0) if kind == "weights" else mask > 0
    check(shape, mask=mask, convention=conventions.KORNIA if kind == "batch" else conventions.WANG2004)


@slow
@pytest.mark.parametrize("convention", ["WANG_AUTODOWNSAMPLE", "PIQ"])
def test_masks_of_images_that_are_shrunk(convention, small_blocks):
    shape = (401, 409, 1)
    mask = np.random.default_rng(1).random(shape) * (np.arange(409)[:, None] > 60)
    options = dict(metrics=("ssim", "ssim_map"), convention=getattr(conventions, convention))
    check(shape, mask=mask, expected=by_functions, **options)  # the reference shrinks no mask


def test_a_masked_pixel_may_be_nan_and_no_pixel_may_count():
    x, y = pair((40, 50, 1), np.float32)
    mask = np.ones((40, 50), bool)
    mask[10:20, 5:9] = False
    holes = np.where(mask[..., None], x, np.nan)
    holes[12, 6] = np.inf
    evaluator = Evaluator(("ssim", "mse"), data_range=255.0)
    scores = evaluator(holes, y, mask=mask)
    np.testing.assert_allclose(scores["ssim"], 1 - reference.one_minus_ssim(x, y, 255, mask=mask[..., None]), atol=2e-7)
    np.testing.assert_allclose(scores["mse"], np.square(np.float64(x) - y)[mask].mean(), rtol=1e-6)
    assert evaluator(x, y, mask=~mask & mask) == {"ssim": 1, "mse": 0}


@slow
def test_the_scale_of_each_masks_weights_does_not_matter(small_blocks):
    mask = np.random.default_rng(1).random((2, 40, 50)) * np.reshape([1e-30, 1e30], (2, 1, 1))
    check((2, 40, 50, 1), mask=mask, expected=by_functions, metrics=("ssim", "mse", "mae"))


@slow
@pytest.mark.parametrize("dtype", ["uint16", "float16", "bfloat16", "float32", "float64"])
def test_every_type(dtype, small_blocks):
    check((61, 83, 3), jnp.dtype(dtype), data_range=255)


@slow
def test_float64_is_not_rounded_to_float32(small_blocks):
    x, y = pair((60, 61, 2), np.float64)
    with jax.enable_x64(True):
        scores = Evaluator(("ssim", "ms_ssim", "psnr"), data_range=255, weights=WEIGHTS)(x, y / 1.0001)
    expected = truth(x, y / 1.0001, metrics=("ssim", "ms_ssim", "psnr"))
    for name, value in expected.items():
        np.testing.assert_allclose(scores[name], value, rtol=1e-12)


SETTINGS = {
    "strict promotion": lambda: jax.numpy_dtype_promotion("strict"),
    "rank_promotion": lambda: jax.numpy_rank_promotion("raise"),
    "debug_nans": lambda: jax.debug_nans(True),
    "checking_leaks": jax.checking_leaks,
}


@slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_strict_settings_of_jax(setting):
    for dtype in ("uint8", "float16", "float32"):
        with SETTINGS[setting]():
            check((43, 50, 2), jnp.dtype(dtype), np.ones((43, 50), bool), data_range=255, k1=0.01)


def test_images_far_from_zero_beside_dark_ones_on_one_tape():
    rng = np.random.default_rng(0)
    far = [(60000 + rng.integers(-3, 4, (2, 45, 60, 1))).astype(np.uint16) for _ in range(2)]
    dark = [rng.integers(0, 4, (2, 33, 70, 1)).astype(np.uint16) for _ in range(2)]
    pairs = [each for both in zip(far, dark, strict=True) for each in both]
    for data_range in (65535, 255):
        found = [scores["ssim"] for scores in Evaluator(data_range=data_range).stream(pairs)]
        expected = [1 - reference.one_minus_ssim(x, y, data_range) for x, y in pairs]
        np.testing.assert_allclose(found, np.stack(expected), rtol=0, atol=2e-7)


def test_identical_constant_and_negatively_correlated_images():
    x = np.random.default_rng(0).random((64, 64, 1), np.float32)
    flat = np.full_like(x, 0.6)
    evaluator = Evaluator(("ssim", "ms_ssim", "psnr"), data_range=1.0, weights=(0.5, 0.5))
    same, constant, negative = evaluator.stream([(x, x), (flat, flat + np.float32(1e-7)), (x, 1 - x)])
    assert same == {"ssim": 1, "ms_ssim": 1, "psnr": np.inf}
    assert 1 - 1e-9 < constant["ssim"] <= 1
    assert negative["ms_ssim"] == 0
    np.testing.assert_allclose(negative["ssim"], 1 - reference.one_minus_ssim(x, 1 - x, 1.0), atol=2e-7)


def test_tiny_differences_keep_their_psnr():
    x = np.zeros((20, 20, 1), np.float32)
    found = Evaluator("psnr", data_range=1.0)(x, x + np.float32(1e-30))["psnr"]
    np.testing.assert_allclose(found, 600, rtol=1e-6)


@slow
def test_k1_k2_and_a_data_range_for_each_image():
    x, y = pair((3, 40, 45, 1))
    options = dict(data_range=np.array([255.0, 200.0, 100.0]), k1=0.02, k2=0.05)
    check((3, 40, 45, 1), metrics=("ssim", "ssim_map"), expected=by_functions, **options)
    with count_compilations() as programs:
        Evaluator(("ssim", "ssim_map"), k1=0.1)(x, y)
    assert not programs


class TestReading:
    def test_only_blocks_are_read_in_a_thread(self, small_blocks):
        threads = set()

        def read(pixels):
            threads.add(threading.current_thread())
            return pixels

        x, y = pair((120, 211, 3))
        lazy = Reader(x, read), Reader(y, read)
        np.testing.assert_allclose(Evaluator()(*lazy)["ssim"], 1 - reference.one_minus_ssim(x, y, 255), atol=2e-7)
        assert max(each.largest for each in lazy) < x.size / 10
        assert threading.main_thread() not in threads

    def test_files(self, small_blocks, tmp_path):
        h5py = pytest.importorskip("h5py")
        x, y = pair((70, 61, 3))
        expected = 1 - reference.one_minus_ssim(x, y, 255)
        with h5py.File(tmp_path / "pair.h5", "w") as file:
            for name, image in (("x", x), ("y", y)):
                file.create_dataset(name, data=image, chunks=(16, 16, 3))
            np.testing.assert_allclose(Evaluator()(file["x"], file["y"])["ssim"], expected, atol=2e-7)
        big_endian = np.memmap(tmp_path / "x", ">u2", "w+", shape=x.shape)
        big_endian[:] = x
        np.testing.assert_allclose(
            Evaluator(data_range=255)(big_endian, y.astype(np.uint16))["ssim"], expected, atol=2e-7
        )

    def test_zarr(self, small_blocks, tmp_path):
        zarr = pytest.importorskip("zarr")
        x, y = pair((70, 61, 3))
        lazy = [
            zarr.create_array(tmp_path / name, data=image, chunks=(16, 16, 3)) for name, image in (("x", x), ("y", y))
        ]
        out = zarr.create_array(tmp_path / "map", shape=(60, 51, 3), chunks=(16, 16, 3), dtype="float32")
        Evaluator("ssim_map")(*lazy, out=out)
        np.testing.assert_allclose(out[:], 1 - reference.one_minus_ssim_map(x, y, 255), rtol=0, atol=2e-6)

    def test_tiff(self, small_blocks, tmp_path):
        tifffile, zarr = pytest.importorskip("tifffile"), pytest.importorskip("zarr")
        x, y = pair((70, 61, 3))
        tifffile.imwrite(tmp_path / "x.tif", x, tile=(16, 16), photometric="rgb")
        tifffile.imwrite(tmp_path / "y.tif", y, photometric="rgb")
        with tifffile.imread(tmp_path / "x.tif", aszarr=True) as store:
            tiled, mapped = zarr.open(store, mode="r"), tifffile.memmap(tmp_path / "y.tif", mode="r")
            found = Evaluator()(tiled, mapped)["ssim"]
        np.testing.assert_allclose(found, 1 - reference.one_minus_ssim(x, y, 255), atol=2e-7)

    def test_the_map_fills_a_memmap(self, small_blocks, tmp_path):
        x, y = pair((60, 61, 3))
        out = np.memmap(tmp_path / "map", np.float32, "w+", shape=(60, 61, 3))
        seen = []
        evaluator = Evaluator("ssim_map", convention=conventions.SKIMAGE)
        scores = evaluator(x, y, out=out, progress=lambda *counts: seen.append(counts))
        assert scores["ssim_map"] is out
        expected = 1 - reference.one_minus_ssim_map(x, y, 255, conventions.SKIMAGE)
        np.testing.assert_allclose(out, expected, rtol=0, atol=2e-6)
        assert seen == [(i + 1, len(seen)) for i in range(len(seen))]
        assert len(seen) > 3

    def test_an_abandoned_stream_ends_with_the_read_that_runs(self):
        begun, reads, taken = threading.Event(), threading.Event(), []

        def items():
            yield 0
            begun.set()
            reads.wait()
            for i in (1, 2):
                taken.append(i)
                yield i

        stream = prefetched(items())
        assert next(stream) == 0
        begun.wait()
        threading.Timer(0.2, reads.set).start()
        stream.close()
        assert taken == [1]

    def test_threads_may_share_an_evaluator(self):
        pairs = [pair((20 + i, 40, 3), seed=i) for i in range(6)]
        evaluator = Evaluator()
        alone, found = [scores["ssim"] for scores in evaluator.stream(pairs)], {}

        def work(number):
            found[number] = [scores["ssim"] for scores in evaluator.stream(pairs)]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == dict.fromkeys(range(3), alone)

    def test_the_generator_is_read_ahead_by_few_pairs(self):
        taken = []

        def pairs():
            for i in range(200):
                taken.append(i)
                yield pair((12, 13, 3))

        for scores in Evaluator().stream(pairs()):
            assert 0 < scores["ssim"] < 1
            assert len(taken) < 100
            break


class TestErrors:
    def stream(self, x, y, **options):
        return list(Evaluator(**options).stream([pair((20, 20, 3)), (x, y)]))

    def test_nan_names_image_and_pixel(self, small_blocks):
        x, y = pair((60, 70, 3), np.float32)
        y[41, 52, 1] = np.nan
        with pytest.raises(ValueError, match=r"y holds nan at pixel \(41, 52\), channel 1; pass") as caught:
            list(Evaluator(data_range=255).stream([(x, x), (x, y)]))
        assert "pair 1" in caught.value.__notes__[0]

    def test_pixels_are_counted_from_the_corner_of_the_image_not_from_the_border(self):
        x, y = pair((30, 40, 1), np.float32)
        y[11, 22] = np.inf
        with pytest.raises(ValueError, match=r"y holds inf at pixel \(11, 22\)") as caught:
            Evaluator("mse", crop_border=7)(x, y)
        assert not hasattr(caught.value, "__notes__"), "a single pair is no stream"

    @pytest.mark.parametrize("error", [ValueError("broken"), OSError("no such file")])
    def test_pairs_before_an_error_have_scores(self, error):
        def pairs():
            for i in range(3):
                yield pair((20, 30 + i, 3))
            raise error

        found = []
        with pytest.raises(type(error), match=str(error)):
            found.extend(Evaluator("mse").stream(pairs()))
        assert len(found) == 3

    def test_short_reads_other_types_and_changed_shapes(self, small_blocks):
        x, y = pair((60, 70, 3))
        with pytest.raises(ValueError, match=r"x\[.*\] gave pixels of shape .* a short read"):
            Evaluator()(Reader(x, lambda pixels: pixels[:-1]), y)
        with pytest.raises(ValueError, match="gave pixels of type int64, not uint8"):
            Evaluator()(x, Reader(y, lambda pixels: pixels.astype(np.int64)))
        grows = Reader(x)
        grows.read = lambda pixels: setattr(grows, "shape", (61, 70, 3)) or pixels
        with pytest.raises(ValueError, match=r"x had the shape \(60, 70, 3\) and has \(61, 70, 3\)"):
            Evaluator()(grows, y)

    def test_a_check_reads_no_pixel(self):
        x, y = pair((20, 20, 3))
        evaluator = Evaluator()
        readers = [Reader(image) for image in (x, y, x[..., 0])]
        evaluator.check(*readers[:2], mask=readers[2])
        assert [reader.largest for reader in readers] == [0, 0, 0]
        for images, mask in (((x, y[1:]), None), ((x[:9], y[:9]), None), ((x, y / 2), None), ((x, y), x[1:, :, 0])):
            with pytest.raises(ValueError, match=r"pass|convert") as scoring:
                evaluator(*images, mask=mask)
            with pytest.raises(ValueError, match=r"pass|convert") as checking:
                evaluator.check(*images, mask=mask)
            assert checking.value.args == scoring.value.args

    def test_arguments(self):
        x, y = pair((20, 20, 3))
        for call, message in (
            (lambda: Evaluator("sim"), "metrics must be some of 'ssim'"),
            (lambda: Evaluator(()), "metrics must be some of 'ssim'"),
            (lambda: Evaluator(convention="x"), "convention must be a jaxssim.Convention"),
            (lambda: Evaluator(None), "metrics must be some of 'ssim'"),
            (lambda: list(Evaluator().stream([None])), r"pairs must yield \(x, y\) or \(x, y, mask\), got None"),
            (lambda: jax.jit(Evaluator())(x, y), "x is traced, but an Evaluator computes on the host"),
            (lambda: list(Evaluator().stream([(x,)])), r"pairs must yield \(x, y\) or \(x, y, mask\), got 1"),
            (lambda: Evaluator()(x, y[1:]), "x and y must have the same shape"),
            (lambda: Evaluator()(x[:9], y[:9]), "smaller than the window"),
            (lambda: Evaluator("ms_ssim")(x, y), "5 scales need at least"),
            (lambda: Evaluator("psnr")(x / 2, y / 2), "data_range must be given"),
            (lambda: Evaluator("mse", data_range=-1)(x, y), "data_range must be positive"),
            (lambda: Evaluator("mse", k1=0)(x, y), "k1 must be at least"),
            (lambda: Evaluator()(x, y, mask=x[1:, :, 0]), "mask has shape"),
            (lambda: Evaluator("mse")(x, y, mask=-1.0 * x), "weights of at least 0"),
            (lambda: Evaluator(convention=conventions.SKIMAGE)(x, y, mask=x), "sample covariance"),
            (lambda: Evaluator()(x, y, out=np.empty((10, 10, 3))), 'pass "ssim_map" among them'),
            (lambda: Evaluator("ssim_map")(x, y, out=np.empty((10, 10, 3), int)), "out must hold floating numbers"),
            (lambda: Evaluator("ssim_map")(x, y, out=np.empty((20, 20, 3))), r"the map's shape \(10, 10, 3\)"),
        ):
            with pytest.raises(ValueError, match=message):
                call()


class Periodic:
    """An image that takes no memory, whose pixels repeat along every spatial axis; the last axis holds channels."""

    def __init__(self, period, repeats, halo, seed):
        self.tile = np.random.default_rng(seed).integers(0, 256, (*period, 3), np.uint8)
        self.shape = (*(n * repeat + halo for n, repeat in zip(period, repeats, strict=True)), 3)
        self.dtype = self.tile.dtype

    def __getitem__(self, slices):
        pixels = self.tile
        for axis, (each, n) in enumerate(zip(slices, self.shape[:-1], strict=False)):
            pixels = np.take(pixels, np.arange(n)[each] % self.tile.shape[axis], axis)
        return pixels


def anonymous_memory():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024


@slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("period", [(251, 241), (29, 31, 27)], ids=["image", "volume"])
def test_memory_grows_with_the_block_not_with_the_image(period):
    convention, halo = (conventions.WANG2004, 10) if len(period) == 2 else (SMALL, 4)
    repeats = (52, 56) if len(period) == 2 else (20, 17, 19)
    x, y = (Periodic(period, repeats, halo, seed) for seed in (0, 1))
    evaluator = Evaluator(convention=convention, spatial_ndim=len(period))
    evaluator(*(np.zeros((20,) * len(period) + (3,), np.uint8) for _ in range(2)))  # compiles
    before, during = anonymous_memory(), []
    found = evaluator(x, y, progress=lambda *_: during.append(anonymous_memory()))["ssim"]
    assert max(during) - before < 2**28
    # All windows together are those of one period, many times.
    once = (Periodic(period, (1,) * len(period), halo, seed)[(slice(None),) * len(period)] for seed in (0, 1))
    expected = 1 - reference.one_minus_ssim(*once, 255, convention, spatial_ndim=len(period))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-7)


@slow
def test_many_channels_whose_tapes_are_narrow():
    x, y = pair((20, 70, 90))
    found = Evaluator(("ssim", "mse"), channel_axis=-1, convention=Convention(window=Uniform(3)))(x, y)
    assert_close(found, truth(x, y, metrics=("ssim", "mse"), convention=Convention(window=Uniform(3))))


def test_windows_of_one_pixel_and_of_even_tapes():
    x, y = pair((40, 300, 1))
    convention = Convention(window=Uniform((1, 3)))
    found = Evaluator(convention=convention)(x, y)["ssim"]
    np.testing.assert_allclose(found, 1 - reference.one_minus_ssim(x, y, 255, convention), rtol=0, atol=2e-7)
