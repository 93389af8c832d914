"""`Finding`: one transition of something found in a stream, exactly as `oqm replay --json` prints it.

A finding's id is a function of the log (stream, kind, driver, segment, index of first raising), so a replayed finding
is the same finding. The JSON Schema of this record is a published interface (`oqm schema finding`).
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

SCHEMA_VERSION = 1
SPREAD, TAIL = ".spread", ".tail"
"""Ends the name of a number that moved in spread, and of one whose largest values became more or fewer."""
EXAMPLES = 3
"""Events from each side of a change, at most."""


class State(StrEnum):
    """Life of a finding. `pending` is kept inside and never printed or sent."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    INFO = "info"


class FindingKind(StrEnum):
    """What sort of thing was found; each has a runbook of the same name in `config/runbooks/`."""

    DRIFT = "drift"
    SILENT_UPDATE = "silent_update"
    VERSION_CHANGE = "version_change"
    FORMAT = "format"
    REFUSAL = "refusal"
    LATENCY = "latency"
    ERRORS = "errors"
    DEPENDENCY = "dependency"
    CONTEXT = "context"
    VOLUME = "volume"
    SILENCE = "silence"
    INPUT_DRIFT = "input_drift"
    MIX_SHIFT = "mix_shift"
    CANARY = "canary"
    REFERENCE = "reference"


class Driver(StrEnum):
    """Where a change came from."""

    OUTPUT = "output"
    INPUT = "input"
    MIX = "mix"
    CALL = "call"


class Severity(StrEnum):
    """How loudly to say it."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class RaisedAt(msgspec.Struct, frozen=True):
    """The event whose evidence crossed the threshold; `index` counts the stream's events from 0."""

    event_id: str | None
    index: int
    time: float | None


class BeganAt(msgspec.Struct, frozen=True):
    """Estimated change point: first changed index, its 90 % interval, and the time of that event."""

    index: int
    low: int
    high: int
    time: float | None


class FeatureChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One feature before and after: median (number, count), rate (flag) or share of the value (category).

    `effect` is the size of the change in multiples of the effect floor, signed by direction. `value` is the value of a
    category whose share is told, where it is known, or where the tail begins; else the field is left out.
    """

    name: str
    before: float | str | None
    after: float | str | None
    effect: float
    value: str | None = None


class Examples(msgspec.Struct, frozen=True):
    """Ids of up to three events from each side of the change."""

    before: list[str]
    after: list[str]


class Excerpt(msgspec.Struct, frozen=True):
    """Masked first characters of an example event's input and output."""

    event_id: str
    input: str
    output: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One transition of a finding."""

    stream: str
    state: State
    id: str
    kind: FindingKind
    cause: str
    driver: Driver | None
    raised_at: RaisedAt
    began_at: BeganAt
    features: list[FeatureChange]
    segment: dict[str, str] | None
    examples: Examples
    title: str
    severity: Severity
    runbook: str
    schema_version: int = SCHEMA_VERSION
    evidence: float | None = None  # log10 of the evidence, the threshold being log10 of the mean run length asked
    threshold: float | None = None
    excerpts_before: list[Excerpt] = []
    excerpts_after: list[Excerpt] = []
    model: str | None = None  # name of the model that most of the changed events came from


def resolved(finding: Finding, why: str) -> Finding:
    """The transition that ends a finding, with the reason behind its cause."""
    return msgspec.structs.replace(finding, state=State.RESOLVED, cause=f"{finding.cause} Resolved: {why}.")


def base_name(name: str) -> str:
    """The feature behind the name of a change: `call.latency.total_s.tail` -> `call.latency.total_s`."""
    return name.removesuffix(SPREAD).removesuffix(TAIL)


def finding_id(
    stream: str, kind: FindingKind, driver: Driver | None, segment: dict[str, str] | None, index: int
) -> str:
    """16 hexadecimal digits that identify a finding for good (see DESIGN: Identity)."""
    parts = [stream, kind.value, driver.value if driver else "", repr(sorted((segment or {}).items())), str(index)]
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
