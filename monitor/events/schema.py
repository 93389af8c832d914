"""`OutputEvent`: the record of one model output, as applications publish it.

Only `stream` and `output` are required (`output` may be null only together with `error`). Everything unknown is kept
in `extra`. Pure data: no I/O, no clock. May import nothing from this project.

The limits in the annotations are checked where events are decoded (`monitor.events.decode`) and are part of the
exported JSON Schema; building an event in Python does not check them. `forbid_unknown_fields` is for the readers alone:
it shows cheaply that a message needs the second look in which unknown fields are kept.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

MAX_STREAM_NAME = 256
MAX_ID = 512

# Finish reason of a streamed output whose reader went away. It is a part of an output, so its text is not measured; the
# call is, and how many readers leave shows in the shares of the finish reasons.
ABANDONED = "abandoned"

# A stream's name becomes a metric label and a line in an alert, so: visible, one line, bounded.
StreamName: TypeAlias = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=MAX_STREAM_NAME, pattern=r"^(?=[\s\S]*\S)(?![\s\S]*[\x00-\x1f\x7f])"),
]
EventId: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_ID)]
# 2^53: the largest range of integers that every JSON reader keeps exact.
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
NonNegative: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]


class Model(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Which model answered. `fingerprint` is the provider's own build mark (OpenAI: `system_fingerprint`)."""

    provider: str | None = None
    name: str | None = None
    version: str | None = None
    fingerprint: str | None = None


class Prompt(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """The prompt template in use; `hash` identifies its text where the text itself is not sent."""

    name: str | None = None
    version: str | None = None
    hash: str | None = None
    text: str | None = None


class Usage(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Token counts as the provider billed them; `context_limit` is the model's window in tokens."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    context_limit: Count | None = None


class Latency(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds from request to last byte, and to the first token."""

    total_s: NonNegative | None = None
    first_token_s: NonNegative | None = None


class Call(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """One call to an external dependency (tool, retriever, API) made while answering.

    `status` is the dependency's own word or HTTP code; `shape` a hash of the response's structure, so that a third
    party that changes its format is seen.
    """

    dependency: str
    operation: str | None = None
    status: str | int | None = None
    duration_s: NonNegative | None = None
    error: str | None = None
    shape: str | None = None


class Session(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Conversation and the position of this output in it, counted from 1."""

    id: str | None = None
    turn: Count | None = None


class Trace(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """W3C trace context identifiers, hexadecimal."""

    trace_id: str | None = None
    span_id: str | None = None
    parent_id: str | None = None


class OutputEvent(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """One output of an AI system, with what is known of how it came about.

    `time` is seconds since 1970 (readers accept RFC 3339 too and convert). `attributes` are free key/value pairs that
    findings may name as the segment that changed (tenant, locale, experiment arm, ...).
    """

    stream: StreamName
    output: str | None
    id: EventId | None = None
    time: float | None = None
    input: str | None = None
    error: str | None = None
    model: Model = msgspec.field(default_factory=Model)
    prompt: Prompt = msgspec.field(default_factory=Prompt)
    finish_reason: str | None = None
    usage: Usage = msgspec.field(default_factory=Usage)
    cost_usd: NonNegative | None = None
    latency: Latency = msgspec.field(default_factory=Latency)
    steps: list[Any] = msgspec.field(default_factory=list)
    calls: list[Call] = msgspec.field(default_factory=list)
    session: Session = msgspec.field(default_factory=Session)
    trace: Trace = msgspec.field(default_factory=Trace)
    action: dict[str, Any] | None = None
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


def as_published(event: OutputEvent) -> dict[str, Any]:
    """The event's fields as an application would publish them: unknown ones beside the known ones."""
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return {**fields.pop("extra", {}), **fields}
