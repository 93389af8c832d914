"""`Conversion`: an event's fields as plain JSON types, converted where their meaning is clear.

Applications put all sorts of things into events: `5` as an id, a `Decimal` as a cost, message parts as an output. What
has no clear meaning in its field is refused, by name. Called by `monitor.publisher.encoding.encode` for events that are
not as `OutputEvent` declares them.

May import `monitor.errors`, `monitor.events` and this package.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Mapping, Set
from datetime import datetime, timedelta
from enum import Enum
from math import isfinite
from typing import Any, NoReturn

import msgspec

from monitor.events import OutputEvent, Reason
from monitor.events.schema import Call, Latency, Model, Prompt, Session, Trace, Usage
from monitor.publisher.field_errors import WrongType, WrongValue
from monitor.publisher.responses import last_question, said_by
from monitor.publisher.scalars import describe, key_text, number_of, repaired, scalar, text_of_other, type_name, utf8
from monitor.publisher.structures import as_record

MAX_DEPTH = 32  # half of what readers take; nothing that is deeper is looked into, so cycles end

encoder = msgspec.json.Encoder()

NO_MILLISECONDS = 1e11  # seconds since 1970: the year 5138; taken as milliseconds it is 1973

_A_TEXT = "text"


class Conversion:
    """Converts one event's fields; `changed` collects what was converted."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.changed: list[str] = []

    def event(self, event: OutputEvent) -> dict[str, Any]:
        """The event as plain JSON types; absent fields are left out."""
        fields: dict[str, Any] = {"stream": repaired(str.__str__(event.stream)), "output": None}
        for name, convert in _FIELDS.items():
            content = getattr(event, name)
            if content is not None:
                fields[name] = convert(self, name, content)
        return {name: content for name, content in fields.items() if name == "output" or content not in (None, [], {})}

    # Each of these takes a field's path and its content, which is not None, and returns the content for JSON.

    def text(self, path: str, content: Any) -> str:
        """Something that was said: a text, or what stands for one."""
        if type(content) is str:
            return repaired(content)
        if isinstance(content, str) and not isinstance(content, Enum):
            return repaired(str.__str__(content))
        text = self._text_of(path, content)
        if text is None:
            self._refuse(path, content, _A_TEXT)
        self._converted(path, content, _A_TEXT)
        return repaired(text)

    def question(self, path: str, content: Any) -> str:
        """What was asked: a text, or the last question of a list of chat messages."""
        asked = last_question(content)
        if asked is None:
            return self.text(path, content)
        self._converted(path, content, _A_TEXT)
        return repaired(asked)

    def error(self, path: str, content: Any) -> str:
        """An error: its text, or the exception itself."""
        if isinstance(content, BaseException):
            self._converted(path, content, _A_TEXT)
            return repaired(describe(content))
        return self.text(path, content)

    def name(self, path: str, content: Any) -> str:
        """An identifier, a name or a version."""
        if type(content) is str:
            return repaired(content)
        if isinstance(content, str) and not isinstance(content, Enum):
            return repaired(str.__str__(content))
        plain = scalar(content)
        if type(plain) in (int, float, str):
            self._converted(path, content, _A_TEXT)
            return repaired(str(plain))
        return self._refuse(path, content, _A_TEXT)

    def number(self, path: str, content: Any) -> int | float | None:
        """Seconds or dollars."""
        if isinstance(content, (float, int)) and not isinstance(content, (bool, Enum)):
            return float(content) if isinstance(content, float) else int(content)
        plain: Any = content
        if isinstance(content, timedelta):
            plain = content.total_seconds()
        elif not isinstance(content, bool):
            plain = number_of(scalar(content))
        if type(plain) not in (int, float):
            self._refuse(path, content, "a number")
        self._converted(path, content, "a number")
        return plain  # type: ignore[no-any-return]

    def count(self, path: str, content: Any) -> int | None:
        """Tokens or a turn."""
        if type(content) is int:
            return content
        number = self.number(path, content)
        if type(number) is float:
            if not isfinite(number):
                return None
            if not number.is_integer():
                raise WrongType(Reason.WRONG_TYPE, f"{path}: {number} is not a whole number")
            if type(content) is float:
                self._converted(path, content, "a whole number")
            return int(number)
        return number  # type: ignore[return-value]

    def time(self, path: str, content: Any) -> float | str | None:
        """A moment: seconds since 1970, also where it is given as a date-time or in a smaller unit."""
        if isinstance(content, datetime):  # without a zone it is local time, as Python itself takes it
            self._converted(path, content, "seconds since 1970")
            return content.timestamp()
        if isinstance(content, str) and not isinstance(content, Enum):
            return str.__str__(content)  # RFC 3339, or the reader refuses it
        plain = scalar(content)
        if isinstance(plain, datetime):  # numpy's
            self._converted(path, content, "seconds since 1970")
            return plain.timestamp()
        if isinstance(content, bool) or type(number_of(plain)) not in (int, float):
            return self._refuse(path, content, "seconds since 1970")
        seconds = self.number(path, content)
        for factor, unit in ((1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")):
            if seconds is not None and NO_MILLISECONDS * factor / 1e3 <= abs(seconds) < NO_MILLISECONDS * factor:
                if self.strict:
                    raise WrongValue(Reason.BAD_TIME, f"{path}: {content} looks like {unit}; give seconds since 1970")
                self.changed.append(f"{path}: {unit} taken as such")
                return seconds / factor
        return seconds

    def status(self, path: str, content: Any) -> str | int:
        """A dependency's word or HTTP code."""
        if type(content) is int:
            return content
        plain = scalar(content)
        if type(plain) is int:  # http.HTTPStatus
            return plain
        return self.name(path, content)

    def mapping(self, path: str, content: Any) -> dict[str, Any]:
        """Free key/value pairs."""
        if not isinstance(content, Mapping):
            plain = as_record(content)
            if plain is None:
                self._refuse(path, content, "a mapping")
            self._converted(path, content, "a mapping")
            content = plain
        return self._free_items(path, content, 1)

    def sequence(self, path: str, content: Any) -> list[Any]:
        """Free items."""
        if not isinstance(content, (list, tuple)):
            self._refuse(path, content, "a list")
        return [self.free(f"{path}.{i}", item, 1) for i, item in enumerate(content)]

    def names(self, path: str, content: Any) -> list[str]:
        """Identifiers: a list of them, or one."""
        if isinstance(content, (list, tuple, Set)) and not hasattr(content, "_asdict"):
            return [self.name(f"{path}.{i}", item) for i, item in enumerate(content) if item not in (None, "")]
        one = self.name(path, content)
        self._converted(path, content, "a list")
        return [one] if one else []

    def free(self, path: str, content: Any, depth: int) -> Any:
        """Whatever the application has put there, as JSON."""
        kind = type(content)
        if kind is str:
            return repaired(content)
        if content is None or kind is bool or kind is float:
            return content
        if kind is int:
            return content if -(2**63) <= content < 2**64 else str(content)
        if depth > MAX_DEPTH:
            return text_of_other(content)
        plain = scalar(content)
        if plain is not content:
            return self.free(path, plain, depth)
        if isinstance(content, Mapping):
            return self._free_items(path, content, depth + 1)
        if isinstance(content, (list, tuple, Set)) and not hasattr(content, "_asdict"):
            return [self.free(path, item, depth + 1) for item in content]
        if isinstance(content, (bytes, bytearray, memoryview)):
            text = utf8(content)
            if text is None:
                raise WrongValue(Reason.OUT_OF_RANGE, f"{path}: bytes that are not UTF-8; decode or leave them out")
            return text
        if isinstance(content, BaseException):
            return repaired(describe(content))
        record = as_record(content)
        if record is not None:
            return self.free(path, record, depth + 1)
        if self.strict:
            self._refuse(path, content, "what JSON can carry")
        return repaired(text_of_other(content))

    def _free_items(self, path: str, content: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        named = ((key_text(key), item) for key, item in content.items())
        return {name: self.free(f"{path}.{name}", item, depth) for name, item in named}

    def _text_of(self, path: str, content: Any) -> str | None:
        """What was said, of anything that says it; None where that is not clear."""
        if isinstance(content, (bytes, bytearray, memoryview)):
            return utf8(content)
        plain = scalar(content)
        if type(plain) is str:
            return plain
        if isinstance(plain, (bool, int, float)):
            return encoder.encode(plain).decode()
        said = said_by(plain)
        if said is not None:
            return said
        structure = plain if isinstance(plain, (Mapping, list, tuple, Set)) else as_record(plain)
        return None if structure is None else encoder.encode(self.free(path, structure, 0)).decode()

    def _converted(self, path: str, content: Any, to: str) -> None:
        what = f"{path}: {type_name(content)} converted to {to}"
        if self.strict:
            raise WrongType(Reason.WRONG_TYPE, f"{path}: expected {to}, got {type_name(content)}")
        self.changed.append(what)

    def _refuse(self, path: str, content: Any, expected: str) -> NoReturn:
        if expected == _A_TEXT and isinstance(content, (bytes, bytearray, memoryview)) and not self.strict:
            raise WrongValue(Reason.OUT_OF_RANGE, f"{path}: bytes that are not UTF-8; decode or leave them out")
        hint = ""
        if isinstance(content, (Iterator, AsyncIterable, Awaitable)):
            hint = "; read it first, or record the generator function that yields its pieces"
        raise WrongType(Reason.WRONG_TYPE, f"{path}: expected {expected}, got {type_name(content)}{hint}")


def _part(
    kind: type[msgspec.Struct], fields: dict[str, Callable[..., Any]], short: str | None = None
) -> Callable[[Conversion, str, Any], dict[str, Any]]:
    """For a field that is a record itself; `short` names the field that a bare text means."""

    def convert(conversion: Conversion, path: str, content: Any) -> dict[str, Any]:
        if isinstance(content, kind):
            given: Mapping[Any, Any] = {name: getattr(content, name) for name in fields}
        else:
            if isinstance(content, Mapping):
                given = content
            elif short is not None and isinstance(content, str):
                given = {short: content}
            else:
                conversion._refuse(path, content, kind.__name__)
            conversion._converted(path, content, kind.__name__)
        converters: Mapping[Any, Callable[[Conversion, str, Any], Any]] = fields
        return {
            str(name): converters.get(name, _free)(conversion, f"{path}.{name}", item)
            for name, item in given.items()
            if item is not None
        }

    return convert


def _free(conversion: Conversion, path: str, content: Any) -> Any:
    return conversion.free(path, content, 1)


def _calls(conversion: Conversion, path: str, content: Any) -> list[Any]:
    if not isinstance(content, (list, tuple)):
        conversion._refuse(path, content, "a list of Call")
    return [_call(conversion, f"{path}.{i}", call) for i, call in enumerate(content)]


_C = Conversion

_call = _part(
    Call,
    {
        "dependency": _C.name,
        "operation": _C.name,
        "status": _C.status,
        "duration_s": _C.number,
        "error": _C.error,
        "shape": _C.name,
        "time": _C.time,
        "response": _free,
    },
)

_FIELDS: dict[str, Callable[[Conversion, str, Any], Any]] = {
    "output": _C.text,
    "id": _C.name,
    "time": _C.time,
    "input": _C.question,
    "error": _C.error,
    "model": _part(Model, dict.fromkeys(Model.__struct_fields__, _C.name), "name"),
    "prompt": _part(Prompt, {"name": _C.name, "version": _C.name, "hash": _C.name, "text": _C.text}, "name"),
    "finish_reason": _C.name,
    "usage": _part(Usage, dict.fromkeys(Usage.__struct_fields__, _C.count)),
    "cost_usd": _C.number,
    "latency": _part(Latency, dict.fromkeys(Latency.__struct_fields__, _C.number)),
    "steps": _C.sequence,
    "calls": _calls,
    "session": _part(Session, {"id": _C.name, "turn": _C.count}, "id"),
    "trace": _part(Trace, dict.fromkeys(Trace.__struct_fields__, _C.name), "trace_id"),
    "action": _C.mapping,
    "causes": _C.names,
    "reasoning": _C.text,
    "fallback": _free,
    "attributes": _C.mapping,
    "extra": _C.mapping,
}
