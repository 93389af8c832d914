"""The e-mail sink: each transition as one mail."""

from __future__ import annotations

import asyncio

from monitor.alerting.alert import Alert
from monitor.errors import RetryableDelivery
from monitor.sinks.base import ConfiguredSink
from monitor.sinks.email.config import EmailSinkConfig
from monitor.sinks.email.message import mail
from monitor.sinks.email.smtp import Exchange


class EmailSink(ConfiguredSink[EmailSinkConfig]):
    """Mails to a fixed list of people, dated by the clock.

    A connection is opened for each mail: alerts are rare, and servers close idle connections.
    """

    async def send(self, alert: Alert) -> None:
        """Hand the mail to the server; returning means that it has accepted it for every recipient."""
        config = self._config
        written = mail(alert, sender=config.sender, recipients=config.recipients, now=self._resources.clock())
        exchange = Exchange(config)
        sending = asyncio.create_task(asyncio.to_thread(exchange.send, written))
        try:
            done, _ = await asyncio.wait({sending}, timeout=config.timeout)
        except asyncio.CancelledError:
            exchange.abort()
            sending.cancel()
            raise
        if not done:
            exchange.abort()
            # Nobody waits for a thread that looks a name up: what it still does is read and forgotten.
            sending.add_done_callback(lambda task: task.cancelled() or task.exception())
            raise RetryableDelivery(f"{config.host} did not accept the mail within {config.timeout:g} s")
        await sending
