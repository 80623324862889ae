"""Reads picture files with transparency, an orientation, several pictures, or colours other than sRGB's."""

import zlib

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
from picture_files import ALPHA, GREY, GREY16, RGB, RGB16, check, over_white, png, save, write_tiff
from PIL import ImageCms

from jaxssim._pictures import Unreadable, read


def test_hidden_colours_do_not_count(tmp_path):
    opacity = ALPHA[..., None] / 255
    alpha = ALPHA[..., None].astype(np.uint8)
    note = "laid over white where it is transparent"
    for name in ("png", "tif", "webp"):
        options = {"lossless": True, "exact": True} if name == "webp" else {}
        path = save(tmp_path / f"rgba.{name}", np.concatenate([RGB, alpha], -1), **options)
        check(path, over_white(RGB, opacity, 255), 255, note)
    check(save(tmp_path / "la.png", np.dstack([GREY, alpha])), over_white(GREY, ALPHA / 255, 255), 255, note)
    opaque = np.dstack([RGB, np.full((6, 8), 255, np.uint8)])
    check(save(tmp_path / "opaque.png", opaque), RGB, 255)


def test_palettes_and_colours_that_are_transparent(tmp_path):
    palette = Image.fromarray(RGB).quantize(4)
    colours, index = np.asarray(palette.convert("RGB")), np.asarray(palette)
    note = "laid over white"
    for path in (save(tmp_path / "p.png", palette, transparency=1), save(tmp_path / "p.gif", palette, transparency=1)):
        check(path, np.where(index[..., None] == 1, 255, colours).astype(np.uint8), 255, note)
    partly = save(tmp_path / "partly.png", palette, transparency=bytes([255, 128, 0, 255]))
    check(partly, over_white(colours, np.array([1, 128 / 255, 0, 1])[index][..., None], 255), 255, note)
    key = save(tmp_path / "key.png", GREY, transparency=int(GREY[2, 3]))
    check(key, np.where(GREY[2, 3] == GREY, 255, GREY).astype(np.uint8), 255, note)
    deep = save(tmp_path / "deep.png", GREY16, transparency=int(GREY16[2, 3]))
    check(deep, np.where(GREY16[2, 3] == GREY16, 65535, GREY16).astype(np.uint16), 65535, note)
    pytest.importorskip("imagecodecs")
    chunk = (b"tRNS", RGB16[2, 3].astype(">u2").tobytes())
    (tmp_path / "rgb.png").write_bytes(png(16, 2, RGB16.astype(">u2"), chunk))
    truth = RGB16.copy()
    truth[2, 3] = 65535
    check(tmp_path / "rgb.png", truth, 65535, note)


def test_transparency_of_16_bits(tmp_path):
    alpha = (257 * ALPHA[..., None]).astype(np.uint16)
    opacity, note = alpha / 65535, "laid over white"
    truth = over_white(RGB16, opacity, 65535)
    unassociated = np.concatenate([RGB16, alpha], -1)
    path = write_tiff(tmp_path / "x.tif", unassociated, photometric="rgb", extrasamples=["unassalpha"])
    check(path, truth, 65535, note)
    multiplied = np.concatenate([np.rint(RGB16 * opacity).astype(np.uint16), alpha], -1)
    path = write_tiff(tmp_path / "y.tif", multiplied, photometric="rgb", extrasamples=["assocalpha"])
    picture = read(path)
    np.testing.assert_allclose(picture.pixels.astype(int), truth, atol=1)
    path = write_tiff(tmp_path / "z.tif", unassociated, photometric="rgb", extrasamples=["unspecified"])
    check(path, RGB16, 65535, "1 channels beside RGB are left out")
    pytest.importorskip("imagecodecs")
    (tmp_path / "rgba.png").write_bytes(png(16, 6, unassociated.astype(">u2")))
    check(tmp_path / "rgba.png", truth, 65535, note)
    (tmp_path / "la.png").write_bytes(png(16, 4, np.dstack([GREY16, alpha]).astype(">u2")))
    check(tmp_path / "la.png", over_white(GREY16[..., None], opacity, 65535), 65535, note)


TURNS = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


@pytest.mark.parametrize("orientation", TURNS)
def test_pictures_are_turned_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = TURNS[orientation]
    check(save(tmp_path / "x.png", RGB, exif=exif), turn(RGB), 255)
    check(save(tmp_path / "x.webp", RGB, exif=exif, lossless=True), turn(RGB), 255)
    check(save(tmp_path / "deep.png", GREY16, exif=exif), turn(GREY16), 65535)
    tag = [(274, 3, 1, orientation, True)]
    check(write_tiff(tmp_path / "8.tif", RGB, photometric="rgb", extratags=tag), turn(RGB), 255)
    check(write_tiff(tmp_path / "grey.tif", GREY, extratags=tag), turn(GREY), 255)
    check(write_tiff(tmp_path / "16.tif", GREY16, extratags=tag), turn(GREY16), 65535)
    check(write_tiff(tmp_path / "rgb.tif", RGB16, photometric="rgb", extratags=tag), turn(RGB16), 65535)
    pytest.importorskip("imagecodecs")
    (tmp_path / "rgb.png").write_bytes(png(16, 2, RGB16.astype(">u2"), (b"eXIf", exif.tobytes()[6:])))
    check(tmp_path / "rgb.png", turn(RGB16), 65535)


def test_damaged_exif_data_are_named(tmp_path):
    note = "the EXIF data are damaged, the orientation is left as it is"
    check(save(tmp_path / "x.png", RGB, exif=b"Exif\0\0garbage"), RGB, 255, note)


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "mpo", "webp"])
def test_the_first_of_several_pictures_is_read_with_a_note(tmp_path, suffix):
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    save(tmp_path / f"x.{suffix}", pictures[0], save_all=True, append_images=pictures[1:])
    picture = read(tmp_path / f"x.{suffix}")
    assert picture.notes == ("the first of 3 pictures in the file",)
    np.testing.assert_allclose(picture.pixels.mean((0, 1)), (255, 0, 0), atol=3)


def test_stacks_behind_one_page_are_noted(tmp_path):
    stack, note = np.stack([GREY16] * 5), "the first of 5 pictures in the file"
    check(write_tiff(tmp_path / "pages.tif", stack, photometric="minisblack"), GREY16, 65535, note)
    check(write_tiff(tmp_path / "ij.tif", stack, imagej=True), GREY16, 65535, note)
    check(write_tiff(tmp_path / "one.tif", stack, truncate=True, photometric="minisblack"), GREY16, 65535, note)
    one = (b"ImageJ=1.53\nimages=5\nslices=5\n").decode()
    check(write_tiff(tmp_path / "1.tif", GREY16, description=one, metadata=None), GREY16, 65535, note)
    check(write_tiff(tmp_path / "rgb.tif", np.stack([RGB16] * 5), photometric="rgb"), RGB16, 65535, note)
    options = dict(volumetric=True, tile=(16, 16, 16), photometric="minisblack")
    with pytest.raises(Unreadable, match="a volume of 16 slices"):
        read(write_tiff(tmp_path / "volume.tif", np.ones((16, 32, 32), np.uint16), **options))


def test_other_colours(tmp_path):
    red = Image.new("RGB", (8, 8), (200, 40, 30))
    cmyk = read(save(tmp_path / "cmyk.jpg", red.convert("CMYK"), quality=100))
    assert "CMYK by a plain formula" in cmyk.notes[0]
    np.testing.assert_allclose(cmyk.pixels[0, 0], (200, 40, 30), atol=3)
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = read(save(tmp_path / "lab.tif", ImageCms.applyTransform(red, transform)))
    assert lab.notes == ("converted from L*a*b* to sRGB",)
    np.testing.assert_allclose(lab.pixels[0, 0], (200, 40, 30), atol=3)
    with pytest.raises(Unreadable, match="SEPARATED colours of 16 bits"):
        read(write_tiff(tmp_path / "cmyk.tif", np.dstack([RGB16, GREY16]), photometric="separated"))
    five = write_tiff(
        tmp_path / "5.tif", np.dstack([RGB, RGB[..., :2]]), photometric="minisblack", planarconfig="contig"
    )
    check(five, RGB[..., 0], 255, "4 channels beside grey are left out")


# Profiles.


def linear_profile(kind):
    """Returns an ICC profile of linear light, "gray", or "rgb" with sRGB's white and primaries."""
    imagecodecs = pytest.importorskip("imagecodecs")
    white, primaries = (0.3127, 0.329, 1), (0.64, 0.33, 1, 0.3, 0.6, 1, 0.15, 0.06, 1)
    return imagecodecs.cms_profile(kind, gamma=1.0, whitepoint=white, primaries=primaries)


def to_srgb(linear):
    """Returns the definition of sRGB's transfer function."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def test_icc_profiles_are_converted_to_srgb(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    check(save(tmp_path / "srgb.png", RGB, icc_profile=srgb), RGB, 255)
    check(save(tmp_path / "broken.png", RGB, icc_profile=b"words"), RGB, 255, "the ICC profile cannot be used")
    check(save(tmp_path / "other.png", GREY, icc_profile=srgb), GREY, 255, "the ICC profile cannot be used")


LEVELS = np.arange(5, 245, 5, np.uint8).reshape(6, 8)


@pytest.mark.parametrize("kind", ["gray", "rgb"])
def test_gamma_of_a_profile_is_converted_at_every_depth(tmp_path, kind):
    linear, note = linear_profile(kind), "converted to sRGB by the ICC profile"
    levels = LEVELS[..., None] if kind == "gray" else np.stack([LEVELS, LEVELS[::-1], LEVELS[:, ::-1]], axis=-1)
    truth = to_srgb(levels / 255)
    picture = read(save(tmp_path / "8.png", np.squeeze(levels), icc_profile=linear))
    np.testing.assert_allclose(picture.pixels, 255 * truth, atol=1)
    assert len(picture.notes) == 1
    assert note in picture.notes[0]
    rows = levels.astype(">u2") * 257
    (tmp_path / "16.png").write_bytes(png(16, 0 if kind == "gray" else 2, rows, iccp(linear)))
    picture = read(tmp_path / "16.png")
    np.testing.assert_allclose(picture.pixels, 65535 * truth, atol=20)
    assert note in picture.notes[0]
    transparent = np.concatenate([levels, np.full((6, 8, 1), 128, np.uint8)], axis=-1)
    picture = read(save(tmp_path / "a.png", transparent, icc_profile=linear))
    np.testing.assert_allclose(picture.pixels, 127 + 128 * truth, atol=1)
    assert len(picture.notes) == 2
    options = dict(iccprofile=linear, photometric="minisblack" if kind == "gray" else "rgb")
    picture = read(write_tiff(tmp_path / "x.tif", np.squeeze(levels).astype(np.uint16) * 257, **options))
    np.testing.assert_allclose(picture.pixels, 65535 * truth, atol=20)
    picture = read(write_tiff(tmp_path / "f.tif", np.squeeze(levels / np.float32(255)), **options))
    np.testing.assert_allclose(picture.pixels, levels / 255, atol=1e-6)
    assert "the ICC profile is left out" in picture.notes[-1]


def test_adobe_rgb_is_converted_by_its_definition(tmp_path):
    """Gamma 563/256, then from the primaries of Adobe RGB (1998) to sRGB's; both have the white D65."""
    adobe = pytest.importorskip("imagecodecs").cms_profile("adobergb")
    values = np.full((6, 8, 3), (120, 150, 140), np.uint8)
    to_linear_srgb = [[1.39836, -0.39836, 0], [0, 1, 0], [0, -0.04293, 1.04293]]
    truth = to_srgb((values / 255) ** (563 / 256) @ np.transpose(to_linear_srgb))
    picture = read(save(tmp_path / "x.jpg", values, icc_profile=adobe, quality=100))
    np.testing.assert_allclose(picture.pixels, 255 * truth, atol=2)
    assert "Adobe RGB" in picture.notes[0]


def test_cmyk_is_converted_by_its_profile(tmp_path):
    """No CMYK profile is at hand; one of another kind is named, and the plain formula is used."""
    path = save(tmp_path / "x.jpg", Image.new("CMYK", (8, 8), (0, 200, 200, 40)), icc_profile=linear_profile("rgb"))
    assert [note.split(" ")[0] for note in read(path).notes] == ["the", "converted"]


def iccp(content):
    """Returns the chunk of a PNG that holds an ICC profile."""
    return b"iCCP", b"name\0\0" + zlib.compress(content)


def test_what_a_file_says_of_its_colours_without_a_profile_is_named(tmp_path):
    def chunk_of(*values):
        return np.array(np.rint(100000 * np.array(values)), ">u4").tobytes()

    srgb = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
    adobe = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    for chunks, notes in (
        ([(b"gAMA", chunk_of(1 / 2.2)), (b"cHRM", chunk_of(*srgb))], ()),
        ([(b"gAMA", chunk_of(1))], ("gamma 1 in place of sRGB's 0.4545, the values are left as they are",)),
        ([(b"sRGB", b"\0"), (b"gAMA", chunk_of(1))], ()),
        ([(b"cHRM", chunk_of(*adobe))], ("primaries other than sRGB's",)),
        ([(b"cICP", bytes([1, 13, 0, 1]))], ()),
        ([(b"cICP", bytes([9, 16, 0, 1]))], ("primaries 9 and transfer 16 of H.273",)),
    ):
        (tmp_path / "x.png").write_bytes(png(8, 2, RGB, *chunks))
        check(tmp_path / "x.png", RGB, 255, *notes)
    (tmp_path / "deep.png").write_bytes(png(16, 0, GREY16.astype(">u2"), (b"gAMA", chunk_of(1))))
    check(tmp_path / "deep.png", GREY16, 65535, "gamma 1 in place")
    for codes, notes in (((1, 13), ()), ((9, 16), ("primaries 9 and transfer 16",))):
        options = dict(level=100, primaries=codes[0], transfer=codes[1])
        (tmp_path / "x.avif").write_bytes(pytest.importorskip("imagecodecs").avif_encode(RGB, **options))
        check(tmp_path / "x.avif", RGB, 255, *notes)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    assert "Adobe RGB by its EXIF data" in read(save(tmp_path / "x.jpg", RGB, exif=exif)).notes[0]
