"""`OutputEvent`: the record of one model output, as applications publish it.

Only `stream` and `output` are required (`output` may be null only together with `error`). Everything unknown is kept
in `extra`. Pure data: no I/O, no clock. May import `monitor.errors` only.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Model(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Which model answered. `fingerprint` is the provider's own build mark (OpenAI: `system_fingerprint`)."""

    provider: str | None = None
    name: str | None = None
    version: str | None = None
    fingerprint: str | None = None


class Prompt(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The prompt template in use; `hash` identifies its text where the text itself is not sent."""

    name: str | None = None
    version: str | None = None
    hash: str | None = None
    text: str | None = None


class Usage(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Token counts as the provider billed them; `context_limit` is the model's window in tokens."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    context_limit: int | None = None


class Latency(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Seconds from request to last byte, and to the first token."""

    total_s: float | None = None
    first_token_s: float | None = None


class Call(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One call to an external dependency (tool, retriever, API) made while answering.

    `status` is the dependency's own word or HTTP code; `shape` a hash of the response's structure, so that a third
    party that changes its format is seen.
    """

    dependency: str
    operation: str | None = None
    status: str | int | None = None
    duration_s: float | None = None
    error: str | None = None
    shape: str | None = None


class Session(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Conversation and the position of this output in it, counted from 1."""

    id: str | None = None
    turn: int | None = None


class Trace(msgspec.Struct, omit_defaults=True, kw_only=True):
    """W3C trace context identifiers, hexadecimal."""

    trace_id: str | None = None
    span_id: str | None = None
    parent_id: str | None = None


class OutputEvent(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One output of an AI system, with what is known of how it came about.

    `time` is seconds since 1970 (readers accept RFC 3339 too and convert). `attributes` are free key/value pairs that
    findings may name as the segment that changed (tenant, locale, experiment arm, ...).
    """

    stream: str
    output: str | None
    id: str | None = None
    time: float | None = None
    input: str | None = None
    error: str | None = None
    model: Model = msgspec.field(default_factory=Model)
    prompt: Prompt = msgspec.field(default_factory=Prompt)
    finish_reason: str | None = None
    usage: Usage = msgspec.field(default_factory=Usage)
    cost_usd: float | None = None
    latency: Latency = msgspec.field(default_factory=Latency)
    steps: list[Any] = msgspec.field(default_factory=list)
    calls: list[Call] = msgspec.field(default_factory=list)
    session: Session = msgspec.field(default_factory=Session)
    trace: Trace = msgspec.field(default_factory=Trace)
    action: dict[str, Any] | None = None
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
