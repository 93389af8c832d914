"""The load: numbered events of many streams, some of them again, some out of order, and among them what is no event."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

from tests.kafka.installation import Installation, made_event

WARM = 150
PHASE = 120
"""After the first `WARM` events of a stream its answers are long for so many events, then short for as many."""
_MALFORMED = (b"{not json", b'{"output": "no stream"}', b'{"stream": 7, "output": "x"}', b"\xff\xfe\x00", b"[]")


def numbered_event(stream: str, number: int) -> dict[str, Any]:
    """Event `number` of a stream: the same whenever it is asked for."""
    return made_event(stream, number, long=number >= WARM and (number - WARM) // PHASE % 2 == 0)


class Traffic(threading.Thread):
    """Publishes at a steady rate until `finish`.

    Attributes
    ----------
    sent
        Distinct events by stream.
    repeated, reordered, malformed
        Events published again, batches whose order was changed, messages that are no events.
    undelivered
        Messages that the broker did not take; none may be.
    """

    def __init__(self, installation: Installation, streams: int, rate: float, seed: int) -> None:
        super().__init__(name="traffic", daemon=True)
        self.sent: Counter[str] = Counter()
        self.repeated = self.reordered = self.malformed = self.undelivered = 0
        self._installation = installation
        self._streams = [f"bot-{number}/answer" for number in range(streams)]
        self._rate = rate
        self._rng = random.Random(seed)
        self._over = threading.Event()

    def finish(self) -> None:
        """Publish no more; everything is with the broker afterwards."""
        self._over.set()
        self.join()
        self._installation.flush()

    def run(self) -> None:
        """Batches of events, each a few at a time."""
        rng, began, published = self._rng, time.monotonic(), 0
        latest: deque[dict[str, Any]] = deque(maxlen=300)
        while not self._over.is_set():
            batch = list(self._next_batch())
            latest.extend(batch)
            if rng.random() < 0.1:
                again = list(latest)[-rng.randint(5, 60) :]
                self.repeated += len(again)
                batch += again
            if rng.random() < 0.1:
                self.reordered += 1
                rng.shuffle(batch)
            for event in batch:
                self._publish(json.dumps(event).encode(), event["id"].encode())
            if rng.random() < 0.3:
                self._publish(rng.choice(_MALFORMED), f"malformed-{self.malformed}".encode())
                self.malformed += 1
            published += len(batch)
            self._over.wait(max(0.0, began + published / self._rate - time.monotonic()))

    def _next_batch(self) -> Iterator[dict[str, Any]]:
        for _ in range(self._rng.randint(10, 40)):
            stream = self._rng.choice(self._streams)
            yield numbered_event(stream, self.sent[stream])
            self.sent[stream] += 1

    def _publish(self, value: bytes, key: bytes) -> None:
        self._installation.publish_bytes(value, key=key).add_errback(self._lost)

    def _lost(self, _: Exception) -> None:
        self.undelivered += 1
