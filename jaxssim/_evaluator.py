"""Scores of a stream of images of any sizes, and of images that are larger than memory."""

import collections
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxssim import conventions
from jaxssim._inputs import check_convention
from jaxssim._layout import LAST, Layout
from jaxssim._ms_ssim import MS_SSIM_WEIGHTS, check_weights
from jaxssim._streaming.blocks import Plane
from jaxssim._streaming.checks import Settings, check_pair
from jaxssim._streaming.pairs import Pair
from jaxssim._streaming.prefetch import prefetched
from jaxssim._streaming.scores import METRICS, Wanted
from jaxssim._streaming.writer import Image, Writer
from jaxssim.conventions import Convention

Scores = dict[str, Any]
Planes = list[tuple[Image, Plane]]
PAIRS_WAITING = 64
"""Tapes that are not full are computed when more pairs wait for their last strip."""
MAP_VALUES_WAITING = 2**24
"""Tapes that are not full are computed when maps of more values wait for their last strip."""


class Evaluator:
    """Scores pairs of images of any sizes, also larger than memory, with one program for all sizes.

    The values are those of `ssim`, `ms_ssim`, `mse`, `mae`, `psnr` and `ssim_map` for each pair alone, as near to
    float64 as these functions; sums of squares are float64, and do not overflow. The images are cut into strips, which
    lie side by side in arrays of one shape. So a new size does not compile, and memory, apart from that of maps,
    depends on neither the size nor the number of the images. Reading the next images overlaps with the computation.

    x and y are arrays, or whatever has a shape, a type of NumPy and slices: `np.memmap`, `h5py.Dataset`, `zarr.Array`.
    These are read in blocks of some megabytes, in a thread.

    An evaluator needs at most three programs: one for SSIM, its map and the finest scale of MS-SSIM, one for coarser
    scales, and one for `mse`, `mae` and `psnr`. Each type and number of channels has programs of its own, as have masks
    and images that a convention shrinks.

    Args:
        metrics: A name or several of "ssim", "ms_ssim", "mse", "mae", "psnr" and "ssim_map".
        data_range: Largest minus smallest allowed value, broadcast to (*batch,). Floating images need one.
        convention: The definition of SSIM, for instance `jaxssim.conventions.SKIMAGE`.
        weights: One positive exponent for each scale of MS-SSIM, finest scale first.
        k1: Replaces the convention's k1, which stabilises luminance: a scalar, whose new values do not recompile.
        k2: Replaces the convention's k2, which stabilises contrast and structure: a scalar, as k1.
        crop_border: Pixels to leave out along each side.
        spatial_ndim: 1 for signals, 2 for images, 3 for volumes and video.
        channel_axis: Axis of the channels, counted from the end, or None. By default the last axis, if at most 4 long.

    Raises:
        ValueError: If a metric or the convention is not known, or a weight is not positive.

    Example:
        >>> evaluator = jaxssim.Evaluator(("ssim", "psnr"), data_range=1.0, channel_axis=None)
        >>> images = [jnp.linspace(0, 1, 16 * width).reshape(16, width) for width in (16, 20, 50)]
        >>> for scores in evaluator.stream((image, image**2) for image in images):
        ...     print(f"{scores['ssim']:.4f} {scores['psnr']:.2f} dB")
        0.7792 14.79 dB
        0.7791 14.78 dB
        0.7789 14.78 dB
    """

    def __init__(
        self,
        metrics: str | Sequence[str] = "ssim",
        *,
        data_range: ArrayLike | None = None,
        convention: Convention = conventions.WANG2004,
        weights: Sequence[float] = MS_SSIM_WEIGHTS,
        k1: ArrayLike | None = None,
        k2: ArrayLike | None = None,
        crop_border: int = 0,
        spatial_ndim: int = 2,
        channel_axis: int | None = LAST,
    ) -> None:
        """Checks the metrics; images are checked when they come."""
        names = (metrics,) if isinstance(metrics, str) or not isinstance(metrics, Iterable) else tuple(metrics)
        unknown = [name for name in names if name not in METRICS]
        if unknown or not names:
            raise ValueError(f"metrics must be some of {', '.join(map(repr, METRICS))}, got {metrics!r}")
        check_convention(convention)
        weights = check_weights(weights)
        self._wanted = Wanted(names, convention, weights)
        self._settings = Settings(data_range, k1, k2, Layout(spatial_ndim, channel_axis, crop_border))

    def __call__(
        self,
        x: Any,
        y: Any,
        *,
        mask: Any = None,
        out: Any = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Scores:
        """Returns the scores of one pair of images, or of one batch of pairs.

        Args:
            x: Images (*batch, *spatial, channels): uint8, uint16, float16, bfloat16, float32 or float64.
            y: Images of the shape of `x`; of its type too, unless both are floating.
            mask: Weights of pixels, bool or at least 0: (*spatial), (*batch, *spatial), or as `x` with 1 or all
                channels.
            out: Receives the map of "ssim_map" in place of a new array: an array of NumPy, a memmap or whatever takes
                slices of that shape.
            progress: Called as `progress(done, total)` with the number of blocks read so far and of all blocks.

        Returns:
            The values (*batch,) in float64 and the map as in `ssim_map`, by the name of the metric.

        Raises:
            ValueError: As the functions of these names; also if a pixel that counts is NaN or infinite, if a slice of
                `x`, `y` or `mask` is short or of another type, or if the shape of one of them changes.
        """
        if out is not None and not self._wanted.mapped:
            raise ValueError(f'out receives a map, but metrics are {self._wanted.metrics}; pass "ssim_map" among them')
        (scores,) = self._scores([(x, y, mask)], out, progress, numbered=False)
        return scores

    def check(self, x: Any, y: Any, *, mask: Any = None) -> None:
        """Raises the error that the scores of a pair would raise, as far as it does not depend on pixels.

        A stream ends at the first pair that cannot be scored; with this check its generator can leave such pairs out.

        Args:
            x: Images (*batch, *spatial, channels), of which no pixel is read.
            y: As `x`.
            mask: Weights of pixels, or None.

        Raises:
            ValueError: As `__call__`: shapes or types that do not fit, images smaller than the window, no data range.

        Example:
            >>> evaluator = jaxssim.Evaluator()
            >>> evaluator.check(jnp.zeros((16, 16, 3), jnp.uint8), jnp.zeros((16, 20, 3), jnp.uint8))
            Traceback (most recent call last):
            ...
            ValueError: x and y must have the same shape, got (16, 16, 3) and (16, 20, 3); pass images of equal shape
        """
        check_pair(self._settings, self._wanted, x, y, mask)

    def stream(self, pairs: Iterable[Sequence[Any]]) -> Iterator[Scores]:
        """Yields the scores of each pair, in order, as `__call__` returns them.

        Strips of several pairs are computed together, so that the scores of small images come some pairs later than the
        images are taken.

        Args:
            pairs: Yields (x, y) or (x, y, mask), of any sizes. A thread of its own advances it, so that a generator
                that reads pictures reads the next ones while the last ones are scored.

        Raises:
            ValueError: As `__call__`; a note of the exception says which pair it is, counted from 0. The scores of all
                pairs before it come first, also where `pairs` itself raises an error.
        """
        return self._scores(pairs, None, None)

    def _scores(
        self, pairs: Iterable[Sequence[Any]], out: Any, progress: Any, numbered: bool = True
    ) -> Iterator[Scores]:
        writers: dict[np.dtype, Writer] = {}
        waiting: collections.deque[Pair] = collections.deque()
        try:
            for pair, planes in prefetched(self._blocks(pairs, out, _x64(), numbered)):
                if planes is None:
                    waiting.append(pair)
                    pair.complete()
                else:
                    dtype = pair.checked.dtype
                    if dtype not in writers:
                        writers[dtype] = Writer(dtype, pair.checked.constants)
                    for image, plane in planes:
                        writers[dtype].write(plane, image)
                    pair.note_progress(progress)
                if len(waiting) > PAIRS_WAITING or sum(each.map_values for each in waiting) > MAP_VALUES_WAITING:
                    _flush(writers)
                while waiting and waiting[0].done:
                    yield waiting.popleft().scores()
        except Exception:
            _flush(writers)
            yield from (pair.scores() for pair in waiting)  # of the pairs before the one that fails
            raise
        _flush(writers)
        yield from (pair.scores() for pair in waiting)

    def _blocks(
        self, pairs: Iterable[Sequence[Any]], out: Any, x64: bool, numbered: bool
    ) -> Iterator[tuple[Pair, Planes | None]]:
        """Yields a pair and the planes of one of its blocks, each with its image; after the last block, None."""
        for number, arrays in enumerate(pairs):
            try:
                _check_length(arrays)
                with jax.enable_x64(x64):
                    checked = check_pair(self._settings, self._wanted, *arrays)
                pair = Pair(*checked, self._wanted, out)
                for image, planes in pair.blocks():
                    yield pair, [(image, plane) for plane in planes]
            except ValueError as error:
                if numbered:
                    error.add_note(f"This is pair {number} of the stream, counted from 0.")
                raise
            yield pair, None


def _check_length(arrays: Any) -> None:
    """Raises a ValueError unless there are two arrays or three."""
    count = len(arrays) if hasattr(arrays, "__len__") else None
    if count not in (2, 3):
        got = repr(arrays) if count is None else f"{count} arrays"
        raise ValueError(f"pairs must yield (x, y) or (x, y, mask), got {got}")


def _flush(writers: dict[np.dtype, Writer]) -> None:
    for writer in writers.values():
        writer.flush()


def _x64() -> bool:
    """Returns whether JAX computes in 64 bits in this thread; another thread has a setting of its own."""
    return bool(jax.dtypes.canonicalize_dtype(np.float64) == np.float64)
