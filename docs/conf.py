"""Configures the site: `sphinx-build -W --keep-going docs docs/_build/html`, or `.ci/site`."""

import re
import sys
import tomllib
import types
from pathlib import Path
from typing import Any

import jax.typing

jax.typing.ArrayLike = type("ArrayLike", (), {"__module__": "jax.typing"})  # its name in place of its ten members

# Stands in for Keras, so that the site needs no Keras to show `jaxssim.keras`.
standin = types.ModuleType("keras")
standin.backend = types.SimpleNamespace(backend=lambda: "jax")
standin.losses = types.SimpleNamespace(Loss=type("Loss", (), {"__module__": "keras.losses"}))
standin.metrics = types.SimpleNamespace(Mean=type("Mean", (), {"__module__": "keras.metrics"}))
standin.saving = types.SimpleNamespace(register_keras_serializable=lambda package: lambda each: each)
sys.modules["keras"] = standin

import jaxssim.keras  # noqa: E402

del sys.modules["keras"]

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
REPOSITORY = PROJECT["urls"]["Repository"]

project = PROJECT["name"]
author = PROJECT["authors"][0]["name"]
version = release = jaxssim.__version__
copyright = author

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "jaxssim"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"source_repository": REPOSITORY, "source_branch": "main", "source_directory": "docs/"}

# Pages link to the repository's files as [speed.py](repo:benchmarks/speed.py).
myst_url_schemes = {
    "http": None,
    "https": None,
    "repo": {"url": REPOSITORY + "/blob/main/{{path}}", "title": "{{path}}"},
}
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "force"  # the tutorial must run with the code as it is
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
default_role = "py:obj"  # `ssim` in a docstring links to `jaxssim.ssim`, and is plain code where there is no such name
copybutton_exclude = ".linenos, .gp, .go"


def _escape_stars(app: Any, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Keeps reStructuredText from reading the stars of a shape such as (*batch, height) as emphasis."""
    for number, line in enumerate(lines):
        parts = re.split(r"(`+[^`]*`+)", line)
        parts[::2] = (re.sub(r"(?<![\w*])\*(?=\w)", r"\\*", part) for part in parts[::2])
        lines[number] = "".join(parts)


def _join_at_colon(app: Any, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Joins sentences that napoleon has split at a colon, since it takes the first part for a type."""
    text = "\n".join(lines)
    text = re.sub(r":returns: (.*?)\n+:rtype: (.*?)(?=\n\n|\n:|\Z)", r":returns: \2: \1\n", text, flags=re.DOTALL)
    if what == "data":
        text = re.sub(r"\A(.*?)\n+:type: (.*?)\Z", r"\2: \1", text.strip(), flags=re.DOTALL)
    lines[:] = [*text.split("\n"), ""]


def _show_default_axis(
    app: Any, what: str, name: str, obj: object, options: object, signature: str, returns: str
) -> Any:
    """Shows the default of `channel_axis` as the number that it is."""
    return signature and re.sub(r"(channel_axis=)[\w.]*LAST", r"\1-1", signature), returns


def setup(app: Any) -> None:
    """Connects the functions above: one before napoleon, which has priority 500, and one after it."""
    app.connect("autodoc-process-docstring", _escape_stars, priority=400)
    app.connect("autodoc-process-docstring", _join_at_colon, priority=600)
    app.connect("autodoc-process-signature", _show_default_axis)
