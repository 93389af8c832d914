from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from monitor.alerting.alert import Alert, decode
from monitor.alerting.lifecycle.book import AlertBook
from monitor.detection.records.finding import FindingKind, Severity, State
from monitor.settings import Settings
from pipelines.judge import down
from pipelines.judge.down import DownAlerts
from pipelines.kafka.producer import Outgoing

SETTINGS = Settings.model_validate(
    {
        "streams": [
            {"match": "s", "criteria": [{"name": "good", "pass": "answers", "evaluator": "main"}]},
            {"match": "~evaluator/*", "owner": "ml-platform"},
        ],
        "evaluators": [{"kind": "classifier", "name": "main"}],
    }
)


class Desk:
    """What `DownAlerts` reads of one."""

    name = "main"
    down: str | None = None
    verdicts = 0


class Log:
    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    async def send(self, messages: Iterable[Outgoing]) -> None:
        self.alerts += [decode(message.value or b"") for message in messages]


def made(log: Log) -> DownAlerts:
    return DownAlerts(SETTINGS, "oqm.alerts", log)  # type: ignore[arg-type]


async def look(alerts: DownAlerts, desk: Desk, now: float) -> None:
    await alerts.look([desk], now)  # type: ignore[list-item]


async def test_it_fires_once_and_resolves_with_the_next_verdict() -> None:
    log, desk = Log(), Desk()
    alerts = made(log)
    await look(alerts, desk, 1_000.0)
    desk.down = "answered 401: no such key"
    await look(alerts, desk, 2_000.0)
    await look(alerts, desk, 2_001.0)
    (fired,) = log.alerts
    assert (fired.kind, fired.state, fired.severity) == (FindingKind.EVALUATOR_DOWN, State.FIRING, Severity.WARNING)
    assert (fired.stream, fired.owner) == ("~evaluator/main", "ml-platform")
    assert "answered 401: no such key" in fired.cause
    assert "good" in fired.cause
    assert fired.links.runbook == "config/runbooks/evaluator_down.md"
    desk.down, desk.verdicts = None, 1
    await look(alerts, desk, 2_600.0)
    await look(alerts, desk, 2_601.0)
    ended = log.alerts[-1]
    assert (len(log.alerts), ended.state, ended.fingerprint) == (2, State.RESOLVED, fired.fingerprint)
    desk.down = "gone"
    await look(alerts, desk, 9_000.0)
    assert log.alerts[-1].fingerprint != fired.fingerprint
    book = AlertBook()
    assert all(book.apply(alert) is not None for alert in log.alerts)


async def test_an_alert_of_a_worker_that_died_is_resolved_by_the_next_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    log, desk = Log(), Desk()
    desk.down = "gone"
    await look(made(log), desk, 2_000.0)
    (fired,) = log.alerts

    class Entry(msgspec.Struct):
        alert: Alert
        fires: bool = True

    async def read(*_: Any) -> list[Entry]:
        return [Entry(fired)]

    monkeypatch.setattr(down, "read_alerts", read)
    another, alerts = Desk(), made(log)
    await alerts.restore({"main": another}, 3_000.0)  # type: ignore[dict-item]
    await look(alerts, another, 3_000.0)
    assert len(log.alerts) == 1, "nothing is known of the evaluator yet"
    another.down = "gone"
    await look(alerts, another, 3_001.0)
    assert len(log.alerts) == 1, "it fires already"
    another.down, another.verdicts = None, 1
    await look(alerts, another, 3_002.0)
    assert (log.alerts[-1].state, log.alerts[-1].fingerprint) == (State.RESOLVED, fired.fingerprint)
