"""Docstrings of the public names: complete, equal where they say the same, with examples that run, in plain English."""

import collections
import doctest
import functools
import inspect
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from marks import slow_except

import jaxssim

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = {name: value for name in jaxssim.__all__ if inspect.isfunction(value := getattr(jaxssim, name))}
FAST = [name for name in FUNCTIONS if not name.startswith(("iw_ssim", "ssimulacra2"))]
FUNCTIONS |= {f"sharded.{name}": getattr(jaxssim.sharded, name) for name in jaxssim.sharded.__all__}
CLASSES = {name: value for name in jaxssim.__all__ if inspect.isclass(value := getattr(jaxssim, name))}
CLASSES["Average"] = jaxssim.metrics.Average
SECTION = re.compile(r"^(Args|Returns|Raises|Example|Examples):$")
ORIGINAL_FIRST = ("iw_ssim", "iw_ssim_loss", "ssimulacra2", "ssimulacra2_loss")
# Arguments that mean something else in these functions, so that their lines may differ.
DIFFERENT = {
    *((name, "x") for name in ("cw_ssim", "cw_ssim_loss", "steerable_pyramid")),  # images only, no signals or volumes
    *((name, each) for name in ORIGINAL_FIRST for each in ("x", "y", "channel_axis")),  # originals, in colour or grey
    *((name, "data_range") for name in ORIGINAL_FIRST if name.startswith("ssimulacra2")),  # from black to white
    *((name, "weights") for name in ORIGINAL_FIRST if name.startswith("iw_ssim")),  # divided by their sum
    *((name, "levels") for name in ("cw_ssim", "cw_ssim_loss")),  # what levels do to the value
    ("luma", "channel_axis"),
    ("luma", "data_range"),
    ("pairwise", "mask"),  # one for all images
    *((f"sharded.{name}", "x") for name in jaxssim.sharded.__all__),  # a part of the images
    *((f"sharded.{name}", "y") for name in jaxssim.sharded.__all__),
}
BANNED = ("is had", "are had", "be had", "that is none", "that are none", "so many", "kin take", "for it alone", "anew")


def sections(docstring):
    """Returns the lines of each section of a docstring by its heading; "" holds what comes before."""
    found, name = collections.defaultdict(list), ""
    for line in inspect.cleandoc(docstring or "").splitlines():
        heading = SECTION.match(line)
        if heading:
            name = heading[1].removesuffix("s") if heading[1] == "Examples" else heading[1]
        else:
            found[name].append(line)
    return found


def arguments(docstring):
    """Returns the description of each argument by its name."""
    found, name = {}, None
    for line in sections(docstring)["Args"]:
        if match := re.match(r"    (\*{0,2}\w+)( \([^)]*\))?: (.*)", line):
            name = match[1].lstrip("*")
            found[name] = match[3]
        elif name and line.startswith("        "):
            found[name] += " " + line.strip()
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_documents_arguments_result_errors_and_an_example(name):
    function = FUNCTIONS[name]
    assert list(arguments(function.__doc__)) == list(inspect.signature(function).parameters)
    found = sections(function.__doc__)
    missing = [section for section in ("Returns", "Raises", "Example") if not "".join(found[section]).strip()]
    assert not missing, f"{name} lacks {missing}"
    assert re.match(r"[A-Z][a-z]+s\b", found[""][0]), f"{name} must begin with a verb, such as Returns or Computes"


@pytest.mark.parametrize("name", CLASSES)
def test_class_documents_its_fields(name):
    assert inspect.getdoc(CLASSES[name])
    if name not in ("Components", "Pyramid"):  # NamedTuples, which users receive but do not make
        assert list(arguments(CLASSES[name].__doc__)) == list(inspect.signature(CLASSES[name]).parameters)


@pytest.mark.parametrize("name", slow_except([*FAST, *CLASSES], [*FUNCTIONS, *CLASSES]))
def test_example_runs(name):
    value = FUNCTIONS.get(name) or CLASSES[name]
    names = {"jaxssim": jaxssim, "jax": jax, "jnp": jnp}
    for test in doctest.DocTestFinder(recurse=False).find(value, name, globs=names):
        failures, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
        assert not failures, f"the example of {name} gives another result: see the output above"
        assert test.examples or name in CLASSES


def test_arguments_with_one_meaning_have_one_description():
    texts = collections.defaultdict(dict)
    for name, function in FUNCTIONS.items():
        for argument, text in arguments(function.__doc__).items():
            if (name, argument) not in DIFFERENT:
                texts[argument].setdefault(text, []).append(name)
    different = {argument: found for argument, found in texts.items() if len(found) > 1}
    assert not different, f"make these descriptions equal, or add a function to DIFFERENT: {different}"


@functools.cache
def prose():
    """Returns the text of every file that holds code or documentation, by its path; this file lists what it bans."""
    folders = [ROOT / name for name in ("jaxssim", "examples", "benchmarks", "tests", "docs")]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".md")]
    files += ROOT.glob("*.md")
    kept = (
        path for path in files if path != Path(__file__) and "results" not in path.parts and "_build" not in path.parts
    )
    return {str(path.relative_to(ROOT)): path.read_text().lower() for path in kept}


@pytest.mark.parametrize("phrase", BANNED)
def test_no_file_uses_phrases_that_are_hard_to_read(phrase):
    pattern = re.compile(rf"\b{re.escape(phrase)}\b")
    assert not [path for path, text in prose().items() if pattern.search(text)]
