"""The Slack sink: each transition as one message, posted to an incoming webhook."""

from __future__ import annotations

import msgspec

from monitor.alerting.alert import Alert
from monitor.sinks.http import HttpSink
from monitor.sinks.slack.config import SlackSinkConfig
from monitor.sinks.slack.message import message


class SlackSink(HttpSink[SlackSinkConfig]):
    """Posts to one channel. A webhook returns no id of a message, so messages cannot form a thread."""

    @property
    def cannot_replace(self) -> bool:
        """A webhook can post, and change nothing that it has posted."""
        return True

    async def send(self, alert: Alert) -> None:
        """Post the transition; a 2xx answer means that it stands in the channel."""
        url, body = str(self._config.url.get_secret_value()), msgspec.json.encode(message(alert))
        await self._post(url, body, alert.transition, {"Content-Type": "application/json; charset=utf-8"})
