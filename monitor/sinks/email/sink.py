"""The e-mail sink: each transition as one mail."""

from __future__ import annotations

from monitor.alerting.alert import Alert
from monitor.sinks.base import ConfiguredSink
from monitor.sinks.email.config import EmailSinkConfig
from monitor.sinks.email.message import mail
from monitor.sinks.email.smtp import deliver


class EmailSink(ConfiguredSink[EmailSinkConfig]):
    """Mails to a fixed list of people, dated by the clock.

    A connection is opened for each mail: alerts are rare, and servers close idle connections.
    """

    @property
    def cannot_replace(self) -> bool:
        """A mail stays as it was sent."""
        return True

    async def send(self, alert: Alert) -> None:
        """Hand the mail to the server; returning means that it has accepted it for every recipient."""
        config, now = self._config, self._resources.clock()
        await deliver(mail(alert, sender=config.sender, recipients=config.recipients, now=now), config)
