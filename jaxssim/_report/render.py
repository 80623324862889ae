"""Fills the template of the page."""

import base64
import hashlib
import mimetypes
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO

import jinja2
from markupsafe import Markup

from jaxssim._report.pictures import COMPACT

PAGE = resources.files("jaxssim._report") / "page"
SCRIPTS = ("dom", "numbers", "selection", "summary", "histogram", "table", "zoom", "colours", "viewer", "main")


def render(file: BinaryIO, report: dict[str, Any], small: Iterable[Path], large: Iterable[Path]) -> None:
    """Writes the page, with the given files of pictures inside it, which are read one at a time.

    The policy of the page allows this script and this style by their hashes, and pictures of the page itself: names
    and messages cannot run anything, and nothing is asked of another host.

    Args:
        file: the open page.
        report: what the scripts read, as JSON.
        small: the files of thumbnails to embed, ahead of the scripts.
        large: the files of pictures to embed, behind the scripts, so that the table shows first.
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((PAGE / "page.html").read_text("utf-8"))
    script = "\n".join((PAGE / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    style = (PAGE / "style.css").read_text("utf-8")
    template.stream(
        report=report,
        style=Markup(style),
        style_hash=content_hash(style),
        script=Markup(script),
        script_hash=content_hash(script),
        small=embedded(small),
        large=embedded(large),
        longest=COMPACT["reference"].longest,
    ).dump(file, encoding="utf-8")


def content_hash(text: str) -> str:
    """Returns the hash of an inline script or style, as a Content-Security-Policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def embedded(files: Iterable[Path]) -> Iterator[tuple[str, Markup]]:
    """Yields the name and the data URI of each file."""
    for file in files:
        kind, _ = mimetypes.guess_type(file.name)
        yield file.name, Markup(f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}")
