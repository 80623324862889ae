"""Containers that carry more than numbers: each works as its owner means, or is an error that says what to pass."""

import array
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from marks import slow

import jaxssim

X = np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)
Y = np.random.default_rng(1).integers(0, 256, (20, 24, 3)).astype(np.uint8)
VALUE = jaxssim.ssim(X, Y)


class Container:
    """Numbers, and some attributes beside these; NumPy reads the numbers alone."""

    def __init__(self, numbers, **attributes):
        self.numbers = numbers
        vars(self).update(attributes)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.numbers, dtype)


def refused(*words):
    return pytest.raises(ValueError, match="(?s)" + ".*".join(words))


def test_a_masked_array_is_refused_with_the_mask_to_pass():
    masked = np.ma.MaskedArray(X, mask=X > 200)
    for x, y in ((masked, Y), (Y, masked), ([masked, masked], [Y, Y])):
        with refused("MaskedArray", "carries a mask", "mask="):
            jaxssim.ssim(x, y)
    with refused("mask is a .*MaskedArray"):
        jaxssim.ssim(X, Y, mask=masked[..., 0] > 3)


def test_a_masked_array_without_masked_pixels_is_an_array():
    assert jaxssim.ssim(np.ma.MaskedArray(X), np.ma.MaskedArray(Y, mask=False)) == VALUE


@pytest.mark.parametrize("attribute", ["unit", "units", "dims", "index", "columns", "mask"])
def test_containers_of_more_than_numbers_are_refused_by_their_attributes(attribute):
    with refused(r"y is a \w+\.Container", "carries", "pass"):
        jaxssim.ssim(X, Container(Y, **{attribute: "anything"}))
    for plain in ({"name": "plain"}, {attribute: None}, {attribute: len}):  # a method, or nothing there
        assert jaxssim.ssim(X, Container(Y, **plain)) == VALUE


def test_a_frame_whose_mask_is_a_method_is_refused_for_its_labels():
    with refused("carries labels", "to_numpy"):
        jaxssim.ssim(X, Container(Y, mask=len, index=[0, 1]))


def test_masks_and_units_of_options_are_not_lost_either():
    masked = np.ma.array([0.5, 0.5], mask=[False, True])
    with refused("weights is a .*MaskedArray"):
        jaxssim.ms_ssim(X, Y, weights=masked)
    with refused("sigmas is a .*Container", "units"):
        jaxssim.ms_ssim_l1_loss(X, Y, sigmas=Container([0.5, 1.0], unit="pix"))
    with refused("valid is a .*MaskedArray"):
        jaxssim.metrics.Average().update(x=X[None], y=Y[None], valid=np.ma.array([True], mask=[True]))


def test_quantised_tensors_are_refused():
    with refused("quantised", "scale"):
        jaxssim.ssim(X, Container(Y, dtype=Container(0, is_quantized=True)))


def test_plain_numbers_of_any_make_are_arrays():
    numbers = array.array("f", [1, 2, 4])
    assert jaxssim.mse(numbers, memoryview(numbers), spatial_ndim=1, channel_axis=None) == 0


@pytest.mark.parametrize("value", [{"image": X}, object(), {1, 2}, [object()]])
def test_what_holds_no_numbers_is_refused(value):
    with refused("x is a", "not an array of numbers", "toarray"):
        jaxssim.ssim(value, Y)


def test_pandas_frames_are_refused_since_their_rows_are_aligned_by_labels():
    pandas = pytest.importorskip("pandas")
    with refused("x is a pandas.*DataFrame", "to_numpy"):
        jaxssim.ssim(pandas.DataFrame(X[..., 0]), Y[..., 0], channel_axis=None)


def test_pictures_of_pillow_are_read_where_their_numbers_are_colours():
    image = pytest.importorskip("PIL.Image")
    x, y = image.fromarray(X), image.fromarray(Y)
    assert jaxssim.ssim(x, y) == VALUE
    assert jaxssim.ssim([x, x], [y, y]).tolist() == [VALUE, VALUE]
    for mode in ("P", "CMYK", "HSV", "YCbCr"):
        with refused(f"mode '{mode}'", r'convert\("RGB"\)'):
            jaxssim.ssim(x.convert(mode), y)
    with refused("mode 'I'", "float32"):
        jaxssim.ssim(image.new("I", x.size), y)
    with refused("mode 'LAB'", "red, green and blue"):
        jaxssim.ssim(image.new("LAB", x.size), y)
    for mode in ("RGBA", "LA"):
        with refused("transparent", r"mask=a\[\.\.\., 3\]"):
            jaxssim.ssim(x.convert(mode), y)


def test_opened_pictures_that_carry_more_than_their_pixels_are_refused(tmp_path):
    image = pytest.importorskip("PIL.Image")
    x, y = image.fromarray(X), image.fromarray(Y)
    x.save(tmp_path / "transparent.png", transparency=(0, 0, 0))
    x.save(tmp_path / "frames.tiff", save_all=True, append_images=[y])
    exif = image.Exif()
    exif[0x0112] = 6
    x.save(tmp_path / "turned.png", exif=exif)
    for name, words in (("transparent.png", "mask"), ("frames.tiff", "2 frames"), ("turned.png", "exif_transpose")):
        with image.open(tmp_path / name) as opened, refused(words):
            jaxssim.ssim(opened, opened)


def test_a_mask_may_be_a_picture_of_two_levels():
    image = pytest.importorskip("PIL.Image")
    mask = np.arange(24) * np.ones((20, 1)) > 5
    picture = image.fromarray(np.uint8(255 * mask)).convert("1")
    expected = jaxssim.ssim(X, Y, mask=mask)
    for each in (picture, np.asarray(picture)):  # whose True is the byte 255
        assert jaxssim.ssim(X, Y, mask=each) == expected


@pytest.mark.parametrize(
    "value", [None, "a.png", b"a.png", Path("a.png"), ["a.png", "b.png"], np.array(["a.png"]), np.str_("a.png")]
)
def test_paths_and_none_are_refused_with_how_to_load_a_picture(value):
    with refused("x must be an array", "PIL.Image.open"):
        jaxssim.ssim(value, Y)


def test_what_numpy_cannot_read_is_refused_by_its_type():
    class Unreadable:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad")

    with refused("x is a .*Unreadable", "requires grad", "JAX or NumPy"):
        jaxssim.mse(Unreadable(), Y)


@slow
def test_tensors_of_tensorflow_are_arrays():
    if "tensorflow" not in sys.modules:
        pytest.importorskip("tensorflow")
    import tensorflow as tf

    assert jaxssim.ssim(tf.constant(X), tf.constant(Y)) == VALUE


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_images_are_refused_with_abs(dtype):
    with refused("complex", r"jnp\.abs\(x\)"):
        jaxssim.ssim(X.astype(dtype), Y.astype(dtype), data_range=255)


def test_data_ranges_carry_no_more_than_numbers_either():
    with refused("data_range is a .*Container", "units"):
        jaxssim.ssim(X, Y, data_range=Container(255, units="V"))


@pytest.mark.parametrize("name", ["channel_axis", "spatial_ndim", "crop_border"])
def test_static_arguments_that_jit_traces_are_refused_with_static_argnames(name):
    value = {"channel_axis": -1, "spatial_ndim": 2, "crop_border": 1}[name]
    with refused(f"{name} is traced", "static_argnames", "lambda"):
        jax.jit(jaxssim.ssim)(X, Y, **{name: value})
    jax.jit(jaxssim.ssim, static_argnames=name)(X, Y, **{name: value})


@pytest.mark.parametrize(
    ("function", "name", "value"),
    [
        (jaxssim.ms_ssim, "weights", (0.5, 0.5)),
        (jaxssim.ms_ssim_l1_loss, "sigmas", (0.5, 1.0)),
        (jaxssim.ms_ssim_l1_loss, "alpha", 0.5),
        (jaxssim.cw_ssim, "levels", 2),
        (jaxssim.cw_ssim, "guard", 0),
        (jaxssim.cw_ssim, "k", 0.0),
        (jaxssim.steerable_pyramid, "orientations", 2),
    ],
)
def test_other_static_arguments_too(function, name, value):
    images = (X,) if function is jaxssim.steerable_pyramid else (X, Y)
    with refused(f"{name} is traced", "static_argnames"):
        jax.jit(function)(*images, **{name: value})
