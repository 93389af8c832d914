"""`Judged`: whether a change makes outputs worse, by verdicts on outputs from before and after it.

The role judge asks for the verdicts (`pipelines.matters`), `monitor.judgment.matters` concludes, and the conclusion
enters the log `oqm.features` as a control row with the action `judged`. So what an alert says of its harm is in the log
and a pass over it finds the same. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from monitor.detection.records.finding_kinds import FindingKind
from monitor.detection.records.severity import Severity
from monitor.errors import InvalidEvent

FINDING, JUDGED = "finding", "judged"
"""Keys of a control row's `data`: the id of the finding, and the `Judged`."""


class Harm(StrEnum):
    """What the verdicts say of a change."""

    HARMFUL = "harmful"
    HARMLESS = "harmless"
    CANNOT_TELL = "cannot_tell"


class CriterionBeforeAfter(msgspec.Struct, frozen=True, kw_only=True):
    """How many outputs failed one criterion before and after a change.

    `difference` is the failed share after minus the one before, in [-1, 1], with its interval `low` to `high`, whose
    ends each hold at `Judged.confidence`. All three are None where a side has no verdict. `missing` outputs were
    asked for and have no verdict. `by_people` says whether people have labelled these outputs as well.
    """

    criterion: str
    failed_before: int
    judged_before: int
    failed_after: int
    judged_after: int
    missing: int = 0
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    by_people: bool = False


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """The conclusion about one finding.

    Attributes
    ----------
    harm
        What the verdicts say.
    confidence
        Of each end of the intervals, in (0, 1).
    margin
        Share of outputs: "harmless" means that surely fewer than this fail more than before.
    criteria
        The criteria that were judged, the one that decides first.
    text
        The conclusion as people read it, one line.
    evaluators
        Names of the evaluators that gave the verdicts.
    """

    harm: Harm
    confidence: float
    margin: float
    criteria: list[CriterionBeforeAfter]
    text: str
    evaluators: list[str] = []


_HIGHER = {Severity.INFO: Severity.WARNING, Severity.WARNING: Severity.CRITICAL}
_LOWER = {Severity.CRITICAL: Severity.WARNING, Severity.WARNING: Severity.INFO}
_HARM_BY_ITSELF = frozenset((FindingKind.PRIVACY, FindingKind.CHECK))
"""Kinds that report a violation which the operator or the law names: a verdict on other criteria excuses none."""


def severity_by(severity: Severity, kind: FindingKind, judged: Judged) -> Severity:
    """The severity of a finding whose figures give `severity`, one step by its conclusion."""
    if judged.harm is Harm.HARMFUL:
        return _HIGHER.get(severity, severity)
    if judged.harm is Harm.HARMLESS and kind not in _HARM_BY_ITSELF:
        return _LOWER.get(severity, severity)
    return severity


def to_data(finding: str, judged: Judged) -> dict[str, Any]:
    """The `data` of a control row with the action `judged`; `finding` is the id."""
    return {FINDING: finding, JUDGED: msgspec.to_builtins(judged)}


def from_data(data: Mapping[str, Any]) -> tuple[str, Judged]:
    """Id of the finding, and the conclusion. Raises `InvalidEvent` for other data."""
    try:
        return msgspec.convert(data.get(FINDING), str), msgspec.convert(data.get(JUDGED), Judged)
    except msgspec.ValidationError as wrong:
        raise InvalidEvent("wrong_judged", f"a control row `judged` that cannot be read: {wrong}") from wrong
