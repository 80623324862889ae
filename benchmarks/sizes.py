"""Times images of many sizes beside images of one size and scikit-image, and pairs that are larger than memory.

    PYTHONPATH=. python benchmarks/sizes.py                      # 40 photographs of 40 sizes
    PYTHONPATH=. python benchmarks/sizes.py --large 60000 --map  # two files of 10 GiB in --folder, and their map
    PYTHONPATH=. python benchmarks/sizes.py --volume 1024        # two files of 1 GiB

Photographs are crops of those of scikit-image, about 512x384 RGB; the other image has noise. Seconds of the processor
are those of all threads, and depend less than seconds of the clock on what else runs. Large images are noise. Their
memory is the largest RssAnon of the process: what it allocates, without the pages of the files.
"""

import functools
import math
import os
import statistics
import tempfile
import time
from pathlib import Path

import measuring
import numpy as np

import jaxssim
from jaxssim import conventions

COUNT = 40
CONVENTIONS = {"SKIMAGE": {}, "SKIMAGE_GAUSSIAN": {"gaussian_weights": True}}
PHOTOGRAPHS = ("astronaut", "coffee", "hubble_deep_field", "immunohistochemistry", "retina", "rocket")
HEADS = ["SSIM of 40 pairs", "first time, s", "later, s", "a pair, ms", "first, processor s", "later, processor s"]
ROWS_WRITTEN = 64  # of a file of noise at a time


def photographs(sizes):
    """Returns pairs of crops of those sizes, uint8."""
    from skimage import data

    rng, pairs = np.random.default_rng(0), []
    for i, (height, width) in enumerate(sizes):
        image = getattr(data, PHOTOGRAPHS[i % len(PHOTOGRAPHS)])()
        row, column = (rng.integers(0, n - m + 1) for n, m in zip(image.shape, (height, width), strict=False))
        x = image[row : row + height, column : column + width]
        pairs.append((x, np.clip(x + 10 * rng.standard_normal(x.shape), 0, 255).round().astype(np.uint8)))
    return pairs


def timed(score, pairs):
    """Returns the scores, and the seconds of the clock and of the processor."""
    start, used = time.perf_counter(), time.process_time()
    scores = score(pairs)
    return scores, time.perf_counter() - start, time.process_time() - used


def many_sizes(repeats):
    """Returns the tables of 40 photographs of 40 sizes, and their numbers."""
    from skimage.metrics import structural_similarity

    many = photographs([(360 + i, 512 - i) for i in range(COUNT)])
    one = photographs([(384, 512)] * COUNT)
    tables, numbers = [], {}
    for name, options in CONVENTIONS.items():
        convention = getattr(conventions, name)
        evaluator, ssim = (
            jaxssim.Evaluator(convention=convention),
            functools.partial(jaxssim.ssim, convention=convention),
        )
        score = functools.partial(structural_similarity, channel_axis=-1, data_range=255, **options)
        works = {
            "Evaluator, 40 sizes": (lambda pairs, e=evaluator: [float(s["ssim"]) for s in e.stream(pairs)], many),
            "ssim, one size": (lambda pairs, s=ssim: [float(s(x, y)) for x, y in pairs], one),
            "scikit-image, 40 sizes": (lambda pairs, s=score: [s(x, y) for x, y in pairs], many),
        }
        firsts = {work: timed(*call) for work, call in works.items()}
        error = np.abs(np.subtract(firsts["Evaluator, 40 sizes"][0], firsts["scikit-image, 40 sizes"][0])).max()
        later = {work: [] for work in works}
        for _ in range(repeats):  # the works take turns and so meet the same conditions
            for work, call in works.items():
                later[work].append(timed(*call)[1:])
        rows = []
        for work, (_, first, first_used) in firsts.items():
            clock, used = (statistics.median(each) for each in zip(*later[work], strict=True))
            rows.append([work, *map(measuring.number, (first, clock, 1e3 * clock / COUNT, first_used, used))])
            numbers[f"{name}, {work}"] = dict(first=first, later=clock, first_used=first_used, used=used)
        tables.append((f"{name}, largest difference from scikit-image {error:.0e}", HEADS, rows))
    return tables, numbers


# Larger than memory.


def anonymous_memory():
    """Returns RssAnon of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def noise_file(path, shape, seed):
    """Writes a file of noise and returns it as a memmap."""
    rng, file = np.random.default_rng(seed), np.memmap(path, np.uint8, "w+", shape=shape)
    for first in range(0, shape[0], ROWS_WRITTEN):
        part = file[first : first + ROWS_WRITTEN]
        part[:] = rng.integers(0, 256, part.shape, np.uint8)
    file.flush()
    return np.memmap(path, np.uint8, "r", shape=shape)


def larger_than_memory(shape, folder, metrics, with_map):
    """Returns the row of one pair of files, and its numbers."""
    options = dict(spatial_ndim=3, channel_axis=None) if shape[-1] > 4 else {}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        x, y = (noise_file(Path(place) / name, shape, seed) for seed, name in enumerate("xy"))
        inside = tuple(n - 10 if n > 4 else n for n in shape)
        out = np.memmap(Path(place) / "map", np.float32, "w+", shape=inside) if with_map else None
        evaluator = jaxssim.Evaluator(("ssim", *metrics, *["ssim_map"] * with_map), **options)
        memory = [anonymous_memory()]
        scores, clock, used = timed(
            lambda both: evaluator(*both, out=out, progress=lambda *_: memory.append(anonymous_memory())), (x, y)
        )
        fits = math.prod(shape) <= 2**27
        error = abs(float(scores["ssim"]) - float(jaxssim.ssim(x, y, **options))) if fits else math.nan
    gibibytes = 2 * math.prod(shape) / 2**30
    numbers = dict(gibibytes=gibibytes, seconds=clock, used=used, before=memory[0], most=max(memory))
    rate = gibibytes * 1024 / clock
    mebibytes = [f"{each / 2**20:.0f}" for each in (memory[0], max(memory))]
    name = f"{measuring.text_of(shape)} uint8, {', '.join(['ssim', *metrics, *['map'] * with_map])}"
    row = [name, f"{gibibytes:.1f}", measuring.number(clock), measuring.number(rate), f"{used:.0f}", *mebibytes]
    row.append(f"{error:.0e}" if fits else "-")
    return row, numbers


def main():
    """Measures what the options ask for."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="passes over the photographs after the first")
    parser.add_argument("--large", type=int, nargs="*", default=[], metavar="N", help="pairs of N x N RGB files")
    parser.add_argument("--volume", type=int, nargs="*", default=[], metavar="N", help="pairs of N x N x N files")
    parser.add_argument("--metrics", nargs="*", default=[], help="metrics beside ssim")
    parser.add_argument("--map", action="store_true", help="write the map of SSIM into a file too")
    parser.add_argument("--folder", type=Path, help="holds the files; a temporary folder by default")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    shapes = [*((n, n, 3) for n in options.large), *((n, n, n) for n in options.volume)]
    name = f"{'large' if shapes else 'sizes'}-{measuring.stem()}"
    if not shapes:
        tables, numbers = many_sizes(options.repeats)
    else:
        pairs = [larger_than_memory(shape, options.folder, options.metrics, options.map) for shape in shapes]
        heads = ["pair", "GiB", "seconds", "MiB/s", "processor s", "MiB before", "most MiB", "from ssim"]
        tables = [("Larger than memory", heads, [row for row, _ in pairs])]
        numbers = {row[0]: each for row, each in pairs}
    about = [measuring.header(), f"load average at the start: {load:.1f}"]
    measuring.write(options.output / name, about, tables, numbers)


if __name__ == "__main__":
    main()
