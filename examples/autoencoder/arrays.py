"""Data sets stored as arrays: NumPy files, the idx files of MNIST, and the binary archive of CIFAR-10.

Nothing is unpickled, because unpickling can run arbitrary code: object arrays are refused, and of CIFAR-10's two
archives only the binary one is read, which holds the same images as the pickled one.
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

IDX_TRAINING, IDX_TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"
IDX_MAGIC = 2051  # unsigned bytes, three axes
CIFAR = "cifar-10-binary.tar.gz"
CIFAR_RECORD = 1 + 3 * 32 * 32  # bytes: the label, then red, green and blue
READ_ERRORS = (OSError, EOFError, ValueError, zlib.error, tarfile.TarError, zipfile.BadZipFile)


class Arrays(NamedTuple):
    """Arrays of images (images, height, width) or (images, height, width, channels).

    `test` is empty where the data set does not say which images are for testing.
    """

    training: list[np.ndarray]
    test: list[np.ndarray]


def read_images(path: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Reads the training and test images of a data set.

    Args:
      path: an .npy or .npz file, a folder of idx files, or CIFAR-10's binary archive.

    Returns:
      Two lists of uint8 images (height, width, 3). The second is empty where the data set names no test images.

    Raises:
      SystemExit: the data cannot be read; the message says why.
    """
    try:
        arrays = read_arrays(path)
        return [*chain(*map(rgb_images, arrays.training))], [*chain(*map(rgb_images, arrays.test))]
    except READ_ERRORS as error:
        raise SystemExit(f"--data {path} cannot be read: {error}") from None


def read_arrays(path: Path) -> Arrays:
    """Reads a folder of idx files, a CIFAR-10 archive or a NumPy file."""
    if path.is_dir():
        return Arrays([read_idx(path, IDX_TRAINING)], [read_idx(path, IDX_TEST)])
    return read_cifar(path) if path.suffix == ".gz" else read_numpy(path)


def rgb_images(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yields each image of an array as uint8 (height, width, 3); a uint8 array is not copied.

    Raises:
      ValueError: the array's shape, type or range is not that of images.
    """
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise ValueError(f"its shape is {array.shape}; pass (images, height, width[, channels]), channels 1 or 3")
    if not (array.dtype.type in (np.uint8, np.uint16) or np.issubdtype(array.dtype, np.floating)):
        raise ValueError(f"it holds {array.dtype}; pass uint8, uint16 or floats in [0, 1]")
    return map(to_rgb, map(to_uint8, array))


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Converts an image of uint8, uint16 or floats in [0, 1] to uint8."""
    match image.dtype.type:
        case np.uint8:
            return image
        case np.uint16:
            return (image // 257).astype(np.uint8)
    if not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(f"its floats range from {image.min()} to {image.max()}; pass floats in [0, 1]")
    return np.rint(image * 255).astype(np.uint8)


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Returns a view (height, width, 3) of an image (height, width), (height, width, 1) or (height, width, 3)."""
    image = image[..., None] if image.ndim == 2 else image
    return np.broadcast_to(image, (*image.shape[:2], 3))


def read_numpy(path: Path) -> Arrays:
    """Reads an .npy file as a memory map, or the images of an .npz file.

    In an .npz file, arrays with "test" in their name are for testing, and arrays of fewer than three axes are skipped
    as labels.
    """
    loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return Arrays([loaded], [])
    with loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    images = {name: array for name, array in arrays.items() if array.ndim > 2}
    training = [array for name, array in images.items() if "test" not in name]
    if not training:
        contents = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "no array"
        raise ValueError(f"it holds no images to train on; it holds {contents}")
    return Arrays(training, [array for name, array in images.items() if "test" in name])


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
    arrays = Arrays([], [])
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
