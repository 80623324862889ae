"""Where the map of a pair is written."""

import hashlib
from pathlib import Path

LONGEST = 200  # bytes of a file's name, of which systems take up to 255


def map_path(folder: Path, name: str) -> Path:
    """Returns the path of the map of the pair `name`: FOLDER/NAME.png."""
    return folder / f"{_short(name)}.png"


def _short(name: str) -> str:
    """Returns the name of a pair with each part shortened that is too long for a file."""
    return "/".join(map(_short_part, name.split("/")))


def _short_part(part: str) -> str:
    """Returns the name of a file or a folder; a name that is too long is cut, and ends with a hash."""
    if len(part.encode()) <= LONGEST:
        return part
    start = part.encode()[: LONGEST - 17].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(part.encode()).hexdigest()[:16]}"
