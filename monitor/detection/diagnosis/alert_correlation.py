"""One cause is reported once: an objective that burns, and a drift finding of what it burns by.

Calls that hang are a change (their latency moved) and cost an objective its error budget, so they are found twice.
Whoever is on call gets one page:

- Whichever is found first fires. What is found second is information with a separate id, and names the first; so the
  log of alerts has both, what changed and what it costs.
- A drift finding that fires says at once how fast the objectives burn by its events
  (`monitor.detection.slo.slo_monitor`).
- What is graver than what was reported fires too: a burn that pages after a drift that warned says both, as a change
  that creeps is reported again when it becomes critical. A drift finding fires, too, where something else moved with
  it.
- When one ends and the other goes on, the other fires under the id it has, as soon as it would have ended as well if
  both were over: a burn when the short window of its rule has passed, a drift finding after `OUTLASTS` times the events
  that resolve it. What ends without having fired ends without a message.

They are of one cause where what the objective counts moved in the direction that hurts, and the later one began close
to when the earlier was reported: a report of three days ago says nothing of a burn that begins now. A burn that is too
slow to page builds up over days and has no such beginning; it goes with whatever drift is open.

Called by the stream monitor and by the objectives' monitor. Pure. May import `finding`, `declared_features`, `classify`
and `rare_categories` of `monitor.detection` only.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from monitor.detection.columns.rare_categories import NONE
from monitor.detection.diagnosis import classify
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import FeatureChange, Finding, Severity, State
from monitor.features.base import Role

GOES_ON = 1000
"""Rows after a change was reported within which what begins is the same change; later it is another."""
GOES_ON_S = 1_800.0
"""The same in seconds, where that is longer, as on a busy stream."""
OUTLASTS = 2
"""Multiples of the events that resolve a drift for which one must outlast the burn it went with."""
_GRAVITY = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


def moved(counted: Role | None, changes: Iterable[FeatureChange], features: DeclaredFeatures) -> bool:
    """Whether a feature with the role of what an objective counts rose: latency, errors."""
    return counted is not None and any(
        features.role(change.name) is counted and change.effect > 0 for change in changes
    )


def drift_beside(burn: Finding, drifts: Iterable[Finding], features: DeclaredFeatures) -> Finding | None:
    """Of the drift findings that fire, the gravest that an objective's finding goes with."""
    slow = burn.severity is Severity.WARNING
    counted = features.role(burn.features[0].name)
    near = [drift for drift in drifts if moved(counted, drift.tested, features) and (slow or _goes_on(drift, burn))]
    return max(near, key=lambda drift: _GRAVITY.index(drift.severity), default=None)


def is_as_grave(known: Finding, found: Finding) -> bool:
    """Whether what is known is as grave as what is found now."""
    return _GRAVITY.index(known.severity) >= _GRAVITY.index(found.severity)


def burn_that_covers(drift: Finding, burns: Iterable[Finding], features: DeclaredFeatures) -> Finding | None:
    """Of the objectives' findings that fire, the one that leaves a drift finding nothing to add, if any does."""
    changes = [change for change in classify.in_order(drift.tested, drift.kind, features) if not _is_absence(change)]
    for burn in burns:
        reported = [classify.is_reported_by(burn, change, features) for change in changes]
        # Half of what moved may have moved by chance.
        most = bool(reported) and reported[0] and 2 * sum(reported) >= len(reported)
        if most and is_as_grave(burn, drift) and _goes_on(burn, drift):
            return burn
    return None


def beside(finding: Finding, known: Finding) -> Finding:
    """A finding that says what it goes with."""
    title = known.title.removeprefix(f"{known.stream}: ")
    return msgspec.structs.replace(finding, cause=f"{finding.cause} It belongs to what is already reported: {title}.")


def as_information(finding: Finding) -> Finding:
    """A finding that holds and does not fire."""
    return msgspec.structs.replace(finding, state=State.INFO, severity=Severity.INFO)


def _is_absence(change: FeatureChange) -> bool:
    """Whether a change only says that something failed or is missing, as outputs are of calls that fail."""
    return classify.is_failure_or_missing(change) or change.value == NONE


def _goes_on(known: Finding, later: Finding) -> bool:
    if later.began_at.index - known.raised_at.index <= GOES_ON:
        return True
    began, raised = later.began_at.time, known.raised_at.time
    return began is not None and raised is not None and began - raised <= GOES_ON_S
