"""Data sets that come as arrays: NumPy's files, MNIST's and CIFAR-10's as their authors publish them.

Nothing is unpickled, since a pickle runs whatever code it holds: arrays of objects are refused, and of CIFAR-10's
archives the binary one is read, which has the same pictures as the one of pickles.
"""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

IDX_TRAINING, IDX_TESTING = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"
CIFAR = "cifar-10-binary.tar.gz"
UNREADABLE = (OSError, EOFError, ValueError, zlib.error, tarfile.TarError, zipfile.BadZipFile)


class Arrays(NamedTuple):
    """Arrays (images, height, width[, channels]); `testing` is empty where a data set keeps none for testing."""

    training: list[np.ndarray]
    testing: list[np.ndarray]


def read(path: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A data set's images (height, width, 3) of uint8, for training and, where it says which, for testing."""
    try:
        training, testing = read_arrays(path)
        return [*chain(*map(images, training))], [*chain(*map(images, testing))]
    except UNREADABLE as error:
        raise SystemExit(f"--data {path} cannot be read: {error}") from None


def read_arrays(path: Path) -> Arrays:
    """What is in a folder of idx files, an archive or a file of NumPy's."""
    if path.is_dir():
        return Arrays([read_idx(path, IDX_TRAINING)], [read_idx(path, IDX_TESTING)])
    return read_cifar(path) if path.suffix == ".gz" else read_numpy(path)


def images(array: np.ndarray) -> Iterator[np.ndarray]:
    """Each image of an array as uint8 with three channels; of uint8 they are views."""
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise ValueError(f"its shape is {array.shape}; pass (images, height, width[, channels]), channels 1 or 3")
    if not (array.dtype.type in (np.uint8, np.uint16) or np.issubdtype(array.dtype, np.floating)):
        raise ValueError(f"it holds {array.dtype}; pass uint8, uint16 or floats in [0, 1]")
    return map(rgb, map(eight_bits, array))


def eight_bits(image: np.ndarray) -> np.ndarray:
    """An image of uint8, uint16 or floats in [0, 1] as uint8."""
    match image.dtype.type:
        case np.uint8:
            return image
        case np.uint16:
            return (image // 257).astype(np.uint8)
    if not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(f"its floats lie from {image.min()} to {image.max()}; pass floats in [0, 1]")
    return np.rint(image * 255).astype(np.uint8)


def rgb(image: np.ndarray) -> np.ndarray:
    """An image (height, width), (height, width, 1) or (height, width, 3) with three channels, not copied."""
    image = image[..., None] if image.ndim == 2 else image
    return np.broadcast_to(image, (*image.shape[:2], 3))


def read_numpy(path: Path) -> Arrays:
    """The array of an .npy file, left on disk; those of an .npz file, for testing if "test" is in their names.

    Arrays of fewer than three axes are passed over in an .npz file: they are labels.
    """
    loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return Arrays([loaded], [])
    with loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    images = {name: array for name, array in arrays.items() if array.ndim > 2}
    training, testing = ([images[name] for name in images if ("test" in name) == test] for test in (False, True))
    if not training:
        named = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"it holds no images to train on, but {named or 'nothing'}")
    return Arrays(training, testing)


def holds_idx(folder: Path) -> bool:
    """Whether a folder holds a data set in MNIST's format."""
    return any(folder.glob(f"{IDX_TRAINING}*"))


def read_idx(folder: Path, name: str) -> np.ndarray:
    """MNIST's images, gzipped or not: 2051 and three sizes, big-endian, then a byte a pixel."""
    plain = folder / name
    with plain.open("rb") if plain.exists() else gzip.open(folder / f"{name}.gz") as file:
        content = file.read()
    magic, *shape = np.frombuffer(content, ">u4", count=4).tolist()
    pixels = np.frombuffer(content, np.uint8, offset=16)
    if magic != 2051 or pixels.size != np.prod(shape):
        raise ValueError(f"{name} is not a whole idx file of images: it says {shape} and has {pixels.size} pixels")
    return pixels.reshape(shape)


def read_cifar(path: Path) -> Arrays:
    """CIFAR-10's binary archive: records of a label's byte and 32x32 pixels, red ones first; (images, 32, 32, 3)."""
    arrays = Arrays([], [])
    with tarfile.open(path) as archive:
        for member in archive:
            name = Path(member.name).name
            if name == "data_batch_1":
                raise ValueError(f"it holds pickles, which can run any code; pass {CIFAR}, the same pictures")
            if member.isfile() and name.startswith(("data_batch_", "test_batch")):
                content = archive.extractfile(member).read()  # type: ignore[union-attr]
                if len(content) % 3073:
                    raise ValueError(f"{name} is not of whole records of 3073 bytes")
                pixels = np.frombuffer(content, np.uint8).reshape(-1, 3073)[:, 1:]
                images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
                (arrays.testing if name.startswith("test") else arrays.training).append(images)
    if not (arrays.training and arrays.testing):
        raise ValueError(f"it lacks data_batch_1.bin to data_batch_5.bin and test_batch.bin; pass {CIFAR}")
    return arrays
