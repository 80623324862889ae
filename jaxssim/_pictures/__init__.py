"""Reads picture files at their own depth, lists folders of them, and says in words what was done.

    picture = read("photo.png")
    jaxssim.ssim(picture.pixels, other.pixels, data_range=picture.data_range)

`Picture.pixels` is (height, width, 1) for grey and (height, width, 3) for all else: uint8, uint16 or float32, where
0 is black and `data_range` is white. `Picture.notes` says what was converted or left out. Only `to_uint8` reduces the
depth, and it rounds. A file that cannot be read right raises `Unreadable` with the reason.

| kind of file | pixels, data range | what is done |
| --- | --- | --- |
| PNG, JPEG, WebP, BMP, GIF, AVIF, JPEG 2000, TIFF of up to 8 bits | uint8, 255 | |
| PNG of 16 bits, grey or RGB | uint16, 65535 | RGB needs imagecodecs |
| PGM, PPM | uint8 or uint16, maxval | the values stay as they are; a second picture in the file: a note |
| PFM, float TIFF, all values in [0, 1] | float32, 1 | a note; other than one channel of 32 bits needs tifffile |
| the same, values outside [0, 1] | float32, `data_range` | `Unreadable` without `data_range`, and for NaN |
| TIFF of 9 to 16 bits | uint16, 2^bits - 1 | other than grey needs tifffile |
| 16 bits, of which at most 12 are used | uint16, `data_range` | `Unreadable` without `data_range` |
| TIFF of signed or 32-bit integers | uint16 or float32, `data_range` | `Unreadable` without `data_range` |
| TIFF with MinIsWhite, any depth | | inverted: 0 is black |
| AVIF, HEIC, JPEG 2000 of 9 to 16 bits | uint16, 2^bits - 1 | needs imagecodecs; HEIC needs pillow-heif |
| transparency: alpha, palette, one colour | | laid over white, the colours of hidden pixels do not count: a note |
| EXIF, TIFF or AVIF orientation | | turned upright |
| TIFF whose first page is a volume | | `Unreadable` |
| several frames, pages or pictures (GIF, APNG, WebP, AVIF, TIFF, MPO) | | the first one: a note gives their number |
| ICC profile other than sRGB | | converted to sRGB: a note; 16 bits need imagecodecs |
| gamma, primaries, HDR (PQ, HLG) of PNG or AVIF; Adobe RGB by EXIF | | left as they are: a note |
| CMYK | uint8, 255 | by its ICC profile, or else by the plain formula: a note |
| palette; L*a*b* | uint8, 255 | RGB; sRGB: a note |
| more channels than colours and alpha | | left out: a note |
| damaged, truncated, claims too many pixels, another format | | `Unreadable` |

White is behind transparent pixels, as on a page: two pictures that differ only where they are fully transparent
are equal. A 16-bit file that uses at most 12 bits is either of 12 bits (a camera or scanner) or darker than a
sixteenth of white, and the file does not say which: SSIM is 0.95 under one reading and 0.07 under the other.

Pillow alone reads most kinds; the extra `pictures` installs the rest. HEIC is read where pillow-heif is installed;
the extra leaves it out, because its wheels hold an encoder under the GPL.
"""

from jaxssim._pictures.folders import SUFFIXES, Listing, drop_doubles, list_pictures
from jaxssim._pictures.names import show_name
from jaxssim._pictures.picture import Picture, Unreadable, to_grey, to_rgb, to_uint8
from jaxssim._pictures.reading import doubt_16_bits, read
from jaxssim._pictures.report import Report

__all__ = [
    "SUFFIXES",
    "Listing",
    "Picture",
    "Report",
    "Unreadable",
    "doubt_16_bits",
    "drop_doubles",
    "list_pictures",
    "read",
    "show_name",
    "to_grey",
    "to_rgb",
    "to_uint8",
]
