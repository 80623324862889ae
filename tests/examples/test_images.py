"""The autoencoder's images: every source that it reads, and every input that it refuses."""

import gzip
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

for name in ("grain", "skimage"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

from examples.autoencoder import arrays, images, input_pipeline
from examples.autoencoder.config import Config

RANDOM = np.random.default_rng(0)


def noise(*shape):
    return RANDOM.integers(0, 256, shape, np.uint8)


def equal_in_any_order(found, truth):
    """Returns whether the images found are those of `truth`, grey or colour, in any order."""
    truth = truth[..., None] if truth.ndim == 3 else truth
    expected = sorted(image.tobytes() for image in np.broadcast_to(truth, (*truth.shape[:3], 3)))
    return all(image.dtype == np.uint8 for image in found) and sorted(map(np.ndarray.tobytes, found)) == expected


def write_idx(path, images):
    """Writes the format of LeCun's page: the type 8 (unsigned byte), the number of axes, their sizes, the pixels."""
    content = bytes([0, 0, 8, 3]) + struct.pack(">III", *images.shape) + images.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_cifar(path, images, batches=5, suffix=".bin"):
    """Writes the format of the authors' page: a label, then 1024 red, 1024 green and 1024 blue bytes, row by row."""
    with tarfile.open(path, "w:gz") as archive:
        for i in range(batches + 1):
            name = f"data_batch_{i + 1}" if i < batches else "test_batch"
            records = [bytes([7]) + b"".join(image[..., c].tobytes() for c in range(3)) for image in images[i]]
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}{suffix}")
            member.size = sum(map(len, records))
            archive.addfile(member, io.BytesIO(b"".join(records)))


def test_unreadable_files_are_listed_with_the_reason(tmp_path):
    for i in range(3):
        Image.fromarray(noise(64, 64, 3)).save(tmp_path / f"{i}.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "0.png").read_bytes()[:-500])
    Image.fromarray(noise(1, 200_000)).save(tmp_path / "thread.png")
    (tmp_path / "text.png").write_text("words")
    (tmp_path / "camera.nef").touch()
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "labels.csv").write_text("ignored")
    loaded = images.load_images(Config(data=tmp_path))
    assert len(loaded.training) + len(loaded.test) == 3
    reasons = {unreadable.path.name: unreadable.reason for unreadable in loaded.report.unreadable}
    assert reasons.keys() == {"cut.png", "thread.png", "text.png", "camera.nef", "broken.png"}
    assert "truncated" in reasons["cut.png"]
    assert "so narrow" in reasons["thread.png"]
    assert reasons["text.png"] == "not an image"
    assert loaded.report.lines()[0].startswith(f"5 unreadable: {tmp_path / 'broken.png'} (a broken link")


def test_files_of_every_image_suffix_are_read(tmp_path):
    written = [suffix for suffix in images.SUFFIXES if suffix in Image.registered_extensions() and suffix != ".pfm"]
    for suffix in written:
        Image.fromarray(noise(64, 64)).save(tmp_path / f"grey{suffix.upper()}")
    loaded = images.load_images(Config(data=tmp_path))
    assert not loaded.report.unreadable
    assert len(loaded.training) + len(loaded.test) == len(written) > 10


@pytest.mark.parametrize("shape", [(10, 64, 64), (10, 64, 64, 1), (10, 65, 70, 3)])
def test_an_npy_file_is_read_and_split(tmp_path, shape):
    truth = noise(*shape)
    np.save(tmp_path / "images.npy", truth)
    loaded = images.load_images(Config(data=tmp_path / "images.npy"))
    assert (len(loaded.training), len(loaded.test)) == (8, 2)
    assert equal_in_any_order(loaded.training + loaded.test, truth)


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "f2", "f4", ">f8"])
def test_other_types_are_rounded_to_uint8(tmp_path, dtype):
    truth = noise(4, 64, 64, 3)
    deep = truth.astype(dtype) * 257 if dtype[1:] == "u2" else (truth / 255).astype(dtype)
    np.save(tmp_path / "images.npy", deep)
    loaded = images.load_images(Config(data=tmp_path / "images.npy"))
    assert equal_in_any_order(loaded.training + loaded.test, truth)


def test_npz_arrays_named_test_are_the_test_images(tmp_path):
    training, testing = noise(7, 64, 64), noise(3, 64, 64)
    np.savez_compressed(
        tmp_path / "mnist.npz", x_train=training, y_train=np.arange(7), x_test=testing, y_test=np.arange(3)
    )
    loaded = images.load_images(Config(data=tmp_path / "mnist.npz"))
    assert equal_in_any_order(loaded.training, training)
    assert equal_in_any_order(loaded.test, testing)
    np.savez(tmp_path / "one.npz", training, testing)
    loaded = images.load_images(Config(data=tmp_path / "one.npz", test_fraction=0.5))
    assert len(loaded.training) == len(loaded.test) == 5
    assert equal_in_any_order(loaded.training + loaded.test, np.concatenate([training, testing]))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_are_read(tmp_path, suffix):
    training, testing = noise(6, 28, 28), noise(3, 28, 28)
    write_idx(tmp_path / f"train-images-idx3-ubyte{suffix}", training)
    write_idx(tmp_path / f"t10k-images-idx3-ubyte{suffix}", testing)
    (tmp_path / f"train-labels-idx1-ubyte{suffix}").write_bytes(b"ignored")
    loaded = images.load_images(Config(data=tmp_path, patch=28, block=7))
    assert equal_in_any_order(loaded.training, training)
    assert equal_in_any_order(loaded.test, testing)
    assert not loaded.report.lines()


def test_the_binary_archive_of_cifar_10_is_read(tmp_path):
    truth = noise(6, 2, 32, 32, 3)
    path = tmp_path / "cifar-10-binary.tar.gz"
    write_cifar(path, truth)
    loaded = images.load_images(Config(data=path, patch=32))
    assert equal_in_any_order(loaded.training, truth[:5].reshape(10, 32, 32, 3))
    assert equal_in_any_order(loaded.test, truth[5])


class Harmful:
    """Creates a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def harmful_npz(path):
    np.savez(path, x=noise(2, 64, 64), y=np.asarray([Harmful()], object))


def truncated(path):
    np.savez_compressed(path, x=noise(2, 64, 64))
    path.write_bytes(path.read_bytes()[:-100])


def truncated_idx(path):
    path.mkdir()
    write_idx(path / "train-images-idx3-ubyte.gz", noise(6, 28, 28))
    (path / "train-images-idx3-ubyte.gz").write_bytes((path / "train-images-idx3-ubyte.gz").read_bytes()[:500])


def short_idx(path, files=("train", "t10k")):
    path.mkdir()
    for name in files:
        write_idx(path / f"{name}-images-idx3-ubyte", noise(6, 28, 28))
    (path / "train-images-idx3-ubyte").write_bytes((path / "train-images-idx3-ubyte").read_bytes()[:-1])


def training_idx_alone(path):
    path.mkdir()
    write_idx(path / "train-images-idx3-ubyte", noise(6, 28, 28))


def uneven_cifar(path):
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("data_batch_1.bin")
        member.size = 5000
        archive.addfile(member, io.BytesIO(bytes(5000)))


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("objects.npy", lambda path: np.save(path, np.asarray([Harmful()], object)), "Python objects"),
        ("objects.npz", harmful_npz, "Object arrays cannot be loaded"),
        ("pickle.npy", lambda path: path.write_bytes(pickle.dumps(Harmful())), "pickled"),
        ("flat.npy", lambda path: np.save(path, noise(9, 64)), r"its shape is \(9, 64\); pass \(images, height"),
        ("first.npy", lambda path: np.save(path, noise(9, 3, 64, 64)), r"its shape is \(9, 3, 64, 64\)"),
        ("int64.npy", lambda path: np.save(path, np.zeros((9, 64, 64), int)), "holds int64; pass uint8, uint16 or fl"),
        ("complex.npy", lambda path: np.save(path, np.zeros((9, 64, 64), complex)), "holds complex128"),
        ("wide.npy", lambda path: np.save(path, np.full((9, 64, 64), 1.5)), "range from 1.5 to 1.5; pass floats in"),
        ("negative.npy", lambda path: np.save(path, np.full((9, 64, 64), -0.1)), "from -0.1 to -0.1"),
        ("nan.npy", lambda path: np.save(path, np.full((9, 64, 64), np.nan)), "from nan to nan"),
        ("one.npy", lambda path: np.save(path, noise(1, 64, 64)), "holds 1 images to train on"),
        ("none.npy", lambda path: np.save(path, noise(0, 64, 64)), "holds 0 images to train on"),
        ("small.npy", lambda path: np.save(path, noise(9, 28, 30)), "of 28 pixels, .* pass --patch 28 --block 7"),
        ("labels.npz", lambda path: np.savez(path, y=np.arange(7)), r"no images to train on; it holds y \(7,\)"),
        ("cut.npz", truncated, "cannot be read"),
        ("cut.npy", lambda path: path.write_bytes(b"\x93NUMPY"), "cannot be read"),
        ("nowhere.npy", lambda path: None, "No such file"),
        ("cut", truncated_idx, "ended before"),
        ("short", short_idx, r"train-images-idx3-ubyte is not a complete idx file.*\[6, 28, 28\], it has 4703 pixels"),
        ("alone", training_idx_alone, "No such file.*t10k-images-idx3-ubyte"),
        ("cifar-10-python.tar.gz", lambda path: write_cifar(path, noise(6, 2, 32, 32, 3), suffix=""), "pickles"),
        ("uneven.tar.gz", uneven_cifar, "data_batch_1.bin is not a whole number of records"),
        ("half.tar.gz", lambda path: write_cifar(path, noise(1, 2, 32, 32, 3), batches=0), "lacks data_batch_1.bin"),
        ("cut.tar.gz", lambda path: path.write_bytes(gzip.compress(bytes(2000))[:20]), "cannot be read"),
        ("text.txt", lambda path: path.write_text("words"), "is not a folder; pass a folder of images or idx files"),
    ],
)
def test_bad_data_is_refused_with_the_reason(tmp_path, monkeypatch, name, write, words):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name)
    with pytest.raises(SystemExit, match=words) as refused:
        images.load_images(Config(data=tmp_path / name))
    assert str(tmp_path / name) in str(refused.value)
    assert not (tmp_path / "unpickled").exists()


def test_uint8_arrays_are_not_copied(tmp_path):
    np.save(tmp_path / "images.npy", noise(5, 64, 64))
    training = arrays.read_images(tmp_path / "images.npy").training
    assert all(image.strides[2] == 0 for image in training)
    assert isinstance(arrays.read_numpy(tmp_path / "images.npy").training[0], np.memmap)


def test_the_split_uses_every_image_once_and_depends_on_the_seed(tmp_path):
    truth = noise(40, 16, 16)
    np.save(tmp_path / "images.npy", truth)

    def split(seed):
        config = Config(data=tmp_path / "images.npy", patch=16, test_fraction=0.25, seed=seed)
        loaded = images.load_images(config)
        return [[image.tobytes() for image in part] for part in (loaded.training, loaded.test)]

    training, test = split(0)
    assert (len(training), len(test)) == (30, 10)
    assert not set(training) & set(test)
    assert split(0) == [training, test]
    assert set(split(1)[1]) != set(test)


def test_each_augmentation_yields_the_patches_that_it_describes():
    image = noise(9, 9, 3)
    full_size = {
        augment: {input_pipeline.random_patch(image, 9, rng, augment).tobytes() for _ in range(200)}
        for augment, rng in zip(("crops", "flips", "all"), map(np.random.default_rng, range(3)), strict=True)
    }
    assert full_size["crops"] == {image.tobytes()}
    assert full_size["flips"] == {image.tobytes(), image[:, ::-1].tobytes()}
    assert len(full_size["all"]) > 150
    rng = np.random.default_rng(0)
    crops = {input_pipeline.random_patch(image, 8, rng, "crops").tobytes() for _ in range(100)}
    assert crops == {image[top : top + 8, left : left + 8].tobytes() for top in (0, 1) for left in (0, 1)}


def test_training_batches_use_the_configured_augmentation(tmp_path):
    truth = noise(6, 28, 28)
    np.save(tmp_path / "images.npy", truth)
    config = Config(data=tmp_path / "images.npy", patch=28, block=7, batch_size=4, augment="crops", test_fraction=0.4)
    loaded = images.load_images(config)
    batch = next(input_pipeline.training_batches(loaded.training, config))
    assert batch.dtype == np.uint8
    assert equal_in_any_order(batch, np.stack(loaded.training)[..., 0])
