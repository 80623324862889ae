"""Joins the processes of a job, and says why they end where one of them does."""

import os
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
WATCHER = "import sys; sys.stdin.read() or print(sys.argv[1], file=sys.stderr)"


@contextmanager
def join_job(
    coordinator: str | None, processes: int | None, process: int | None, log: Path, advice: str
) -> Iterator[Path]:
    """Joins the processes of a distributed job, and leaves it together; yields the file below.

    If one process ends before the job is done, JAX terminates the others from C++, where Python can neither catch the
    error nor explain it. Each process therefore starts a watcher, a small process that prints a message unless its
    parent has told it that the job is done. A file gets what libraries write from C++, and the exceptions that follow
    the end of another process.

    Args:
        coordinator: HOST:PORT of the first process; None where the environment describes the job.
        processes: the number of processes, or None.
        process: the index of this process, or None.
        log: that file, before "-0.log", "-1.log" and so on.
        advice: the end of the message.
    """
    jax.distributed.initialize(coordinator, processes, process, heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT)
    log = log.with_name(f"{log.name}-{jax.process_index()}.log")
    message = (
        f"process {jax.process_index()} of {jax.process_count()} ended before the job was done, as do all others when "
        f"one ends; the first to end says why, or its log, here {show_name(log)}. {advice}"
    )
    command = [sys.executable, "-c", WATCHER, message]
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    with library_output_to(log):
        try:
            yield log
        except Exception:
            traceback.print_exc()
            sys.stdout.flush()
            os._exit(1)  # the usual end would wait for the other processes
        jax.distributed.shutdown()
    watcher.communicate(b"done")


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
