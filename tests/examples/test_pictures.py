"""Where the autoencoder's images come from: every source, and every way in which one can be broken."""

import gzip
import io
import os
import pickle
import struct
import tarfile
import warnings
import zlib

import numpy as np
import pytest

for name in ("grain", "skimage"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

from examples.autoencoder import arrays, input_pipeline, pictures
from examples.autoencoder.config import Config

RANDOM = np.random.default_rng(0)


def noise(*shape):
    return RANDOM.integers(0, 256, shape, np.uint8)


def same(images, truth):
    """Whether the images, in any order, are the grey or colour ones of `truth`."""
    truth = truth[..., None] if truth.ndim == 3 else truth
    expected = sorted(image.tobytes() for image in np.broadcast_to(truth, (*truth.shape[:3], 3)))
    return all(image.dtype == np.uint8 for image in images) and sorted(map(np.ndarray.tobytes, images)) == expected


def write_idx(path, images):
    """As LeCun's page describes the format: the type 8 (unsigned byte), three axes, their sizes, then the pixels."""
    content = bytes([0, 0, 8, 3]) + struct.pack(">III", *images.shape) + images.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_cifar(path, images, batches=5, suffix=".bin"):
    """As the authors' page describes it: a label, then 1024 red, 1024 green and 1024 blue bytes, row by row."""
    with tarfile.open(path, "w:gz") as archive:
        for i in range(batches + 1):
            name = f"data_batch_{i + 1}" if i < batches else "test_batch"
            records = [bytes([7]) + b"".join(image[..., c].tobytes() for c in range(3)) for image in images[i]]
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}{suffix}")
            member.size = sum(map(len, records))
            archive.addfile(member, io.BytesIO(b"".join(records)))


def png_claiming(width, height):
    """A PNG of a few bytes whose header says that it is larger."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def test_what_is_unreadable_is_named_with_its_reason(tmp_path):
    for i in range(3):
        Image.fromarray(noise(64, 64, 3)).save(tmp_path / f"{i}.png")
    whole = io.BytesIO()
    Image.fromarray(noise(64, 64, 3)).save(whole, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(whole.getvalue()[:1000])
    (tmp_path / "cut.png").write_bytes((tmp_path / "0.png").read_bytes()[:-500])
    (tmp_path / "bomb.png").write_bytes(png_claiming(50_000, 50_000))
    (tmp_path / "smaller-bomb.png").write_bytes(png_claiming(10_000, 10_000))
    Image.fromarray(noise(1, 200_000)).save(tmp_path / "thread.png")
    (tmp_path / "text.png").write_text("words")
    (tmp_path / "drawing.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\nshowpage\n")
    (tmp_path / "empty.gif").touch()
    (tmp_path / "labels.csv").write_text("not looked at")
    images = pictures.photographs(Config(data=tmp_path))
    assert len(images.training) + len(images.testing) == 3
    reasons = {unreadable.path.name: unreadable.reason for unreadable in images.unreadable}
    assert reasons.keys() == {
        *("cut.jpg", "cut.png", "bomb.png", "smaller-bomb.png", "thread.png", "text.png", "drawing.png", "empty.gif")
    }
    assert "truncated" in reasons["cut.jpg"]
    assert "truncated" in reasons["cut.png"]
    assert "2500000000 pixels" in reasons["bomb.png"]
    assert "100000000 pixels" in reasons["smaller-bomb.png"]
    assert "so narrow" in reasons["thread.png"]
    assert reasons["text.png"] == reasons["drawing.png"] == reasons["empty.gif"] == "not an image"
    assert str(images.unreadable[0]) == f"{tmp_path / 'bomb.png'} ({reasons['bomb.png']})"


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_a_bomb_is_refused_whatever_warnings_do(tmp_path, action):
    (tmp_path / "bomb.png").write_bytes(png_claiming(10_000, 10_000))
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        with pytest.raises(Image.DecompressionBombWarning):
            pictures.read(tmp_path / "bomb.png", 64)


def test_every_suffix_is_looked_at(tmp_path):
    for suffix in sorted(pictures.SUFFIXES - {".pfm"}):
        Image.fromarray(noise(64, 64)).save(tmp_path / f"grey{suffix.upper()}")
    images = pictures.photographs(Config(data=tmp_path))
    assert not images.unreadable
    assert len(images.training) + len(images.testing) == len(pictures.SUFFIXES) - 1 > 10


@pytest.mark.parametrize("shape", [(10, 64, 64), (10, 64, 64, 1), (10, 65, 70, 3)])
def test_an_npy_file(tmp_path, shape):
    truth = noise(*shape)
    np.save(tmp_path / "images.npy", truth)
    images = pictures.photographs(Config(data=tmp_path / "images.npy"))
    assert (len(images.training), len(images.testing)) == (8, 2)
    assert same(images.training + images.testing, truth)


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "f2", "f4", ">f8"])
def test_other_types_in_a_file_become_the_nearest_8_bits(tmp_path, dtype):
    truth = noise(4, 64, 64, 3)
    deep = truth.astype(dtype) * 257 if dtype[1:] == "u2" else (truth / 255).astype(dtype)
    np.save(tmp_path / "images.npy", deep)
    images = pictures.photographs(Config(data=tmp_path / "images.npy"))
    assert same(images.training + images.testing, truth)


def test_an_npz_file_whose_names_say_what_is_for_testing(tmp_path):
    training, testing = noise(7, 64, 64), noise(3, 64, 64)
    np.savez_compressed(
        tmp_path / "mnist.npz", x_train=training, y_train=np.arange(7), x_test=testing, y_test=np.arange(3)
    )
    images = pictures.photographs(Config(data=tmp_path / "mnist.npz"))
    assert same(images.training, training)
    assert same(images.testing, testing)
    np.savez(tmp_path / "one.npz", training, testing)
    images = pictures.photographs(Config(data=tmp_path / "one.npz", test_fraction=0.5))
    assert len(images.training) == len(images.testing) == 5
    assert same(images.training + images.testing, np.concatenate([training, testing]))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder_of_idx_files(tmp_path, suffix):
    training, testing = noise(6, 28, 28), noise(3, 28, 28)
    write_idx(tmp_path / f"train-images-idx3-ubyte{suffix}", training)
    write_idx(tmp_path / f"t10k-images-idx3-ubyte{suffix}", testing)
    (tmp_path / f"train-labels-idx1-ubyte{suffix}").write_bytes(b"not looked at")
    images = pictures.photographs(Config(data=tmp_path, patch=28, block=7))
    assert same(images.training, training)
    assert same(images.testing, testing)
    assert not images.unreadable


def test_cifar_10(tmp_path):
    truth = noise(6, 2, 32, 32, 3)
    path = tmp_path / "cifar-10-binary.tar.gz"
    write_cifar(path, truth)
    images = pictures.photographs(Config(data=path, patch=32))
    assert same(images.training, truth[:5].reshape(10, 32, 32, 3))
    assert same(images.testing, truth[5])


class Harmful:
    """What unpickling must not reach."""

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
        ("wide.npy", lambda path: np.save(path, np.full((9, 64, 64), 1.5)), "from 1.5 to 1.5; pass floats in"),
        ("negative.npy", lambda path: np.save(path, np.full((9, 64, 64), -0.1)), "from -0.1 to -0.1"),
        ("nan.npy", lambda path: np.save(path, np.full((9, 64, 64), np.nan)), "from nan to nan"),
        ("one.npy", lambda path: np.save(path, noise(1, 64, 64)), "holds 1 images to train on"),
        ("none.npy", lambda path: np.save(path, noise(0, 64, 64)), "holds 0 images to train on"),
        ("small.npy", lambda path: np.save(path, noise(9, 28, 30)), "of 28 pixels, .* pass --patch 28 --block 7"),
        ("labels.npz", lambda path: np.savez(path, y=np.arange(7)), r"no images to train on, but y \(7,\)"),
        ("cut.npz", truncated, "cannot be read"),
        ("cut.npy", lambda path: path.write_bytes(b"\x93NUMPY"), "cannot be read"),
        ("nowhere.npy", lambda path: None, "No such file"),
        ("cut", truncated_idx, "ended before"),
        ("short", short_idx, r"train-images-idx3-ubyte is not a whole idx file.*\[6, 28, 28\] and has 4703 pixels"),
        ("alone", training_idx_alone, "No such file.*t10k-images-idx3-ubyte"),
        ("cifar-10-python.tar.gz", lambda path: write_cifar(path, noise(6, 2, 32, 32, 3), suffix=""), "pickles"),
        ("uneven.tar.gz", uneven_cifar, "data_batch_1.bin is not of whole records"),
        ("half.tar.gz", lambda path: write_cifar(path, noise(1, 2, 32, 32, 3), batches=0), "lacks data_batch_1.bin"),
        ("cut.tar.gz", lambda path: path.write_bytes(gzip.compress(bytes(2000))[:20]), "cannot be read"),
        ("text.txt", lambda path: path.write_text("words"), "is not a folder; pass one of images or idx files"),
    ],
)
def test_what_is_refused_and_what_is_said(tmp_path, monkeypatch, name, write, words):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name)
    with pytest.raises(SystemExit, match=words) as refused:
        pictures.photographs(Config(data=tmp_path / name))
    assert str(tmp_path / name) in str(refused.value)
    assert not (tmp_path / "unpickled").exists()


def test_arrays_of_8_bits_are_not_copied(tmp_path):
    np.save(tmp_path / "images.npy", noise(5, 64, 64))
    training, _ = arrays.read(tmp_path / "images.npy")
    assert all(image.strides[2] == 0 for image in training)
    assert isinstance(arrays.read_numpy(tmp_path / "images.npy").training[0], np.memmap)


def test_the_split_keeps_every_image_once_and_follows_the_seed(tmp_path):
    truth = noise(40, 16, 16)
    np.save(tmp_path / "images.npy", truth)

    def halves(seed):
        config = Config(data=tmp_path / "images.npy", patch=16, test_fraction=0.25, seed=seed)
        images = pictures.photographs(config)
        return [[image.tobytes() for image in half] for half in (images.training, images.testing)]

    training, testing = halves(0)
    assert (len(training), len(testing)) == (30, 10)
    assert not set(training) & set(testing)
    assert halves(0) == [training, testing]
    assert set(halves(1)[1]) != set(testing)


def test_augmentation_does_what_its_name_says():
    image = noise(9, 9, 3)
    whole = {
        augment: {input_pipeline.random_patch(image, 9, rng, augment).tobytes() for _ in range(200)}
        for augment, rng in zip(("crops", "flips", "all"), map(np.random.default_rng, range(3)), strict=True)
    }
    assert whole["crops"] == {image.tobytes()}
    assert whole["flips"] == {image.tobytes(), image[:, ::-1].tobytes()}
    assert len(whole["all"]) > 150
    rng = np.random.default_rng(0)
    crops = {input_pipeline.random_patch(image, 8, rng, "crops").tobytes() for _ in range(100)}
    assert crops == {image[top : top + 8, left : left + 8].tobytes() for top in (0, 1) for left in (0, 1)}


def test_batches_are_augmented_as_the_config_says(tmp_path):
    truth = noise(6, 28, 28)
    np.save(tmp_path / "images.npy", truth)
    config = Config(data=tmp_path / "images.npy", patch=28, block=7, batch_size=4, augment="crops", test_fraction=0.4)
    images = pictures.photographs(config)
    batch = next(input_pipeline.training_batches(images.training, config))
    assert batch.dtype == np.uint8
    assert same(batch, np.stack(images.training)[..., 0])
