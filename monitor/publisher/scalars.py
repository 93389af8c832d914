"""Single values of applications (numbers, dates, enumerations, exceptions, bytes) as JSON has them."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any
from uuid import UUID

MAX_OTHER_CHARS = 1_000  # of the text of an object in `attributes` that has no JSON form: enough to recognise it
MAX_ERROR_CHARS = 500  # an error's text is compared and shown, not read in full


def scalar(content: Any) -> Any:
    """A single value as None, bool, int, float, str or (numpy's alone) datetime; what is none comes back as it is."""
    if isinstance(content, Enum):
        return scalar(content.value)
    if isinstance(content, (UUID, Fraction)):
        return str(content) if isinstance(content, UUID) else float(content)
    if isinstance(content, Decimal):
        return float(content)
    if isinstance(content, datetime):
        return _rfc3339(content)
    if isinstance(content, (date, time)):
        return content.isoformat()
    if isinstance(content, timedelta):
        return content.total_seconds()
    if isinstance(content, os.PathLike):
        return os.fsdecode(content)
    if isinstance(content, str):
        return str.__str__(content)
    if isinstance(content, bool):
        return bool(content)
    if isinstance(content, int):
        return int(content)
    if isinstance(content, float):
        return float(content)
    if type(content).__module__.partition(".")[0] in ("numpy", "torch", "jax", "jaxlib", "tensorflow"):
        if getattr(content, "ndim", None) == 0 and callable(getattr(content, "item", None)):
            item = content.item()
            return item.replace(tzinfo=UTC) if isinstance(item, datetime) else item  # numpy's are UTC
        if callable(getattr(content, "tolist", None)):
            return content.tolist()
    return content


def number_of(plain: Any) -> Any:
    """A number that is written as a text."""
    if type(plain) is str and len(plain) <= 40 and plain.isascii():  # longer is no number that anyone means
        try:
            return int(plain)
        except ValueError:
            try:
                return float(plain)
            except ValueError:
                return plain
    return plain


def _rfc3339(moment: datetime) -> str:
    try:
        return (moment if moment.tzinfo is not None else moment.astimezone()).isoformat()
    except (OverflowError, OSError, ValueError):  # local time is not defined near year 1 and year 9999
        return moment.isoformat()


def utf8(content: bytes | bytearray | memoryview) -> str | None:
    """The text in these bytes; None where they are not UTF-8."""
    try:
        return bytes(content).decode()
    except UnicodeDecodeError:
        return None


def repaired(text: str) -> str:
    """Half surrogate pairs (a text cut in the middle of an emoji) become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def key_text(key: Any) -> str:
    """A mapping's key as JSON has it: a text."""
    plain = scalar(key)
    return repaired(plain if type(plain) is str else text_of_other(plain))


def text_of_other(content: Any) -> str:
    """The text of an object that has no JSON form, cut to `MAX_OTHER_CHARS`; its type's name where it has none."""
    try:
        return str(content)[:MAX_OTHER_CHARS]
    except Exception:  # an application's own __str__ may be broken
        return type_name(content)


def type_name(content: Any) -> str:
    """The name of a value's type, with its module unless it is a built-in one; for messages."""
    kind = type(content)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def describe(error: BaseException) -> str:
    """An exception as the text of an event: its type first, so that errors of one kind look alike."""
    try:
        text = str(error)
    except Exception:  # an exception's own __str__ may be broken
        text = ""
    name = type(error).__name__
    return f"{name}: {text}"[:MAX_ERROR_CHARS] if text else name
