"""The log sink: each transition as a block for people, or as one line of JSON, on a text stream."""

from __future__ import annotations

from typing import TextIO

from monitor.alerting.alert import Alert, encode
from monitor.alerting.rendering import plain_text
from monitor.errors import PermanentDelivery, RetryableDelivery
from monitor.sinks.log.config import LogSinkConfig


class LogSink:
    """Writes to `stream`, which it neither opens nor closes.

    A transition may be written twice after a crash: a reader tells repetitions by the alert's id and state.
    """

    def __init__(self, config: LogSinkConfig, stream: TextIO) -> None:
        self._config = config
        self._stream = stream

    @property
    def name(self) -> str:
        """The name from the configuration."""
        return self._config.name

    def takes(self, alert: Alert) -> bool:
        """Whether route and severity are for this sink."""
        return self._config.takes(alert)

    async def send(self, alert: Alert) -> None:
        """Write the transition and flush it. A full disk may pass; a closed pipe will not."""
        line = encode(alert).decode() if self._config.format == "json" else plain_text.block(alert)
        encoding = self._stream.encoding or "utf-8"
        # A stream that cannot say a character (LANG=C) gets a question mark, not an exception in the place of an alert.
        line = line.encode(encoding, "replace").decode(encoding)
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except BrokenPipeError as error:
            raise PermanentDelivery(f"sink {self.name}: nobody reads the log any more: {error}") from None
        except ValueError as error:  # the stream has been closed
            raise PermanentDelivery(f"sink {self.name}: {error}") from None
        except OSError as error:
            raise RetryableDelivery(f"sink {self.name}: {error}") from None

    async def close(self) -> None:
        """Nothing is held."""
