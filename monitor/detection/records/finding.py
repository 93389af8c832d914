"""`Finding`: one transition of something found in a stream, exactly as `oqm replay --json` prints it.

A finding's id is a function of the log (stream, kind, driver, segment, index of first raising), so a replayed finding
is the same finding. The JSON Schema of this record is a published interface (`oqm schema finding`).
"""

from __future__ import annotations

import hashlib
import math
from enum import StrEnum

import msgspec

from monitor.config_values.durations import in_words
from monitor.detection.records.finding_kinds import FindingKind as FindingKind
from monitor.detection.records.followed import Followed
from monitor.detection.records.judged import Judged
from monitor.detection.records.severity import Severity as Severity

SCHEMA_VERSION = 1  # of findings in JSON: raised by a change that readers of today would misread
SPREAD, TAIL = ".spread", ".tail"
"""Ends the name of a number that moved in spread, and of one whose largest values became more or fewer."""
FAMILY_MISSING = ".missing"
"""Ends the name of a family (`output.length.missing`) of which more values than usual are missing."""
ANY, DIFFERS, PRESENT = "any", "differs", "present"
"""Statistics of a number or a count whose sides are shares of events: those in which it is not zero, those in which it
has another value than the only one of the reference, and those in which it has a value where the reference had none."""
EXAMPLES = 3
"""Events from each side of a change, at most."""


class State(StrEnum):
    """Life of a finding."""

    FIRING = "firing"
    RESOLVED = "resolved"
    INFO = "info"

    @classmethod
    def _missing_(cls, value: object) -> State | None:
        """Records of earlier versions may say `pending`, which nobody was to see: information."""
        return cls.INFO if value == "pending" else None


class Driver(StrEnum):
    """Where a change came from."""

    OUTPUT = "output"
    INPUT = "input"
    MIX = "mix"
    CALL = "call"


class Ended(StrEnum):
    """How a finding came to its end."""

    RECOVERED = "recovered"
    ACCEPTED = "accepted"
    DEPLOYED = "deployed"
    PINNED = "pinned"
    REMOVED = "removed"  # a person ended the stream
    FORGOTTEN = "forgotten"  # the stream had no events for `forget_after`, or gave way to newer names
    REPLACED = "replaced"  # what it compared or counted is no longer there, or another finding reports it


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
    category whose share is given, where it is known, or where the tail begins; of a share of events that differ, the
    value that they differ from. `statistic` is `ANY`, `DIFFERS` or `PRESENT` where both sides of a number or count are
    shares of events, and else left out. `events` is the number of events behind `after`, where it is known.

    `usual` is the value of a category that was most common before, where `value` is another.

    `place` and `tested` are used inside detection only, which decides by other changes than it reports, and have their
    defaults in what is published (`published`). `place` is -1 for a change that is left out, as chance explains it as
    well, else its place among those that are published. `tested` is false for a change that is only reported.
    """

    name: str
    before: float | str | None
    after: float | str | None
    effect: float
    value: str | None = None
    statistic: str = ""
    events: int | None = None
    usual: str | None = None
    place: int = 0
    tested: bool = True


class Examples(msgspec.Struct, frozen=True):
    """Ids of up to three events from each side of the change."""

    before: list[str]
    after: list[str]


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """How a finding ended: of itself or by whose decision, and how long it lasted.

    `why` is a sentence without its full stop. `index` and `time` are those of the stream's last event at the end, None
    where unknown. `lasted_events` and `lasted_s` go from the beginning of the change to its end, which for `recovered`
    is `back_events` before `index`: the events over which it was seen to be back.
    """

    how: Ended
    why: str
    by: str = ""
    index: int | None = None
    time: float | None = None
    back_events: int | None = None
    lasted_events: int | None = None
    lasted_s: float | None = None


class Excerpt(msgspec.Struct, frozen=True):
    """Masked excerpts of an example event: of its input the beginning, of its output what shows the change.

    That is its beginning, its end, or facts of the call (tool, failed dependency, time) and its beginning.
    """

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
    resolution: Resolution | None = None  # of a resolved finding
    revision: int = 0  # times that it was measured again, on more rows, and reported so
    measured_events: int | None = None  # events since the change that the latest revision was measured on
    judged: Judged | None = None  # whether it makes outputs worse, by verdicts on outputs before and after
    followed: Followed | None = None  # what followed from its outputs, where events and actions say so

    @property
    def opens(self) -> bool:
        """Whether this transition opens an alert: it fires, and is no revision of one that fires already."""
        return self.state is State.FIRING and not self.revision

    @property
    def is_update(self) -> bool:
        """Whether it only says more exactly what was reported before."""
        return self.state is State.FIRING and self.revision > 0

    @property
    def tested(self) -> list[FeatureChange]:
        """The changes by which detection decides whether this one goes on or is over."""
        return [change for change in self.features if change.tested]


def published(finding: Finding) -> Finding:
    """A finding as everybody outside of detection gets it: without the changes that chance explains as well."""
    if not any(change.place or not change.tested for change in finding.features):
        return finding
    kept = sorted((change for change in finding.features if change.place >= 0), key=lambda change: change.place)
    shown = [msgspec.structs.replace(change, place=0, tested=True) for change in kept]
    return msgspec.structs.replace(finding, features=shown)


def resolved(finding: Finding, resolution: Resolution, changed_until: float | None = None) -> Finding:
    """The transition that ends a finding.

    Its resolution says how long it lasted, and so does the end of its cause. `changed_until` is the time of the last
    event that was still changed, where that is known and earlier than the resolution's.
    """
    events = seconds = None
    began = finding.began_at
    if resolution.index is not None:
        events = max(0, resolution.index - (resolution.back_events or 0) - began.index)
    until = resolution.time if changed_until is None else changed_until
    if began.time is not None and until is not None and math.isfinite(until):
        seconds = max(0.0, until - began.time)
    ended = msgspec.structs.replace(resolution, lasted_events=events, lasted_s=seconds)
    cause = f"{finding.cause} Resolved: {ended_by(ended)}."
    if lasted(ended):
        cause += f" It lasted {lasted(ended)}."
    return msgspec.structs.replace(finding, state=State.RESOLVED, cause=cause, resolution=ended)


def ended_by(resolution: Resolution) -> str:
    """`recovered: output.tone.refusal is back at 0.1% ...`, `accepted as the new normal by ada`."""
    why = resolution.why + (f" by {resolution.by}" if resolution.by else "")
    return f"recovered: {why}" if resolution.how is Ended.RECOVERED else why


def lasted(resolution: Resolution) -> str:
    """`3 h, 1,204 events`; empty where neither is known."""
    known = [] if resolution.lasted_s is None else [in_words(resolution.lasted_s)]
    if resolution.lasted_events is not None:
        known.append(f"{resolution.lasted_events:,} events")
    return ", ".join(known)


def base_name(name: str) -> str:
    """The feature behind the name of a change: `call.latency.total_s.tail` -> `call.latency.total_s`."""
    return name.removesuffix(SPREAD).removesuffix(TAIL)


def finding_id(
    stream: str, kind: FindingKind, driver: Driver | None, segment: dict[str, str] | None, index: int
) -> str:
    """16 hexadecimal digits that identify a finding for good (see DESIGN: Identity)."""
    parts = [stream, kind.value, driver.value if driver else "", repr(sorted((segment or {}).items())), str(index)]
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
