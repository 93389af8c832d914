"""`EvaluatorChanges`: a change of judged quality in the days in which the evaluator changed is reported as such.

Verdicts are what a changed evaluator changes, so a fall of judged quality then says little of the outputs. The two are
found separately, by different streams and often by different workers, and meet in the log of alerts. Called by
`Dispatch` with every alert, in the log's order. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from monitor.alerting.alert import Alert, Revised, transition_key
from monitor.criteria.derived import anchored, judged_of
from monitor.detection.records.finding import FindingKind, Severity, State
from monitor.features.change_words import as_within

SAME_DAYS_S = 3 * 86_400.0
"""Seconds between the beginnings of two changes that may be one: at some tens of anchors a day the beginning of a
change is known to about two days."""
EVALUATOR_CHANGED = "evaluator_changed"
"""Annotation of an alert of judged quality: the id of the alert that says so."""
MOST_REMEMBERED = 1_000
"""Changes of evaluators that are remembered, the latest: each is of one criterion, and rare."""
_TITLE = "Perhaps the evaluator: "


class EvaluatorChanges:
    """What is known of changed evaluators, from the alerts so far."""

    def __init__(self) -> None:
        self._changes: dict[str, Alert] = {}

    def annotated(self, alert: Alert, open_: Iterable[Alert]) -> Alert:
        """The alert, with what the alerts before it say about it; `open_` are those that fire.

        Judged quality is said to be perhaps the evaluator's, and is no more than a warning; a change of an evaluator
        names the changes of judged quality in the same days.
        """
        if alert.kind is FindingKind.QUALITY:
            change = next((one for one in reversed(self._changes.values()) if _together(alert, one)), None)
            return alert if change is None else _perhaps(alert, change)
        if alert.kind is not FindingKind.EVALUATOR_CHANGED:
            return alert
        self._changes.pop(alert.fingerprint, None)
        self._changes[alert.fingerprint] = alert
        if len(self._changes) > MOST_REMEMBERED:
            del self._changes[next(iter(self._changes))]
        beside = [one for one in open_ if one.kind is FindingKind.QUALITY and _together(one, alert)]
        if alert.state is not State.FIRING or not beside:
            return alert
        named = "; ".join(f"{one.stream} (alert {one.fingerprint})" for one in beside[:3])
        more = f" and {len(beside) - 3:,} more" if len(beside) > 3 else ""
        return _with_cause(alert, f"Judged quality changed in the same days in {named}{more}.")

    def concerns(self, change: Alert, open_: Iterable[Alert]) -> list[Alert]:
        """Updates of the alerts of judged quality that fire and were sent before this change was known."""
        if change.kind is not FindingKind.EVALUATOR_CHANGED or change.state is not State.FIRING:
            return []
        return [
            msgspec.structs.replace(
                _perhaps(one, change),
                # A revision of detection's has a number here; this one is notify's, and comes once for each change.
                transition=f"{transition_key(one.fingerprint, one.state)}:revision-{change.fingerprint}",
                severity=one.severity,
                labels=one.labels,
                revised=[Revised.CAUSE],
            )
            for one in open_
            if one.kind is FindingKind.QUALITY and EVALUATOR_CHANGED not in one.annotations and _together(one, change)
        ]


def _together(quality: Alert, change: Alert) -> bool:
    """Whether a change of judged quality began in the days of a change of its evaluator."""
    began, other = quality.began_at.time, change.began_at.time
    if began is None or other is None or not _same_criterion(quality.stream, change.stream):
        return False
    over = None if change.resolution is None else change.resolution.time
    return other - SAME_DAYS_S <= began and (over is None or began <= over + SAME_DAYS_S)


def _same_criterion(quality: str, change: str) -> bool:
    """Of anchors, the criterion in any stream; of verdicts that changed with another evaluator, this stream alone."""
    judged = judged_of(quality)
    return judged is not None and (anchored(change) == judged.criterion or change == quality)


def _perhaps(alert: Alert, change: Alert) -> Alert:
    known = f"The evaluator changed in the same days (alert {change.fingerprint}: {change.title})."
    said = _with_cause(alert, f"{known} So this may be the evaluator and not the outputs.")
    title = alert.title if alert.title.startswith(_TITLE) else f"{_TITLE}{as_within(alert.title)}"
    severity = Severity.WARNING if alert.severity is Severity.CRITICAL else alert.severity
    return msgspec.structs.replace(
        said,
        title=title,
        severity=severity,
        labels={**alert.labels, "severity": severity.value},
        annotations={**said.annotations, "summary": title, EVALUATOR_CHANGED: change.fingerprint},
    )


def _with_cause(alert: Alert, sentence: str) -> Alert:
    cause = f"{alert.cause} {sentence}"
    return msgspec.structs.replace(alert, cause=cause, annotations={**alert.annotations, "cause": cause})
