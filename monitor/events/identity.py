"""What identifies an event: the digest of its content, and the attributes that may name a segment.

May import `monitor.events.schema` only.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import msgspec

from monitor.events.schema import OutputEvent

MAX_SEGMENTS = 16  # bounds what attributes add to each message of the log
MAX_SEGMENT_CHARS = 64  # a name of a version or a task; longer values are texts, and no segment

_encoder = msgspec.msgpack.Encoder(order="deterministic")


def content_digest(event: OutputEvent) -> int:
    """Unsigned 64-bit hash of everything in the event but `id` and `time`.

    A redelivery has the digest of the original; the same id with another digest is an id used twice. `time` is left
    out because a producer's retry may set it again. Equal on every machine, in every process, and by a later version
    too: fields at their defaults do not count, so that a field added to the schema changes no digest.
    """
    content = msgspec.structs.replace(event, id=None, time=None)
    try:
        encoded = _encoder.encode(content)
    except (UnicodeEncodeError, OverflowError, TypeError):
        # Events built in Python may hold what no message can: half surrogate pairs, objects, integers beyond 64 bits.
        encoded = repr(_ordered(msgspec.structs.asdict(content))).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "big")


def _ordered(content: Any) -> Any:
    if isinstance(content, dict):
        return sorted((repr(key), _ordered(item)) for key, item in content.items())
    if isinstance(content, (list, tuple)):
        return [_ordered(item) for item in content]
    return content


def segments(event: OutputEvent) -> dict[str, str]:
    """Attributes by which a finding may say which part of the traffic changed, as texts.

    Keys are `model.provider|name|version|fingerprint`, `prompt.name|version|hash` and `attributes.<key>` for scalar
    attributes, in this order, attributes by name; at most 16 keys, values cut at 64 characters.
    """
    model, prompt = event.model, event.prompt
    found: dict[str, str] = {}
    if model.provider:
        found["model.provider"] = model.provider[:MAX_SEGMENT_CHARS]
    if model.name:
        found["model.name"] = model.name[:MAX_SEGMENT_CHARS]
    if model.version:
        found["model.version"] = model.version[:MAX_SEGMENT_CHARS]
    if model.fingerprint:
        found["model.fingerprint"] = model.fingerprint[:MAX_SEGMENT_CHARS]
    if prompt.name:
        found["prompt.name"] = prompt.name[:MAX_SEGMENT_CHARS]
    if prompt.version:
        found["prompt.version"] = prompt.version[:MAX_SEGMENT_CHARS]
    if prompt.hash:
        found["prompt.hash"] = prompt.hash[:MAX_SEGMENT_CHARS]
    for key in sorted(event.attributes, key=str):
        if len(found) >= MAX_SEGMENTS:
            break
        value = _scalar(event.attributes[key])
        if value:
            found[f"attributes.{key}"[: MAX_SEGMENT_CHARS + len("attributes.")]] = value[:MAX_SEGMENT_CHARS]
    return found


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if -(2**63) <= value < 2**64 else ""
    if isinstance(value, float):
        # 1.0 and 1 are one segment: languages with one number type do not distinguish them.
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return ""
