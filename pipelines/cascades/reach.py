"""`Reach`: of each alert about outputs, how much followed from them, counted some time after it fired.

The numbers go as a control row `followed` to the stream's detect partition, which reports them as a revision of the
alert; without edges there is nothing to say, and no row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from monitor.actions.cascade import follow
from monitor.alerting.alert import Alert
from monitor.cascade.origin import of_alert
from monitor.cascade.report import lookups
from monitor.detection.records.control import Control, ControlAction
from monitor.detection.records.finding import Driver, State
from monitor.detection.records.followed import Followed, to_data
from monitor.ledger.base import Ledger
from monitor.store.base import TraceStore

LOOKS_AFTER_S = (60.0, 900.0)
"""Seconds after the alert at which it is counted: soon enough for whoever is called, and once more when the first
consequences have theirs."""
OLDEST_ALERT_S = 3_600.0  # one that fired longer ago, as its message says, is not counted: it has been looked at
MOST_ALERTS = 1_000  # that wait: one fault may change hundreds of streams, and each look takes some tens of ms


@dataclass(slots=True)
class _Case:
    alert: Alert
    due: list[float]
    known: Followed | None = field(default=None)


class Reach:
    """Counts what followed from the outputs of alerts. `send` writes a control row, confirmed."""

    def __init__(self, send: Callable[[Control], None]) -> None:
        self._send = send
        self._cases: dict[str, _Case] = {}

    def take(self, alert: Alert, since: float, now: float) -> None:
        """An alert that entered the log at `since`, seconds since 1970."""
        if alert.state is State.RESOLVED:
            self._cases.pop(alert.id, None)
        opens = alert.state is State.FIRING and alert.driver in (Driver.OUTPUT, Driver.CALL)
        if not opens or alert.id in self._cases or now - since > OLDEST_ALERT_S or len(self._cases) >= MOST_ALERTS:
            return
        due = [since + after for after in LOOKS_AFTER_S]
        self._cases[alert.id] = _Case(alert, [at for at in due if at >= now] or [now], alert.followed)

    def look(self, traces: TraceStore, ledger: Ledger | None, now: float) -> None:
        """Count those that are due. Raises `StoreError` and `LedgerError`; then they are counted the next time."""
        for identity, case in list(self._cases.items()):
            if case.due[0] > now:
                continue
            followed = counted(traces, ledger, case.alert, now)
            if followed.outputs + (followed.actions or 0) and followed.follows(case.known):
                data = to_data(identity, followed)
                self._send(
                    Control(action=ControlAction.FOLLOWED, stream=case.alert.stream, time=now, by="store", data=data)
                )
                case.known = followed
            del case.due[0]
            if not case.due:
                del self._cases[identity]


def counted(traces: TraceStore, ledger: Ledger | None, alert: Alert, now: float) -> Followed:
    """What followed from the outputs of an alert until `now`."""
    origin = of_alert(traces, alert)
    found = follow(origin.roots, lookups(traces, ledger, origin.since_day))
    return Followed(
        began_with=len(origin.roots),
        outputs=len(found.outputs),
        streams=len(found.streams),
        actions=None if ledger is None else len(found.actions),
        at_least=found.at_least or origin.at_least,
        time=now,
    )
