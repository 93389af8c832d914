"""Keep-alives: what fires is repeated to receivers that forget an alert which is not repeated (Alertmanager)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence

from monitor.alerting.alert import Alert
from monitor.errors import DeliveryError
from monitor.sinks.base import KeepsAlive, Sink

log = logging.getLogger(__name__)


class KeepAlives:
    """One task at a time for each sink of the kind `KeepsAlive`."""

    def __init__(self) -> None:
        self._sent_at: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._fault: Exception | None = None

    def raise_fault(self) -> None:
        """Raise the first error of a keep-alive that was not its receiver's."""
        if self._fault is not None:
            raise self._fault

    def send_due(self, sinks: Iterable[Sink], firing: Sequence[Alert], now: float) -> None:
        """Start the keep-alives that are due. `firing`: all alerts that fire; each sink gets those that it takes."""
        for sink in sinks:
            if not isinstance(sink, KeepsAlive) or sink.name in self._tasks:
                continue
            if now - self._sent_at.get(sink.name, 0.0) >= sink.keep_alive_s:
                self._sent_at[sink.name] = now
                taken = [alert for alert in firing if sink.takes(alert)]
                self._tasks[sink.name] = asyncio.create_task(self._send(sink, taken), name=f"keep-alive-{sink.name}")

    async def _send(self, sink: Sink, firing: Sequence[Alert]) -> None:
        try:
            if firing and isinstance(sink, KeepsAlive):
                await sink.keep_alive(firing)
        except DeliveryError as error:
            log.warning("%s was not reminded of %d alerts: %s", sink.name, len(firing), error)
        except Exception as error:  # raised in the worker's own loop: `raise_fault`
            self._fault = error
        finally:
            self._tasks.pop(sink.name, None)

    async def stop(self, names: Collection[str] | None = None) -> None:
        """End those under way, of all sinks or of these."""
        tasks = [task for name, task in self._tasks.items() if names is None or name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
