"""`encode`: an event as the JSON that the monitor's readers take, or the reason why they would refuse it.

Applications put all sorts of things into events. An event whose fields have the types and ranges that `OutputEvent`
declares is encoded as it is; a property test ensures that the reader takes it. Any other goes the slow way: each field
is converted where its meaning is clear (`5` as an id, a `Decimal` as a cost, message parts as an output), and the
result is read by the reader itself. What has no clear meaning is refused, by name.

May import `monitor.errors` and `monitor.events`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping, Set
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from math import isfinite
from typing import Any, NoReturn
from uuid import UUID

import msgspec
from msgspec.structs import astuple

from monitor.errors import InvalidEvent
from monitor.events import OutputEvent, Reason, decode_event
from monitor.events.schema import MAX_ID, Call, Latency, Model, Prompt, Session, Trace, Usage

MAX_OTHER_CHARS = 1_000  # of the text of an object in `attributes` that has no JSON form: enough to recognise it
MAX_ERROR_CHARS = 500  # an error's text is compared and shown, not read in full
_MAX_DEPTH = 32  # half of what readers take; nothing that is deeper is looked into, so cycles end


class FieldError(InvalidEvent):
    """A field that the monitor would refuse; its text begins with the field's name."""


class WrongType(FieldError, TypeError):
    """A field of a type that has no clear meaning there, or, for a strict publisher, of any but the declared type."""


class WrongValue(FieldError, ValueError):
    """A field of the right type with an impossible value."""


def encode(event: OutputEvent, *, strict: bool = False) -> tuple[bytes, bytes, list[str]]:
    """Key and value of the Kafka message, and what was converted, as sentences for the log.

    Called by `OutputPublisher.publish` for each event, which has an id, a stream, and an output or error. Raises
    `WrongType` or `WrongValue` (both `InvalidEvent`) that name the field; if `strict`, also for a field that could be
    converted but has not the declared type.
    """
    if _is_as_declared(event):
        try:
            return event.id.encode(), _encoder.encode(event), []  # type: ignore[union-attr]  # it was looked at
        except UnicodeEncodeError:
            pass  # half a surrogate pair: the slow way replaces it
    conversion = _Conversion(strict)
    fields = conversion.event(event)
    value = _encoder.encode(fields)
    try:
        decode_event(value, default_id="-", timestamp=None, max_bytes=len(value))
    except InvalidEvent as refused:
        kind = WrongType if refused.reason == Reason.WRONG_TYPE else WrongValue
        raise kind(refused.reason, refused.detail) from None
    if len(_good_streams) >= _MOST_STREAMS:
        _good_streams.clear()
    _good_streams.add(fields["stream"])
    return fields["id"].encode(), value, conversion.changed


# --- the common case ---------------------------------------------------------------------------------------------

_encoder = msgspec.json.Encoder()
_NONE = type(None)
_TEXT = frozenset((str, _NONE))
_NUMBER = frozenset((float, int))
_SCALARS = frozenset((str, int, float, bool, _NONE))
_LARGEST_COUNT = 2**53  # as `monitor.events.schema.Count` has it
_LARGEST_AMOUNT = 1e18  # of seconds and dollars; larger ones are left to the reader
_NO_MILLISECONDS = 1e11  # seconds since 1970: the year 5138; taken as milliseconds it is 1973
_MOST_STREAMS = 1_000  # names are few; where an application makes one per event, each is checked

_good_streams: set[str] = set()
"""Names that the reader has taken."""

_NO_USAGE, _NO_LATENCY, _NO_SESSION, _NO_TRACE = Usage(), Latency(), Session(), Trace()


def _is_as_declared(event: OutputEvent) -> bool:
    """Whether every field has exactly a declared type, and a value in its range.

    The encoded event would not show all that is wrong: msgspec writes `bytes` as base64, and a `datetime` without its
    zone, which look like texts afterwards.
    """
    time, cost, usage, latency = event.time, event.cost_usd, event.usage, event.latency
    return (
        type(event.output) in _TEXT
        and type(event.input) in _TEXT
        and type(event.id) is str
        and len(event.id) <= MAX_ID
        and type(event.stream) is str
        and event.stream in _good_streams
        and type(event.error) in _TEXT
        and type(event.finish_reason) in _TEXT
        and (time is None or (type(time) in _NUMBER and -_NO_MILLISECONDS < time < _NO_MILLISECONDS))
        and (cost is None or _is_amount(cost))
        and type(event.model) is Model
        and _TEXT.issuperset(map(type, astuple(event.model)))
        and type(event.prompt) is Prompt
        and _TEXT.issuperset(map(type, astuple(event.prompt)))
        and type(usage) is Usage
        and (usage == _NO_USAGE or all(map(_is_count, astuple(usage))))
        and type(latency) is Latency
        and (latency == _NO_LATENCY or all(each is None or _is_amount(each) for each in astuple(latency)))
        and type(event.session) is Session
        and (event.session == _NO_SESSION or (type(event.session.id) in _TEXT and _is_count(event.session.turn)))
        and type(event.trace) is Trace
        and (event.trace == _NO_TRACE or _TEXT.issuperset(map(type, astuple(event.trace))))
        and type(event.calls) is list
        and (not event.calls or all(map(_is_plain_call, event.calls)))
        and type(event.attributes) is dict
        and (not event.attributes or _is_plain(event.attributes, 0))
        and type(event.steps) is list
        and (not event.steps or _is_plain(event.steps, 0))
        and (event.action is None or (type(event.action) is dict and _is_plain(event.action, 0)))
        and type(event.extra) is dict
        and (not event.extra or _is_plain(event.extra, 0))
    )


def _is_amount(content: Any) -> bool:
    return type(content) in _NUMBER and 0 <= content < _LARGEST_AMOUNT  # NaN and infinity are null in JSON


def _is_count(content: Any) -> bool:
    return content is None or (type(content) is int and 0 <= content <= _LARGEST_COUNT)


def _is_plain_call(call: Any) -> bool:
    return (
        type(call) is Call
        and type(call.dependency) is str
        and (call.duration_s is None or _is_amount(call.duration_s))
        and (type(call.status) in _TEXT or (type(call.status) is int and 0 <= call.status <= _LARGEST_COUNT))
        and _TEXT.issuperset(map(type, (call.operation, call.error, call.shape)))
    )


def _is_plain(content: Any, depth: int) -> bool:
    kind = type(content)
    if kind is dict:
        if depth > _MAX_DEPTH:
            return False
        for key, item in content.items():
            if type(key) is not str:
                return False
            if type(item) not in _SCALARS and not _is_plain(item, depth + 1):
                return False
            if type(item) is int and not -(2**63) <= item < 2**64:
                return False
        return True
    if kind is list:
        return depth <= _MAX_DEPTH and all(_is_plain(item, depth + 1) for item in content)
    return kind in _SCALARS and (kind is not int or -(2**63) <= content < 2**64)


# --- the slow way ------------------------------------------------------------------------------------------------

_A_TEXT = "text"


class _Conversion:
    """Converts one event's fields; `changed` collects what was converted."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.changed: list[str] = []

    def event(self, event: OutputEvent) -> dict[str, Any]:
        """The event as plain JSON types; absent fields are left out."""
        fields: dict[str, Any] = {"stream": _whole(str.__str__(event.stream)), "output": None}
        for name, convert in _FIELDS.items():
            content = getattr(event, name)
            if content is not None:
                fields[name] = convert(self, name, content)
        return {name: content for name, content in fields.items() if name == "output" or content not in (None, [], {})}

    # Each of these takes a field's path and its content, which is not None, and returns the content for JSON.

    def text(self, path: str, content: Any) -> str:
        """Something that was said: a text, or what stands for one."""
        if type(content) is str:
            return _whole(content)
        if isinstance(content, str) and not isinstance(content, Enum):
            return _whole(str.__str__(content))
        text = self._text_of(path, content)
        if text is None:
            self._refuse(path, content, _A_TEXT)
        self._converted(path, content, _A_TEXT)
        return _whole(text)

    def question(self, path: str, content: Any) -> str:
        """What was asked: a text, or the last question of a list of chat messages."""
        asked = last_question(content)
        if asked is None:
            return self.text(path, content)
        self._converted(path, content, _A_TEXT)
        return _whole(asked)

    def error(self, path: str, content: Any) -> str:
        """An error: its text, or the exception itself."""
        if isinstance(content, BaseException):
            self._converted(path, content, _A_TEXT)
            return _whole(describe(content))
        return self.text(path, content)

    def name(self, path: str, content: Any) -> str:
        """An identifier, a name or a version."""
        if type(content) is str:
            return _whole(content)
        if isinstance(content, str) and not isinstance(content, Enum):
            return _whole(str.__str__(content))
        plain = _scalar(content)
        if type(plain) in (int, float, str):
            self._converted(path, content, _A_TEXT)
            return _whole(str(plain))
        return self._refuse(path, content, _A_TEXT)

    def number(self, path: str, content: Any) -> int | float | None:
        """Seconds or dollars."""
        if isinstance(content, (float, int)) and not isinstance(content, (bool, Enum)):
            return float(content) if isinstance(content, float) else int(content)
        plain: Any = content
        if isinstance(content, timedelta):
            plain = content.total_seconds()
        elif not isinstance(content, bool):
            plain = _number_of(_scalar(content))
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
        plain = _scalar(content)
        if isinstance(plain, datetime):  # numpy's
            self._converted(path, content, "seconds since 1970")
            return plain.timestamp()
        if isinstance(content, bool) or type(_number_of(plain)) not in (int, float):
            return self._refuse(path, content, "seconds since 1970")
        seconds = self.number(path, content)
        for factor, unit in ((1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")):
            if seconds is not None and _NO_MILLISECONDS * factor / 1e3 <= abs(seconds) < _NO_MILLISECONDS * factor:
                if self.strict:
                    raise WrongValue(Reason.BAD_TIME, f"{path}: {content} looks like {unit}; give seconds since 1970")
                self.changed.append(f"{path}: {unit} taken as such")
                return seconds / factor
        return seconds

    def status(self, path: str, content: Any) -> str | int:
        """A dependency's word or HTTP code."""
        if type(content) is int:
            return content
        plain = _scalar(content)
        if type(plain) is int:  # http.HTTPStatus
            return plain
        return self.name(path, content)

    def mapping(self, path: str, content: Any) -> dict[str, Any]:
        """Free key/value pairs."""
        if not isinstance(content, Mapping):
            plain = _as_record(content)
            if plain is None:
                self._refuse(path, content, "a mapping")
            self._converted(path, content, "a mapping")
            content = plain
        return {_key(key): self.free(f"{path}.{_key(key)}", item, 1) for key, item in content.items()}

    def sequence(self, path: str, content: Any) -> list[Any]:
        """Free items."""
        if not isinstance(content, (list, tuple)):
            self._refuse(path, content, "a list")
        return [self.free(f"{path}.{i}", item, 1) for i, item in enumerate(content)]

    def free(self, path: str, content: Any, depth: int) -> Any:
        """Whatever the application has put there, as JSON."""
        kind = type(content)
        if kind is str:
            return _whole(content)
        if content is None or kind is bool or kind is float:
            return content
        if kind is int:
            return content if -(2**63) <= content < 2**64 else str(content)
        if depth > _MAX_DEPTH:
            return _other(content)
        plain = _scalar(content)
        if plain is not content:
            return self.free(path, plain, depth)
        if isinstance(content, Mapping):
            return {_key(key): self.free(f"{path}.{_key(key)}", item, depth + 1) for key, item in content.items()}
        if isinstance(content, (list, tuple, Set)) and not hasattr(content, "_asdict"):
            return [self.free(path, item, depth + 1) for item in content]
        if isinstance(content, (bytes, bytearray, memoryview)):
            text = _utf8(content)
            if text is None:
                raise WrongValue(Reason.OUT_OF_RANGE, f"{path}: bytes that are not UTF-8; decode or leave them out")
            return text
        if isinstance(content, BaseException):
            return _whole(describe(content))
        record = _as_record(content)
        if record is not None:
            return self.free(path, record, depth + 1)
        if self.strict:
            self._refuse(path, content, "what JSON can carry")
        return _whole(_other(content))

    def _text_of(self, path: str, content: Any) -> str | None:
        """What was said, of anything that says it; None where that is not clear."""
        if isinstance(content, (bytes, bytearray, memoryview)):
            return _utf8(content)
        plain = _scalar(content)
        if type(plain) is str:
            return plain
        if isinstance(plain, (bool, int, float)):
            return _encoder.encode(plain).decode()
        said = said_by(plain)
        if said is not None:
            return said
        structure = plain if isinstance(plain, (Mapping, list, tuple, Set)) else _as_record(plain)
        return None if structure is None else _encoder.encode(self.free(path, structure, 0)).decode()

    def _converted(self, path: str, content: Any, to: str) -> None:
        what = f"{path}: {_kind(content)} converted to {to}"
        if self.strict:
            raise WrongType(Reason.WRONG_TYPE, f"{path}: expected {to}, got {_kind(content)}")
        self.changed.append(what)

    def _refuse(self, path: str, content: Any, expected: str) -> NoReturn:
        if expected == _A_TEXT and isinstance(content, (bytes, bytearray, memoryview)) and not self.strict:
            raise WrongValue(Reason.OUT_OF_RANGE, f"{path}: bytes that are not UTF-8; decode or leave them out")
        hint = ""
        if isinstance(content, (Iterator, AsyncIterable, Awaitable)):
            hint = "; read it first, or record the generator function that yields its pieces"
        raise WrongType(Reason.WRONG_TYPE, f"{path}: expected {expected}, got {_kind(content)}{hint}")


def _part(
    kind: type[msgspec.Struct], fields: dict[str, Callable[..., Any]], short: str | None = None
) -> Callable[[_Conversion, str, Any], dict[str, Any]]:
    """For a field that is a record itself; `short` names the field that a bare text means."""

    def convert(conversion: _Conversion, path: str, content: Any) -> dict[str, Any]:
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
        converters: Mapping[Any, Callable[[_Conversion, str, Any], Any]] = fields
        return {
            str(name): converters.get(name, _free)(conversion, f"{path}.{name}", item)
            for name, item in given.items()
            if item is not None
        }

    return convert


def _free(conversion: _Conversion, path: str, content: Any) -> Any:
    return conversion.free(path, content, 1)


def _calls(conversion: _Conversion, path: str, content: Any) -> list[Any]:
    if not isinstance(content, (list, tuple)):
        conversion._refuse(path, content, "a list of Call")
    return [_call(conversion, f"{path}.{i}", call) for i, call in enumerate(content)]


_C = _Conversion
_call = _part(
    Call,
    {
        "dependency": _C.name,
        "operation": _C.name,
        "status": _C.status,
        "duration_s": _C.number,
        "error": _C.error,
        "shape": _C.name,
    },
)
_FIELDS: dict[str, Callable[[_Conversion, str, Any], Any]] = {
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
    "attributes": _C.mapping,
    "extra": _C.mapping,
}


# --- one value ---------------------------------------------------------------------------------------------------


def _scalar(content: Any) -> Any:
    """A single value as None, bool, int, float, str or (numpy's alone) datetime; what is none comes back as it is."""
    if isinstance(content, Enum):
        return _scalar(content.value)
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


def _number_of(plain: Any) -> Any:
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


def _utf8(content: bytes | bytearray | memoryview) -> str | None:
    try:
        return bytes(content).decode()
    except UnicodeDecodeError:
        return None


def _whole(text: str) -> str:
    """Half surrogate pairs (a text cut in the middle of an emoji) become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _key(key: Any) -> str:
    plain = _scalar(key)
    return _whole(plain if type(plain) is str else _other(plain))


def _other(content: Any) -> str:
    try:
        return str(content)[:MAX_OTHER_CHARS]
    except Exception:  # an application's own __str__ may be broken
        return _kind(content)


def _kind(content: Any) -> str:
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


# --- structured answers ------------------------------------------------------------------------------------------

_TEXT_PARTS = frozenset(("text", "output_text", "input_text", "refusal"))


def _as_record(content: Any) -> dict[str, Any] | None:
    """The fields of a record: pydantic (and the clients built on it), dataclass, attrs, msgspec, named tuple."""
    if isinstance(content, type):
        return None
    if isinstance(content, msgspec.Struct):
        return {name: getattr(content, name) for name in content.__struct_fields__}
    if dataclasses.is_dataclass(content):
        return {field.name: getattr(content, field.name, None) for field in dataclasses.fields(content)}
    if hasattr(type(content), "__attrs_attrs__"):
        return {field.name: getattr(content, field.name, None) for field in type(content).__attrs_attrs__}
    for method in ("model_dump", "_asdict", "to_dict"):
        dump = getattr(content, method, None)
        if callable(dump):
            record = dump()
            if isinstance(record, Mapping):
                return dict(record)
    if hasattr(type(content), "__fields__") and callable(getattr(content, "dict", None)):  # pydantic before 2
        return dict(content.dict())
    return None


def said_by(content: Any) -> str | None:
    """The text of a chat message, of message parts, or of a provider's response; None where it is none of these.

    Takes mappings and objects: `{"role": ..., "content": ...}`, `[{"type": "text", "text": ...}]`, and the responses
    of OpenAI's, Anthropic's and LangChain's clients. A message that only calls tools says "".
    """
    if isinstance(content, str):
        return content
    if isinstance(content, (list, tuple)):
        return _joined(content)
    text = _get(content, "output_text")  # the responses API
    if isinstance(text, str):
        return text
    message = _message_of(content)
    if message is None:
        return None
    said = _get(message, "content")
    return said if isinstance(said, str) else (_joined(said) or "" if isinstance(said, (list, tuple)) else "")


def tools_called_by(content: Any) -> list[dict[str, Any]]:
    """The tool calls of a chat message or a provider's response, as `steps` of an event; empty where it has none."""
    message = _message_of(content)
    asked = [*_items(_get(message, "tool_calls")), *_items(_get(message, "content")), *_items(_get(content, "output"))]
    steps: list[dict[str, Any]] = []
    for call in asked:
        function = _get(call, "function")
        name = _get(call if function is None else function, "name")
        if not isinstance(name, str) or not (
            function is not None or _get(call, "type") in ("tool_use", "tool_call", "function_call")
        ):
            continue
        step: dict[str, Any] = {"type": "tool_call", "name": name}
        for key in ("arguments", "input", "args"):
            arguments = _get(call if function is None else function, key)
            if isinstance(arguments, (str, Mapping)):
                step["arguments"] = arguments
                break
        steps.append(step)
    return steps


def _message_of(content: Any) -> Any:
    """The chat message in a response, or that this is; None for anything else."""
    choices = _get(content, "choices")  # chat completions
    if isinstance(choices, (list, tuple)):
        return _get(choices[0], "message") if choices else None
    said = _get(content, "content")
    role = _get(content, "role")
    if isinstance(role, str) and (said is None or isinstance(said, (str, list, tuple))):
        return content  # Anthropic's response is one too
    return content if _is_langchain(content) else None


def _joined(parts: Iterable[Any]) -> str | None:
    """The texts of message parts, one after another; None where there is no part with a text."""
    texts = [part if isinstance(part, str) else _part_text(part) for part in parts]
    if not any(text is not None and not isinstance(part, str) for part, text in zip(parts, texts, strict=True)):
        return None  # a list of texts is no list of parts
    return "\n".join(text for text in texts if text is not None)


def _items(content: Any) -> Iterable[Any]:
    return content if isinstance(content, (list, tuple)) else ()


def last_question(messages: Any) -> str | None:
    """Of a list of chat messages, the last one of role user that has a text; None where this is no such list."""
    if not isinstance(messages, (list, tuple)):
        return None
    for message in reversed(messages):
        if _get(message, "role") == "user" or _get(message, "type") == "human":
            text = said_by(_get(message, "content"))
            if text:
                return text
    return None


def streamed_text(piece: Any) -> str | None:
    """The text that one piece of a provider's stream adds; None where it adds none."""
    choices = _get(piece, "choices")  # chat completions
    if isinstance(choices, (list, tuple)):
        return _string(_get(_get(choices[0], "delta"), "content")) if choices else None
    delta = _get(piece, "delta")
    if isinstance(delta, str):  # the responses API sends deltas of other things than text, too
        return delta if _get(piece, "type") == "response.output_text.delta" else None
    if delta is not None:  # Anthropic
        return _string(_get(delta, "text"))
    return _string(_get(piece, "content")) if _is_langchain(piece) else None


def _is_langchain(content: Any) -> bool:
    return _get(content, "type") in ("ai", "human", "AIMessageChunk") and isinstance(
        _get(content, "content"), (str, list, tuple)
    )


def _part_text(part: Any) -> str | None:
    kind = _get(part, "type")
    if kind is not None and kind not in _TEXT_PARTS:
        return None  # an image, a tool call, reasoning: no text of the answer
    for name in ("text", "content", "refusal"):
        text = _get(part, name)
        if isinstance(text, str):
            return text
    return None


def _get(content: Any, name: str) -> Any:
    return content.get(name) if isinstance(content, Mapping) else getattr(content, name, None)


def _string(content: Any) -> str | None:
    return content if isinstance(content, str) else None
