"""Joins the processes of a job, and says why they end where one of them does."""

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxssim._pictures import show_name

HEARTBEAT_TIMEOUT = 30  # seconds after which a silent process counts as ended
START_TIMEOUT = 300  # seconds after which a process that waits for the others ends
WATCHER = "import sys; last = sys.stdin.read().splitlines()[-1]; last == 'done' or print(last, file=sys.stderr)"


@contextmanager
def join_job(
    coordinator: str | None, processes: int | None, process: int | None, log: Path, advice: str
) -> Iterator[Path]:
    """Joins the processes of a distributed job, and leaves when all have finished. Yields this process's log file.

    If one process ends before the job is done, JAX terminates the others from C++, where Python can neither catch the
    error nor explain it. JAX does the same where a process never joins. Each process therefore starts a watcher, a
    small process that prints a message unless its parent has told it that the job is done. The log file gets what
    libraries write from C++, and the exceptions that follow the end of another process. Signals end a process that
    waits for the others at once.

    Args:
        coordinator: HOST:PORT of the first process; None where the environment describes the job.
        processes: the number of processes, or None.
        process: the index of this process, or None.
        log: the path of the log file without its ending; "-0.log", "-1.log" and so on are appended.
        advice: the end of the message.
    """
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCHER], stdin=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for_others(coordinator, processes, process, watcher)
    log = log.with_name(f"{log.name}-{jax.process_index()}.log")
    message = (
        f"process {jax.process_index()} of {jax.process_count()} ended before the job was done, as do all others when "
        f"one ends; the first to end says why, or its log, here {show_name(log)}. {advice}"
    )
    tell(watcher, message)
    with library_output_to(log):
        try:
            yield log
        except Exception:
            traceback.print_exc()
            sys.stdout.flush()
            os._exit(1)  # the usual end would wait for the other processes
        jax.distributed.shutdown()
    watcher.communicate("done")


def wait_for_others(
    coordinator: str | None, processes: int | None, process: int | None, watcher: subprocess.Popen[str]
) -> None:
    """Initialises the job once all processes have come; exits with JAX's message where the job cannot start."""
    others = f"{processes} processes" if processes else "the other processes"
    print(f"waiting for {others}", file=sys.stderr, flush=True)
    message = (
        f"ended while it was waiting for {others}: it was stopped, or not all came within {START_TIMEOUT} s; start "
        "all, with the same address of the first one, which the others must be able to reach"
    )
    tell(watcher, message)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with library_output_to(Path(os.devnull)):
            jax.distributed.initialize(
                coordinator,
                processes,
                process,
                initialization_timeout=START_TIMEOUT,
                heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT,
            )
    except (RuntimeError, ValueError) as error:
        watcher.communicate("done")
        raise SystemExit(f"this process cannot join a job: {' '.join(str(error).split())}") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell(watcher: subprocess.Popen[str], message: str) -> None:
    """Hands the watcher the line to print where this process ends from now on."""
    assert watcher.stdin is not None
    watcher.stdin.write(f"{message}\n")
    watcher.stdin.flush()


@contextmanager
def library_output_to(path: Path) -> Iterator[None]:
    """Appends to a file what this process writes to standard error, and what C++ code writes to standard output.

    What Python prints still reaches standard output.
    """
    sys.stdout.flush()
    output, error = os.dup(1), os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)  # Gloo prints its connections there, from several threads at once
        os.dup2(file.fileno(), 2)
    try:
        with (
            open(
                output, "w", buffering=1, encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False
            ) as printed,
            redirect_stdout(printed),
        ):
            yield
    finally:
        sys.stderr.flush()
        for copy, number in ((output, 1), (error, 2)):
            os.dup2(copy, number)
            os.close(copy)


def gather(text: str) -> list[str]:
    """Returns the texts of all processes, in their order; all must call this together."""
    content = np.frombuffer(text.encode(), np.uint8)
    lengths = np.asarray(multihost_utils.process_allgather(np.asarray([len(content)]))).reshape(-1)
    padded = np.zeros(max(lengths), np.uint8)
    padded[: len(content)] = content
    contents = np.asarray(multihost_utils.process_allgather(padded)).reshape(len(lengths), -1)
    return [bytes(row[:length]).decode() for row, length in zip(contents, lengths, strict=True)]
