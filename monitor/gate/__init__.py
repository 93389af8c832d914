"""The gate's client: an application asks before it acts, and acts once. Standard library and msgspec only."""

from __future__ import annotations

from monitor.actions.messages import GateAnswer, Turn
from monitor.actions.policy import Answer, Reason
from monitor.gate.asynchronous import AsyncGate
from monitor.gate.client import Gate
from monitor.gate.outcomes import (
    FellBack,
    GateRefused,
    HandedOver,
    Held,
    InFlight,
    NothingHappened,
    NotRun,
    OutcomeUnknown,
    Rejected,
    Undone,
)

__all__ = [
    "Answer",
    "AsyncGate",
    "FellBack",
    "Gate",
    "GateAnswer",
    "GateRefused",
    "HandedOver",
    "Held",
    "InFlight",
    "NotRun",
    "NothingHappened",
    "OutcomeUnknown",
    "Reason",
    "Rejected",
    "Turn",
    "Undone",
]
