"""The e-mail sink: each transition as one mail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from monitor.alerting.alert import Alert
from monitor.errors import RetryableDelivery
from monitor.sinks.config import Per
from monitor.sinks.email.config import EmailSinkConfig
from monitor.sinks.email.message import mail
from monitor.sinks.email.smtp import Exchange


class EmailSink:
    """Mails to a fixed list of people.

    A connection is opened for each mail: alerts are rare, and servers close what is idle.

    Parameters
    ----------
    config
        Server, sender and recipients.
    clock
        Seconds since 1970, for the mail's date.
    """

    def __init__(self, config: EmailSinkConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock

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
        """Hand the mail to the server; returning means that it has accepted it for every recipient."""
        config = self._config
        written = mail(alert, sender=config.sender, recipients=config.recipients, now=self._clock())
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

    async def close(self) -> None:
        """Nothing is held."""
