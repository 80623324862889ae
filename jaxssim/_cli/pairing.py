"""Finds the pairs: two files, the files of two folders that have one relative path without suffix, or rows of a CSV."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from jaxssim._pictures import Unreadable, list_pictures, show_name


class PairFiles(NamedTuple):
    """The files of a pair.

    Args:
        name: unique, one line of printable text.
        reference: the file of the reference.
        test: the file that is compared with the reference.
        mask: the file of the mask, or None.
    """

    name: str
    reference: Path
    test: Path
    mask: Path | None = None


class Pairing(NamedTuple):
    """All pairs, sorted by name, and what is in no pair.

    Args:
        pairs: the pairs.
        alone: files without a partner.
        closed: folders that cannot be opened.
    """

    pairs: list[PairFiles]
    alone: list[Path]
    closed: list[Unreadable]


def pair_paths(reference: Path, test: Path) -> Pairing:
    """Pairs two files, or the files of two folders."""
    kinds = [path.is_dir() for path in (reference, test)]
    if all(kinds):
        return pair_folders(reference, test)
    if any(kinds):
        file = (reference, test)[kinds.index(False)]
        what = "is a file" if file.exists() else "does not exist"
        raise SystemExit(f"{show_name(file)} {what}, and the other is a folder; pass two folders or two files")
    return Pairing([PairFiles(show_name(reference.stem, "utf-8"), reference, test)], [], [])


def pair_folders(reference: Path, test: Path) -> Pairing:
    """Pairs the pictures of two folders and their subfolders by relative path without suffix.

    Where files of one folder differ in the suffix alone, those of equal suffix are a pair, and then two that are left.
    """
    (references, closed), (tests, more_closed) = (
        find_pictures(*both) for both in ((reference, test), (test, reference))
    )
    pairs, alone = list[PairFiles](), list[Path]()
    for stem in sorted(references.keys() | tests.keys()):
        several = max(len(references[stem]), len(tests[stem])) > 1
        for one, other in pair_stem(references[stem], tests[stem]):
            if one and other:
                name = one.relative_to(reference) if several else stem
                pairs.append(PairFiles(show_name(name, "utf-8"), one, other))
            else:
                alone += filter(None, (one, other))
    if len({pair.name for pair in pairs}) < len(pairs):  # a.png beside a.jpg, and a.png.jpg
        pairs = [pair._replace(name=show_name(pair.reference.relative_to(reference), "utf-8")) for pair in pairs]
    return Pairing(pairs, alone, closed + more_closed)


def find_pictures(folder: Path, excluded: Path) -> tuple[dict[Path, list[Path]], list[Unreadable]]:
    """Returns the pictures of a folder by relative path without suffix, and the folders that cannot be opened.

    What cannot be read as a picture counts, so that its pair has an error. What lies in the folder `excluded`, inside
    this folder, does not.
    """
    files, unreadable = list_pictures(folder)
    closed = [each for each in unreadable if each.path.is_dir()]
    files += [each.path for each in unreadable if not each.path.is_dir()]
    inside = excluded != folder and excluded.is_relative_to(folder)
    by_stem = defaultdict(list)
    for path in sorted(files):
        if not (inside and path.is_relative_to(excluded)):
            by_stem[path.relative_to(folder).with_suffix("")].append(path)
    return by_stem, closed


def pair_stem(references: list[Path], tests: list[Path]) -> Iterator[tuple[Path | None, Path | None]]:
    """Yields the pairs of the files of one path without suffix, and each file that is left with None."""
    of_reference, of_test = ({path.suffix: path for path in paths} for paths in (references, tests))
    for suffix in sorted(of_reference.keys() & of_test.keys()):
        yield of_reference.pop(suffix), of_test.pop(suffix)
    if len(of_reference) == len(of_test) == 1:
        yield of_reference.popitem()[1], of_test.popitem()[1]
        return
    yield from ((path, None) for path in of_reference.values())
    yield from ((None, path) for path in of_test.values())


def pair_rows(path: Path) -> Pairing:
    """Reads the pairs of a CSV with the columns reference and test, and perhaps name and mask.

    Paths are relative to the current folder. By default, the name is the stem of the reference, after a number where
    two references share a stem.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, csv.Error) as error:
        raise SystemExit(f"cannot read the pairs of {show_name(path)}: {error}") from error
    for number, row in enumerate(rows, start=2):
        if not row.get("reference") or not row.get("test"):
            columns = "the columns reference and test, and perhaps name and mask"
            raise SystemExit(f"line {number} of {show_name(path)} names no pair; pass a CSV with {columns}")
    names = [row.get("name") or "" for row in rows]
    if not all(names):
        names = numbered([Path(row["reference"]).stem for row in rows])
    names = [show_name(name, "utf-8") for name in names]
    for name, count in Counter(names).items():
        if count > 1:
            raise SystemExit(f"{show_name(path)} has {count} pairs of the name {name}; give each pair its own name")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise SystemExit(f"{show_name(path)} has the name {name}; pass names without .. and without a first slash")
    pairs = [
        PairFiles(name, Path(row["reference"]), Path(row["test"]), Path(row["mask"]) if row.get("mask") else None)
        for name, row in zip(names, rows, strict=True)
    ]
    return Pairing(pairs, [], [])


def numbered(names: list[str]) -> list[str]:
    """Returns the names, each after its number if two of them are equal, as some file systems see them."""
    if len({name.casefold() for name in names}) == len(names):
        return names
    return [f"{i}-{name}" for i, name in enumerate(names, start=1)]


def add_masks(pairs: Iterable[PairFiles], path: Path) -> list[PairFiles]:
    """Gives each pair its mask: the file `path`, or that of the pair's name in the folder `path`."""
    if not path.is_dir():
        return [pair._replace(mask=path) for pair in pairs]
    by_stem, _ = find_pictures(path, path)
    by_name = {show_name(stem, "utf-8"): files[0] for stem, files in by_stem.items()}
    return [
        pair._replace(mask=by_name.get(pair.name) or by_name.get(pair.name.rpartition(".")[0], path / pair.name))
        for pair in pairs
    ]
