"""Control rows: decisions that travel in the log `oqm.features` beside the data and take effect at their offset."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
from pydantic import ValidationError

from monitor.detection.settings import DetectionSettings
from monitor.errors import InvalidEvent


class ControlAction(StrEnum):
    """A decision of a person or a deployment about a stream, or what evaluation models say of one of its findings."""

    PIN = "pin"  # learn a new reference from the next events and never mature it further without another pin
    ACCEPT = "accept"  # what fires now is the new normal: the provisional reference becomes the reference
    DEPLOY = "deploy"  # a deploy marker: a change of behaviour from here on was intended; re-learn
    SETTINGS = "settings"  # changed settings of this stream, `data` holds them
    JUDGED = "judged"  # verdicts on outputs before and after a finding's change: `monitor.detection.records.judged`
    FOLLOWED = "followed"  # what followed from a finding's outputs: `monitor.detection.records.followed`
    REMOVE = "remove"  # the stream is no longer wanted: its state goes, its open alerts are resolved


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """One control row. `time` is seconds since 1970; `by` says who, for the record."""

    action: ControlAction
    stream: str
    time: float | None = None
    by: str = ""
    data: dict[str, Any] = {}


def settings_after(settings: DetectionSettings, control: Control) -> DetectionSettings:
    """`settings` as a control row with the action `settings` changes them. Raises `InvalidEvent` where it cannot."""
    try:
        return DetectionSettings.model_validate({**settings.model_dump(), **control.data})
    except ValidationError as wrong:
        raise InvalidEvent("wrong_settings", f"stream {control.stream!r}: {wrong}") from wrong
