"""The webhook sink: each transition as one signed POST of JSON."""

from __future__ import annotations

import msgspec

from monitor.alerting.alert import Alert
from monitor.sinks.http import HttpSink
from monitor.sinks.webhook.config import WebhookSinkConfig
from monitor.sinks.webhook.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from monitor.sinks.webhook.template import render, values


class WebhookSink(HttpSink[WebhookSinkConfig]):
    """Posts to one URL, signed at the time that the clock gives."""

    async def send(self, alert: Alert) -> None:
        """Post the transition; a 2xx answer means that it is delivered."""
        config = self._config
        body = render(config.template, alert) if config.template is not None else msgspec.json.encode(values(alert))
        headers = {name: value.get_secret_value() for name, value in config.headers.items()}
        if config.secret is not None:
            timestamp = int(self._resources.clock())
            headers[TIMESTAMP_HEADER] = str(timestamp)
            headers[SIGNATURE_HEADER] = sign(config.secret.get_secret_value(), timestamp, body)
        await self._post(str(config.url), body, alert.transition, headers)
