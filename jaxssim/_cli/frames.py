"""Reads the frames of two videos together, as planes of samples, which are those of the streams."""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from jaxssim._cli.options import Video
from jaxssim._pictures import show_name
from jaxssim._pictures.names import show_text

PLANAR = {  # formats that interleave samples, and those that hold the same samples in planes
    **{"nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "nv24": "yuv444p", "yuyv422": "yuv422p"},
    **{"uyvy422": "yuv422p", "p010le": "yuv420p10le", "p210le": "yuv422p10le", "p410le": "yuv444p10le"},
    **{"rgb24": "gbrp", "bgr24": "gbrp", "rgb0": "gbrp", "bgr0": "gbrp", "0rgb": "gbrp", "0bgr": "gbrp"},
    **{"rgba": "gbrap", "bgra": "gbrap", "argb": "gbrap", "abgr": "gbrap", "pal8": "gbrap"},
    **{"rgb48le": "gbrp16le", "rgba64le": "gbrap16le"},
}


class Frames(NamedTuple):
    """A frame of both videos.

    Args:
        seconds: when the frame of the reference is shown; NaN where the file does not say it.
        x: the planes of the reference by name, (height, width, 1), uint8 or uint16.
        y: the planes of the other video, of the same names, shapes and types.
        white: the largest value of a sample.
    """

    seconds: float
    x: dict[str, np.ndarray]
    y: dict[str, np.ndarray]
    white: int


class Mismatch(Exception):
    """Says why the videos cannot be compared any further."""


class Clip:
    """A video file that is open.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file; exits where it holds no video that FFmpeg reads.

        FFmpeg gets the open file and not its name, which may hold any bytes or look like an address, and may follow no
        address inside the file.
        """
        self.path = path
        try:
            self.container = av.open(path.open("rb"), "r", options={"protocol_whitelist": "none"})
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", "") or str(error)
            raise SystemExit(f"{show_name(path)}: {show_text(reason)}") from error
        if not self.container.streams.video:
            raise SystemExit(f"{show_name(path)} holds no video")
        self.stream = self.container.streams.video[0]
        self.stream.thread_type = "AUTO"

    @property
    def rate(self) -> Fraction | None:
        """Frames in a second, or None where the file does not say it."""
        return self.stream.average_rate

    def frames(self) -> Iterator[Any]:
        """Yields the frames; raises Mismatch where the file is damaged."""
        try:
            yield from self.container.decode(self.stream)
        except av.error.FFmpegError as error:
            raise Mismatch(f"{show_name(self.path)}: {show_text(error.strerror or str(error))}") from error


def check_rates(reference: Clip, test: Clip) -> None:
    """Exits where two videos do not have one rate of frames."""
    rates = [clip.rate for clip in (reference, test)]
    if all(rates) and abs(rates[0] / rates[1] - 1) > 1e-3:  # type: ignore[operator]
        first, second = (f"{float(rate):g}" for rate in rates)  # type: ignore[arg-type]
        raise SystemExit(f"the rates differ: {first} and {second} frames/s; --any-rate compares frame by frame")


def read_frames(reference: Clip, test: Clip, options: Video) -> Iterator[Frames]:
    """Yields the frames of both videos; raises Mismatch where they cannot be compared any further."""
    first, second = reference.frames(), test.frames()
    for number in itertools.count():
        x, y = next(first, None), next(second, None)
        if x is None or y is None:
            break
        yield prepare(x, y, number, options)
    if (x is not None or y is not None) and not options.shortest:
        longer = show_name((test if x is None else reference).path)
        raise Mismatch(f"{longer} has more than {number} frames; --shortest ends with the shorter video")


def prepare(x: Any, y: Any, number: int, options: Video) -> Frames:
    """Returns two frames in one size and one format."""
    seconds = float("nan") if x.time is None else x.time
    format = options.format
    if format is None and x.format.name != y.format.name:
        names = f"{x.format.name} and {y.format.name}"
        raise Mismatch(f"the pixel formats of frame {number} differ: {names}; --format converts both")
    sizes = [(frame.width, frame.height) for frame in (x, y)]
    if sizes[0] != sizes[1] and options.resize is None:
        shown = " and ".join(f"{width}x{height}" for width, height in sizes)
        raise Mismatch(f"the sizes of frame {number} differ: {shown}; --resize resizes one of them")
    width, height = sizes[1] if options.resize == "reference" else sizes[0]
    name = format or PLANAR.get(x.format.name, x.format.name)
    x, y = (convert(frame, name, width, height, options.filter) for frame in (x, y))
    check_format(x.format)
    return Frames(seconds, planes(x), planes(y), 2 ** x.format.components[0].bits - 1)


def convert(frame: Any, name: str, width: int, height: int, filter: str) -> Any:
    """Returns a frame in a format and a size, by swscale; as it is where it has both."""
    if (frame.format.name, frame.width, frame.height) == (name, width, height):
        return frame
    try:
        return frame.reformat(width, height, name, interpolation=filter.upper())
    except (ValueError, av.error.FFmpegError) as error:
        raise Mismatch(f"cannot convert {frame.format.name} to {name}: {error}") from error


def check_format(format: Any) -> None:
    """Raises Mismatch for a format whose planes hold several components, or samples of other than 8 to 16 bits."""
    components = format.components
    if len({each.plane for each in components}) < len(components) or not 8 <= components[0].bits <= 16:
        raise Mismatch(f"the pixel format {format.name} cannot be compared; pass --format yuv444p or another")


def planes(frame: Any) -> dict[str, np.ndarray]:
    """Returns the planes of a frame by name: y, u, v and a, or r, g, b and a."""
    names = "rgba" if frame.format.is_rgb else "yuva"
    dtype = np.dtype(np.uint8 if frame.format.components[0].bits == 8 else np.uint16)
    dtype = dtype.newbyteorder(">" if frame.format.is_big_endian else "<")
    found = {}
    for name, component in zip(names, frame.format.components, strict=False):
        plane = frame.planes[component.plane]
        rows = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
        pixels = rows[: component.height, : component.width, None]
        found[name] = pixels.astype(dtype.newbyteorder("="))  # a copy: the decoder uses the memory again
    return found
