"""The worker's regular look at its stages and its flow, without a broker."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from monitor.settings import Settings
from pipelines import worker as module
from pipelines.faust_consumer.consumer import FaustConsumer
from pipelines.roles import Role
from pipelines.stages.base import Stage
from pipelines.worker import Worker


class Away:
    """A stage that writes to a Kafka that is away, and a flow that tells the group."""

    def __init__(self) -> None:
        self.app = SimpleNamespace(crashed=False, rebalancing=False)
        self.buffer = SimpleNamespace(idle=True)
        self.writes = self.reported = self.looked = 0
        self.back = asyncio.Event()

    async def idle(self) -> None:
        self.writes += 1
        await self.back.wait()

    async def commit(self) -> None:
        self.reported += 1

    async def look_for_stalls(self) -> None:
        self.looked += 1


async def test_a_write_that_waits_for_kafka_does_not_keep_its_absence_from_being_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WRITE_WITHIN_S", 0.0)
    away, worker = Away(), Worker(Settings(), sinks=[])
    flow, stages = cast(FaustConsumer, away), {Role.DETECT: cast(Stage, away)}
    for _ in range(3):
        await worker._look(flow, stages)
    assert (away.writes, away.reported, away.looked) == (1, 3, 3)
    away.back.set()
    assert worker._writing is not None
    await worker._writing
    await worker._look(flow, stages)
    assert (away.writes, away.reported) == (2, 4)
