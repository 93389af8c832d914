"""Names that come from outside and become keys of rows: scopes, keys, kinds, people. Pure; standard library only."""

from __future__ import annotations

import unicodedata

from monitor.actions.states import InvalidAction

MAX_NAME_CHARS = 256  # percent-encoded (12 bytes a character at most), a path stays below the 8 KiB that proxies take


_NOT_IN_NAMES = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Control, format, surrogate, private and unassigned characters; separators of lines and paragraphs."""


def checked_name(text: str, what: str, most: int = MAX_NAME_CHARS) -> str:
    """`text` in Unicode's normal form C, so that two spellings of one name are one row.

    Parameters
    ----------
    text
        1 to `most` characters after normalisation; no control or invisible characters (`_NOT_IN_NAMES`), no white space
        at its ends; not `.` or `..`, which HTTP clients take out of paths.
    what
        What it names ("key"), for the message.

    Raises `InvalidAction` where it is none.
    """
    normal = unicodedata.normalize("NFC", text)
    if not 1 <= len(normal) <= most:
        raise InvalidAction(f"{what}: must have 1 to {most} characters, has {len(normal)}")
    if normal in (".", ".."):
        raise InvalidAction(f"{what}: must not be {normal!r}, which HTTP clients take out of a path")
    if normal != normal.strip():
        raise InvalidAction(f"{what}: must not begin or end with white space")
    for place, character in enumerate(normal):
        if unicodedata.category(character) in _NOT_IN_NAMES:
            raise InvalidAction(
                f"{what}: character {place + 1} is U+{ord(character):04X}, a control or invisible character: remove it"
            )
    return normal
