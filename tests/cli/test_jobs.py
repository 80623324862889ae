"""`--distributed`: two processes give the results of one, a killed one ends the job, and what was scored is kept."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

for name in ("rich", "skimage", "tyro"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")

from commands import finish, launch, program, scores, write_folders, write_many

from jaxssim._cli import jobs

slow = pytest.mark.slow
COUNT = 2000  # pairs, which take some seconds


def commands(*arguments):
    """Returns the arguments of two processes that are to be connected over the loopback interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = ("--distributed", "--coordinator", f"127.0.0.1:{port}", "--processes", "2", "--process")
    return [("compare", *arguments, *together, process) for process in range(2)]


def start_job(*arguments):
    """Starts two processes."""
    return [launch(*command) for command in commands(*arguments)]


def rows_of(*files):
    """Returns the rows of CSV files that exist, by name."""
    rows = {}
    for path in files:
        if path.exists():
            with path.open(newline="") as file:
                rows |= {row["name"]: row for row in csv.DictReader(file)}
    return rows


@slow
def test_two_processes_give_the_results_and_the_report_of_one(tmp_path, capsys):
    folders = write_folders(tmp_path)
    (folders[1] / "coffee.jpg").write_bytes(b"words")
    alone = scores(capsys, *folders, status=2)
    table, report = tmp_path / "scores.csv", tmp_path / "report"
    arguments = (
        *folders,
        "--csv",
        table,
        "--html",
        report,
        "--json",
        tmp_path / "scores.json",
        "--fail-below",
        "ssim=2",
    )
    ended = [finish(process) for process in start_job(*arguments)]
    assert [status for status, *_ in ended] == [1, 1]
    content = json.loads((tmp_path / "scores.json").read_text())
    assert [pair["name"] for pair in content["pairs"]] == [pair["name"] for pair in alone["pairs"]]
    for pair, expected in zip(content["pairs"], alone["pairs"], strict=True):
        assert pair["values"] == pytest.approx(expected["values"], rel=1e-6)
        assert pair["error"] == expected["error"]
    assert list(rows_of(table)) == [pair["name"] for pair in alone["pairs"]]
    assert "astronaut" in ended[0][1]
    assert "astronaut" not in ended[1][1]  # the first process alone prints
    pictures = [np.asarray(Image.open(path)) for path in sorted((report / "pictures").glob("*-reference.png"))]
    assert len(pictures) == 2  # those of both processes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ref", "report", "scores.csv", "scores.json", "test"]


@slow
def test_a_killed_process_ends_the_job_and_what_was_scored_is_kept(tmp_path):
    write_many(tmp_path, COUNT)
    table = tmp_path / "scores.csv"
    shares = [tmp_path / f"scores.csv.{process}-of-2" for process in range(2)]
    command = (tmp_path / "ref", tmp_path / "test", "--csv", table)
    processes = start_job(*command)
    deadline = time.monotonic() + 200
    while min(len(rows_of(share)) for share in shares) < 50 and time.monotonic() < deadline:
        time.sleep(0.05)
    processes[0].send_signal(signal.SIGKILL)
    ended = [finish(process) for process in processes]
    for process, (status, _, err) in enumerate(ended):
        assert status != 0
        assert f"process {process} of 2 ended before the job was done" in err
        assert "What was scored is kept: start all processes again with the same commands and --resume." in err
    kept = rows_of(*shares)
    assert 100 <= len(kept) < COUNT
    marked = next(iter(kept))  # its pictures are gone before the second run
    for which in ("ref", "test"):
        (tmp_path / which / f"{marked}.png").unlink()
        (tmp_path / which / f"{marked}.png").write_bytes(b"words")
    status, _, err = program("compare", *command, "--resume", "--rows", "1")
    assert status == 0, err
    resumed = rows_of(table)
    assert len(resumed) == COUNT
    assert {name: resumed[name] for name in kept} == kept
    assert sorted(path.name for path in tmp_path.glob("*of-2")) == []


@slow
@pytest.mark.parametrize("process", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_for_a_process_that_never_comes(tmp_path, process, number):
    ref, test = write_folders(tmp_path)
    waiting = launch(*commands(ref, test, "--csv", tmp_path / "scores.csv")[process])
    assert waiting.stderr.readline() == b"waiting for 2 processes\n"
    time.sleep(1)  # inside JAX by now
    waiting.send_signal(number)
    status, out, err = finish(waiting, timeout=30)
    assert (status, out) == (-number, "")
    assert err.startswith("ended while it was waiting for 2 processes: it was stopped, or not all came within 300 s")
    assert err.count("\n") == 1


@slow
@pytest.mark.parametrize("process", [0, 1])
def test_the_wait_for_a_process_that_never_comes_has_an_end(tmp_path, process):
    ref, test = write_folders(tmp_path)
    arguments = list(map(str, commands(ref, test, "--csv", tmp_path / "scores.csv")[process]))
    code = f"from jaxssim._cli import jobs, program; jobs.START_TIMEOUT = 2; program.run({arguments})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode != 0
    first, *rest = done.stderr.splitlines()
    assert first == "waiting for 2 processes"
    assert [line[:46] for line in rest] == ["ended while it was waiting for 2 processes: it"]


@slow
def test_what_is_no_job_ends_with_one_line(tmp_path):
    ref, test = write_folders(tmp_path)
    status, out, err = program("compare", ref, test, "--csv", tmp_path / "scores.csv", "--distributed")
    assert (status, out) == (2, "")
    assert err.startswith("waiting for the other processes\nthis process cannot join a job: ")
    assert "Traceback" not in err


def test_what_libraries_write_goes_to_a_file_and_what_python_prints_to_the_terminal(tmp_path, capfd):
    for part in ("one", "two"):
        with jobs.library_output_to(tmp_path / "log"):
            os.write(2, f"{part}\n".encode())  # as C++ does
            os.write(1, b"[Gloo] connected\n")
            print("step", part)
    os.write(2, b"terminal")
    print("done")
    assert (tmp_path / "log").read_text() == "one\n[Gloo] connected\ntwo\n[Gloo] connected\n"
    assert capfd.readouterr() == ("step one\nstep two\ndone\n", "terminal")
