"""Shows the names of files, which may hold any bytes, on one line of any terminal or text file."""

import os
import sys
from pathlib import Path


def show_name(path: str | os.PathLike[str], encoding: str | None = None) -> str:
    r"""Returns a path as one line of text: line breaks, control characters and bytes outside UTF-8 become escapes.

    A backslash is doubled, so that each text stands for one name. Brackets stay as they are: print the text without
    markup, as `rich.text.Text`.

    Args:
        path: the path.
        encoding: of the file that the text is written to; by default that of the terminal.

    Example:
        >>> show_name("two\nlines.png")
        'two\\nlines.png'
    """
    encoding = encoding or terminal_encoding()
    return "".join(show_character(character, encoding) for character in os.fspath(Path(path)))


def show_character(character: str, encoding: str) -> str:
    """Returns a character, or its escape where it is a separator, invisible, or outside the encoding."""
    if "\udc80" <= character <= "\udcff":  # Python's stand-in for a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character == "\\":
        return character if os.sep == character else "\\\\"
    if not character.isprintable():
        return character.encode("unicode_escape").decode("ascii")
    return character.encode(encoding, "backslashreplace").decode(encoding)


def show_text(text: str, encoding: str | None = None) -> str:
    """Returns a message as one line of text, escaped as `show_name` does, but for backslashes."""
    encoding = encoding or terminal_encoding()
    return "".join(part if part == "\\" else show_character(part, encoding) for part in text)


def terminal_encoding() -> str:
    """Returns the encoding of what is printed."""
    return getattr(sys.stdout, "encoding", None) or "utf-8"
