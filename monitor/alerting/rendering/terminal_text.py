"""Text in columns of a terminal, where one character may take two columns, or none.

Pure. May import `monitor.events` and below.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from monitor.events.excerpt_size import EXCERPT_CHARS

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def plain(text: str) -> str:
    """`text` on one line, runs of white space as one space, without characters that could steer a terminal or a reader.

    Text of models and users reaches the log and the pager through here: escape sequences, line breaks and
    direction overrides in it must not be able to fake or hide lines.
    """
    visible = (" " if c.isspace() else "" if unicodedata.category(c) in _HIDDEN else c for c in text)
    return " ".join("".join(visible).split())


def excerpt_text(text: str) -> str:
    """An event's excerpt for reading: `plain`, with an ellipsis where it was cut (excerpts hold 160 characters)."""
    return plain(text) + ("…" if len(text) >= EXCERPT_CHARS else "")


def width(text: str) -> int:
    """Columns that `text` takes (Unicode TR 11: wide and full-width characters take two, combining ones none)."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def clip(text: str, room: int, measure: Callable[[str], int] = width) -> str:
    """`text`, cut with an ellipsis where it takes more than `room`: columns, or what `measure` counts."""
    if measure(text) <= room:
        return text
    kept, used = [], 1
    for character in text:
        used += measure(character)
        if used > room:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def wrap(text: str, columns: int) -> list[str]:
    """Lines of at most `columns`, broken at spaces, and inside a word only where it alone is too wide."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and width(line) + 1 + width(word) <= columns:
            line += " " + word
            continue
        if line:
            lines.append(line)
        line = ""
        for character in word if width(word) > columns else (word,):
            if line and width(line) + width(character) > columns:
                lines.append(line)
                line = ""
            line += character
    return [*lines, line] if line else lines


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """`text` filled up with spaces to `columns`, on its left where `right` aligns it to the right."""
    space = " " * max(0, columns - width(text))
    return space + text if right else text + space
