"""`StoreWriter`: a thread that reads the log in a separate consumer group and writes the trace store.

It has its own group because it keeps another pace than detection: where the database is away, only this group's lag
grows, and detection goes on. Positions are in the database, in the transaction of their rows, so the group's own
committed offsets are never read; they are committed only so that lag monitors see how far the store is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import KafkaError

from monitor.errors import BrokerError
from monitor.ledger.base import Ledger, LedgerError
from monitor.ledger.open import open_ledger
from monitor.ledger.reviews import ReviewQueue
from monitor.settings import Settings
from monitor.store.base import StoreError, TraceStore
from monitor.store.open import open_store
from monitor.store.periods import DAY_S
from monitor.store.records import Incoming
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.kafka.connection import client_options
from pipelines.kafka.ordered_buffer import Message
from pipelines.kafka.topics import TopicMap
from pipelines.store.people import PeopleDraw
from pipelines.store.quality_gauges import QualityGauges
from pipelines.store.rows import RowMaker

log = logging.getLogger(__name__)

MAX_MESSAGES = 1_000  # of one transaction: larger ones are hardly quicker, and hold more in memory
POLL_MS = 500  # longest wait for messages: how soon the thread sees that it shall stop
NOTE_EVERY_S = 10.0  # up to when alerts are read: `oqm trace` says of outputs after it that it cannot tell
COMMIT_EVERY_S = 5.0  # the group's offsets, for lag monitors alone
DROP_EVERY_S = 600.0  # how often days that have ended are looked for
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # between tries while the database is away; the wait doubles


class StoreWriter:
    """Writes the trace store until it is stopped. `start` returns at once; an error that is not the database's being
    away ends the worker by `failed`.

    Parameters
    ----------
    settings
        Broker, topics and the store's section.
    topics
        The topics as they are on the broker.
    salt
        Key of the draw, by which judged outputs are drawn for people as well.
    stats
        Counts of what is written, and why nothing is at present, for metrics and /readyz.
    failed
        Called from the thread with the error that ended it.
    clock
        Seconds since 1970.
    written
        Called from the thread with what a transaction has written.
    """

    def __init__(
        self,
        settings: Settings,
        topics: TopicMap,
        salt: bytes,
        stats: WorkerStats,
        failed: Callable[[BaseException], None],
        clock: Callable[[], float] = time.time,
        written: Callable[[Incoming], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._stats = stats
        self._failed = failed
        self._clock = clock
        self._written = written
        self._gauges = QualityGauges(settings, stats, clock)
        self._maker = RowMaker(topics, settings.store.privacy, settings.store.segment)
        self._ids = {
            facts.name: facts.id
            for facts in (topics.outputs, topics.features, topics.alerts, topics.judgments, topics.feedback)
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="oqm-store", daemon=True)
        self._store: TraceStore | None = None
        wanted = any(criterion.people is not None for criterion in settings.judged)
        self._people = PeopleDraw(settings.criteria_of, salt) if wanted else None
        self._ledger: Ledger | None = None

    def start(self) -> None:
        """Begin to read and write."""
        self._thread.start()

    def stop(self) -> None:
        """End after the transaction in hand. Blocks until the thread has ended."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._failed(BrokerError(f"store: Kafka: {error}") if isinstance(error, KafkaError) else error)
        finally:
            for opened in (self._store, self._ledger):
                if opened is not None:
                    opened.close()

    def _work(self) -> None:
        if not self._opened():
            return
        consumer: Any = KafkaConsumer(
            **client_options(self._settings.broker),
            client_id="oqm-store",
            group_id=f"{self._settings.topics.outputs.name}.store",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=MAX_MESSAGES,
        )
        try:
            names = [self._topics.outputs.name, self._topics.alerts.name, self._topics.feedback.name]
            if self._settings.criteria:
                names.append(self._topics.features.name)
            if self._settings.judged:
                names.append(self._topics.judgments.name)
            consumer.subscribe(names, listener=_FromStore(consumer, self._positions))
            self._read(consumer)
        finally:
            consumer.close(autocommit=False)

    def _read(self, consumer: Any) -> None:
        committed = noted = dropped = 0.0
        while not self._stop.is_set():
            polled = consumer.poll(timeout_ms=POLL_MS)
            self._stats.progress_at = self._clock()
            batch = [(where.topic, message) for where, several in polled.items() for message in several]
            if batch:
                self._write(consumer, batch)
            now = time.monotonic()
            if now - committed >= COMMIT_EVERY_S and polled:
                consumer.commit()
                committed = now
            if self._gauges.due(mine=TopicPartition(self._topics.outputs.name, 0) in consumer.assignment()):
                self._until_it_answers(self._measure, consumer)
            if now - noted >= NOTE_EVERY_S and self._note_alerts_read(consumer):
                noted = now
            if now - dropped >= DROP_EVERY_S:
                self._drop_ended_days()
                dropped = now

    def _write(self, consumer: Any, batch: Sequence[tuple[str, Message]]) -> None:
        began = time.monotonic()
        incoming = self._maker.rows(batch)

        def write(store: TraceStore) -> None:
            # The queue before the rows: after a death in between, the same judgments come again and draw the same.
            if self._people is not None and incoming.judgments:
                self._queue().put(self._people.items(incoming.judgments, store.with_verdict))
            store.write(incoming)

        if not self._until_it_answers(write, consumer):
            return
        self._written(incoming)
        stats = self._stats
        stats.stored += len(incoming.outputs)
        stats.store_unreadable = self._maker.unreadable
        stats.store_busy_s += time.monotonic() - began

    def _measure(self, store: TraceStore) -> None:
        self._gauges.measure(store, self._opened_ledger() if self._people is not None else None)

    def _queue(self) -> ReviewQueue:
        """The review queue. Raises `LedgerError`."""
        return ReviewQueue(self._opened_ledger())

    def _opened_ledger(self) -> Ledger:
        if self._ledger is None:
            self._ledger = open_ledger(self._settings.serve.database or self._settings.store.location)
        return self._ledger

    def _opened(self) -> bool:
        """Whether the store could be opened before the writer was stopped."""
        return self._until_it_answers(lambda _: None, None)

    def _positions(self, topic: str) -> dict[int, int]:
        found: dict[int, int] = {}
        self._until_it_answers(lambda store: found.update(store.positions(self._ids[topic])), None)
        if topic == self._topics.alerts.name:
            # A store of an earlier version has positions, but no alerts: it gets them from the beginning.
            known: set[int] = set()
            self._until_it_answers(lambda store: known.update(store.alerts_known().read_until), None)
            return {partition: position for partition, position in found.items() if partition in known}
        return found

    def _note_alerts_read(self, consumer: Any) -> bool:
        """Note in the store up to when the alerts of this worker's partitions are in it; whether that is known yet."""
        facts, incoming = self._topics.alerts, Incoming()
        for where in consumer.assignment():
            if where.topic == facts.name:
                end = consumer.highwater(where)  # by the last answer of the broker, half a second old at most
                if end is None:
                    return False
                at_end = consumer.position(where) >= end
                incoming.alerts_read[facts.id, where.partition] = self._clock() if at_end else 0.0
        if not incoming.alerts_read:
            return False
        return self._until_it_answers(lambda store: store.write(incoming), consumer)

    def _until_it_answers(self, act: Callable[[TraceStore], None], consumer: Any) -> bool:
        """Do `act` with the store, and again while the database is away; False where the writer is stopped meanwhile.

        A database that is away comes back, and what it lacks stays in the log: so this waits, and says that it does, in
        place of ending the worker. `consumer` stays in its group meanwhile.
        """
        wait = FIRST_WAIT_S
        while True:
            try:
                if self._store is None:
                    self._store = open_store(self._settings.store.location)
                act(self._store)
            except (StoreError, LedgerError) as error:
                if self._stats.store_error is None:
                    log.warning("the trace store does not answer; its outputs wait in the log: %s", error)
                self._stats.store_error, self._stats.store_away = str(error), 1
                if self._stop.wait(wait):
                    return False
                wait = min(wait * 2, LONGEST_WAIT_S)
                if consumer is not None:
                    _stay_in_group(consumer)
            else:
                if self._stats.store_error is not None:
                    log.warning("the trace store answers again")
                self._stats.store_error, self._stats.store_away = None, 0
                return True

    def _drop_ended_days(self) -> None:
        before = int((self._clock() - self._settings.store.retention) // DAY_S)
        dropped: list[int] = []

        def drop(store: TraceStore) -> None:
            if self._people is not None:
                self._queue().close_before(before * DAY_S, self._clock())
            dropped.append(store.drop_before(before))

        self._until_it_answers(drop, None)
        if dropped and dropped[0]:
            log.info("trace store: %d days have ended and are removed", dropped[0])


def _stay_in_group(consumer: Any) -> None:
    """Answer the group's coordinator while nothing can be taken: a poll that brings no messages."""
    consumer.pause(*consumer.assignment())
    try:
        consumer.poll(timeout_ms=0)
    finally:
        consumer.resume(*consumer.assignment())


class _FromStore(ConsumerRebalanceListener):  # type: ignore[misc]
    """Starts partitions that were given to this worker from the positions in the database."""

    def __init__(self, consumer: Any, positions: Callable[[str], dict[int, int]]) -> None:
        self._consumer = consumer
        self._positions = positions

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Nothing to do: what was polled and not written comes again, to the next owner."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Seek to where the rows end."""
        by_topic: dict[str, list[TopicPartition]] = {}
        for where in assigned:
            by_topic.setdefault(where.topic, []).append(where)
        for topic, partitions in by_topic.items():
            positions = self._positions(topic)
            for where in partitions:
                if where.partition in positions:
                    self._consumer.seek(where, positions[where.partition])
                else:
                    self._consumer.seek_to_beginning(where)
