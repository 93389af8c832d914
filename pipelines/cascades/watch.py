"""`CascadeWatch`: a thread of the role store that looks at what was just written, and says what is too much.

Every few seconds it takes the outputs that follow from something, and new actions, finds the root of each, and counts
what follows from there (`look`). And it counts how much followed from the outputs of alerts (`reach`). It reads the
store by connections of its own, so that a slow look never holds the writer; where a database is away it looks again
later, and the writer says so.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from monitor.actions.cascade import action_node
from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.detection.records.control import Control
from monitor.detection.records.log_format import encode_control, partition_for
from monitor.errors import BrokerError
from monitor.ledger.base import Ledger, LedgerError
from monitor.ledger.edges import proposed_since
from monitor.ledger.open import open_ledger
from monitor.settings import Settings
from monitor.store.base import StoreError, TraceStore
from monitor.store.open import open_store
from monitor.store.periods import DAY_S
from pipelines.cascades.cascade_alerts import CascadeAlerts
from pipelines.cascades.fresh import Fresh
from pipelines.cascades.look import exceeded
from pipelines.cascades.reach import Reach
from pipelines.kafka.connection import client_options
from pipelines.kafka.topics import LARGEST_EVENT_BYTES, TopicMap
from pipelines.stages.notify.alert_log import read_alerts

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0  # a loop of agents makes a round in a second or more: some rounds later it is seen
BUSY_SHARE = 0.05  # of the time that looks may take: with many chains they come less often
SETTLE_S = 2.0  # after an output is written before it is looked at: its caller's output is often written after it
MOST_TARGETS = 5_000  # outputs of one look
MOST_ACTIONS = 5_000  # new ones of one look: a ledger takes some hundred a second
NEW_LEDGER_EVERY_S = 60.0  # how often a ledger is looked for where there is none
DELIVERY_S = 60.0  # for the broker to confirm an alert; then the worker ends, and its successor sees the chain again


class CascadeWatch:
    """Runs until it is stopped. `start` returns at once.

    Parameters
    ----------
    current
        The settings as they are now.
    topics
        The topics as they are on the broker.
    fresh
        What the store's writer has written.
    failed
        Called from the thread with the error that ended it.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        current: Callable[[], Settings],
        topics: TopicMap,
        fresh: Fresh,
        failed: Callable[[BaseException], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._current = current
        self._topics = topics
        self._fresh = fresh
        self._failed = failed
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="oqm-cascades", daemon=True)
        self._producer: Any = None
        self._traces: TraceStore | None = None
        self._ledger: Ledger | None = None
        self._ledger_due = 0.0
        self._acted_until = 0.0
        self._alerts = CascadeAlerts(current, self._publish)
        self._reach = Reach(self._control)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look in hand. Blocks until the thread has ended."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._failed(BrokerError(f"cascades: Kafka: {error}") if isinstance(error, KafkaError) else error)
        finally:
            self._close()
            if self._producer is not None:
                self._producer.close(timeout=DELIVERY_S)

    def _work(self) -> None:
        settings = self._current()
        self._producer = KafkaProducer(
            **client_options(settings.broker),
            client_id="oqm-cascades",
            acks="all",
            max_request_size=LARGEST_EVENT_BYTES,
        )
        now = self._clock()
        known = [entry.alert for entry in asyncio.run(read_alerts(settings, now)) if entry.fires]
        self._alerts.restore(known, now)
        for one in known:
            if one.followed is None and one.raised_at.time is not None:
                self._reach.take(one, one.raised_at.time, now)
        self._acted_until = now - LOOK_EVERY_S
        wait = LOOK_EVERY_S
        while not self._stop.wait(wait):
            began = time.monotonic()
            self._look()
            wait = max(LOOK_EVERY_S, (time.monotonic() - began) / BUSY_SHARE)

    def _look(self) -> None:
        now = self._clock()
        self._take_alerts(now)
        try:
            traces, ledger = self._opened(now)
            targets = [*self._fresh.targets(now - SETTLE_S, MOST_TARGETS), *self._new_actions(now)]
            self._alerts.take(exceeded(traces, ledger, targets, self._current().cascades, now), now)
            self._reach.look(traces, ledger, now)
        except (StoreError, LedgerError) as error:
            log.info("cascades are looked at later: %s", error)
            self._close()
            return
        self._alerts.end(now)

    def _take_alerts(self, now: float) -> None:
        for row in self._fresh.alerts():
            try:
                alert = alerts.decode(row["body"].encode())
            except msgspec.DecodeError:  # of another version: the store has it, and nothing is counted
                continue
            since = alert.raised_at.time if alert.raised_at.time is not None else row["day"] * DAY_S
            self._reach.take(alert, since, now)

    def _new_actions(self, now: float) -> list[str]:
        if self._ledger is None:
            return []
        since, self._acted_until = self._acted_until, now
        names = self._ledger.read(lambda connection: proposed_since(connection, since, MOST_ACTIONS))
        return [action_node(scope, key) for scope, key in names]

    def _opened(self, now: float) -> tuple[TraceStore, Ledger | None]:
        settings = self._current()
        if self._traces is None:
            self._traces = open_store(settings.store.location, read_only=True)
        if self._ledger is None and now >= self._ledger_due:
            self._ledger_due = now + NEW_LEDGER_EVERY_S
            try:
                self._ledger = open_ledger(settings.serve.database or settings.store.location, read_only=True)
            except LedgerError as error:
                log.debug("no ledger of actions: %s", error)
        return self._traces, self._ledger

    def _close(self) -> None:
        for one in (self._traces, self._ledger):
            if one is not None:
                one.close()
        self._traces = self._ledger = None

    def _publish(self, alert: Alert) -> None:
        self._send(self._topics.alerts.name, alert.fingerprint.encode(), alerts.encode(alert), None)

    def _control(self, control: Control) -> None:
        features = self._topics.features
        where = partition_for(control.stream, features.partitions)
        self._send(features.name, None, encode_control(control), where)

    def _send(self, topic: str, key: bytes | None, value: bytes, partition: int | None) -> None:
        self._producer.send(topic, value, key=key, partition=partition).get(DELIVERY_S)
