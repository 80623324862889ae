"""Saves and loads the parameters of Flax modules by Orbax, in folders with any names."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orbax.checkpoint as ocp
from flax import nnx

# Orbax passes paths to `glob`, where * ? [ ] are patterns: it finds nothing, or the files of another run. TensorStore
# reads a backslash as a slash, and takes no bytes that are not UTF-8, which Python holds as lone surrogates.
MISREAD = re.compile(r"[*?\[\]\\\udc80-\udcff]")
LONGEST = 3500  # bytes; Orbax adds up to 200, and Linux opens paths of up to 4095
OPEN_FILES = Path("/proc/self/fd")


def make_folder(folder: Path, advice: str = "pass another --runs or --name") -> None:
    """Makes a folder for results, and those above it, where they do not exist.

    Args:
      folder: the folder.
      advice: what the error says to do.

    Raises:
      SystemExit: the folder cannot be made, for example because its name is too long, or Orbax could not save in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"cannot make the folder {folder}: {error.strerror}; {advice}") from error
    with plain_path(folder):
        pass


@contextmanager
def plain_path(folder: Path) -> Iterator[Path]:
    """Yields an absolute path by which Orbax can save and load in an existing folder, whatever the folder's name.

    Where Orbax would misread the folder's own path, the path goes through an open file descriptor of the folder. Such a
    path exists on Linux, leaves nothing behind when the process is killed, and holds until the context ends.

    Raises:
      SystemExit: Orbax would misread the path, and the system has no such paths.
    """
    folder = folder.absolute()
    misread = MISREAD.search(folder.as_posix())
    if not misread and len(os.fsencode(folder)) <= LONGEST:
        yield folder
        return
    if not OPEN_FILES.is_dir():
        reason = f"holds {misread[0]!r}" if misread else f"has more than {LONGEST} bytes"
        raise SystemExit(
            f"Orbax cannot save or load in {folder}, whose path {reason}; pass --runs and --name, or rename the "
            f"folder, for a path of at most {LONGEST} bytes, in UTF-8, without * ? [ ] and \\"
        )
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield OPEN_FILES / str(descriptor)
    finally:
        os.close(descriptor)


def save_parameters(model: nnx.Module, folder: Path) -> None:
    """Saves the model's parameters in `folder`/parameters, replacing those of an earlier run."""
    with plain_path(folder) as path, ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path / "parameters", nnx.to_pure_dict(nnx.state(model, nnx.Param)), force=True)


def load_parameters(model: nnx.Module, folder: Path) -> None:
    """Loads into the model the parameters that `save_parameters` saved; the model may hold shapes alone."""
    with plain_path(folder) as path, ocp.StandardCheckpointer() as checkpointer:
        template = nnx.to_pure_dict(nnx.state(model, nnx.Param))
        nnx.update(model, checkpointer.restore(path / "parameters", template))
