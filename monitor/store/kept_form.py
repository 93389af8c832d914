"""Texts in the form in which they may be kept (`monitor.store.privacy`): as they are, masked, as a keyed hash, or not.

Called by `monitor.store.records` for each event. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any

from monitor.events.bounded_body import MAX_RESPONSE_CHARS, bounded
from monitor.events.redaction import SHORT, is_named_secret, mask, mask_short
from monitor.store.privacy import Keep

HASH_BYTES = 16  # 128 bits: two different texts share a hash once in 10^19 even among a billion texts
_BODIES = frozenset({"response", "result", "output", "content", "body"})
"""Names of fields of calls and steps that hold what came back, bounded as a whole."""
MAX_DEPTH = 50  # levels of nesting in steps, attributes and bodies that are kept; msgspec itself refuses deeper JSON

_HASH = "hash:"
_HASHED = re.compile(rf"{_HASH}[0-9a-f]{{{2 * HASH_BYTES}}}")


def kept(value: Any, keep: Keep, key: bytes) -> Any:
    """A text, or the texts in a list or mapping, in the form that may be kept; None where nothing may.

    Numbers, truth values and the names of fields stay as they are, but under `hash` and `none`, where nothing of the
    value stays; a number whose name says that it is a secret (`pin`) is masked.
    """
    if value is None or keep is Keep.FULL:
        return value
    if keep is Keep.NONE:
        return None
    if keep is Keep.HASH:
        return hashed(value if isinstance(value, str) else repr(value), key)
    return masked(value)


def masked(value: Any, depth: int = 0) -> Any:
    """The value with secrets and personal data in its texts replaced by `[masked ...]`."""
    if isinstance(value, str):
        return mask_short(value) if len(value) <= SHORT else mask(value)
    if isinstance(value, dict):
        if depth >= MAX_DEPTH:
            return None
        return {mask_short(str(name)): _of_field(str(name), item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return None if depth >= MAX_DEPTH else [masked(item, depth + 1) for item in value]
    return value


def kept_calls(calls: Any, keep: Keep, key: bytes) -> Any:
    """Calls or steps: as `kept`, with every text and every response in them bounded."""
    found = kept(calls, keep, key)
    return found if keep in (Keep.HASH, Keep.NONE) or found is None else _bounded_inside(found, 0)


def _bounded_inside(value: Any, depth: int) -> Any:
    # Cut after masking: half of a secret is not recognised.
    if isinstance(value, str):
        return bounded(value, MAX_RESPONSE_CHARS)
    if depth >= MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {
            name: bounded(item, MAX_RESPONSE_CHARS) if name in _BODIES else _bounded_inside(item, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_bounded_inside(item, depth + 1) for item in value]
    return value


def _of_field(name: str, value: Any, depth: int) -> Any:
    """The value of a field, masked as a whole where the name says that it is a secret: `password`, `pin`."""
    kind = type(value)
    if (kind is str or kind is int) and is_named_secret(name, str(value)):
        return "[masked secret]"
    return value if kind is int or kind is float else masked(value, depth)


def hashed(text: str, key: bytes) -> str:
    """`hash:` and 32 hexadecimal digits of HMAC-SHA256 under the key."""
    digest = hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return f"{_HASH}{digest[:HASH_BYTES].hex()}"


def is_hashed(value: Any) -> bool:
    """Whether a stored value is what `hashed` made of one, in place of the value."""
    return isinstance(value, str) and _HASHED.fullmatch(value) is not None
