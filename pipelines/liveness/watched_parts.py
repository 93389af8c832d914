"""What the watchdog looks at in a worker: its stages, its event loop, and what looks after its consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event

from monitor.errors import BrokerError
from monitor.settings import Broker
from pipelines.faust_consumer.consumer import FaustConsumer
from pipelines.kafka.log_reader import answers, read_at
from pipelines.liveness.watchdog import Part
from pipelines.stages.base import Stage

ANSWER_WITHIN_S = 10.0
"""How long Kafka may take to answer one question of the watchdog, which runs in its own thread."""


@dataclass
class WorkerMarks:
    """Counters of the worker's own loops, read from the watchdog's thread.

    Attributes
    ----------
    beats
        Turns of the event loop, several a second.
    looks
        Looks after the consumer, one every few seconds.
    stop_asked
        Whether the worker shall end.
    """

    beats: int = 0
    looks: int = 0
    stop_asked: Event = field(default_factory=Event)


def watched_parts(
    broker: Broker, topic: str, consumer: FaustConsumer, stages: Mapping[str, Stage], marks: WorkerMarks
) -> dict[str, Part]:
    """The parts, by the words in which a verdict speaks of them; `topic` is one that Kafka is asked about.

    Called by the worker before it starts the watchdog.
    """

    def kafka_answers() -> bool:
        return asyncio.run(answers(broker, topic, ANSWER_WITHIN_S))

    def should_step(stage: Stage) -> bool:
        """Whether a batch is in hand or the log holds messages for it: then it should have taken a step."""
        if stage.in_hand is not None:
            return kafka_answers()
        try:
            return any(
                asyncio.run(read_at(broker, stage.source.name, partition, following))[1] is not None
                for partition, following in list(stage.buffer.next.items())
            )
        except BrokerError:
            return False

    def part_of(stage: Stage) -> Part:
        return Part(lambda: (stage.steps, stage.restored), lambda: should_step(stage))

    parts = {f"the stage {role}": part_of(stage) for role, stage in stages.items()}
    parts["the event loop"] = Part(lambda: marks.beats, lambda: True)
    parts["the look after the flow"] = Part(lambda: marks.looks, kafka_answers)
    parts["the assignment of partitions"] = Part(
        lambda: (consumer.restores, [stage.restored for stage in stages.values()]),
        lambda: not consumer.assigned and kafka_answers(),
    )
    parts["the end of the worker"] = Part(marks.stop_asked.is_set, marks.stop_asked.is_set)
    return parts
