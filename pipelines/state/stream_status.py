"""What `oqm streams` shows: the state of every stream, read from what detect keeps in Kafka; from any machine."""

from __future__ import annotations

import asyncio

import msgspec

from monitor.detection.records.status import StreamState, StreamStatus
from monitor.settings import Settings
from pipelines.kafka.topics import read_topics
from pipelines.state.checkpoint import read_statuses

_OF_ANOTHER_LOG = "no event since the features topic was made again"


async def stream_statuses(settings: Settings) -> list[StreamStatus]:
    """The latest checkpointed status of every stream, by name.

    A stream whose state belongs to a features topic that has since been created again is `unknown`. Raises
    `BrokerError` where Kafka cannot be reached or topics are missing, `StateError` for another version's state.
    """
    topics = await asyncio.to_thread(read_topics, settings.broker, settings.topics)
    found = await read_statuses(settings.broker, topics)
    return [
        status if current else msgspec.structs.replace(status, state=StreamState.UNKNOWN, reason=_OF_ANOTHER_LOG)
        for _, (status, current) in sorted(found.items())
    ]
