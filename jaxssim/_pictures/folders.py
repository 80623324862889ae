"""Lists the pictures of a folder, and names what looks like a picture but cannot be opened."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

from jaxssim._pictures.picture import Unreadable

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".avif", ".avifs", ".heic", ".heif", ".hif"),
    *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
)
NOT_READ = (  # listed, so that they are counted and named
    *(".arw", ".cr2", ".cr3", ".cur", ".dcm", ".dds", ".dng", ".exr", ".fit", ".fits", ".hdr", ".icns", ".ico", ".jls"),
    *(".jxl", ".jxr", ".nef", ".orf", ".pam", ".pcx", ".psd", ".qoi", ".raf", ".rw2", ".sgi", ".tga", ".xcf"),
)


class Listing(NamedTuple):
    """The pictures of a folder.

    Args:
        files: the picture files, sorted.
        unreadable: folders and files that cannot be opened, and pictures of other formats, each with its reason.
    """

    files: list[Path]
    unreadable: list[Unreadable]


def list_pictures(folder: Path, *, subfolders: bool = True) -> Listing:
    """Lists the picture files of a folder by their suffixes.

    Symbolic links are followed; a link to a folder that contains the link is not, since its files are listed already.
    """
    listing = Listing([], [])
    waiting: list[tuple[Path, frozenset[tuple[int, int]]]] = [(Path(folder), frozenset())]
    while waiting:
        path, above = waiting.pop()  # `above` identifies the folders on the way to `path`
        try:
            status = path.stat()
            entries = list(path.iterdir()) if (status.st_dev, status.st_ino) not in above else []
        except OSError as error:
            listing.unreadable.append(Unreadable(path, error.strerror or str(error)))
            continue
        inside = above | {(status.st_dev, status.st_ino)}
        folders = [entry for entry in entries if os.path.isdir(entry)]
        waiting += [(entry, inside) for entry in folders if subfolders]
        for entry in set(entries).difference(folders):
            add_file(entry, listing)
    listing.files.sort()
    listing.unreadable.sort(key=lambda unreadable: unreadable.path)
    return listing


def drop_doubles(files: list[Path]) -> tuple[list[Path], list[Path]]:
    """Divides files into one path of each, and the further paths on which links reach it."""
    first: dict[str, Path] = {}
    for path in files:
        first.setdefault(os.path.realpath(path), path)
    kept = set(first.values())
    return list(first.values()), [path for path in files if path not in kept]


def add_file(path: Path, listing: Listing) -> None:
    """Adds a file with a picture's suffix to a listing, or the reason why it cannot be read."""
    if path.suffix.lower() in SUFFIXES:
        if reason := why_closed(path):
            listing.unreadable.append(Unreadable(path, reason))
        else:
            listing.files.append(path)
    elif path.suffix.lower() in NOT_READ:
        listing.unreadable.append(Unreadable(path, not_read(path)))


def why_closed(path: Path) -> str | None:
    """Returns why a file cannot be opened; a pipe or a device, for example, might never end."""
    try:
        return None if stat.S_ISREG(path.stat().st_mode) else "not a regular file"
    except OSError as error:
        return f"a broken link: {error.strerror}" if path.is_symlink() else error.strerror


def not_read(path: Path) -> str:
    """Returns what to do about a format that is not read."""
    return f"{path.suffix} is not read; convert the file to PNG or TIFF"
