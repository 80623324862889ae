"""The subcommands, their help, and the page that describes them."""

import re
from pathlib import Path

import pytest

for name in ("rich", "skimage", "tyro"):
    pytest.importorskip(name)
pytest.importorskip("PIL.Image")

from commands import run

import jaxssim
from jaxssim._cli.metrics import METRICS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "command.md").read_text()


@pytest.mark.parametrize("command", ["compare", "video", "cluster"])
def test_the_page_names_options_that_exist(capsys, command):
    """And the help of `compare` names all metrics."""
    status, out, _ = run(capsys, command, "--help")
    assert status == 0
    sections = {"video": "Videos", "cluster": "Clusters"}
    rest = PAGE
    for each, title in sections.items():
        section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
        rest = rest.replace(section, "")
        if each == command:
            text = section
    text = rest if command == "compare" else text
    named = set(re.findall(r"--[a-z][\w-]*", text))
    assert named
    assert named <= set(re.findall(r"--[a-z][\w-]*", out)) | {"--help"}
    if command == "compare":
        assert all(re.search(rf"\b{metric}\b", out) for metric in METRICS)
        assert "--metrics " + " ".join(METRICS) in PAGE


def test_the_limits_of_the_page_are_of_metrics():
    (line,) = (line for line in PAGE.splitlines() if line.startswith("jaxssim compare") and "--fail-below" in line)
    named = set(re.findall(r"([\w-]+)=", line))
    assert len(named) > 2
    assert named <= set(METRICS)


def test_conventions_lists_every_name_with_its_definition(capsys):
    status, out, _ = run(capsys, "conventions")
    assert status == 0
    values = vars(jaxssim.conventions).items()
    names = [name.lower().replace("_", "-") for name, value in values if isinstance(value, jaxssim.Convention)]
    assert len(names) > 8
    assert [name for name in names if not re.search(rf"^ *{name}\b", out, re.M)] == []
    line = next(line for line in out.splitlines() if line.strip().startswith("skimage "))
    assert all(words in line for words in ("uniform 7", "sample", "as they are", "windows inside", "0.01, 0.03"))
