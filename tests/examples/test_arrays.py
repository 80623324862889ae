"""Data sets of arrays: which arrays of an .npz file hold images, and how their values become 8 bits."""

import numpy as np
import pytest

for name in ("grain", "PIL", "skimage"):
    pytest.importorskip(name)

from examples.autoencoder import array_names, arrays, images
from examples.autoencoder.config import Config

RANDOM = np.random.default_rng(0)


def noise(*shape):
    return RANDOM.integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("others", [("masks",), ("y_train", "train_labels"), ("segMasks", "test_masks", "depth")])
def test_npz_arrays_of_masks_and_labels_are_not_images(tmp_path, others):
    truth = noise(6, 64, 64)
    np.savez(tmp_path / "x.npz", images=truth, **{name: noise(6, 64, 64) for name in others})
    loaded = images.load_images(Config(data=tmp_path / "x.npz"))
    found = sorted(image[..., 0].tobytes() for image in loaded.training + loaded.test)
    assert found == sorted(image.tobytes() for image in truth)
    assert [note.split()[2] for note in loaded.report.notes] == list(others)


def test_names_of_npz_arrays_are_matched_by_words(tmp_path):
    parts = {name: noise(2, 64, 64) for name in ("latest", "contest", "attestation", "Xtrain")}
    np.savez(tmp_path / "x.npz", **parts)
    loaded = arrays.read_numpy(tmp_path / "x.npz")
    assert (len(loaded.training), loaded.test, loaded.notes) == (4, [], [])
    for name in ("test", "x_test", "testImages", "X_TEST", "images-test2"):
        np.savez(tmp_path / "x.npz", train=parts["latest"], **{name: parts["contest"]})
        loaded = arrays.read_numpy(tmp_path / "x.npz")
        np.testing.assert_array_equal(loaded.test, [parts["contest"]])


def test_16_bit_arrays_are_rounded_and_12_bits_need_their_range(tmp_path):
    path = tmp_path / "x.npy"
    deep = np.arange(65536, dtype=np.uint16).reshape(2, 128, 256)
    np.save(path, deep)
    loaded = np.stack(arrays.read_images(path).training)[..., 0]
    np.testing.assert_array_equal(loaded, np.rint(deep / 257))
    np.save(path, deep >> 4)
    with pytest.raises(SystemExit, match="at most 12 of its 16 bits"):
        arrays.read_images(path)
    loaded = np.stack(arrays.read_images(path, 4095).training)[..., 0]
    np.testing.assert_array_equal(loaded, np.rint((deep >> 4) * (255 / 4095)))
    np.save(path, (deep / 300).astype(np.float32))
    assert arrays.read_images(path, 255.0).training[1].max() == round(65535 / 300)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("x_train", "train"), ("X", "train"), ("arr_0", "train"), ("photos", "train"), ("latest", "train")),
        *(("contest_images", "train"), ("unmasked", "train"), ("day", "train"), ("testament", "train")),
        *(("test", "test"), ("xTest", "test"), ("TEST_IMAGES", "test"), ("tests3", "test")),
        *(("y", "other"), ("Masks", "other"), ("imageMask", "other"), ("segmasks", "other"), ("gt_test", "other")),
        *(("testimages", "test"), ("TESTSET", "test"), ("img_tst", "test"), ("holdout", "test"), ("bboxes", "other")),
        *(("dev", "other"), ("weights", "other"), ("ids", "other"), ("alpha", "other"), ("device", "train")),
        *(("groundTruth", "other"), ("train_labels", "other"), ("x_val", "other"), ("depths", "other")),
    ],
)
def test_words_of_a_name_tell_what_an_array_holds(name, kind):
    assert array_names.kind(name) == kind


def test_a_file_of_masks_alone_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", masks=noise(4, 64, 64))
    with pytest.raises(SystemExit, match=r"no images to train on; it holds masks \(4, 64, 64\); name an array images"):
        images.load_images(Config(data=tmp_path / "x.npz"))
