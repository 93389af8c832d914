"""The Slack sink: each transition as one message, posted to an incoming webhook."""

from __future__ import annotations

import httpx
import msgspec

from monitor.alerting.alert import Alert
from monitor.sinks.config import Per
from monitor.sinks.http import new_client, post
from monitor.sinks.slack.config import SlackSinkConfig
from monitor.sinks.slack.message import message


class SlackSink:
    """Posts to one channel. A webhook answers nothing to refer to, so each message stands for itself, in no thread."""

    def __init__(self, config: SlackSinkConfig) -> None:
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
        """Whether route and severity are for this sink."""
        return self._config.takes(alert)

    async def send(self, alert: Alert) -> None:
        """Post the transition; a 2xx answer means that it stands in the channel."""
        if self._client is None:
            self._client = new_client()
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": alert.transition}
        body = msgspec.json.encode(message(alert))
        await post(
            self._client, str(self._config.url.get_secret_value()), body, headers, timeout_s=self._config.timeout
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()
