"""What evaluators have used since a moment, by the log of judgments: a restart does not spend a day's budget again."""

from __future__ import annotations

import contextlib
from collections import defaultdict

from aiokafka import TopicPartition

from monitor.errors import InvalidEvent
from monitor.judgment.records import decode_judgment
from monitor.settings import Broker
from pipelines.kafka.log_reader import reader
from pipelines.kafka.topics import TopicFacts


async def spent_since(broker: Broker, judgments: TopicFacts, since: float) -> dict[str, tuple[float, int]]:
    """US dollars and tokens of each evaluator, of judgments made from `since` (seconds since 1970) to now."""
    found: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    partitions = [TopicPartition(judgments.name, partition) for partition in range(judgments.partitions)]
    async with reader(broker) as consumer:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        starts = await consumer.offsets_for_times(dict.fromkeys(partitions, int(since * 1000)))
        left = set()
        for partition in partitions:
            # None where no message is as late.
            start = starts.get(partition)
            if start is not None and start.offset < ends[partition]:
                consumer.seek(partition, start.offset)
                left.add(partition)
        while left:
            for records in (await consumer.getmany(*left, timeout_ms=200)).values():
                for record in records:
                    with contextlib.suppress(InvalidEvent):
                        judgment = decode_judgment(record.value or b"")
                        if judgment.judged_at >= since:
                            found[judgment.evaluator][0] += judgment.cost_usd
                            found[judgment.evaluator][1] += judgment.tokens
            left = {partition for partition in left if await consumer.position(partition) < ends[partition]}
    return {name: (usd, round(tokens)) for name, (usd, tokens) in found.items()}
