"""The Alertmanager sink: API v2, `POST /api/v2/alerts`.

Alertmanager knows an alert by its labels, so they are constant over the alert's life; it forgets an alert whose
`endsAt` passes, so a firing one is posted again every `keep_alive`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import msgspec

from monitor.alerting.alert import Alert
from monitor.alerting.rendering import plain_text
from monitor.detection.records.finding import State
from monitor.errors import DeliveryError, PermanentDelivery, RetryableDelivery
from monitor.events.times import in_calendar
from monitor.sinks.alertmanager.config import AlertmanagerSinkConfig
from monitor.sinks.http import new_client, post

_AT_ONCE = 200
"""Alerts in one request of the keep-alive: some 1 MB with their descriptions."""


class AlertmanagerSink:
    """Posts to every peer of one Alertmanager cluster; delivered means that one of them has it.

    Peers share notifications, not alerts, so each must be told; one that is down catches up by the keep-alive.

    Parameters
    ----------
    config
        Where and how.
    clock
        Seconds since 1970, for `endsAt`.
    """

    def __init__(self, config: AlertmanagerSinkConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._client: httpx.AsyncClient | None = None

    @property
    def name(self) -> str:
        """The name from the configuration."""
        return self._config.name

    @property
    def keep_alive_s(self) -> float:
        """How often firing alerts are to be posted again, in seconds."""
        return self._config.keep_alive

    def takes(self, alert: Alert) -> bool:
        """Whether route and severity are for this sink."""
        return self._config.takes(alert)

    async def send(self, alert: Alert) -> None:
        """Post the transition to all peers."""
        await self._post([alert], alert.transition)

    async def keep_alive(self, firing: Sequence[Alert]) -> None:
        """Post those of `firing` again that are for this sink."""
        mine = [alert for alert in firing if alert.state is State.FIRING and self.takes(alert)]
        for start in range(0, len(mine), _AT_ONCE):
            await self._post(mine[start : start + _AT_ONCE], None)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    def payload(self, alert: Alert) -> dict[str, Any]:
        """The alert as `postableAlert` of Alertmanager's OpenAPI description (api/v2/openapi.yaml)."""
        now = self._clock()
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

    async def _post(self, alerts: Sequence[Alert], key: str | None) -> None:
        config = self._config
        if self._client is None:
            auth = None
            if config.username is not None and config.password is not None:
                auth = httpx.BasicAuth(config.username, config.password.get_secret_value())
            self._client = new_client(auth=auth)
        client = self._client
        body = msgspec.json.encode([self.payload(alert) for alert in alerts])
        headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}

        async def tell(url: str) -> DeliveryError | None:
            try:
                await post(client, f"{url.rstrip('/')}/api/v2/alerts", body, headers, timeout_s=config.timeout)
            except DeliveryError as error:
                return error
            return None

        errors = await asyncio.gather(*(tell(str(url)) for url in config.urls))
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
