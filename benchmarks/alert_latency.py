"""From publishing to alert, in seconds: streams that change one after the other, at a steady rate, on real Kafka.

`SLOTS` streams are live at any moment, each with its share of the rate. A stream starts with the outputs of one model,
long enough to become its reference; then another model answers, until the stream ends and the next one takes its place.
The time of an alert runs from when the event was published at which the evidence crossed its threshold
(`raised_at.event_id`) to when a consumer of `oqm.alerts` has the alert.
"""

from __future__ import annotations

import gzip
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

import numpy as np

from benchmarks.load import Workers, event

SLOTS = 10
BEFORE, AFTER = 420, 100
"""Events of a stream of the one model (the warm-up takes 200) and of the other."""
MODELS = ("gpt4_0613_concise", "gpt4_1106_preview")
_TICK_S = 0.02
_QUIET_S = 10.0


def _outputs(data: Path) -> list[list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {model: [] for model in MODELS}
    with gzip.open(data, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["model"] in found:
                found[row["model"]].append((row["prompt"], row["output"]))
    rng = np.random.default_rng(0)
    return [[found[model][i] for i in rng.permutation(len(found[model]))] for model in MODELS]


def _slot(number: int, texts: list[list[tuple[str, str]]]) -> Iterator[tuple[str, str, tuple[str, str], bool]]:
    """Endless events of a slot: id, stream, input and output, and whether the model has changed."""
    begins = number * (BEFORE + AFTER) // SLOTS  # not all change at once
    for life in count():
        stream = f"slot-{number}-{life}/answer"
        for place in range(BEFORE + AFTER - (begins if life == 0 else 0)):
            changed = place >= BEFORE
            chosen = texts[changed]
            given = chosen[(place + 37 * life + 101 * number) % len(chosen)]
            yield f"{stream}-{place}", stream, given, changed


Published: TypeAlias = tuple[dict[str, float], int, int, float]
"""When each event after a change was published (seconds since 1970), by its id; changes; events and seconds in all."""


def _publish(
    bootstrap: str, topic: str, data: Path, rate: float, seconds: float, told: Connection[Published, None]
) -> None:
    from kafka import KafkaProducer

    texts = _outputs(data)
    slots = [_slot(number, texts) for number in range(SLOTS)]
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, acks=1)
    times: dict[str, float] = {}
    changes = 0
    began = time.monotonic()
    sent = 0
    while (passed := time.monotonic() - began) < seconds:
        while sent < passed * rate:
            event_id, stream, (given, output), changed = next(slots[sent % SLOTS])
            value = event(event_id, stream, given, output)
            if changed:
                times[event_id] = time.time()
                changes += event_id.endswith(f"-{BEFORE}")
            producer.send(topic, value, key=event_id.encode())
            sent += 1
        time.sleep(_TICK_S)
    producer.flush()
    producer.close()
    told.send((times, changes, sent, time.monotonic() - began))


@dataclass(frozen=True)
class Latency:
    """Seconds of each stream's first alert after its change, in rising order; changes and events published."""

    seconds: list[float]
    changes: int
    events: int
    cpu_s: float
    wall_s: float

    def at(self, share: float) -> float:
        """The delay that this share of the alerts does not exceed."""
        return float(np.quantile(self.seconds, share)) if self.seconds else float("nan")


def measure(bootstrap: str, run: str, topics: tuple[str, str], data: Path, rate: float, seconds: float) -> Latency:
    """One run; `topics` are those of outputs and of alerts."""
    from kafka import KafkaConsumer

    from monitor.alerting.alert import decode
    from monitor.detection.records.finding import State

    context = multiprocessing.get_context("spawn")
    published, telling = context.Pipe(duplex=False)
    alerts = KafkaConsumer(topics[1], bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=20)
    received: dict[str, float] = {}
    with Workers("monitor", bootstrap, run) as workers:
        before = workers.until(lambda done: done[0].ready)[0]
        publisher = context.Process(target=_publish, args=(bootstrap, topics[0], data, rate, seconds, telling))
        publisher.start()
        telling.close()
        told: Published | None = None
        end = float("inf")
        while time.monotonic() < end:
            for records in alerts.poll(timeout_ms=20).values():
                for record in records:
                    alert = decode(record.value)
                    if alert.state is State.FIRING and not alert.revision and alert.raised_at.event_id:
                        received.setdefault(alert.raised_at.event_id, time.time())
            after = workers.look()[0]
            if told is None and published.poll():
                told = published.recv()
                end = time.monotonic() + _QUIET_S
        publisher.join()
    assert told is not None
    times, changes, events, wall_s = told
    alerts.close()
    first: dict[str, float] = {}
    for event_id, at in sorted(received.items(), key=lambda item: item[1]):
        if event_id in times:
            first.setdefault(event_id.rpartition("-")[0], at - times[event_id])
    return Latency(sorted(first.values()), changes, events, after.cpu_s - before.cpu_s, wall_s)
