"""The README and the pages of the site: their code runs, their links lead to files, their numbers were measured."""

import re
import tomllib
from pathlib import Path

import pytest
from marks import slow, slow_except

import jaxssim

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
COMMANDS = (
    "python -m pip install --quiet uv && python -m uv run --no-dev --extra examples -m examples.autoencoder",
    "python -m pip install --quiet uv && python -m uv run pytest",
)


def _code(page: Path) -> str:
    blocks = re.findall(r"^( *)```python\n(.*?)^ *```", page.read_text(), re.S | re.M)
    return "\n".join(re.sub(f"^{indent}", "", block, flags=re.M) for indent, block in blocks)


def _rows(text: str) -> list[list[str]]:
    """The cells of every row of every table."""
    return [[cell.strip() for cell in line[1:-1].split(" | ")] for line in text.splitlines() if line.startswith("| ")]


def _section(page: Path, title: str) -> str:
    return page.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_readme_is_short():
    assert len(README.read_text().splitlines()) <= 130


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_has_the_command_on_a_line(command):
    assert command in README.read_text().splitlines()


@slow
def test_readme_code_trains_a_model():
    start = "loss = train_step(model, optimizer, patches)"
    code = _code(README).replace("for step", f"first_{start}\nfor step")
    assert f"first_{start}" in code
    names: dict = {}
    exec(code, names)
    assert names["loss"] < 0.5 * names["first_loss"]


@pytest.mark.parametrize(
    "page",
    slow_except(["conventions", "extending"], ["getting_started", "training", "conventions", "extending", "large"]),
)
def test_code_of_a_page_runs(page, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")  # as the page on training sets it; restored afterwards
    code = _code(ROOT / "docs" / f"{page}.md")
    assert code
    exec(code, {})


def test_first_example_of_conventions_gives_the_number_beside_it():
    code = _code(ROOT / "docs/conventions.md").replace("jaxssim.ssim(", "value = jaxssim.ssim(")
    names: dict = {}
    exec(code, names)
    assert float(names["value"]) == pytest.approx(0.282192, abs=1e-6)


def test_accuracy_in_readme_is_that_measured():
    rows = _rows(_section(README, "Accuracy"))
    measured = _rows((ROOT / "benchmarks/results/accuracy-cpu-jax0.12.md").read_text())
    assert len(rows) > 4
    assert all(row in measured for row in rows)


def test_speed_in_readme_is_that_measured():
    rows = _rows(_section(README, "Speed"))
    summary = (ROOT / "benchmarks/results/speed-cpu-jax0.12.md").read_text().split("## Summary")[1].split("## All")[0]
    measured = [row[:3] + row[4:] for row in _rows(summary)]  # without the limit of the processor
    assert len(rows) > 4
    assert [row for row in rows[2:] if row not in measured] == []


def test_shares_of_stuck_runs_on_the_page_on_training_are_those_measured():
    page = ROOT / "docs/training.md"
    rows = _rows((ROOT / "benchmarks/results/stuck-runs-cpu-jax0.10.md").read_text().split("\n## ")[1])
    measured = {row[0]: row[1] for row in rows[2:]}
    assert measured["k1 and k2 from 1, warm-up over a third"].startswith("0 of ")
    named = re.findall(r"\d+ of \d+", _section(page, "Training that gets stuck"))
    assert named
    assert set(named) <= set(measured.values())


def test_figures_of_large_and_many_are_those_measured():
    page, _ = (ROOT / "docs/large.md").read_text().split("## One image on many devices")
    rows = _rows(page)
    results = (ROOT / f"benchmarks/results/{name}-cpu-jax0.12.md" for name in ("sizes", "large", "large-map"))
    measured = [row for path in results for row in _rows(path.read_text())]
    assert len(rows) > 8
    assert [row for row in rows if row not in measured] == []


def test_speed_of_the_command_is_that_measured():
    rows = _rows((ROOT / "docs/command.md").read_text().split("\n## Speed\n")[1])
    measured = _rows((ROOT / "benchmarks/results/compare-folders-cpu-jax0.10.md").read_text())
    assert len(rows) > 8
    assert [row for row in rows if row not in measured] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_to_a_file(page):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert targets or page.name not in ("README.md", "index.md", "how_it_works.md")
    missing = [t for t in targets if not (ROOT / t[5:] if t.startswith("repo:") else page.parent / t).exists()]
    assert missing == []


def test_links_of_the_readme_to_the_site_lead_to_a_page():
    site = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Documentation"]
    pages = re.findall(rf"\]\({re.escape(site)}/(\w+)\.html\)", README.read_text())
    assert len(pages) > 5
    assert [page for page in pages if not (ROOT / f"docs/{page}.md").exists()] == []


def test_every_public_name_is_on_the_api_page():
    documented = set(re.findall(r"^\.\. auto\w+:: (?:[\w.]+\.)?(\w+)", (ROOT / "docs/api.md").read_text(), re.M))
    assert set(jaxssim.__all__) - {"conventions", "metrics"} <= documented
    conventions = {name for name in vars(jaxssim.conventions) if name.isupper()}
    assert conventions <= documented
    assert conventions


def test_how_it_works_names_functions_where_they_are():
    named = re.findall(
        r"^\| (?:[^|]*\| )?((?:`\w+`(?:, )?)+) \| \[`[\w./]+`\]\(repo:([\w./]+)\)",
        (ROOT / "docs/how_it_works.md").read_text(),
        re.M,
    )
    assert len(named) == 11 + 17  # the way of a value, and the rules of derivatives
    for functions, path in named:
        for function in re.findall(r"\w+", functions):
            defined = re.search(rf"^ *(def {function}\(|{function}\w* = )", (ROOT / path).read_text(), re.M)
            assert defined, f"{path} does not define {function}"


def test_how_it_works_lists_every_workaround():
    code = (ROOT / "jaxssim/_core/xla.py").read_text()
    rows = _rows(_section(ROOT / "docs/how_it_works.md", "Workarounds for the compiler"))[2:]
    assert [row[0].strip("`") for row in rows] == re.findall(r"^def ([a-z]\w*)\(", code, re.M)


def test_every_address_of_the_repository_is_that_of_pyproject():
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    holders = [*PAGES, ROOT / "pyproject.toml", ROOT / "CITATION.cff", *(ROOT / ".github").rglob("*.*ml")]
    addresses = [
        address
        for holder in holders
        for address in re.findall(r"https://github\.com/[\w-]+/jaxssim", holder.read_text())
    ]
    assert len(addresses) > 4
    assert set(addresses) == {repository}
