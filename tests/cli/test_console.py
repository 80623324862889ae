"""What the programs print: every character of a path or name, on one line, on any terminal."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rich")

import measuring
from rich.console import Console
from rich.table import Table

from jaxssim._cli.console import one_line, progress_bar, say

ROOT = Path(__file__).resolve().parents[2]
NAMES = {
    "a[ssim]": "a[ssim]",
    "exp [v2] [red]x[/red] [/] \\[b]": "exp [v2] [red]x[/red] [/] \\[b]",
    ":smile: {x} %s": ":smile: {x} %s",
    "two\nlines\ttab\x1b[31m": r"two\nlines\ttab\x1b[31m",
    "bad\udcff": r"bad\udcff",
    "Übung 日本": "Übung 日本",
}


def printed(width=40):
    return Console(record=True, width=width, file=io.StringIO())


@pytest.mark.parametrize("name", NAMES)
def test_a_line_shows_every_character(name):
    console = printed()
    say(console, Path("runs") / name, f"{name} " * 9, style="red")
    assert console.export_text() == f"runs/{NAMES[name]}\n{f'{NAMES[name]} ' * 9}\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_table_and_a_progress_bar_show_every_character(name):
    console, table = printed(120), Table()
    table.add_row(one_line(name))
    console.print(table)
    with progress_bar(console, "loss {task.fields[loss]:.4f}") as bar:
        bar.add_task(one_line(name).plain, total=1, loss=0.25)
    text = console.export_text()
    assert text.count(NAMES[name]) == 2
    assert "loss 0.2500" in text


def test_the_tables_of_the_benchmarks_show_brackets(capsys):
    measuring.show("scores [of x]", ["name", "[ms]"], [["a[ssim]", "[red]1"]])
    shown = capsys.readouterr().out
    assert [part for part in ("scores [of x]", "[ms]", "a[ssim]", "[red]1") if part not in shown] == []


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_terminal_shows_any_name(encoding):
    code = "from jaxssim._cli.console import open_console, say; say(open_console(), 'a[日本]\\udcff')"
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    shown = "a[日本]" if encoding == "utf-8" else r"a[\u65e5\u672c]"
    assert done.stdout.decode(encoding) == shown + "\\udcff\n"


def test_the_programs_print_text_in_one_way():
    """Rich's `print`, and `Console.print` of a string, take brackets for markup."""
    folders = (ROOT / "examples", ROOT / "jaxssim" / "_cli")
    files = [path for folder in folders for path in folder.rglob("*.py") if path.name != "console.py"]
    calls = [(path.name, line) for path in files for line in re.findall(r".*console\.print\(.*", path.read_text())]
    assert len(calls) > 3
    assert [call for call in calls if not re.search(r"print\((report\.|table|score_table)", call[1])] == []
    assert [path.name for path in files if re.search(r"from rich import .*\bprint\b|Console\(", path.read_text())] == []
