"""The sinks of the settings, built; those whose configuration stays the same survive a change of the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from monitor.sinks.base import Sink
from monitor.sinks.config import SinkConfig
from monitor.sinks.registry import build_sinks


class ConfiguredSinks:
    """Builds sinks, and closes them when they are replaced or the worker ends.

    Parameters
    ----------
    clock
        Seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._built: dict[str, tuple[SinkConfig, Sink]] = {}
        self._replaced: list[Sink] = []

    def build(self, configs: Iterable[SinkConfig]) -> list[Sink]:
        """The sinks of these configurations, those that have not changed since the last call as they are."""
        built: dict[str, tuple[SinkConfig, Sink]] = {}
        for config in configs:
            before = self._built.get(config.name)
            if before is not None and before[0] == config:
                built[config.name] = before
            else:
                built[config.name] = config, build_sinks([config], clock=self._clock)[0]
        kept = {id(sink) for _, sink in built.values()}
        self._replaced += [sink for _, sink in self._built.values() if id(sink) not in kept]
        self._built = built
        return [sink for _, sink in built.values()]

    async def close_replaced(self) -> None:
        """Close what the last `build` left out, once nothing is delivered to it any more."""
        replaced, self._replaced = self._replaced, []
        for sink in replaced:
            await sink.close()

    async def close(self) -> None:
        """Close all. The worker ends."""
        await self.close_replaced()
        for _, sink in self._built.values():
            await sink.close()
