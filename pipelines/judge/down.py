"""Alerts of evaluators that are down: `evaluator_down` in the stream `~evaluator/<name>`, by the usual path.

The judge is the only one who knows, so it writes these alerts to `oqm.alerts` itself, as detect writes its own; notify
and everything behind it treats them alike. Which of them fire is read from the log whenever partitions are assigned:
an alert of a worker that died is resolved by the one that gets a verdict after it. Two workers that lose an evaluator
at the same moment may raise it twice; each resolves its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from monitor.alerting.alert import encode
from monitor.alerting.from_finding import from_finding
from monitor.config_values.durations import in_words
from monitor.criteria.criterion import EVALUATOR_STREAM
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
from pipelines.judge.desk import Desk
from pipelines.kafka.producer import LogProducer, Outgoing
from pipelines.stages.notify.alert_log import read_alerts

log = logging.getLogger(__name__)


class DownAlerts:
    """Raises and resolves them. `restore` before the first `look`, and whenever partitions were assigned.

    Parameters
    ----------
    settings
        Owner, route and links; the criteria that an alert names.
    topic
        Name of the topic of alerts.
    producer
        Writes them, confirmed.
    """

    def __init__(self, settings: Settings, topic: str, producer: LogProducer) -> None:
        self._settings = settings
        self._topic = topic
        self._producer = producer
        self._firing: dict[str, Finding] = {}
        self._verdicts: dict[str, int] = {}

    async def restore(self, desks: Mapping[str, Desk], now: float) -> None:
        """Read which alerts of these evaluators fire. Raises `BrokerError`."""
        names = {EVALUATOR_STREAM + name: name for name in desks}
        for entry in await read_alerts(self._settings, now):
            alert = entry.alert
            if entry.fires and alert.kind is FindingKind.EVALUATOR_DOWN and alert.stream in names:
                name = names[alert.stream]
                if name not in self._firing:
                    began, raised = alert.began_at.time or now, alert.raised_at.time or now
                    found = self._finding(name, alert.cause, began, raised)
                    self._firing[name] = replace(found, id=alert.fingerprint)
                    # It may have answered before: only a verdict from now on ends this alert.
                    self._verdicts[name] = desks[name].verdicts

    async def look(self, desks: Iterable[Desk], now: float) -> None:
        """Raise the alert of each evaluator that is down, resolve that of each that gave a verdict since."""
        for desk in desks:
            firing = self._firing.get(desk.name)
            if firing is None and desk.down is not None:
                found = self._finding(desk.name, self._cause(desk.name, desk.down), now, now)
                await self._publish(found)
                self._firing[desk.name] = found
                self._verdicts[desk.name] = desk.verdicts
            elif firing is not None and desk.down is None and desk.verdicts > self._verdicts[desk.name]:
                why = f"evaluator {desk.name} gives verdicts again"
                await self._publish(resolved(firing, Resolution(how=Ended.RECOVERED, why=why, time=now)))
                del self._firing[desk.name]

    def _cause(self, name: str, reason: str) -> str:
        criteria = sorted({one.name for one in self._settings.judged if one.evaluator == name})
        waits = in_words(self._settings.judging.give_up_after)
        return (
            f"Evaluator {name} gives no verdicts ({reason}). Outputs drawn for its criteria ({', '.join(criteria)}) "
            f"wait up to {waits}; after that their judgments are missing, which is neither passed nor failed."
        )

    def _finding(self, name: str, cause: str, began: float, raised: float) -> Finding:
        stream = EVALUATOR_STREAM + name
        # By the millisecond: an evaluator that goes down again is another alert.
        number = round(began * 1000.0)
        return Finding(
            stream=stream,
            state=State.FIRING,
            id=finding_id(stream, FindingKind.EVALUATOR_DOWN, None, None, number),
            kind=FindingKind.EVALUATOR_DOWN,
            cause=cause,
            driver=None,
            raised_at=RaisedAt(None, 0, raised),
            began_at=BeganAt(0, 0, 0, began),
            features=[],
            segment=None,
            examples=Examples([], []),
            title=f"Evaluator {name} gives no verdicts",
            severity=Severity.WARNING,
            runbook="runbooks/evaluator_down.md",
        )

    async def _publish(self, finding: Finding) -> None:
        stream = self._settings.for_stream(finding.stream)
        alert = from_finding(finding, owner=stream.owner, route=stream.route, links=self._settings.links)
        await self._producer.send([Outgoing(self._topic, key=alert.fingerprint.encode(), value=encode(alert))])
