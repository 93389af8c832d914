"""Takes what waits in the ledger's outbox, has the broker confirm it, and deletes it.

A message is deleted after its confirmation, so it may come twice (a courier died in between), with the same key and the
same `oqm-id`; it is never lost and never comes before its change is committed. One process is the courier at a time, by
a lease in the ledger, so that the messages of an action stay in order. Kafka being down stops nothing but the feed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

from aiokafka.structs import RecordMetadata

from monitor.errors import BrokerError
from monitor.ledger.base import Ledger, LedgerError, OutboxRow
from monitor.settings import Broker, Topics
from pipelines.kafka.producer import LogProducer, Outgoing

log = logging.getLogger(__name__)

INTERVAL_S = 0.5  # between looks at an empty outbox: the feed is for readers that take seconds anyway
TURN_S = 30.0  # a courier that died is followed after this; a batch takes well under a second
AT_ONCE = 500  # messages of a batch: about 500 kB
RETRY_S = 5.0  # after the broker refused or did not answer
BATCH_ENDS_S = 3.0  # at the end, for the batch under way: a broker that is well confirms in milliseconds
ID_HEADER = "oqm-id"


class Producer(Protocol):
    """What sends: `pipelines.kafka.producer.LogProducer`."""

    async def start(self) -> None:
        """Connect. Raises `BrokerError`."""
        ...

    async def stop(self) -> None:
        """Disconnect."""
        ...

    async def send(self, messages: list[Outgoing]) -> list[RecordMetadata]:
        """Send, and wait for the confirmation. Raises `BrokerError`."""
        ...


class Courier:
    """A thread that publishes the outbox.

    Parameters
    ----------
    ledger
        Whose outbox.
    broker, topics
        Where to.
    clock
        Seconds since 1970.
    producer
        Makes a new producer for each connection; for tests.
    """

    def __init__(
        self,
        ledger: Ledger,
        broker: Broker,
        topics: Topics,
        clock: Callable[[], float],
        producer: Callable[[], Producer] | None = None,
    ) -> None:
        self._ledger, self._clock = ledger, clock
        self._name = uuid.uuid4().hex
        self._topics = {"actions": topics.actions.name, "reviews": topics.reviews.name}
        self._producer: Callable[[], Producer] = producer or (lambda: LogProducer(broker))
        self._stop = threading.Event()
        self._cancel: Callable[[], object] | None = None
        self._thread = threading.Thread(target=self._run, name="oqm-courier", daemon=True)
        self.sent = 0
        """Messages that this process has published."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End after the batch that is under way; another process may go on at once."""
        self._stop.set()
        self._thread.join(BATCH_ENDS_S)
        if (cancel := self._cancel) is not None and self._thread.is_alive():
            # A broker that accepts connections and says nothing would hold the process's end for minutes. The loop may
            # have ended since it was looked at.
            with suppress(RuntimeError):
                cancel()
        self._thread.join()

    def _run(self) -> None:
        failing = False
        while not self._stop.is_set():
            try:
                asyncio.run(self._publish_until_stopped())
            except asyncio.CancelledError:
                log.info("stopped while Kafka did not answer; what waits is sent by the next process")
            except (BrokerError, LedgerError) as error:
                if not failing:
                    log.warning("oqm.actions and oqm.reviews wait, nothing is lost: %s", error)
                failing = True
                self._stop.wait(RETRY_S)
            else:
                failing = False

    async def _publish_until_stopped(self) -> None:
        """Over one connection, which is made when there is something to send."""
        producer: Producer | None = None
        task = asyncio.current_task()
        assert task is not None
        self._cancel = partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel)
        try:
            while not self._stop.is_set():
                waiting = await asyncio.to_thread(self._take)
                if not waiting:
                    await asyncio.sleep(INTERVAL_S)
                    continue
                if producer is None:
                    producer = self._producer()
                    await producer.start()
                await producer.send([self._outgoing(row) for row in waiting])
                await asyncio.to_thread(self._ledger.outbox_sent, [row.id for row in waiting])
                self.sent += len(waiting)
        finally:
            self._cancel = None
            if producer is not None:
                await producer.stop()
            self._ledger.outbox_leave(self._name)

    def _take(self) -> list[OutboxRow]:
        """The oldest messages, where it is this process's turn."""
        if not self._ledger.outbox_waiting() or not self._ledger.outbox_turn(self._name, self._clock(), TURN_S):
            return []
        return list(self._ledger.outbox_take(AT_ONCE))

    def _outgoing(self, row: OutboxRow) -> Outgoing:
        headers = [(ID_HEADER, str(row.id).encode())]
        return Outgoing(self._topics[row.topic], row.body, key=row.key.encode(), headers=headers)
