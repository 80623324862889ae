"""Measures the error of SSIM against float64: of jaxssim and every installed library, over sizes, offsets and types.

    python benchmarks/accuracy.py [--peers tensorflow kornia ...] [--reference DIR] [--python ANOTHER/bin/python ...]
        [--output DIR]

The error is that of the mean SSIM of one pair of images with data range 1. The exact value is that of `reference.py`,
by the definition that each library follows, for the images as the library gets them. The program also compares jaxssim
with the values that other libraries computed for the pairs of `peer_pairs.py` and, if DIR holds `values.json` and the
PNG files that it names, with those of the original MATLAB code, for all of its metrics.
"""

import dataclasses
import functools
import json
import math
from pathlib import Path

import measuring
import numpy as np
import peers
import workers

# Workers of other libraries may lack JAX: functions import what needs it.

FOLDER = Path(__file__).parent
KEPT = FOLDER.parent / "tests" / "core" / "reference"
LEFT_OUT = {"fast-ssim", "blazediff"}
REFLECTED = ("torchmetrics", "opencv-contrib")  # these average windows over the edge too; all others those inside
NOTES = """Errors of the mean SSIM of one pair with a Gaussian window of 11 pixels and sigma 1.5, data range 1: noise
from 0 to 1, and the same image with more noise; where a case says so, with an offset added or the contrast about 0.5
reduced. "-": the library refuses such images. Options: `downsample=False` for piq, `padding="valid"` for kornia, Wang's
window and covariance for scikit-image; opencv is the recipe of five blurs. blazediff is left out, because it reads the
luma of 8-bit pixels, and so is fast-ssim, whose only window is uniform; the last table has fast-ssim's own values, and
docs/conventions.md says what both compute."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A pair of images, which `peers.py` takes as a row."""

    group: str
    name: str
    shape: tuple[int, ...]
    offset: float = 0.0
    contrast: float = 1.0
    dtype: str = "float32"
    work: str = "forward"
    metric: str = "ssim"
    size: int = 11
    sigma: float = 1.5

    def images(self):
        """Returns the two images in float64."""
        middle = 0 if self.contrast == 1 else 0.5
        return tuple(self.offset + middle + self.contrast * (image - middle) for image in peers.noise(self.shape))


SQUARE = (1, 256, 256, 3)
CASES = [
    *(Case("size", f"{n}²", (1, n, n, 1)) for n in (64, 256, 1024, 4096)),
    Case("size", "1080p, RGB", (1, 1080, 1920, 3)),
    *(Case("offset", f"{offset}", SQUARE, offset=offset) for offset in (1, 10, 100, 1000)),
    *(Case("contrast", f"{contrast:g}", SQUARE, contrast=contrast) for contrast in (0.1, 0.01, 0.001)),
    *(Case("type", dtype, SQUARE, dtype=dtype) for dtype in ("float16", "float64")),
]
GROUPS = list(dict.fromkeys(case.group for case in CASES))


class RequestHandler(workers.RequestHandler):
    """The requests that a worker answers."""

    def value(self, case):
        """Returns SSIM of a pair, or None where the library has no such function."""
        functions = self.function(Case(**case | {"shape": tuple(case["shape"])}))
        if functions is None:
            return None
        call, wait = functions
        result = call()
        wait(result)
        return float(result[0])

    def kept(self, folder=None):
        """Returns lines of errors against values that other programs computed in double precision."""
        folders = [Path(folder)] if folder else []
        of_folder = (line for each in folders for lines in (against_matlab, against_programs) for line in lines(each))
        return [*of_folder, *against_kept()]


# Exact values.


def exact_values(case):
    """Returns a pair's float64 SSIM twice: averaged over the windows inside, and over all of the reflected image."""
    import reference

    import jaxssim

    images = [array[0] for array in peers.arrays(case)[:2]]
    conventions = {"inside": jaxssim.conventions.WANG2004, "reflected": jaxssim.conventions.TORCHMETRICS}
    return {name: float(1 - reference.one_minus_ssim(*images, 1.0, which)) for name, which in conventions.items()}


def against_matlab(folder):
    """Yields the errors of each metric over all pairs for which the MATLAB code gives a real value."""
    import jaxssim
    from jaxssim._pictures import read

    shrinking = jaxssim.conventions.WANG_AUTODOWNSAMPLE
    metrics = {
        "ssim_wang2004": jaxssim.ssim,
        "ssim_wang_autodownsample": functools.partial(jaxssim.ssim, convention=shrinking),
        "msssim_wang2003": jaxssim.ms_ssim,
        "cwssim_l4_o8": functools.partial(jaxssim.cw_ssim, levels=4, orientations=8),
        "cwssim_l5_o16": functools.partial(jaxssim.cw_ssim, levels=5, orientations=16),
        "cwssim_l3_o4": functools.partial(jaxssim.cw_ssim, levels=3, orientations=4),
    }
    for key, metric in metrics.items():
        errors = []
        for pair in json.loads((folder / "values.json").read_text()):
            if pair.get(key) is not None:
                x, y = (read(folder / pair[name]).pixels[..., 0] for name in ("reference", "distorted"))
                errors.append(abs(float(metric(x, y, channel_axis=None)) - pair[key]))
        yield line(f"MATLAB, {key}", errors)


def against_programs(folder):
    """Yields the errors of IW-SSIM and, in points of 100, of SSIMULACRA 2 over the pairs of which DIR has pictures."""
    import jaxssim
    from jaxssim._pictures import read

    for whose, metric, path, pictures in (
        ("MATLAB", jaxssim.iw_ssim, KEPT / "iw_ssim.json", folder),
        ("its program", jaxssim.ssimulacra2, folder / "rgb" / "ssimulacra2.json", folder / "rgb"),
    ):
        key, errors = metric.__name__, []
        for pair in json.loads(path.read_text()) if path.exists() else []:
            files = [pictures / pair[name] for name in ("reference", "distorted")]
            if pair[key] is not None and files[1].exists():
                images = (read(file).pixels for file in files)
                errors.append(abs(float(metric(*images, channel_axis=-1)) - pair[key]))
        if errors:
            yield line(f"{whose}, {key}", errors)


def against_kept():
    """Yields the errors over all pairs of each library that is in peer_values.json, by its convention."""
    import peer_pairs
    import peer_values

    import jaxssim

    pairs = {name: (x, y) for name, x, y in peer_pairs.pairs()}
    for peer, values in json.loads(peer_values.FILE.read_text())["values"].items():
        metric = functools.partial(jaxssim.ssim, convention=peer_values.DEFINITIONS[peer], channel_axis=-1)
        yield line(peer, [abs(float(metric(*pairs[name])) - value) for name, value in values.items()])


def line(name, errors):
    """Returns a line of the table."""
    return [name, str(len(errors)), text(np.max(errors)), text(np.median(errors))]


# The measurement.


def measure(options):
    """Measures everything and returns the results."""
    results = {"versions": {}, "missing": {}, "failed": {}, "cases": []}
    results |= workers.ask_jaxssim("machine", "float32")
    for dtype in dict.fromkeys(case.dtype for case in CASES):
        team = workers.start_workers(set(options.peers) - LEFT_OUT, options.python, dtype, results)
        for case in (case for case in CASES if case.dtype == dtype):
            results["cases"].append(measure_case(case, team, results))
            print(results["cases"][-1], flush=True)
        for worker in team.values():
            worker.close()
    folder = options.reference and str(options.reference.resolve())
    return results | {"kept": workers.ask_jaxssim("kept", "float32", folder)}


def measure_case(case, team, results):
    """Returns the error of each library that accepts such images."""
    exact, errors = exact_values(case), {}
    for name, worker in team.items():
        try:
            value = worker.ask("value", dataclasses.asdict(case))
            if value is not None:
                errors[name] = abs(value - exact["reflected" if name in REFLECTED else "inside"])
        except measuring.WorkerError as error:
            results["failed"][f"{name}, {case.group} {case.name}"] = str(error)
    return {"group": case.group, "name": case.name, "errors": errors}


# The results.


def text(error):
    """Formats an error as one digit and a power of ten."""
    if error is None:
        return "-"
    return "NaN" if not math.isfinite(error) else f"{error:.0e}" if error else "0"


def ranked(cases):
    """Returns the libraries in the order of their largest errors, the smallest first."""
    names = dict.fromkeys(name for case in cases for name in case["errors"])
    return sorted(names, key=lambda name: largest(cases, name))


def largest(cases, name):
    """Returns a library's largest error, or None if it refuses all such images; NaN counts as infinite."""
    errors = [case["errors"][name] for case in cases if name in case["errors"]]
    return max((math.inf if math.isnan(error) else error for error in errors), default=None)


def tables(results):
    """Yields the tables of the largest errors, of all errors, and of those against the values of other programs."""
    cases, names = results["cases"], ranked(results["cases"])
    groups = {group: [case for case in cases if case["group"] == group] for group in GROUPS}
    lines = [[name, *(text(largest(some, name)) for some in (*groups.values(), cases))] for name in names]
    yield "Largest error", ["library", *groups, "of all"], lines
    lines = [[f"{c['group']} {c['name']}", *(text(c["errors"].get(name)) for name in names)] for c in cases]
    yield "Every case", ["case", *names], lines
    yield (
        "jaxssim against the values of other programs",
        ["program", "pairs", "largest error", "median"],
        results["kept"],
    )


def draw(cases, path):
    """Draws a square for each library and case, the redder the larger the error."""
    names = ranked(cases)
    figure = measuring.picture(path, figsize=(8, 0.9 + 0.3 * len(names)))
    if figure is None:
        return
    axes = figure.subplots()
    shades = [[shade(case["errors"].get(name)) for case in cases] for name in names]
    axes.imshow(shades, cmap="Reds", vmin=-8, vmax=-1, aspect="auto")
    for row, name in enumerate(names):
        for column, case in enumerate(cases):
            color = "white" if shades[row][column] > -3.5 else "#333c42"
            label = text(case["errors"].get(name))
            axes.text(column, row, label, ha="center", va="center", fontsize=6.5, color=color)
    axes.set_yticks(range(len(names)), names, fontsize=8.5)
    axes.set_xticks(range(len(cases)), [case["name"].replace(", ", "\n") for case in cases], fontsize=7.5)
    for group in GROUPS:
        columns = [column for column, case in enumerate(cases) if case["group"] == group]
        axes.text(np.mean(columns), -0.75, group, ha="center", fontsize=8.5, color="#667078")
        axes.axvline(columns[-1] + 0.5, color="white", linewidth=4)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    measuring.save(figure, path)


def shade(error):
    """Returns log10 of the error: NaN, drawn white, if the library refuses the image, and 0 if the error is NaN."""
    return math.nan if error is None else 0.0 if math.isnan(error) else math.log10(max(error, 1e-9))


def main():
    """Measures, prints and writes the results."""
    parser = workers.parser(__doc__)
    parser.add_argument("--reference", type=Path, metavar="DIR")
    options = parser.parse_args()
    if options.worker is not None:
        measuring.serve(RequestHandler(options.worker))
        return
    results = measure(options)
    path = options.output / f"accuracy-{results['stem']}"
    measuring.write(path, [results["header"], *workers.header_lines(results), NOTES], list(tables(results)), results)
    draw(results["cases"], f"{path}.png")


if __name__ == "__main__":
    main()
