"""What an external call returned, bounded: for the event that carries it and for the store that keeps it.

Called by `monitor.publisher.call_recording` and `monitor.store.kept_form`. Pure. May import nothing of this package.
"""

from __future__ import annotations

from typing import Any

import msgspec

MAX_RESPONSE_CHARS = 4_000
"""Of a response as JSON: what a person reads of it at night, and as much again as a long answer of a model. Whole
documents belong into the store that they came from."""


def bounded(body: Any, most: int) -> Any:
    """The body as it is, or as a text of at most `most` characters and how many it had.

    A text is cut as it stands, everything else as JSON. What JSON has no form for is written as `str` gives it.
    """
    if isinstance(body, str):
        return body if len(body) <= most else _cut(body, most)
    if body is None or isinstance(body, bool | int | float):
        return body
    text = msgspec.json.encode(body, enc_hook=_as_text).decode("utf-8", "replace")
    return msgspec.json.decode(text) if len(text) <= most else _cut(text, most)


def _as_text(item: Any) -> Any:
    dump = getattr(item, "model_dump", None)  # pydantic, and the clients built on it
    return dump() if callable(dump) else str(item)


def _cut(text: str, most: int) -> str:
    return f"{text[:most]} [cut: {len(text):,} characters]"
