"""Which files of two folders are a pair, and under which name."""

import pytest

pytest.importorskip("PIL.Image")

from jaxssim._cli.pairing import add_masks, pair_folders


@pytest.mark.parametrize(
    ("references", "tests", "pairs", "alone"),
    [
        (["a.png", "b.png"], ["a.webp", "c.png"], {"a": ("a.png", "a.webp")}, ["ref/b.png", "test/c.png"]),
        (["s/a.b.png"], ["s/a.b.jpg"], {"s/a.b": ("s/a.b.png", "s/a.b.jpg")}, []),
        (["a.png", "a.jpg"], ["a.jpg", "a.gif"], {"a.jpg": ("a.jpg", "a.jpg"), "a.png": ("a.png", "a.gif")}, []),
        (["a.png", "a.jpg"], ["a.gif"], {}, ["ref/a.jpg", "ref/a.png", "test/a.gif"]),
        (
            ["a.png", "a.jpg", "a.png.jpg"],
            ["a.png", "a.jpg", "a.png.gif"],
            {name: (name, name.replace("png.jpg", "png.gif")) for name in ("a.jpg", "a.png", "a.png.jpg")},
            [],
        ),
        (["a.png", "words.txt"], ["A.png", "words.txt"], {}, ["ref/a.png", "test/A.png"]),
    ],
)
def test_files_of_one_path_without_suffix_are_a_pair(tmp_path, references, tests, pairs, alone):
    for folder, names in (("ref", references), ("test", tests)):
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    pairing = pair_folders(tmp_path / "ref", tmp_path / "test")
    found = {pair.name: (pair.reference, pair.test) for pair in pairing.pairs}
    expected = {name: (tmp_path / "ref" / x, tmp_path / "test" / y) for name, (x, y) in pairs.items()}
    assert found == expected
    assert len(pairing.pairs) == len(expected)
    assert sorted(str(path.relative_to(tmp_path)) for path in pairing.alone) == sorted(alone)


def test_masks_have_the_names_of_the_pairs(tmp_path):
    for name in ("ref/a.png", "ref/a.jpg", "ref/b.png", "ref/c.png", "masks/a.png", "masks/b.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    pairs = add_masks(pair_folders(tmp_path / "ref", tmp_path / "ref").pairs, tmp_path / "masks")
    masks = {pair.name: pair.mask.relative_to(tmp_path / "masks").as_posix() for pair in pairs}
    assert masks == {"a.jpg": "a.png", "a.png": "a.png", "b": "b.tif", "c": "c"}
