"""The PagerDuty sink: an incident for each alert, by the Events API v2."""

from __future__ import annotations

import httpx
import msgspec

from monitor.alerting.alert import Alert
from monitor.detection.records.finding import State
from monitor.sinks.config import Per
from monitor.sinks.http import new_client, post
from monitor.sinks.pagerduty.config import SEVERITIES, PagerDutySinkConfig
from monitor.sinks.pagerduty.event import Action, event


class PagerDutySink:
    """Sends events to one service of PagerDuty.

    PagerDuty keeps one open incident for each `dedup_key`, so what is sent again changes nothing there.
    """

    def __init__(self, config: PagerDutySinkConfig) -> None:
        self._config = config
        self._client: httpx.AsyncClient | None = None

    @property
    def name(self) -> str:
        """The name from the configuration."""
        return self._config.name

    @property
    def per(self) -> Per:
        """Whether it is told once an incident, or of each alert."""
        return self._config.per

    def takes(self, alert: Alert) -> bool:
        """Whether route and severity are for this sink. Information opens no incident: nothing would ever close it."""
        return self._config.takes(alert) and alert.state is not State.INFO

    async def send(self, alert: Alert) -> None:
        """Trigger or resolve the alert's incident; 202 means that PagerDuty has taken the event."""
        await self._send(alert, "resolve" if alert.state is State.RESOLVED else "trigger", alert.transition)

    async def acknowledge(self, alert: Alert, key: str) -> None:
        """Acknowledge the alert's incident: nobody else is called. Raises as `send` does."""
        await self._send(alert, "acknowledge", key)

    async def _send(self, alert: Alert, action: Action, key: str) -> None:
        config = self._config
        if self._client is None:
            self._client = new_client()
        body = event(
            alert,
            action,
            routing_key=config.routing_key.get_secret_value(),
            severity=(SEVERITIES | config.severities)[alert.severity],
        )
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        await post(self._client, str(config.url), msgspec.json.encode(body), headers, timeout_s=config.timeout)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()
