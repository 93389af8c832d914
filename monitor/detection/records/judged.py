"""`Judged`: whether a change makes outputs worse, by verdicts on outputs from before and after it.

The role judge asks for the verdicts (`pipelines.matters`), `monitor.judgment.matters` concludes, and the conclusion
enters the log `oqm.features` as a control row with the action `judged`. So what an alert says of its harm is in the log
and a pass over it finds the same. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

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

    The difference and its interval are null where a side has no verdict.
    """

    criterion: Annotated[str, Meta(description="The criterion's name.")]
    failed_before: Annotated[int, Meta(description="Outputs from before the change that failed.")]
    judged_before: Annotated[int, Meta(description="Outputs from before the change that have a verdict.")]
    failed_after: Annotated[int, Meta(description="Outputs since the change that failed.")]
    judged_after: Annotated[int, Meta(description="Outputs since the change that have a verdict.")]
    missing: Annotated[int, Meta(description="Outputs that were asked for and have no verdict: never failures.")] = 0
    difference: Annotated[
        float | None, Meta(description="The failed share since the change minus the one before, in [-1, 1].")
    ] = None
    low: Annotated[float | None, Meta(description="Lower end of the difference's interval.")] = None
    high: Annotated[float | None, Meta(description="Upper end of the difference's interval.")] = None
    by_people: Annotated[bool, Meta(description="Whether people have labelled these outputs as well.")] = False


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a change makes outputs worse, by verdicts on outputs from before and since."""

    harm: Annotated[Harm, Meta(description="What the verdicts say.")]
    confidence: Annotated[float, Meta(description="Of `harmful` and of `harmless`, over all looks, in (0, 1).")]
    margin: Annotated[
        float, Meta(description="`harmless` means that surely fewer than this share of outputs more fail than before.")
    ]
    criteria: Annotated[list[CriterionBeforeAfter], Meta(description="By criterion, the one that decides first.")]
    text: Annotated[str, Meta(description="The conclusion as people read it, one line.")]
    evaluators: Annotated[list[str], Meta(description="Names of the evaluators that gave the verdicts.")] = []
    look: Annotated[
        int, Meta(description="1, or 2 where the first look could not tell and more outputs have been judged since.")
    ] = 1

    def follows(self, known: Judged | None) -> bool:
        """Whether it takes the place of what is known: nothing, or an earlier look that could not tell."""
        return known is None or (known.harm is Harm.CANNOT_TELL and self.look > known.look)


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
