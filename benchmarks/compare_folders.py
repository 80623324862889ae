"""Times `jaxssim compare` on folders beside ImageMagick, pyssim and a loop of scikit-image, and measures its memory.

    PYTHONPATH=. python benchmarks/compare_folders.py [--magick MAGICK] [--pairs 200] [--many 1000 10000]

The references are crops of photographs of scikit-image, 200 sizes around 512x384, as PNG; the others are the same as
JPEG. Each program is timed from its start to its end, and scores all pairs: jaxssim as the command that a user types,
ImageMagick 7 as one `compare -metric SSIM` for each pair, one or two at a time; pyssim and scikit-image as loops in one
process, which read by Pillow. Their definitions of SSIM differ, and pyssim's is of grey pictures. The programs take
turns; the median of three turns counts. Seconds of the processor are those of all threads, and depend less than seconds
of the clock on what else runs. Memory is the largest resident set of the process, on folders of links to the same
pictures.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measuring
import numpy as np

PHOTOGRAPHS = ("astronaut", "coffee", "hubble_deep_field", "immunohistochemistry", "retina", "rocket")
ROUNDS = 3
LOOPS = {
    "scikit-image": """
from skimage.metrics import structural_similarity
score = lambda x, y: structural_similarity(np.asarray(x), np.asarray(y), channel_axis=-1)
""",
    "pyssim": """
import ssim
score = ssim.compute_ssim
""",
}
LOOP = """
import sys, numpy as np
from pathlib import Path
from PIL import Image
{score}
for path in sorted(Path(sys.argv[1]).iterdir()):
    print(path.stem, score(Image.open(path), Image.open(Path(sys.argv[2]) / (path.stem + ".jpg"))))
"""


def write_pairs(folder, count):
    """Writes the pictures; returns the folder of the references and that of the others."""
    from PIL import Image
    from skimage import data

    rng = np.random.default_rng(0)
    ref, test = folder / "ref", folder / "test"
    ref.mkdir(parents=True)
    test.mkdir()
    for i in range(count):
        image = getattr(data, PHOTOGRAPHS[i % len(PHOTOGRAPHS)])()
        height, width = 384 - i % 20, 512 - i // 20
        row, column = (rng.integers(0, n - m + 1) for n, m in zip(image.shape, (height, width), strict=False))
        crop = Image.fromarray(image[row : row + height, column : column + width])
        crop.save(ref / f"{i:05}.png")
        crop.save(test / f"{i:05}.jpg", quality=75)
    return ref, test


def write_links(folder, ref, test, count):
    """Writes COUNT pairs that are links to pictures of two folders; returns both folders."""
    pairs = list(zip(sorted(ref.iterdir()), sorted(test.iterdir()), strict=True))
    for name in ("ref", "test"):
        (folder / name).mkdir(parents=True)
    for i in range(count):
        for name, path in zip(("ref", "test"), pairs[i % len(pairs)], strict=True):
            (folder / name / f"{i:05}{path.suffix}").symlink_to(path)
    return folder / "ref", folder / "test"


def jaxssim_command(ref, test):
    """Returns the command of jaxssim."""
    return [sys.executable, "-m", "jaxssim", "compare", str(ref), str(test), "--metrics", "ssim", "--rows", "0"]


def commands(ref, test, magick):
    """Returns the command of each program by its name, of those that are installed."""
    found = {"jaxssim compare": jaxssim_command(ref, test)}
    for name, score in LOOPS.items():
        module = score.split()[1].split(".")[0]
        if subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True).returncode == 0:
            found[f"{name}, loop"] = [sys.executable, "-c", LOOP.format(score=score), str(ref), str(test)]
        else:
            print(f"{name} is not installed")
    if magick:
        compare = f'{magick} compare -metric SSIM {ref}/"$0".png {test}/"$0".jpg null: || [ $? = 1 ]'
        names = " ".join(path.stem for path in sorted(ref.iterdir()))
        for at_once in (1, 2):
            script = f"echo {names} | xargs -n 1 -P {at_once} sh -c '{compare}'"
            found[f"ImageMagick, {at_once} at a time"] = ["sh", "-c", script]
    else:
        print("ImageMagick 7 is not installed: pass --magick PATH")
    return found


def run(command):
    """Runs a command to its end; returns seconds of the clock and of the processor, and the memory in MiB."""
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{command[:6]} ended with {status}: {errors[-500:]!r}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def speed(ref, test, magick, count):
    """Returns the table of all programs and its numbers."""
    programs = commands(ref, test, magick)
    taken = {name: [] for name in programs}
    for turn in range(ROUNDS):
        for name, command in programs.items():
            print(f"turn {turn + 1} of {ROUNDS}: {name}", flush=True)
            taken[name].append(run(command))
    rows, numbers = [], {}
    for name, runs in taken.items():
        clock, used, _ = (statistics.median(each) for each in zip(*runs, strict=True))
        numbers[name] = {"seconds": clock, "processor": used, "pairs_a_second": count / clock, "runs": runs}
        rows.append([name, *map(measuring.number, (clock, count / clock, used, 1000 * used / count))])
    heads = [f"{count} pairs", "seconds", "pairs a second", "processor, s", "processor, ms a pair"]
    return (f"{count} pairs of about 512x384 RGB, from the start of the program", heads, rows), numbers


def memory(folder, ref, test, counts):
    """Returns the table of the command's memory on folders of many pairs, and its numbers."""
    rows, numbers = [], {}
    for count in counts:
        links = write_links(folder / str(count), ref, test, count)
        print(f"{count} pairs", flush=True)
        clock, used, mebibytes = run([*jaxssim_command(*links), "--csv", str(folder / f"{count}.csv")])
        assert len((folder / f"{count}.csv").read_text().splitlines()) == count + 1
        numbers[count] = {"seconds": clock, "processor": used, "mebibytes": mebibytes}
        rows.append([f"{count}", *map(measuring.number, (mebibytes, clock, count / clock, 1000 * used / count))])
    heads = ["pairs", "memory, MiB", "seconds", "pairs a second", "processor, ms a pair"]
    return ("jaxssim compare --csv on many pairs", heads, rows), numbers


def main():
    """Measures, and writes the results."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--magick", default=shutil.which("magick"), help="the program of ImageMagick 7")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--many", type=int, nargs="*", default=[1000, 10_000])
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        ref, test = write_pairs(Path(folder) / "pictures", options.pairs)
        tables, numbers = zip(
            speed(ref, test, options.magick, options.pairs),
            memory(Path(folder) / "many", ref, test, options.many),
            strict=True,
        )
    about = [measuring.header(), f"Load average at the start: {load:.2f}."]
    if options.magick:
        version = subprocess.run([options.magick, "-version"], capture_output=True, text=True).stdout.splitlines()[0]
        about.append(version.removeprefix("Version: ").split(" https")[0] + ".")
    data = {"about": about, "speed": numbers[0], "memory": numbers[1]}
    measuring.write(options.output / f"compare-folders-{measuring.stem()}", about, tables, data)


if __name__ == "__main__":
    main()
