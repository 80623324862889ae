"""Data sets stored as arrays: NumPy files, the idx files of MNIST, and the binary archive of CIFAR-10.

Nothing is unpickled, because unpickling can run arbitrary code: object arrays are refused, and of CIFAR-10's two
archives only the binary one is read, which holds the same images as the pickled one.
"""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from examples.autoencoder import array_names
from jaxssim._pictures import doubt_16_bits, show_name, to_rgb, to_uint8

IDX_TRAINING, IDX_TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"
IDX_MAGIC = 2051  # unsigned bytes, three axes
CIFAR = "cifar-10-binary.tar.gz"
CIFAR_RECORD = 1 + 3 * 32 * 32  # bytes: the label, then red, green and blue
READ_ERRORS = (OSError, EOFError, ValueError, zlib.error, tarfile.TarError, zipfile.BadZipFile)


class Arrays(NamedTuple):
    """Arrays of images (images, height, width) or (images, height, width, channels), or single images.

    `test` is empty where the data set does not say which images are for testing. `notes` says what was left out.
    """

    training: list[np.ndarray]
    test: list[np.ndarray]
    notes: list[str]


def read_images(path: Path, data_range: float | None = None) -> Arrays:
    """Reads the training and test images of a data set.

    Args:
      path: an .npy or .npz file, a folder of idx files, or CIFAR-10's binary archive.
      data_range: the value of white in uint16 and floats; by default 65535 and 1.

    Returns:
      Lists of uint8 images (height, width, 3).

    Raises:
      SystemExit: the data cannot be read; the message says why.
    """
    try:
        arrays = read_arrays(path)
        training, test = (
            [image for array in part for image in rgb_images(array, data_range, arrays.notes)]
            for part in (arrays.training, arrays.test)
        )
        return Arrays(training, test, arrays.notes)
    except READ_ERRORS as error:
        raise SystemExit(f"--data {show_name(path)} cannot be read: {error}") from None


def read_arrays(path: Path) -> Arrays:
    """Reads a folder of idx files, a CIFAR-10 archive or a NumPy file."""
    if path.is_dir():
        return Arrays([read_idx(path, IDX_TRAINING)], [read_idx(path, IDX_TEST)], [])
    return read_cifar(path) if path.suffix == ".gz" else read_numpy(path)


def rgb_images(array: np.ndarray, data_range: float | None, notes: list[str]) -> Iterator[np.ndarray]:
    """Yields each image of an array as uint8 (height, width, 3), rounded; a uint8 array is not copied.

    Raises:
      ValueError: the array's shape, type or range is not that of images.
    """
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise ValueError(f"its shape is {array.shape}; pass (images, height, width[, channels]), channels 1 or 3")
    white = range_of(array, data_range, notes)
    return (to_rgb(to_uint8(image, white)) for image in array)


def range_of(array: np.ndarray, data_range: float | None, notes: list[str]) -> float:
    """Returns the value of white; raises ValueError where the values do not fit it, or leave it in doubt."""
    if array.dtype.type is np.uint8:
        return 255
    if not (array.dtype.type is np.uint16 or np.issubdtype(array.dtype, np.floating)):
        raise ValueError(f"it holds {array.dtype}; pass uint8, uint16 or floats in [0, 1]")
    if not array.size:
        return 1
    low, high = array.min(), array.max()
    if array.dtype.type is np.uint16 and data_range is None:
        doubt_16_bits(int(high), notes)
        return 65535
    white = 1.0 if data_range is None else data_range
    if not (low >= 0 and high <= white):
        raise ValueError(f"its values range from {low} to {high}; pass floats in [0, 1], or their --data-range")
    return white


def read_numpy(path: Path) -> Arrays:
    """Reads an .npy file as a memory map, or the images of an .npz file.

    In an .npz file, the words of a name tell what an array holds: "test" images for testing, and "masks", "labels" and
    the like no images. Arrays of fewer than three axes are skipped as labels.
    """
    loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return Arrays([loaded], [], [])
    with loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    kinds = {name: array_names.kind(name) for name, array in arrays.items() if array.ndim > 2}
    training, test, others = ([name for name in kinds if kinds[name] == kind] for kind in ("train", "test", "other"))
    if not training:
        contents = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "no array"
        raise ValueError(f"it holds no images to train on; it holds {contents}; name an array images")
    notes = [f"the array {name} holds no training or test images by its name, left out" for name in others]
    return Arrays([arrays[name] for name in training], [arrays[name] for name in test], notes)


def has_idx_files(folder: Path) -> bool:
    """Returns whether a folder holds a data set in MNIST's format."""
    return any(folder.glob(f"{IDX_TRAINING}*"))


def read_idx(folder: Path, name: str) -> np.ndarray:
    """Reads one of MNIST's image files, gzipped or not, as uint8 (images, height, width).

    The file holds four big-endian 32-bit integers (a magic number and the three sizes), then one byte per pixel.
    """
    plain = folder / name
    with plain.open("rb") if plain.exists() else gzip.open(folder / f"{name}.gz") as file:
        content = file.read()
    magic, *shape = np.frombuffer(content, ">u4", count=4).tolist()
    pixels = np.frombuffer(content, np.uint8, offset=16)
    if magic != IDX_MAGIC or pixels.size != np.prod(shape):
        raise ValueError(f"{name} is not a complete idx file: its header gives {shape}, it has {pixels.size} pixels")
    return pixels.reshape(shape)


def read_cifar(path: Path) -> Arrays:
    """Reads the five training batches and the test batch of CIFAR-10's binary archive."""
    arrays = Arrays([], [], [])
    with tarfile.open(path) as archive:
        for member in archive:
            name = Path(member.name).name
            if name == "data_batch_1":
                raise ValueError(f"it holds pickles, which can run any code; pass {CIFAR}, which has the same images")
            if member.isfile() and name.startswith(("data_batch_", "test_batch")):
                content = archive.extractfile(member).read()  # type: ignore[union-attr]
                (arrays.test if name.startswith("test") else arrays.training).append(cifar_batch(content, name))
    if not (arrays.training and arrays.test):
        raise ValueError(f"it lacks data_batch_1.bin to data_batch_5.bin and test_batch.bin; pass {CIFAR}")
    return arrays


def cifar_batch(content: bytes, name: str) -> np.ndarray:
    """Returns the images (images, 32, 32, 3) of one batch file of CIFAR-10, which stores its channels first."""
    if len(content) % CIFAR_RECORD:
        raise ValueError(f"{name} is not a whole number of records of {CIFAR_RECORD} bytes")
    pixels = np.frombuffer(content, np.uint8).reshape(-1, CIFAR_RECORD)[:, 1:]
    return pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
