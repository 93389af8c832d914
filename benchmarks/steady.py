"""What one worker costs at a steady rate, when batches are small: what the README's cost model rests on.

A worker that is flooded works in batches of a thousand events; one that gets a hundred a second works in batches of
what came within its linger, and pays numpy's calls for each. So the streams first get their warm-up at once, and then
events come one by one at the rate.
"""

from __future__ import annotations

import multiprocessing
import time
from itertools import islice
from pathlib import Path

from benchmarks import load
from benchmarks.load import Measured, Workers, between

WARM = 450
"""Events of a stream before the rate begins; its reference takes 400."""
SETTLE_S = 5.0


def _publish(bootstrap: str, topic: str, data: Path, streams: int, rate: float, seconds: float) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, acks=1)
    warm, paced = WARM * streams, round(rate * seconds)
    events = load.payloads(data, warm + paced, streams)
    for key, value in islice(events, warm):
        producer.send(topic, value, key=key)
    producer.flush()
    began = time.monotonic()
    for number, (key, value) in enumerate(events, start=1):
        producer.send(topic, value, key=key)
        if (ahead := number / rate - (time.monotonic() - began)) > 0:
            time.sleep(ahead)
    producer.flush()
    producer.close()


def measure(bootstrap: str, run: str, topic: str, data: Path, streams: int, rate: float, seconds: float) -> Measured:
    """One worker on the topics of `run`, over the middle of `seconds` at `rate` events a second."""
    warm = WARM * streams
    publisher = multiprocessing.get_context("spawn").Process(
        target=_publish, args=(bootstrap, topic, data, streams, rate, seconds)
    )
    with Workers("monitor", bootstrap, run) as at_work:
        publisher.start()
        before = at_work.until(lambda done: sum(one.applied for one in done) >= warm + rate * SETTLE_S)
        after = at_work.until(lambda done: sum(one.applied for one in done) >= warm + rate * (seconds - SETTLE_S))
        publisher.join()
    return between(f"{rate:g}", before, after)
