"""The log sink: each transition as a block for people, a revision as one line; or all as lines of JSON."""

from __future__ import annotations

from rich.console import Console

from monitor.alerting.alert import Alert, encode, is_update
from monitor.alerting.rendering import plain_text
from monitor.errors import PermanentDelivery, RetryableDelivery
from monitor.sinks.base import ConfiguredSink
from monitor.sinks.log.config import LogSinkConfig
from monitor.sinks.log.terminal_block import AlertBlock


class LogSink(ConfiguredSink[LogSinkConfig]):
    """Writes to a text stream, which it neither opens nor closes.

    A transition may be written twice after a crash: a reader recognizes repetitions by the alert's id and state.
    """

    async def send(self, alert: Alert) -> None:
        """Write the transition and flush it. A full disk is worth another try; a closed pipe is not."""
        stream = self._resources.output
        try:
            line = self._shown(alert)
            encoding = stream.encoding or "utf-8"
            # A character that the stream's encoding lacks (LANG=C) becomes a question mark: the alert is still written.
            line = line.encode(encoding, "replace").decode(encoding)
            stream.write(line + "\n")
            stream.flush()
        except BrokenPipeError as error:
            raise PermanentDelivery(f"sink {self.name}: nobody reads the log any more: {error}") from None
        except ValueError as error:  # the stream has been closed
            raise PermanentDelivery(f"sink {self.name}: {error}") from None
        except OSError as error:
            raise RetryableDelivery(f"sink {self.name}: {error}") from None

    def _shown(self, alert: Alert) -> str:
        """A line, or the whole alert: in a log 100 columns wide; on a terminal in its width, coloured by severity."""
        if self._config.format == "json":
            return encode(alert).decode()
        if is_update(alert):
            return plain_text.short(alert)
        stream = self._resources.output
        if not stream.isatty():  # raises ValueError where it has been closed
            return plain_text.block(alert)
        console = Console(file=stream, highlight=False)
        with console.capture() as captured:
            console.print(AlertBlock(alert), soft_wrap=True, end="")
        return captured.get().rstrip("\n")
