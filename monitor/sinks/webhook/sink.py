"""The webhook sink: each transition as one signed POST of JSON."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import msgspec

from monitor.alerting.alert import Alert
from monitor.sinks.config import Per
from monitor.sinks.http import new_client, post
from monitor.sinks.webhook.config import WebhookSinkConfig
from monitor.sinks.webhook.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from monitor.sinks.webhook.template import render, values


class WebhookSink:
    """Posts to one URL.

    Parameters
    ----------
    config
        Where, how signed, and what body.
    clock
        Seconds since 1970, for the signature's time.
    """

    def __init__(self, config: WebhookSinkConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
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
        """Whether route and severity are for this sink."""
        return self._config.takes(alert)

    async def send(self, alert: Alert) -> None:
        """Post the transition; a 2xx answer means that it is delivered."""
        config = self._config
        body = render(config.template, alert) if config.template is not None else msgspec.json.encode(values(alert))
        headers = {name: value.get_secret_value() for name, value in config.headers.items()}
        headers |= {"Content-Type": "application/json", "Idempotency-Key": alert.transition}
        if config.secret is not None:
            timestamp = int(self._clock())
            headers[TIMESTAMP_HEADER] = str(timestamp)
            headers[SIGNATURE_HEADER] = sign(config.secret.get_secret_value(), timestamp, body)
        if self._client is None:
            self._client = new_client()
        await post(self._client, str(config.url), body, headers, timeout_s=config.timeout)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()
