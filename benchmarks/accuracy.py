"""How far SSIM is from float64: jaxssim beside every library that is installed, over sizes, offsets, contrasts, types.

    python benchmarks/accuracy.py [--peers tensorflow kornia ...] [--reference DIR] [--python ANOTHER/bin/python ...]
        [--output DIR]

The truth is the definition that each library follows, in NumPy's float64, of the images as the library gets them. An
error is that of the mean over one pair of images, whose data range is 1. jaxssim is held, too, against the values that
other libraries computed for the pairs of the tests, and where DIR holds `values.json` and the PNG pairs that it names,
against those of the original MATLAB code, for all of its metrics.
"""

import dataclasses
import functools
import json
import math
import sys
from pathlib import Path

import measuring
import numpy as np
import peers
import team

TESTS = Path(__file__).resolve().parents[1] / "tests"
REFLECTED = ("torchmetrics", "opencv-contrib")  # take windows over the edge too; all others those inside
NOTES = """Errors of the mean SSIM of one pair by a Gaussian window of 11 pixels and sigma 1.5, data range 1: noise
from 0 to 1 and the same under more noise; set off from 0, or flattened about 0.5, where a case says so. "-": the
library refuses such images. piq has `downsample=False`, kornia `padding="valid"`, scikit-image Wang's window and
covariance; opencv is the recipe of five blurs."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A pair of images, as a row of `peers.py`."""

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
        """The two images."""
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


class Answers(team.Answers):
    """What a worker does, by the name of the request."""

    def value(self, case):
        """SSIM of a pair."""
        call, wait = self.function(Case(**case | {"shape": tuple(case["shape"])}))
        result = call()
        wait(result)
        return float(result[0])

    def kept(self, folder=None):
        """Lines of errors against what others computed in double precision."""
        return [*(against_matlab(Path(folder)) if folder else ()), *against_kept()]


# Truth.


def truth(case):
    """SSIM in float64: of the windows inside, and of all windows of the image mirrored about its edge pixels."""
    from scipy.ndimage import correlate1d

    x, y = (array[0].astype(np.float64) for array in peers.arrays(case)[:2])
    level = x.mean()
    x, y = x - level, y - level  # so that squares lose nothing even where the offset is large
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)

    def smooth(image):
        for axis in (0, 1):
            image = correlate1d(image, taps / taps.sum(), axis, mode="mirror")
        return image

    mean_x, mean_y = smooth(x), smooth(y)
    var_x, var_y = smooth(x**2) - mean_x**2, smooth(y**2) - mean_y**2
    covariance = smooth(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + level, mean_y + level
    luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
    similarity = luminance * (2 * covariance + 0.03**2) / (var_x + var_y + 0.03**2)
    return {"inside": float(similarity[5:-5, 5:-5].mean()), "reflected": float(similarity.mean())}


def against_matlab(folder):
    """Of each metric that MATLAB code defines, the errors over all pairs for which it has a real value."""
    from PIL import Image

    import jaxssim

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
                x, y = (np.asarray(Image.open(folder / pair[name])) for name in ("reference", "distorted"))
                errors.append(abs(float(metric(x, y, channel_axis=None)) - pair[key]))
        yield line(f"MATLAB, {key}", errors)


def against_kept():
    """Of each convention whose library's values the tests keep, the errors over all of their pairs."""
    sys.path.insert(0, str(TESTS))
    import peer_pairs

    import jaxssim

    kept = json.loads((TESTS / "peer_values.json").read_text())
    pairs = {name: (x, y) for name, x, y in peer_pairs.pairs()}
    for peer, values in kept["values"].items():
        convention = getattr(jaxssim.conventions, peer.split(",")[0].upper().replace("-", "_"), None)
        if convention is not None:
            metric = functools.partial(jaxssim.ssim, convention=convention, channel_axis=-1)
            yield line(peer, [abs(float(metric(*pairs[name])) - value) for name, value in values.items()])


def line(name, errors):
    """A line of the table of kept values."""
    return [name, str(len(errors)), text(np.max(errors)), text(np.median(errors))]


# The measurement.


def measure(options):
    """All that the results hold."""
    results = {"versions": {}, "missing": {}, "failed": {}, "cases": []}
    results |= team.ask_jaxssim("machine", "float32")
    for dtype in dict.fromkeys(case.dtype for case in CASES):
        workers = team.gathered(set(options.peers), options.python, dtype, results)
        for case in (case for case in CASES if case.dtype == dtype):
            results["cases"].append(measured(case, workers, results))
            print(results["cases"][-1], flush=True)
        for worker in workers.values():
            worker.close()
    folder = options.reference and str(options.reference.resolve())
    return results | {"kept": team.ask_jaxssim("kept", "float32", folder)}


def measured(case, workers, results):
    """The error of each library that takes such images."""
    exact, errors = truth(case), {}
    for name, worker in workers.items():
        try:
            value = worker.ask("value", dataclasses.asdict(case))
            errors[name] = abs(value - exact["reflected" if name in REFLECTED else "inside"])
        except measuring.WorkerError as error:
            results["failed"][f"{name}, {case.group} {case.name}"] = str(error)
    return {"group": case.group, "name": case.name, "errors": errors}


# The results.


def text(error):
    """One digit and the power of ten."""
    if error is None:
        return "-"
    return "NaN" if not math.isfinite(error) else f"{error:.0e}" if error else "0"


def ranked(cases):
    """The libraries, the one whose largest error is the least first."""
    names = dict.fromkeys(name for case in cases for name in case["errors"])
    return sorted(names, key=lambda name: largest(cases, name))


def largest(cases, name):
    """A library's largest error, None where it takes no such image; NaN counts as the worst."""
    errors = [case["errors"][name] for case in cases if name in case["errors"]]
    return max((math.inf if math.isnan(error) else error for error in errors), default=None)


def tables(results):
    """The largest error of each library, all errors, and those against kept values."""
    cases, names = results["cases"], ranked(results["cases"])
    groups = {group: [case for case in cases if case["group"] == group] for group in GROUPS}
    lines = [[name, *(text(largest(some, name)) for some in (*groups.values(), cases))] for name in names]
    yield "Largest error", ["library", *groups, "of all"], lines
    lines = [[f"{c['group']} {c['name']}", *(text(c["errors"].get(name)) for name in names)] for c in cases]
    yield "Every case", ["case", *names], lines
    yield "jaxssim against values that others computed", ["whose", "pairs", "largest error", "median"], results["kept"]


def draw(cases, path):
    """A square for each library and case, the redder the farther off."""
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
            said = text(case["errors"].get(name))
            axes.text(column, row, said, ha="center", va="center", fontsize=6.5, color=color)
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
    """The power of ten; NaN, which is white, where there is no error, and that of 1 where the error is NaN."""
    return math.nan if error is None else 0.0 if math.isnan(error) else math.log10(max(error, 1e-9))


def main():
    """Measure, print, keep."""
    parser = team.parser(__doc__)
    parser.add_argument("--reference", type=Path, metavar="DIR")
    options = parser.parse_args()
    if options.worker is not None:
        measuring.serve(Answers(options.worker))
        return
    results = measure(options)
    path = options.output / f"accuracy-{results['stem']}"
    measuring.write(path, [results["header"], *team.about(results), NOTES], list(tables(results)), results)
    draw(results["cases"], f"{path}.png")


if __name__ == "__main__":
    main()
