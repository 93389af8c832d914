"""What a person did about an alert: took it, put it off, or marked it false. Kept on `oqm.alerts` beside the alerts.

Why there and not on a separate topic: notify has to read an annotation after the alert that it is about and from the
same partition, and to apply it once, after a restart too. The log of alerts gives all of that by the same key and the
same position; a second topic would not. Readers recognize an annotation by the field `record`, which alerts lack.

Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert

RECORD = "annotation"


class AnnotationAction(StrEnum):
    """What was done."""

    ACK = "ack"
    SNOOZE = "snooze"
    FALSE_ALARM = "false_alarm"


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """One action on one alert, at `time` (seconds since 1970) by `by`.

    `until` is for a snooze, in seconds since 1970: nothing is sent before then; a time in the past ends a snooze.
    """

    fingerprint: str
    action: AnnotationAction
    time: float
    by: str
    until: float | None = None
    record: str = RECORD
    schema_version: int = 1


class _RecordKind(msgspec.Struct):
    record: str | None = None


def encode(annotation: Annotation) -> bytes:
    """The annotation as JSON, as it stands on `oqm.alerts` under the alert's id as key."""
    return _ENCODER.encode(annotation)


def decode_record(data: bytes) -> Alert | Annotation:
    """A message of `oqm.alerts`; raises `msgspec.DecodeError` for anything else."""
    if _KIND_DECODER.decode(data).record == RECORD:
        return _DECODER.decode(data)
    return alerts.decode(data)


_ENCODER = msgspec.json.Encoder()
_KIND_DECODER = msgspec.json.Decoder(_RecordKind)
_DECODER = msgspec.json.Decoder(Annotation)
