"""`python -m tests.faults.flood --seconds 120`: far more than one worker can carry, and what its memory does meanwhile.

Events are published as fast as one producer can; the table has the worker's resident memory over time, what it says of
itself on /metrics and /readyz, and how many times its own pace was published. Exit code 1 where memory grew on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from pipelines.kafka.connection import client_options
from tests.brokers.apache import ApacheKafka
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation, WorkerProcess, made_event

_WORDS = 180  # an answer of ordinary length, about 1.2 kB
_BATCH = 500  # 0.6 MB: under the topic's limit for a batch


def sample(worker: WorkerProcess, name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels, as the worker exports it now."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.metrics_port}/metrics", timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return sum(
            one.value
            for family in families
            for one in family.samples
            if one.name == name and labels.items() <= one.labels.items()
        )


def resident_mib(worker: WorkerProcess) -> float:
    """Resident memory of the process, in MiB."""
    for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {worker.pid} has no memory: it has ended")


@dataclass(frozen=True)
class Moment:
    """What was seen at one time: seconds since the flood began, memory, what the worker says."""

    at_s: float
    rss_mib: float
    published: int
    applied: float
    lag: float
    behind_s: float
    working_s: float


class Flood(threading.Thread):
    """Publishes the same few thousand texts under ever new ids, as fast as it can, until `finish`."""

    def __init__(self, installation: Installation, streams: int) -> None:
        super().__init__(name="flood", daemon=True)
        self.published = 0
        self._installation = installation
        self._over = threading.Event()
        texts = [made_event(f"bot-{n % streams}/answer", n, long=True, words=_WORDS) for n in range(2_000)]
        # Encoded before: the producer's pace is what counts.
        self._halves = [json.dumps(event).encode().partition(event["id"].encode()) for event in texts]

    def finish(self) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        topic = self._installation.settings.topics.outputs
        producer = AIOKafkaProducer(**client_options(self._installation.settings.broker), max_request_size=2**21)
        await producer.start()
        try:
            while not self._over.is_set():
                sent = [
                    await producer.send_batch(self._batch(producer), topic.name, partition=partition)
                    for partition in range(topic.partitions)
                ]
                await asyncio.gather(*sent)
        finally:
            await producer.stop()

    def _batch(self, producer: AIOKafkaProducer) -> Any:
        """A batch built here: message by message the client itself would be the bottleneck."""
        batch = producer.create_batch()
        for _ in range(_BATCH):
            before, _, after = self._halves[self.published % len(self._halves)]
            name = b"f%d" % self.published
            batch.append(key=name, value=before + name + after, timestamp=None)
            self.published += 1
        return batch


def flooded(monitor: Installation, worker: WorkerProcess, seconds: float, every_s: float) -> list[Moment]:
    """Flood for so long, and what was seen every so often."""
    flood, began, seen = Flood(monitor, streams=20), time.monotonic(), list[Moment]()
    flood.start()
    while (at := time.monotonic() - began) < seconds:
        seen.append(
            Moment(
                at_s=at,
                rss_mib=resident_mib(worker),
                published=flood.published,
                applied=sample(worker, "oqm_events_total"),
                lag=sample(worker, "oqm_lag_messages", topic=monitor.settings.topics.outputs.name),
                behind_s=sample(worker, "oqm_behind_seconds", stage="featurize"),
                working_s=sample(worker, "oqm_working_seconds_total", stage="featurize"),
            )
        )
        time.sleep(every_s)
    flood.finish()
    return seen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.flood", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long (120)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="oqm-flood-") as temporary:
        folder = Path(temporary)
        with (
            ApacheKafka(folder=folder / "kafka") as broker,
            contextmanager(installed)(broker, folder, featurize_batch=1024) as monitor,
        ):
            worker = monitor.worker()
            monitor.ready(worker)
            idle = resident_mib(worker)
            seen = flooded(monitor, worker, options.seconds, options.seconds / 24)
            status, said = worker.ask("/readyz")
    print(f"resident memory before: {idle:.0f} MiB")
    print(f"{'s':>5} {'RSS MiB':>8} {'published':>10} {'applied':>9} {'lag':>9} {'behind s':>9} {'working s':>9}")
    for one in seen:
        print(
            f"{one.at_s:>5.0f} {one.rss_mib:>8.0f} {one.published:>10,} {one.applied:>9,.0f} {one.lag:>9,.0f} "
            f"{one.behind_s:>9.1f} {one.working_s:>9.1f}"
        )
    last = seen[-1]
    print(f"published {last.published / max(1.0, last.applied):.1f} times what was applied")
    print(f"/readyz: {status} {said['reason']}")
    third = len(seen) // 3
    middle, end = (max(one.rss_mib for one in part) for part in (seen[third : 2 * third], seen[2 * third :]))
    print(f"most memory in the second third {middle:.0f} MiB, in the last {end:.0f} MiB")
    return 0 if end < 1.1 * middle else 1


if __name__ == "__main__":
    sys.exit(main())
