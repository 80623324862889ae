"""`jaxssim video` against the definitions in float64 and FFmpeg's own PSNR, and on videos that do not fit together."""

import csv
import os
import re
import subprocess
import sys

import numpy as np
import pytest

for name in ("av", "rich", "skimage", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

import av
import reference
from commands import program, run
from videos import COUNT, write_video

slow = pytest.mark.slow


def stored_planes(path, format):
    """Returns the planes of each frame as PyAV's `to_ndarray` gives them."""
    with av.open(path.open("rb")) as container:
        options = {"format": "rgb24"} if format == "bgr0" else {}
        frames = [frame.to_ndarray(**options) for frame in container.decode(video=0)]
    if format == "bgr0":
        return [dict(zip("rgb", np.moveaxis(frame, -1, 0), strict=True)) for frame in frames]
    if format.startswith("gray"):
        return [{"y": frame} for frame in frames]
    planes = []
    for frame in frames:
        height, width = frame.shape[0] * 2 // 3, frame.shape[1]
        luma, chroma = frame[:height], frame[height:].reshape(2, height // 2, width // 2)
        planes.append({"y": luma, "u": chroma[0], "v": chroma[1]})
    return planes


def rows_of(path):
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("format", "white"),
    [
        ("yuv420p", 255),
        *(pytest.param(*pair, marks=slow) for pair in (("yuv420p10le", 1023), ("bgr0", 255), ("gray", 255))),
    ],
)
def test_each_plane_is_scored_as_it_is_stored(tmp_path, capsys, format, white):
    files = [tmp_path / "x.mkv", tmp_path / os.fsdecode(b"\xe9.mkv")]
    for k, path in enumerate(files):
        write_video(tmp_path / f"{k}.mkv", noise=4 * k, format=format).rename(path)
    options = ("--metrics", "ssim", "psnr", "mse", "--csv", tmp_path / "frames.csv", "--plot", tmp_path / "plot.png")
    status, out, err = run(capsys, "video", *files, *options)
    assert (status, err) == (0, "")
    rows = rows_of(tmp_path / "frames.csv")
    assert [row["frame"] for row in rows] == list(range(COUNT))
    np.testing.assert_allclose([row["seconds"] for row in rows], np.arange(COUNT) / 25, atol=2e-3)
    for row, x, y in zip(rows, *(stored_planes(path, format) for path in files), strict=True):
        ssims, errors = {}, {}
        for plane in x:
            a, b = (image[plane].astype(float)[..., None] for image in (x, y))
            ssims[plane] = 1 - float(reference.one_minus_ssim(a, b, white))
            errors[plane] = np.mean((a - b) ** 2)
            assert row[f"ssim_{plane}"] == pytest.approx(ssims[plane], abs=2e-7)
            assert row[f"mse_{plane}"] == pytest.approx(errors[plane], rel=1e-6)
            assert row[f"psnr_{plane}"] == pytest.approx(10 * np.log10(white**2 / errors[plane]), rel=1e-6)
        weights = [x[plane].size for plane in x]
        assert row["ssim_all"] == pytest.approx(np.average(list(ssims.values()), weights=weights), abs=2e-7)
        assert row["mse_all"] == pytest.approx(np.average(list(errors.values()), weights=weights), rel=1e-6)
    line = next(line for line in out.splitlines() if line.strip().startswith("all"))
    worst = int(np.argmin([row["ssim_all"] for row in rows]))
    assert line.split()[1:4] == [
        f"{np.mean([row['ssim_all'] for row in rows]):.6f}",
        f"{rows[worst]['ssim_all']:.6f}",
        str(worst),
    ]
    assert len(np.unique(np.asarray(Image.open(tmp_path / "plot.png").convert("L")))) > 20


@slow
@pytest.mark.parametrize("equal", [0, 1, COUNT])
def test_psnr_over_frames_is_that_of_the_mean_squared_error(tmp_path, capsys, equal):
    files = write_video(tmp_path / "x.mkv"), write_video(tmp_path / "y.mkv", noise=9, equal=equal)
    status, out, err = run(capsys, "video", *files, "--metrics", "psnr")
    assert (status, err) == (0, "")
    assert "PSNR of all frames is that of their mean squared error" in out
    pairs = list(zip(*(stored_planes(path, "yuv420p") for path in files), strict=True))
    for plane in ("y", "u", "v"):
        mse = np.mean([np.mean((x[plane].astype(float) - y[plane]) ** 2) for x, y in pairs])
        line = next(line for line in out.splitlines() if line.split()[:1] == [plane.upper()])
        assert line.split()[1] == (f"{10 * np.log10(255**2 / mse):#.6g}" if mse else "inf")


@slow
@pytest.mark.parametrize("filter", ["psnr", "ssim"])
def test_values_of_compressed_video_are_those_of_ffmpeg(tmp_path, capsys, filter):
    """FFmpeg's filters, in the libraries that PyAV brings, write one line for each frame."""
    files = write_video(tmp_path / "x.mkv"), write_video(tmp_path / "y.mp4", codec="mpeg4")
    log = tmp_path / "filter.log"
    code = f"""
import av, gc
from av.filter import Graph
av.logging.set_level(av.logging.INFO)
clips = [av.open(path) for path in {[str(path) for path in files]!r}]
graph = Graph()
sources = [graph.add_buffer(template=clip.streams.video[0]) for clip in clips]
compare = graph.add("{filter}", "stats_file={log}")
sink = graph.add("buffersink")
for i, source in enumerate(sources):
    source.link_to(compare, 0, i)
compare.link_to(sink)
graph.configure()
for k, frames in enumerate(zip(*(clip.decode(video=0) for clip in clips))):
    for source, frame in zip(sources, frames):
        frame.pts = round(k / 25 / frame.time_base)
        source.push(frame)
for source in sources:
    source.push(None)
try:
    while True:
        sink.pull()
except (BlockingIOError, EOFError):
    pass
with av.logging.Capture(False) as lines:
    del graph, sources, compare, sink, source
    gc.collect()
print(*(line for _, _, line in lines))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=100, capture_output=True, text=True)
    _, out, _ = run(
        capsys, "video", *files, "--metrics", "ssim", "psnr", "--convention", "ffmpeg", "--csv", tmp_path / "frames.csv"
    )
    rows = rows_of(tmp_path / "frames.csv")
    lines = [dict(re.findall(r"(\w+):(\S+)", line)) for line in log.read_text().splitlines()]
    assert len(lines) == COUNT
    names = {"psnr_avg": "all", "psnr_y": "y", "psnr_u": "u", "psnr_v": "v"}
    if filter == "ssim":
        names = {"All": "all", "Y": "y", "U": "u", "V": "v"}
    digits = {"psnr": 2, "ssim": 6}[filter]
    for row, line in zip(rows, lines, strict=True):
        for theirs, ours in names.items():
            assert row[f"{filter}_{ours}"] == pytest.approx(float(line[theirs]), abs=0.6 * 10**-digits)
    summary = dict(re.findall(r"(\w+):([\d.]+)", done.stdout))
    table = {words[0]: words[1:] for line in out.splitlines() if (words := line.split())}
    for theirs, ours in (("average", "all"), ("All", "all"), *((c, c.upper()) for c in "yuvYUV")):
        if theirs in summary:
            value = float(table[ours][3 if filter == "psnr" else 0])
            assert value == pytest.approx(float(summary[theirs]), abs=1e-4 if filter == "psnr" else 2e-6)
    assert summary.keys() & {"average", "All"}


@slow
@pytest.mark.parametrize(
    ("changed", "message", "option"),
    [
        ({"size": (80, 64)}, "the sizes of frame 0 differ: 96x64 and 80x64; --resize", ("--resize", "test")),
        ({"size": (80, 64)}, "the sizes of frame 0 differ: 96x64 and 80x64; --resize", ("--resize", "reference")),
        ({"count": 6}, "y.mkv has more than 4 frames; --shortest ends", ("--shortest",)),
        ({"count": 2}, "x.mkv has more than 2 frames; --shortest ends", ("--shortest",)),
        ({"rate": 30}, "the rates differ: 25 and 30 frames/s; --any-rate compares", ("--any-rate",)),
        (
            {"format": "yuv444p"},
            "the pixel formats of frame 0 differ: yuv420p and yuv444p",
            ("--format", "gray10le"),
        ),
        ({"format": "bgr0"}, "the pixel formats of frame 0 differ", ("--format", "yuv420p10le")),
    ],
)
def test_videos_that_do_not_fit_are_an_error_or_an_option(tmp_path, capsys, monkeypatch, changed, message, option):
    monkeypatch.setenv("COLUMNS", "300")
    files = write_video(tmp_path / "x.mkv"), write_video(tmp_path / "y.mkv", **changed)
    status, out, err = run(capsys, "video", *files)
    assert status == 2
    assert message in out + err
    status, out, err = run(capsys, "video", *files, *option, "--csv", tmp_path / "frames.csv")
    assert (status, err) == (0, "")
    rows = rows_of(tmp_path / "frames.csv")
    assert len(rows) == min(changed.get("count", COUNT), COUNT)
    least = 1 if "count" in changed or "rate" in changed else 0.8
    assert all(least <= row["ssim_all"] <= 1 for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.mkv", "x.mkv"), "nowhere.mkv: No such file or directory"),
        (("words\n.mkv", "x.mkv"), "words\\n.mkv: Invalid data found when processing input"),
        ((".", "x.mkv"), ".: Is a directory"),
        (("list.m3u8", "x.mkv"), "list.m3u8: "),
        (("x.mkv", "x.mkv", "--metrics", "cw-ssim"), "cw-ssim is not for video"),
        (("x.mkv", "x.mkv", "--format", "words"), "cannot convert yuv420p to words"),
        (("x.mkv", "x.mkv", "--metrics", "ms-ssim"), "x and y have spatial shape (64, 96), but 5 scales need at least"),
    ],
)
def test_wrong_files_and_options_end_with_one_line(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    write_video(tmp_path / "x.mkv")
    (tmp_path / "words\n.mkv").write_text("words")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nx.mkv\n#EXT-X-ENDLIST\n")
    status, out, err = run(capsys, "video", *arguments)
    assert status == 2
    assert (out + err).startswith(message)
    assert (out + err).count("\n") == 1


@slow
def test_a_video_that_is_cut_short_keeps_its_first_frames(tmp_path):
    """The real program."""
    whole = write_video(tmp_path / "x.mkv", count=30)
    (tmp_path / "y.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    status, out, err = program("video", whole, tmp_path / "y.mkv", "--csv", tmp_path / "frames.csv")
    assert (status, err) == (2, "")
    assert "x.mkv has more than" in out or "y.mkv: " in out
    assert 0 < len(rows_of(tmp_path / "frames.csv")) < 30
