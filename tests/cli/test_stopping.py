"""Ctrl-C leaves what was scored, and --resume goes on from there."""

import json
import signal
import time

import pytest

for name in ("rich", "skimage", "tyro"):
    pytest.importorskip(name)
pytest.importorskip("PIL.Image")

from commands import finish, launch, program, write_many

COUNT = 1500  # pairs, which take some seconds


@pytest.mark.slow
def test_ctrl_c_leaves_what_was_scored(tmp_path):
    write_many(tmp_path, COUNT)
    table, content = tmp_path / "scores.csv", tmp_path / "scores.json"
    command = ("compare", tmp_path / "ref", tmp_path / "test", "--csv", table, "--json", content)
    process = launch(*command)
    while process.poll() is None and not (table.exists() and table.read_text().count("\n") > 20):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    status, out, err = finish(process)
    assert status == 128 + signal.SIGINT, err
    assert "Traceback" not in err
    kept = table.read_text().splitlines()
    scored = len(kept) - 1
    assert 20 <= scored < COUNT
    assert f"stopped: {scored} of {COUNT} pairs; --csv with --resume goes on" in out
    stopped = json.loads(content.read_text())
    assert stopped["finished"] is False
    assert [pair["name"] for pair in stopped["pairs"]] == [line.split(",")[0] for line in kept[1:]]
    status, out, err = program(*command, "--resume")
    assert status == 0, err
    assert table.read_text().splitlines()[: len(kept)] == kept
    assert json.loads(content.read_text())["finished"] is True
