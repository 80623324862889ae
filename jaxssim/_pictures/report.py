"""Gathers what happened to each file of a run, for one short report."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from jaxssim._pictures.names import show_name, show_text
from jaxssim._pictures.picture import Unreadable

NAMED = 3  # files that a note names


@dataclasses.dataclass
class Report:
    """The files that were left out, and the notes of the others.

    Args:
        unreadable: the files left out, each with its reason.
        notes: the files that each note holds for.
    """

    unreadable: list[Unreadable] = dataclasses.field(default_factory=list)
    notes: dict[str, list[Path]] = dataclasses.field(default_factory=dict)

    def add(self, path: Path, notes: Iterable[str]) -> None:
        """Adds the notes of a file."""
        for note in notes:
            self.notes.setdefault(note, []).append(path)

    def lines(self) -> list[str]:
        """Returns the number of files left out with each name and reason, then each note with its number of files."""
        unreadable = f"{len(self.unreadable)} unreadable: {', '.join(map(str, self.unreadable))}"
        notes = [f"{show_text(note)}: {count_and_names(paths)}" for note, paths in self.notes.items()]
        return [unreadable, *notes] if self.unreadable else notes


def count_and_names(paths: list[Path]) -> str:
    """Returns the number of paths, and the names of the first ones."""
    shown = [*map(show_name, paths[:NAMED]), *["..."] * (len(paths) > NAMED)]
    return f"{len(paths)} {'file' if len(paths) == 1 else 'files'} ({', '.join(shown)})"
