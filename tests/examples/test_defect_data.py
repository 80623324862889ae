"""Tests the data of defect segmentation: painted defects, textures, MVTec AD's layout, folders, files, batches."""

import numpy as np
import pytest

for name in ("flax", "grain", "scipy", "skimage", "sklearn"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

from marks import slow
from skimage import data as skimage_data
from textures import wave, write

from examples.defect_segmentation import data, painting, textures
from examples.defect_segmentation.config import Config
from examples.defect_segmentation.picture_files import read_grey
from examples.defect_segmentation.scores import defects
from jaxssim._pictures import Report, Unreadable

PHOTOGRAPHS = ("brick", "grass", "gravel")


@pytest.fixture
def mvtec(tmp_path):
    """A category in MVTec AD's layout: two kinds of defects, of two picture sizes, and a good test picture."""
    folder = tmp_path / "tile"
    for i in range(5):
        write(folder / "train" / "good" / f"{i:03}.png", wave(130, 140, i))
    for i, (defect, shape) in enumerate([("crack", (130, 140)), ("crack", (130, 140)), ("oil", (150, 128))]):
        mask = np.zeros(shape, np.uint8)
        mask[20 + i : 40, 30:60] = 255
        write(folder / "test" / defect / f"{i:03}.png", np.where(mask > 0, 255, wave(*shape, 10 + i)).astype(np.uint8))
        write(folder / "ground_truth" / defect / f"{i:03}_mask.png", mask)
    write(folder / "test" / "good" / "000.png", wave(130, 140, 20))
    return folder


# Painted defects.


@pytest.mark.parametrize("defect", painting.DEFECTS)
@pytest.mark.parametrize("texture", PHOTOGRAPHS)
def test_a_painted_defect_changes_pixels_inside_its_mask_only(texture, defect):
    pixels, changed_inside = getattr(skimage_data, texture)(), []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        picture = data.random_crop(pixels, 160, rng)
        before = picture.copy()
        painted, mask = painting.paint(defect, picture, skimage_data.gravel(), rng)
        np.testing.assert_array_equal(picture, before)
        assert painted.dtype == np.uint8
        assert mask.dtype == bool
        assert mask.shape == painted.shape == picture.shape
        changed = painted != picture
        assert not changed[~mask].any()
        changed_inside.append(changed[mask])
        assert 0.001 < mask.mean() < 0.1
    # Blur leaves many pixels of brick, which is flat, as they are.
    least = 0.6 if (texture, defect) == ("brick", "blur") else 0.9
    assert np.concatenate(changed_inside).mean() > least


@pytest.mark.parametrize("defect", ["stain", "patch"])
def test_stains_and_patches_keep_the_mean_brightness(defect):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        picture = data.random_crop(skimage_data.grass(), 160, rng)
        painted, mask = painting.paint(defect, picture, skimage_data.brick(), rng)
        tolerance = 0.5 if defect == "stain" else 3  # the darkest and brightest pixels of a patch are clipped
        assert abs(painted[mask].mean() - picture[mask].mean()) < tolerance
        if defect == "stain":
            np.testing.assert_allclose(painted[mask].std(), 0.3 * picture[mask].std(), atol=0.5)


def test_holes_are_dark_and_blur_reduces_contrast():
    picture = data.random_crop(skimage_data.gravel(), 160, np.random.default_rng(0))
    hole, mask = painting.paint("hole", picture, picture, np.random.default_rng(1))
    assert (hole[mask] <= 0.15 * picture[mask] + 0.5).all()
    blurred, mask = painting.paint("blur", picture, picture, np.random.default_rng(1))
    assert blurred[mask].std() < 0.7 * picture[mask].std()


def test_a_window_larger_than_the_texture_repeats_it():
    small = np.arange(12, dtype=np.uint8).reshape(3, 4)
    window = painting.random_window(small, (7, 9), np.random.default_rng(0))
    assert window.shape == (7, 9)
    np.testing.assert_array_equal(window[3:], window[:4])
    np.testing.assert_array_equal(window[:, 4:], window[:, :5])
    assert set(window.ravel()) == set(range(12))


# Materials.


@pytest.mark.parametrize("texture", PHOTOGRAPHS)
def test_training_validation_and_test_pixels_of_a_texture_are_disjoint(texture, monkeypatch):
    """Each pixel of the texture is a number of its own, so that numbers tell which pixels a part holds."""
    rows, columns = np.mgrid[:512, :512]
    numbered = rows * 512 + columns
    monkeypatch.setattr(data.data, texture, lambda: numbered)
    monkeypatch.setattr(data, "paint", lambda defect, picture, other, rng: (picture, np.zeros(picture.shape, bool)))
    material = data.load_texture(texture, Config(painted=30))
    training, validation, tests = (
        set(np.concatenate([picture.ravel() for picture in part]).tolist())
        for part in (material.training, material.validation, [test.pixels for test in material.tests])
    )
    assert len(training) == 320 * 512
    assert training.isdisjoint(validation)
    assert training.isdisjoint(tests)
    assert validation.isdisjoint(tests)
    assert [test.defect for test in material.tests[::30]] == [*painting.DEFECTS, "good"]


@slow
def test_the_tests_of_a_texture_depend_on_the_seed():
    for texture in ("grass", "cloth"):
        first, again, other = (data.load_texture(texture, Config(painted=2, seed=seed)).tests for seed in (0, 0, 1))
        for test, same in zip(first, again, strict=True):
            np.testing.assert_array_equal(test.pixels, same.pixels)
        assert any((test.pixels != changed.pixels).any() for test, changed in zip(first, other, strict=True))


def test_textures_are_chosen_by_name():
    chosen = data.load_materials(Config(painted=1, textures=("gravel", "brick", "gravel")))
    assert [material.name for material in chosen] == ["gravel", "brick"]


def test_good_test_pictures_are_those_on_which_defects_are_painted():
    *painted, good = data.load_texture("cloth", Config(painted=1)).tests
    assert good.defect == "good"
    assert not good.mask.any()
    for test in painted:
        np.testing.assert_array_equal(test.pixels[~test.mask], good.pixels[~test.mask])


@pytest.mark.parametrize(("texture", "period"), [("cloth", 14), ("mat", 10)])
def test_a_generated_texture_repeats_roughly_and_no_two_pictures_are_equal(texture, period):
    """The ribs of the cloth and the bundles of the mat repeat from left to right."""
    rng = np.random.default_rng(0)
    first, second = (textures.GENERATORS[texture](128, rng) for _ in range(2))
    assert first.shape == (128, 128)
    assert first.dtype == np.uint8
    assert (first != second).mean() > 0.9
    assert 15 < first.std() < 60

    def correlation(shift):
        return np.corrcoef(first[:, shift:].ravel(), first[:, :-shift].ravel())[0, 1]

    assert 0.3 < correlation(period) < 0.99
    assert correlation(period) > correlation(period // 2) + 0.3


def test_a_category_of_mvtec_loads_with_its_masks(mvtec):
    (tile,) = data.load_materials(Config(data=mvtec))
    assert (tile.name, len(tile.training), len(tile.validation), tile.report.lines()) == ("tile", 4, 1, [])
    good = sorted([*tile.training, *tile.validation], key=lambda picture: picture.tobytes())
    written = sorted((wave(130, 140, i) for i in range(5)), key=lambda picture: picture.tobytes())
    np.testing.assert_array_equal(np.stack(good), np.stack(written))
    assert [test.defect for test in tile.tests] == ["crack", "crack", "good", "oil"]
    for test, i in zip(tile.tests, (0, 1, None, 2), strict=True):
        expected = np.zeros(test.pixels.shape, bool)
        if i is not None:
            expected[20 + i : 40, 30:60] = True
        np.testing.assert_array_equal(test.mask, expected)
        assert (test.pixels[expected] == 255).all()
    assert defects(tile.tests) == ["crack", "oil", "all"]


def test_a_folder_of_categories_loads_each(mvtec):
    assert [material.name for material in data.load_materials(Config(data=mvtec.parent))] == ["tile"]


def test_resizing_a_category_resizes_its_masks(mvtec):
    (original,) = data.load_materials(Config(data=mvtec))
    (larger,) = data.load_materials(Config(data=mvtec, resize=260))
    assert larger.tests[0].pixels.shape == larger.tests[0].mask.shape == (260, 280)
    np.testing.assert_array_equal(larger.tests[0].mask[::2, ::2], original.tests[0].mask)


def test_a_missing_mask_is_named(mvtec):
    (mvtec / "ground_truth" / "oil" / "002_mask.png").unlink()
    with pytest.raises(SystemExit, match=r"002_mask.png is missing; add the mask or remove the picture"):
        data.load_materials(Config(data=mvtec))


def test_a_folder_of_good_pictures_is_split_and_gets_painted_defects(tmp_path):
    for i in range(10):
        write(tmp_path / "subfolder" / f"{i}.png", wave(128 + i, 140, i))
    write(tmp_path / "small.png", wave(100, 200))
    (tmp_path / "broken.jpg").write_text("not a picture")
    (material,) = data.load_materials(Config(data=tmp_path, held_out=0.4, painted=3))
    assert (len(material.training), len(material.validation), len(material.tests)) == (6, 2, 18)
    backgrounds = {test.pixels.shape for test in material.tests}
    shapes = [{picture.shape for picture in part} for part in (material.training, material.validation)]
    assert len(backgrounds) == 2
    assert set.union(backgrounds, *shapes) == {(128 + i, 140) for i in range(10)}
    broken, small = map(str, material.report.unreadable)
    assert "small.png (200x100 is smaller than the network's window of 128x128" in small
    assert "broken.jpg (not an image)" in broken
    (enlarged,) = data.load_materials(Config(data=tmp_path, resize=128))
    assert len(enlarged.report.unreadable) == 1
    assert all(min(picture.shape) == 128 for picture in enlarged.training)


def test_folders_with_too_few_pictures_are_errors(tmp_path):
    for i in range(2):
        write(tmp_path / "few" / f"{i}.png", wave(seed=i))
    with pytest.raises(SystemExit, match="holds 2 usable pictures; pass a folder of at least 3"):
        data.load_materials(Config(data=tmp_path / "few"))
    write(tmp_path / "tile" / "train" / "good" / "0.png", wave())
    with pytest.raises(SystemExit, match="holds 1 usable pictures; at least 2 are needed"):
        data.load_materials(Config(data=tmp_path / "tile"))
    with pytest.raises(SystemExit, match="is not a folder; pass a category"):
        data.load_materials(Config(data=tmp_path / "missing"))


# Files and batches.


def grey(path, data_range=None):
    return read_grey(path, data_range, Report())


def test_16_bits_become_8_rounded(tmp_path):
    deep = np.linspace(0, 65535, 128 * 128).reshape(128, 128).astype(np.uint16)
    write(tmp_path / "deep.png", deep)
    np.testing.assert_array_equal(grey(tmp_path / "deep.png"), np.rint(deep / 257))
    write(tmp_path / "12.png", deep >> 4)
    with pytest.raises(Unreadable, match="at most 12 of its 16 bits"):
        grey(tmp_path / "12.png")
    np.testing.assert_array_equal(grey(tmp_path / "12.png", 4095), np.rint((deep >> 4) * (255 / 4095)))


def test_transparency_becomes_white(tmp_path):
    transparent = np.zeros((128, 128, 4), np.uint8)
    transparent[:, 64:] = (90, 90, 90, 255)
    write(tmp_path / "transparent.png", transparent)
    pixels = grey(tmp_path / "transparent.png")
    assert (pixels[:, :64] == 255).all()
    assert (pixels[:, 64:] == 90).all()


def test_pictures_are_rotated_as_their_exif_data_says(tmp_path):
    rotated = Image.fromarray(wave(128, 150))
    exif = rotated.getexif()
    exif[0x0112] = 6  # rotate by 90 degrees
    rotated.save(tmp_path / "rotated.png", exif=exif)
    assert grey(tmp_path / "rotated.png").shape == (150, 128)


def test_masks_of_every_kind_are_read_or_refused(mvtec):
    path = mvtec / "ground_truth" / "oil" / "002_mask.png"
    truth = np.asarray(Image.open(path)) > 0

    def read_mask():
        return data.read_mask(mvtec / "test" / "oil" / "002.png", truth.shape)

    for mask in (truth, truth.astype(np.uint8), truth.astype(np.uint16), np.dstack([255 * truth.astype(np.uint8)] * 3)):
        write(path, mask)
        np.testing.assert_array_equal(read_mask(), truth)
    write(path, np.dstack([255 * truth.astype(np.uint8)] * 4))
    with pytest.raises(SystemExit, match=r"002_mask\.png is transparent; save it without alpha"):
        read_mask()
    path.write_text("words")
    with pytest.raises(SystemExit, match=r"002_mask\.png cannot be read: not an image; repair the mask"):
        read_mask()


@pytest.mark.parametrize(("kind", "variants"), [("none", 1), ("flip", 4), ("rotate", 8)])
def test_augmentation_yields_all_its_variants(kind, variants):
    picture = wave()
    rng = np.random.default_rng(0)
    assert len({data.augment(picture, kind, rng).tobytes() for _ in range(100)}) == variants


def test_training_batches_depend_on_the_seed_alone():
    pictures = [wave(200, 300), wave(128, 128, 1)]
    streams = [data.training_batches(pictures, Config(seed=seed, batch_size=6)) for seed in (0, 0, 1)]
    first, same, other = (next(stream) for stream in streams)
    assert first.shape == (6, 128, 128, 1)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
