"""In place of the role judge and an evaluation model: answers each question on `oqm.sampled` by a rule on the text."""

from __future__ import annotations

import threading
from collections.abc import Callable

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from monitor.judgment.records import Judgment, Sampled, decode_sampled, encode_record
from monitor.settings import Settings
from pipelines.kafka.connection import client_options


class ScriptedJudge:
    """Runs in a thread between `start` and `stop`; `passes` decides on an output's text."""

    def __init__(self, settings: Settings, passes: Callable[[str], bool | None]) -> None:
        self._settings = settings
        self._passes = passes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.asked: list[Sampled] = []

    def __enter__(self) -> ScriptedJudge:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        topics = self._settings.topics
        producer = KafkaProducer(**client_options(self._settings.broker))
        consumer = KafkaConsumer(
            **client_options(self._settings.broker),
            group_id=None,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        consumer.assign([TopicPartition(topics.sampled.name, number) for number in range(topics.sampled.partitions)])
        while not self._stop.is_set():
            for records in consumer.poll(timeout_ms=200).values():
                for record in records:
                    sampled = decode_sampled(record.value)
                    self.asked.append(sampled)
                    for asked in sampled.asked:
                        passed = None if sampled.output is None else self._passes(sampled.output)
                        judgment = Judgment(
                            stream=sampled.stream,
                            event=sampled.event,
                            time=sampled.time,
                            criterion=asked.criterion,
                            purpose=sampled.purpose,
                            place=sampled.place,
                            segments=sampled.segments,
                            finding=sampled.finding,
                            side=sampled.side,
                            passed=passed,
                            missing="timeout" if passed is None else None,
                            evaluator="main",
                        )
                        producer.send(topics.judgments.name, encode_record(judgment), key=sampled.stream.encode())
            producer.flush()
        consumer.close()
        producer.close()
