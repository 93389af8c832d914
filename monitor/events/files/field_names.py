"""Fields of an event by the names that columns of other people's files have for them."""

from __future__ import annotations

import re
from typing import Any

from monitor.events.schema import OutputEvent

# Names in other people's files that can mean one thing only, and what to multiply them by; 0: the unit is recognised
# from the column's median.
ALIASES: dict[str, tuple[str, float]] = {
    "latency_s": ("latency.total_s", 1.0),
    "latency_ms": ("latency.total_s", 0.001),
    "latency": ("latency.total_s", 0.0),
    "latency_seconds": ("latency.total_s", 1.0),
    "latency_us": ("latency.total_s", 1e-6),
    "latency_ns": ("latency.total_s", 1e-9),
    "ttft": ("latency.first_token_s", 0.0),
    "first_token_s": ("latency.first_token_s", 1.0),
    "queue_s": ("latency.queue_s", 1.0),
    "queue_ms": ("latency.queue_s", 0.001),
    "queue_time_s": ("latency.queue_s", 1.0),
    "queue_time_ms": ("latency.queue_s", 0.001),
    "reasoning_tokens": ("usage.reasoning_tokens", 1),
    "ttft_s": ("latency.first_token_s", 1.0),
    "ttft_ms": ("latency.first_token_s", 0.001),
    "input_tokens": ("usage.input_tokens", 1),
    "tokens_in": ("usage.input_tokens", 1),
    "prompt_tokens": ("usage.input_tokens", 1),
    "output_tokens": ("usage.output_tokens", 1),
    "tokens_out": ("usage.output_tokens", 1),
    "completion_tokens": ("usage.output_tokens", 1),
    "context_limit": ("usage.context_limit", 1),
    "session_id": ("session.id", 1),
    "conversation_id": ("session.id", 1),
    "turn": ("session.turn", 1),
    "trace_id": ("trace.trace_id", 1),
    "span_id": ("trace.span_id", 1),
    "parent_id": ("trace.parent_id", 1),
    "model": ("model.name", 1),
    "model_name": ("model.name", 1),
    "model_version": ("model.version", 1),
    "model_provider": ("model.provider", 1),
    "provider": ("model.provider", 1),
    "system_fingerprint": ("model.fingerprint", 1),
    "prompt_name": ("prompt.name", 1),
    "prompt_version": ("prompt.version", 1),
    "prompt_hash": ("prompt.hash", 1),
}

TIME_NAMES = {
    name: rank
    for rank, name in enumerate(
        (
            "time", "timestamp", "ts", "event_time", "event_timestamp", "start_time", "started_at", "start_timestamp",
            "created_at", "created", "creation_time", "created_time", "request_time", "requested_at", "datetime",
            "date_time", "time_utc", "utc_time", "timestamp_utc", "unix_time", "unix_timestamp", "epoch", "epoch_ms",
            "epoch_s", "time_ms", "ts_ms", "timestamp_ms", "timestamp_us", "timestamp_ns", "time_unix_nano",
            "start_time_unix_nano", "observed_time_unix_nano", "occurred_at", "received_at", "logged_at", "log_time",
            "observed_at", "recorded_at", "inserted_at", "ingested_at", "end_time", "ended_at", "finished_at",
            "completed_at", "responded_at", "response_time_utc", "updated_at", "date",
        )
    )
}  # fmt: skip
"""Names of columns that hold a time, in any case (`createdAt`, `Created At`); the first of several wins."""

_CLOCK_ONLY = re.compile(r"\s*\d{1,2}:\d\d(:\d\d([.,]\d+)?)?\s*([zZ]|[+-]\d\d:?\d\d)?\s*")

TOP = frozenset(OutputEvent.__struct_fields__)

_PARTS = frozenset(("model", "prompt", "usage", "latency", "session", "trace"))

FLOATS = frozenset(("latency.total_s", "latency.first_token_s", "latency.queue_s", "cost_usd"))

INTS = frozenset(
    ("usage.input_tokens", "usage.output_tokens", "usage.context_limit", "usage.reasoning_tokens", "session.turn")
)

STRUCTURED = frozenset(("steps", "calls", "action", "causes", "attributes", "extra", *_PARTS))


def is_clock(cell: Any) -> bool:
    """Whether a cell is a time of day without a date."""
    return isinstance(cell, str) and _CLOCK_ONLY.fullmatch(cell) is not None


def seconds_of(target: str) -> tuple[str, float]:
    """`latency.total_ms`, which may be mapped, as the field in seconds and what makes seconds of it."""
    if target in ("latency.total_ms", "latency.first_token_ms"):
        return f"{target.removesuffix('_ms')}_s", 1e-3
    return target, 1.0


def is_field(column: str, cell: Any, texts: bool) -> bool:
    """Whether a column is a field of an event by its own name; a plain `model` or `prompt` is not."""
    top, dot, _ = column.partition(".")
    if dot:
        return top in STRUCTURED
    if column in _PARTS:
        return isinstance(cell, dict) or (texts and cell.lstrip()[:1] == "{")
    return column in TOP
