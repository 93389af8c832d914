"""Names that come from outside and become keys of rows: scopes, keys, kinds, people. Pure; standard library only."""

from __future__ import annotations

import unicodedata

from monitor.actions.states import InvalidAction

MAX_NAME_CHARS = 256  # percent-encoded (12 bytes a character at most), a path stays below the 8 KiB that proxies take


def checked_name(text: str, what: str, most: int = MAX_NAME_CHARS) -> str:
    """`text` in Unicode's normal form C, so that two spellings of one name are one row.

    Parameters
    ----------
    text
        1 to `most` characters after normalisation; no control, format, surrogate, private or unassigned characters
        (Unicode category C), no white space at its ends.
    what
        What it names ("key"), for the message.

    Raises `InvalidAction` where it is none.
    """
    normal = unicodedata.normalize("NFC", text)
    if not 1 <= len(normal) <= most:
        raise InvalidAction(f"{what}: must have 1 to {most} characters, has {len(normal)}")
    if normal != normal.strip():
        raise InvalidAction(f"{what}: must not begin or end with white space")
    for place, character in enumerate(normal):
        if unicodedata.category(character).startswith("C"):
            raise InvalidAction(
                f"{what}: character {place + 1} is U+{ord(character):04X}, a control or invisible character: remove it"
            )
    return normal
