"""What a sample for an evaluator costs the flow, without Kafka: the same batches with and without a draw, in turn.

Two paths from bytes of `oqm.outputs` to an applied row of features, one of which draws. Each batch goes through both,
in alternating order, so that whatever else runs on the machine meets both alike. CPU seconds of the thread.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import load

BATCH = 512
"""Events of a micro-batch: a worker that is busy takes up to 1,024."""
ASKED = 400
"""Outputs that are judged to measure the CPU of a judgment."""


@dataclass(frozen=True)
class Cost:
    """CPU microseconds of an event on each path, by batch, and of a judgment."""

    without: Sequence[float]
    drawn: Sequence[float]
    judgment_us: float

    @property
    def ratios(self) -> list[float]:
        """Throughput with a draw over that without, batch by batch."""
        return [without / drawn for without, drawn in zip(self.without, self.drawn, strict=True)]

    def interval(self, level: float = 0.95, resamples: int = 2_000) -> tuple[float, float]:
        """An interval of the median ratio: bootstrap over batches, percentiles."""
        rng = random.Random(0)
        found = sorted(median(rng.choices(self.ratios, k=len(self.ratios))) for _ in range(resamples))
        tail = int(resamples * (1 - level) / 2)
        return found[tail], found[-tail - 1]


@dataclass
class _Message:
    """A message as the reader takes it."""

    partition: int
    offset: int
    value: bytes
    key: bytes | None = None
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


class _Path:
    """A reader and the monitor behind it."""

    def __init__(self, sections: dict[str, Any]) -> None:
        from monitor.settings import Settings, Topics
        from pipelines.build import featurizer_for, partition_monitor
        from pipelines.kafka.topics import TopicFacts, TopicMap
        from pipelines.stages.draw import output_draw
        from pipelines.stages.featurize import EventReader

        topics = TopicMap(*(TopicFacts(name, name, 1) for name in Topics().parts))
        settings = Settings.model_validate(sections)
        featurizer = featurizer_for(settings)
        draw = output_draw(settings, featurizer.specs, topics)
        self._reader = EventReader(featurizer, topics.outputs, 1, draw=draw)
        self._monitor = partition_monitor(settings, featurizer.specs)
        self._offset = 0

    def us_per_event(self, messages: Sequence[_Message]) -> float:
        """Take a batch."""
        from monitor.detection.records.log_format import decode_message
        from pipelines.feature_log.apply import apply

        began = time.thread_time()
        for encoded in self._reader.read(messages).messages.get(0, []):
            apply(self._monitor, decode_message(encoded), self._offset)
            self._offset += 1
        return 1e6 * (time.thread_time() - began) / len(messages)


def measure(data: Path, batches: int, streams: int) -> Cost:
    """Both paths over `batches` batches, after as many to warm up, and the CPU of a judgment."""
    os.environ.setdefault(load.EVALUATOR, "http://127.0.0.1:1/v1")
    paths = (_Path({}), _Path(load.judging()))
    payloads = load.payloads(data, 2 * batches * BATCH, streams)
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * batches):
        rows = enumerate(islice(payloads, BATCH), start=number * BATCH)
        now = int(time.time() * 1000)
        messages = [_Message(0, offset, value, key, now) for offset, (key, value) in rows]
        for place in (0, 1) if number % 2 else (1, 0):
            us = paths[place].us_per_event(messages)
            if number >= batches:
                taken[place].append(us)
    return Cost(*taken, judgment_us=_judgment_us(data))


def _judgment_us(data: Path) -> float:
    """CPU microseconds of this process for one question over HTTP; the evaluator is another process."""
    context = multiprocessing.get_context("spawn")
    urls: Queue[str] = context.Queue()
    process = context.Process(target=_serve, args=(urls,), daemon=True)
    process.start()
    try:
        return asyncio.run(_asked(urls.get(timeout=60), load.texts(data)[:ASKED]))
    finally:
        process.kill()
        process.join()


def _serve(urls: Queue[str]) -> None:
    from monitor.testing.scripted_evaluator import ScriptedEvaluator

    with ScriptedEvaluator() as evaluator:
        urls.put(evaluator.url)
        time.sleep(3_600)


async def _asked(url: str, texts: Sequence[tuple[str, str]]) -> float:
    from monitor.evaluators.base import Question
    from monitor.evaluators.chat import ChatConfig
    from monitor.evaluators.registry import build_evaluator
    from pipelines.judge.desk import Desk

    config = ChatConfig.model_validate({"kind": "chat", "name": "main", "url": url, "model": "m", "concurrency": 8})
    desk = Desk(build_evaluator(config), config, 60.0)
    questions = [Question("good", "answers what was asked", output, given) for given, output in texts]
    half = len(questions) // 2
    await asyncio.gather(*(desk.ask(each) for each in questions[:half]))
    began = time.process_time()
    await asyncio.gather(*(desk.ask(each) for each in questions[half:]))
    used = time.process_time() - began
    await desk.close()
    return 1e6 * used / (len(questions) - half)
