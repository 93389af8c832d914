"""The Alertmanager sink: API v2, `POST /api/v2/alerts`.

Alertmanager knows an alert by its labels, so they are constant over the alert's life; it forgets an alert whose
`endsAt` passes, so a firing one is posted again every `keep_alive`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from monitor.alerting.alert import Alert
from monitor.alerting.rendering import plain_text
from monitor.detection.records.finding import State
from monitor.errors import DeliveryError, PermanentDelivery, RetryableDelivery
from monitor.events.times import in_calendar
from monitor.sinks.alertmanager.config import AlertmanagerSinkConfig
from monitor.sinks.http import HttpSink

_MAX_ALERTS_PER_POST = 200
"""Alerts in one request of the keep-alive: about 1 MB with their descriptions."""


class AlertmanagerSink(HttpSink[AlertmanagerSinkConfig]):
    """Posts to every peer of one Alertmanager cluster; delivered means that one of them has it.

    Peers share notifications, not alerts, so each alert goes to all of them; one that is down gets it by the
    keep-alive. The clock is for `endsAt`.
    """

    @property
    def keep_alive_s(self) -> float:
        """How often firing alerts are to be posted again, in seconds."""
        return self._config.keep_alive

    async def send(self, alert: Alert) -> None:
        """Post the transition to all peers.

        One that became more severe is another alert there, since the severity is a label by which routes are chosen: it
        is posted under its new labels, and the one under the old labels ends with the same request.
        """
        alerts = [alert]
        if alert.previous_labels is not None:
            alerts.append(msgspec.structs.replace(alert, state=State.RESOLVED, labels=alert.previous_labels))
        await self._post_to_peers(alerts, alert.transition)

    async def keep_alive(self, firing: Sequence[Alert]) -> None:
        """Post those of `firing` again that are for this sink."""
        mine = [alert for alert in firing if alert.state is State.FIRING and self.takes(alert)]
        for start in range(0, len(mine), _MAX_ALERTS_PER_POST):
            await self._post_to_peers(mine[start : start + _MAX_ALERTS_PER_POST], None)

    def payload(self, alert: Alert) -> dict[str, Any]:
        """The alert as `postableAlert` of Alertmanager's OpenAPI description (api/v2/openapi.yaml)."""
        now = self._resources.clock()
        began = alert.raised_at.time if alert.raised_at.time is not None else now
        ends = now if alert.state is State.RESOLVED else now + self._config.expires_after
        posted = {
            "labels": {**self._config.labels, **alert.labels},
            "annotations": {
                **alert.annotations,
                "description": plain_text.body(alert),
                "runbook_url": alert.links.runbook,
            },
            # An event's clock may be ahead of ours, and Alertmanager refuses an alert that ends before it starts.
            "startsAt": _rfc3339(min(began, now)),
            "endsAt": _rfc3339(ends),
        }
        if alert.links.dashboard:
            posted["generatorURL"] = alert.links.dashboard
        return posted

    def _auth(self) -> httpx.BasicAuth | None:
        config = self._config
        if config.username is None or config.password is None:
            return None
        return httpx.BasicAuth(config.username, config.password.get_secret_value())

    async def _post_to_peers(self, alerts: Sequence[Alert], key: str | None) -> None:
        body = msgspec.json.encode([self.payload(alert) for alert in alerts])

        async def post_to(url: str) -> DeliveryError | None:
            try:
                await self._post(f"{url.rstrip('/')}/api/v2/alerts", body, key)
            except DeliveryError as error:
                return error
            return None

        errors = await asyncio.gather(*(post_to(str(url)) for url in self._config.urls))
        if None in errors:
            return
        failures = [error for error in errors if error is not None]
        message = "; ".join(str(error) for error in failures)
        retryable = [error for error in failures if isinstance(error, RetryableDelivery)]
        if not retryable:
            raise PermanentDelivery(message)
        waits = [error.retry_after_s for error in retryable if error.retry_after_s is not None]
        raise RetryableDelivery(message, min(waits) if len(waits) == len(retryable) else None)


def _rfc3339(time: float) -> str:
    return in_calendar(max(0.0, time)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
