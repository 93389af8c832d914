"""Control rows: decisions that travel in the log `oqm.features` beside the data and take effect at their offset."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Action(StrEnum):
    """What a person or a deployment tells a stream."""

    PIN = "pin"  # learn a new reference from the next events and never mature it further without another pin
    ACCEPT = "accept"  # what fires now is the new normal: the provisional reference becomes the reference
    DEPLOY = "deploy"  # a deploy marker: a change of behaviour from here on was intended; re-learn
    SETTINGS = "settings"  # changed settings of this stream, `data` holds them


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """One control row. `time` is seconds since 1970; `by` says who, for the record."""

    action: Action
    stream: str
    time: float | None = None
    by: str = ""
    data: dict[str, Any] = {}
