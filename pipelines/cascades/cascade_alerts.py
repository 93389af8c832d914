"""`CascadeAlerts`: alerts of kind `cascade`, by the usual path; at most one fires in a stream.

The worker that writes the store is the only one who knows, so it writes these alerts to `oqm.alerts` itself, as detect
writes its own. Which of them fire is read from the log at the start: those of a worker that died go on. Two workers
that write the store see different outputs of one chain, and may both raise its alert: it has the same id, made of the
stream, the kind, the chain's beginning and the quarter of an hour.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from monitor.actions.cascade import shown
from monitor.alerting.alert import Alert
from monitor.alerting.from_finding import from_finding
from monitor.cascade.excess import Excess, cause_of, title_of
from monitor.detection.records.finding import (
    BeganAt,
    Ended,
    Examples,
    Finding,
    FindingKind,
    RaisedAt,
    Resolution,
    Severity,
    State,
    finding_id,
    resolved,
)
from monitor.settings import Settings
from pipelines.cascades.look import Exceeded

log = logging.getLogger(__name__)

QUIET_S = 900.0
"""Time without a new output or action of a chain above its limits after which its alert is over. Agents that answer one
another do so within seconds, those that wait for a schedule within minutes."""


class CascadeAlerts:
    """Raises and resolves them.

    Parameters
    ----------
    current
        The settings as they are now.
    publish
        Writes an alert to `oqm.alerts`, confirmed.
    """

    def __init__(self, current: Callable[[], Settings], publish: Callable[[Alert], None]) -> None:
        self._current = current
        self._publish = publish
        self._firing: dict[str, Finding] = {}
        self._seen: dict[str, float] = {}

    def restore(self, alerts: Iterable[Alert], now: float) -> None:
        """Take over the alerts of this kind that fire."""
        for alert in alerts:
            if alert.kind is FindingKind.CASCADE and alert.state is State.FIRING:
                self._firing[alert.stream] = _of_alert(alert)
                self._seen[alert.stream] = now

    def take(self, found: Iterable[Exceeded], now: float) -> None:
        """Raise an alert for each stream in which too much follows and none fires yet."""
        for one in sorted(found, key=lambda one: (list(Excess).index(one.excess), -one.tally.outputs, one.tally.root)):
            stream = one.tally.stream
            self._seen[stream] = now
            if stream not in self._firing:
                finding = self._finding(one, now)
                log.warning("%s: %s", stream, finding.title)
                self._send(finding)
                self._firing[stream] = finding

    def end(self, now: float) -> None:
        """Resolve those of which nothing more has come for `QUIET_S`."""
        for stream, finding in list(self._firing.items()):
            last = self._seen[stream]
            if now - last >= QUIET_S:
                why = f"nothing more has followed for {QUIET_S / 60.0:.0f} minutes"
                self._send(resolved(finding, Resolution(how=Ended.RECOVERED, why=why, time=last)))
                del self._firing[stream], self._seen[stream]

    def _finding(self, one: Exceeded, now: float) -> Finding:
        tally, within = one.tally, self._current().cascades.within
        last = tally.deepest.id if tally.deepest is not None else tally.root
        return Finding(
            stream=tally.stream,
            state=State.FIRING,
            # Two workers that see the same chain raise the same alert; after it has ended, another one.
            id=finding_id(tally.stream, FindingKind.CASCADE, None, {"root": tally.root}, int(now // QUIET_S)),
            kind=FindingKind.CASCADE,
            cause=cause_of(
                one.excess, tally, one.limits, one.circle, at_least=one.at_least, actions_known=one.actions_known
            ),
            driver=None,
            raised_at=RaisedAt(shown(last), 0, now),
            began_at=BeganAt(0, 0, 0, tally.first or now),
            features=[],
            segment=None,
            examples=Examples([], list(dict.fromkeys(map(shown, (tally.root, last))))),
            title=title_of(one.excess, tally, within),
            severity=Severity.WARNING,
            runbook="runbooks/cascade.md",
        )

    def _send(self, finding: Finding) -> None:
        settings = self._current()
        stream = settings.for_stream(finding.stream)
        self._publish(from_finding(finding, owner=stream.owner, route=stream.route, links=settings.links))


def _of_alert(alert: Alert) -> Finding:
    """The finding of an alert that fires, as far as its end needs it."""
    finding = Finding(
        stream=alert.stream,
        state=State.FIRING,
        id=alert.fingerprint,
        kind=alert.kind,
        cause=alert.cause,
        driver=alert.driver,
        raised_at=alert.raised_at,
        began_at=alert.began_at,
        features=[],
        segment=alert.segment,
        examples=alert.examples,
        title=alert.title,
        severity=alert.severity,
        runbook="runbooks/cascade.md",
    )
    return replace(finding, revision=alert.revision)
