"""From bytes to a JSON object: what can be repaired is, what cannot is refused in words that the sender understands.

Pure. Time is linear in the message's length.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from monitor.errors import InvalidEvent
from monitor.events.reasons import Reason

MAX_DEPTH = 64  # of free-form fields; far below where any reader's recursion ends

_decoder = msgspec.json.Decoder()


def parse_json(value: bytes) -> tuple[dict[str, Any], bool]:
    """The JSON object in these bytes, and whether half surrogate pairs were replaced. Raises `InvalidEvent`."""
    repaired = False
    try:
        content = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        content, repaired = _parse_again(value, error)
    if type(content) is not dict:
        name = _json_type(content)
        hint = "; publish one event a message" if name == "array" else ""
        raise InvalidEvent(Reason.NOT_OBJECT, f"the value is a JSON {name}; it must be one JSON object{hint}")
    return content, repaired


_HALF_PAIR = re.compile(
    rb"\\(?:(?P<pair>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)

# The possessive repeat keeps this linear: a string without an end is consumed once, not once a quote.
_NON_FINITE = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|(?P<word>NaN|-?Infinity)', re.DOTALL)

_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


def _parse_again(value: bytes, error: Exception) -> tuple[Any, bool]:
    """Second look at a value that msgspec refused: repair what can be, or say in the sender's words what is wrong."""
    repaired = False
    if isinstance(error, RecursionError):
        raise InvalidEvent(
            Reason.TOO_DEEP, f"nested deeper than {MAX_DEPTH} levels; send nested data as text"
        ) from None
    if not value.strip():
        raise InvalidEvent(Reason.EMPTY, "the value is empty; publish the event as JSON") from None
    for mark, name in _BYTE_ORDER_MARKS:
        if value.startswith(mark):
            raise InvalidEvent(Reason.WRONG_ENCODING, f"the value is {name}; encode JSON as UTF-8") from None
    if value[:4].count(0) >= 2 or (value[:2].count(0) == 1 and value[2:4].count(0) == 1):
        raise InvalidEvent(
            Reason.WRONG_ENCODING, "the value looks like UTF-16 or UTF-32; encode JSON as UTF-8"
        ) from None
    value = value.removeprefix(b"\xef\xbb\xbf")
    try:
        value.decode()
    except UnicodeDecodeError as wrong:
        raise InvalidEvent(
            Reason.NOT_UTF8, f"byte {wrong.start} is not UTF-8 ({wrong.reason}); encode JSON as UTF-8"
        ) from None
    if b"\\u" in value:
        whole = _HALF_PAIR.sub(lambda found: rb"\ufffd" if found["half"] else found[0], value)
        repaired = whole != value
        value = whole
    try:
        return _decoder.decode(value), repaired
    except RecursionError:
        raise InvalidEvent(
            Reason.TOO_DEEP, f"nested deeper than {MAX_DEPTH} levels; send nested data as text"
        ) from None
    except msgspec.ValidationError as out_of_range:
        raise InvalidEvent(Reason.OUT_OF_RANGE, f"{out_of_range}; numbers must fit 64 bits") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        for found in _NON_FINITE.finditer(value):
            if found["word"]:
                word = found["word"].decode()
                raise InvalidEvent(
                    Reason.NON_FINITE, f"{word} at byte {found.start()} is not JSON; leave the field out or send null"
                ) from None
        raise InvalidEvent(Reason.NOT_JSON, f"{wrong}; send one JSON object in UTF-8") from None


def without_non_finite(value: bytes) -> tuple[bytes, int]:
    """JSON with null in place of NaN and Infinity, which Python and others write though JSON has neither; how many."""
    replaced = 0

    def one(found: re.Match[bytes]) -> bytes:
        nonlocal replaced
        if found["word"] is None:
            return found[0]
        replaced += 1
        return b"null"

    return _NON_FINITE.sub(one, value), replaced


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (str, "string"), ((int, float), "number"), (list, "array"), (dict, "object")):
        if isinstance(value, kind):
            return name
    return type(value).__name__
