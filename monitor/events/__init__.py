"""Output events: the record itself, its readers, and what identifies it. Pure: no network, no clock."""

from __future__ import annotations

from monitor.errors import InvalidEvent
from monitor.events.decode import Decoded, decode_event
from monitor.events.identity import content_digest, segments
from monitor.events.reasons import Reason
from monitor.events.schema import Call, Latency, Model, OutputEvent, Prompt, Session, Trace, Usage
from monitor.events.schema_export import json_schema

__all__ = [
    "Call",
    "Decoded",
    "InvalidEvent",
    "Latency",
    "Model",
    "OutputEvent",
    "Prompt",
    "Reason",
    "Session",
    "Trace",
    "Usage",
    "content_digest",
    "decode_event",
    "json_schema",
    "segments",
]
