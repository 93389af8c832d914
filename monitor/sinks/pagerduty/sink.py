"""The PagerDuty sink: an incident for each alert, by the Events API v2."""

from __future__ import annotations

import msgspec

from monitor.alerting.alert import Alert
from monitor.detection.records.finding import State
from monitor.sinks.http import HttpSink
from monitor.sinks.pagerduty.config import SEVERITIES, PagerDutySinkConfig
from monitor.sinks.pagerduty.event import Action, event


class PagerDutySink(HttpSink[PagerDutySinkConfig]):
    """Sends events to one service of PagerDuty.

    PagerDuty keeps one open incident for each `dedup_key`, so what is sent again changes nothing there.
    """

    def takes(self, alert: Alert) -> bool:
        """Whether route and severity are for this sink. Information opens no incident: nothing would close it."""
        return super().takes(alert) and alert.state is not State.INFO

    async def send(self, alert: Alert) -> None:
        """Trigger or resolve the alert's incident; 202 means that PagerDuty has taken the event."""
        await self._send(alert, "resolve" if alert.state is State.RESOLVED else "trigger", alert.transition)

    async def acknowledge(self, alert: Alert, key: str) -> None:
        """Acknowledge the alert's incident: nobody else is called. Raises as `send` does."""
        await self._send(alert, "acknowledge", key)

    async def _send(self, alert: Alert, action: Action, key: str) -> None:
        config = self._config
        body = event(
            alert,
            action,
            routing_key=config.routing_key.get_secret_value(),
            severity=(SEVERITIES | config.severities)[alert.severity],
        )
        await self._post(str(config.url), msgspec.json.encode(body), key)
