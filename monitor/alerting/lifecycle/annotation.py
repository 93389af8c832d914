"""What a person says of an alert: taken, put off, or false. Travels on `oqm.alerts` beside the alerts themselves.

Why there and not on a topic of its own: notify has to meet an annotation after the alert that it speaks of and on the
same partition, and to apply it once, after a restart too. The log of alerts gives all of that by the same key and the
same position; a second topic would give none. Readers of the log tell the two apart by the field `record`, which
alerts lack. Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert

RECORD = "annotation"


class AnnotationAction(StrEnum):
    """What is said."""

    ACK = "ack"
    SNOOZE = "snooze"
    FALSE_ALARM = "false_alarm"


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing said of one alert, at `time` (seconds since 1970) by `by`.

    `until` is for a snooze: quiet up to then, and not longer; one that lies in the past ends a snooze.
    """

    fingerprint: str
    action: AnnotationAction
    time: float
    by: str
    until: float | None = None
    record: str = RECORD
    schema_version: int = 1


class _Peek(msgspec.Struct):
    record: str | None = None


def encode(annotation: Annotation) -> bytes:
    """The annotation as JSON, as it stands on `oqm.alerts` under the alert's id as key."""
    return _ENCODER.encode(annotation)


def decode_record(data: bytes) -> Alert | Annotation:
    """A message of `oqm.alerts`; raises `msgspec.DecodeError` for anything else."""
    if _PEEK.decode(data).record == RECORD:
        return _DECODER.decode(data)
    return alerts.decode(data)


_ENCODER = msgspec.json.Encoder()
_PEEK = msgspec.json.Decoder(_Peek)
_DECODER = msgspec.json.Decoder(Annotation)
