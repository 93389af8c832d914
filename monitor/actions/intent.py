"""What an action is, apart from the words of its text: the fingerprint of its declared fields, and its text's hash.

A key names business object and occasion (`email:lead-17:autumn:2`), so that the same action is recognised however often
and in whatever words it is proposed. The *fingerprint* covers what must not differ between two proposals of one key
(recipient, amount): other fields under the same key are a mistake of the caller, not a second action.

Pure, and part of the small install: may import the standard library and its neighbours.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Mapping
from decimal import Decimal

from monitor.actions.names import checked_name
from monitor.actions.states import InvalidAction

_PLAIN_EXPONENTS = (-7, 21)  # ECMAScript writes numbers between 1e-7 and 1e21 without an exponent
MAX_SAFE_INTEGER = 2**53 - 1  # RFC 7493: above it readers of JSON may round
MOST = 10 ** _PLAIN_EXPONENTS[1]  # from here on a whole number is written with an exponent, and reads back as a double
MAX_DEPTH = 32  # levels of lists and objects in the fields: deeper ones are no declared fields


def action_key(text: str) -> str:
    """The key in normal form (`checked_name`). Raises `InvalidAction`, also for what cannot stand in a URL's path.

    >>> action_key("email:7:1")
    'email:7:1'
    """
    key = checked_name(text, "key")
    if key in (".", ".."):
        raise InvalidAction(f"key: must not be {key!r}, which HTTP clients take for a folder")
    return key


def fingerprint(fields: Mapping[str, object]) -> str:
    """64 hexadecimal digits: SHA-256 of the fields' canonical JSON. Raises `InvalidAction` as `canonical_json` does.

    >>> fingerprint({"to": "a@b.example", "amount": 5}) == fingerprint({"amount": 5.0, "to": "a@b.example"})
    True
    """
    return hashlib.sha256(canonical_json(fields, "fields")).hexdigest()


def text_hash(text: str | None) -> str:
    """64 hexadecimal digits: SHA-256 of the exact text in UTF-8; empty where there is no text.

    Exact: an approval is of these words, and a normal form would let other ones pass under it.
    """
    return "" if text is None else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def canonical_json(value: object, where: str = "") -> bytes:
    """The one way to write a JSON value, after RFC 8785: names in order, no blanks, numbers as ECMAScript has them.

    Texts are in normal form C. Raises `InvalidAction` for what JSON does not hold exactly: other types, numbers that
    are not finite, whole numbers that a double rounds (write them as texts), two names that are the same in normal
    form. `where` names the value in the message.

    >>> canonical_json({"b": [1.0, 1e21, 1e-7], "a": None})
    b'{"a":null,"b":[1,1e+21,1e-7]}'
    """
    return _written(value, where, 0).encode("utf-8")


def _written(value: object, where: str, depth: int) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER and (abs(value) >= MOST or _number(float(value)) != str(value)):
            raise InvalidAction(f"{where}: is a whole number that readers of JSON round: write it as a text")
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidAction(f"{where}: must be a finite number")
        return _number(value)
    if depth >= MAX_DEPTH:
        raise InvalidAction(f"{where}: is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list | tuple):
        return "[" + ",".join(_written(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)) + "]"
    if isinstance(value, Mapping):
        return _object(value, where, depth)
    kind = type(value).__name__
    hint = ": write it as a text" if isinstance(value, Decimal) else ""
    raise InvalidAction(f"{where}: is of type {kind}, which JSON does not have{hint}")


def _object(value: Mapping[object, object], where: str, depth: int) -> str:
    members: dict[str, object] = {}
    for name, member in value.items():
        if not isinstance(name, str):
            raise InvalidAction(f"{where}: has a name that is no text")
        normal = unicodedata.normalize("NFC", name)
        if normal in members:
            raise InvalidAction(f"{where}.{normal}: stands there twice, in two forms of Unicode")
        members[normal] = member
    # RFC 8785 orders names by their UTF-16 code units, which differs from the order of characters above U+FFFF.
    ordered = sorted(members, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    written = (
        f"{_text(name, where)}:{_written(members[name], f'{where}.{name}' if where else name, depth + 1)}"
        for name in ordered
    )
    return "{" + ",".join(written) + "}"


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPE_TABLE = {code: f"\\u{code:04x}" for code in range(32)} | {ord(char): text for char, text in _ESCAPES.items()}


def _text(text: str, where: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidAction(f"{where}: holds half of a surrogate pair, which is no text")
    return '"' + unicodedata.normalize("NFC", text).translate(_ESCAPE_TABLE) + '"'


def _number(value: float) -> str:
    """As ECMAScript's Number::toString: the shortest digits that give the same double back."""
    if value == 0:
        return "0"  # minus zero, too
    sign = "-" if value < 0 else ""
    _, digits_of, exponent = Decimal(repr(abs(value))).as_tuple()
    digits = "".join(map(str, digits_of)).rstrip("0")
    # value = 0.digits * 10^point
    point = len(digits_of) + int(exponent)
    low, high = _PLAIN_EXPONENTS
    if low < point - 1 < high:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        if point >= len(digits):
            return sign + digits + "0" * (point - len(digits))
        return f"{sign}{digits[:point]}.{digits[point:]}"
    mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    power = point - 1
    return f"{sign}{mantissa}e{'+' if power >= 0 else '-'}{abs(power)}"
