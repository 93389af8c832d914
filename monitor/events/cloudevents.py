"""CloudEvents 1.0 around an output event, as the Kafka protocol binding lays them out.

Structured mode: the header `content-type` begins with `application/cloudevents`, the value is the envelope as JSON with
the event in `data`. Binary mode: the value is the event, the envelope's attributes are headers `ce_id`, `ce_time`, ...
An envelope is also recognised by `specversion` and `data` without any header (replay files have none).

What the event says itself wins; the envelope fills in `id`, `time`, `stream` (an extension attribute of that name) and
the trace (extension `traceparent`). Its `type`, `source` and `subject` are kept in `extra["cloudevent"]`.

Source: CloudEvents Kafka Protocol Binding 1.0.2, sections 3.1 to 3.3; JSON Event Format 1.0.2, section 3.
May import `monitor.errors` and this package.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from monitor.errors import InvalidEvent
from monitor.events.reasons import Reason

_STRUCTURED = "application/cloudevents"
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}")
_KEPT = ("type", "source", "subject")


def concerned(headers: Mapping[str, bytes]) -> bool:
    """Whether these headers (keys in lower case) change how the value is read."""
    for name in headers:
        if name.startswith("ce_") or name == "traceparent":
            return True
    return _media_type(_text(headers.get("content-type", b""))).startswith(_STRUCTURED)


def check_headers(headers: Mapping[str, bytes]) -> None:
    """Refuse, before the value is parsed, envelopes in formats that are not JSON. Keys are lower case."""
    if "content-type" not in headers:
        return
    media_type = _media_type(_text(headers["content-type"]))
    if media_type.startswith(_STRUCTURED):
        if media_type != _STRUCTURED + "+json":
            raise InvalidEvent(
                Reason.BAD_CLOUDEVENT, f"content-type {media_type[:80]} cannot be read; send {_STRUCTURED}+json"
            )
    elif "ce_specversion" in headers and not _is_json(media_type):
        raise InvalidEvent(
            Reason.BAD_CLOUDEVENT, f"content-type {media_type[:80]} cannot be read; send data as application/json"
        )


def unwrap(fields: dict[str, Any], headers: Mapping[str, bytes]) -> dict[str, Any]:
    """The event inside the envelope; `fields` itself where there is no envelope. Raises `InvalidEvent`."""
    structured = _media_type(_text(headers.get("content-type", b""))).startswith(_STRUCTURED)
    if structured or ("specversion" in fields and ("data" in fields or "data_base64" in fields)):
        envelope = fields
        fields = _data(envelope)
    else:
        envelope = {key[3:]: _text(content) for key, content in headers.items() if key.startswith("ce_")}
        if envelope:
            _check_version(envelope)
    for name in ("id", "time", "stream"):
        if envelope.get(name) is not None and fields.get(name) is None:
            fields[name] = envelope[name]
    traceparent = envelope.get("traceparent") or _text(headers.get("traceparent", b""))
    if isinstance(traceparent, str) and fields.get("trace") is None:
        ids = _TRACEPARENT.fullmatch(traceparent)
        if ids:
            fields["trace"] = {"trace_id": ids["trace"], "span_id": ids["span"]}
    kept = {name: envelope[name] for name in _KEPT if isinstance(envelope.get(name), str)}
    if kept and "cloudevent" not in fields:
        fields["cloudevent"] = kept
    return fields


def _data(envelope: dict[str, Any]) -> dict[str, Any]:
    _check_version(envelope)
    media_type = envelope.get("datacontenttype")
    if isinstance(media_type, str) and not _is_json(_media_type(media_type)):
        raise InvalidEvent(
            Reason.BAD_CLOUDEVENT, f"datacontenttype {media_type[:80]} cannot be read; send data as application/json"
        )
    data = envelope.get("data")
    if data is None and isinstance(envelope.get("data_base64"), str):
        try:
            data = msgspec.json.decode(base64.b64decode(envelope["data_base64"], validate=True))
        except (binascii.Error, ValueError, RecursionError):
            raise InvalidEvent(Reason.BAD_CLOUDEVENT, "data_base64 is not JSON in base64") from None
    elif isinstance(data, str):
        # Some senders put the JSON text where the JSON value belongs.
        try:
            data = msgspec.json.decode(data)
        except (ValueError, RecursionError):
            raise InvalidEvent(Reason.BAD_CLOUDEVENT, "data is a text that is not JSON; send an object") from None
    if type(data) is not dict:
        raise InvalidEvent(Reason.BAD_CLOUDEVENT, "data is missing or no JSON object; put the event there")
    return data


def _check_version(envelope: Mapping[str, Any]) -> None:
    version = envelope.get("specversion")
    if not isinstance(version, str) or not version.startswith("1."):
        raise InvalidEvent(Reason.BAD_CLOUDEVENT, "specversion must be 1.0")


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    return not media_type or media_type in ("application/json", "text/json") or media_type.endswith("+json")


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
