"""`JudgeWorker`: a thread that reads `oqm.sampled` in a consumer group of its own and writes `oqm.judgments`.

It has its own thread, event loop and group because evaluators keep another pace than the flow: one that is slow or away
lets this group's lag grow, and nothing else. An offset is committed once the judgments of all messages before it are
confirmed by the broker: a crash asks again about some outputs, and loses none. Of repeated judgments of one event,
criterion and purpose the first in the log counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from monitor.errors import BrokerError, InvalidEvent
from monitor.evaluators.registry import build_evaluator
from monitor.judgment.records import Judgment, decode_sampled, encode_record
from monitor.settings import Settings
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.judge.desk import Desk
from pipelines.judge.down import DownAlerts
from pipelines.judge.judging import Judging
from pipelines.judge.spending import DAY_S
from pipelines.judge.spent import spent_since
from pipelines.judge.window import Window
from pipelines.kafka.connection import async_client_options
from pipelines.kafka.producer import LogProducer, Outgoing
from pipelines.kafka.topics import TopicMap
from pipelines.stages.draw import salt_of

log = logging.getLogger(__name__)

MAX_IN_HAND = 2_000
"""Messages that wait for their judgments at the same time; further ones wait in the log."""
MAX_BYTES_IN_HAND = 64 * 2**20
"""Their bytes: drawn outputs are whole, up to seven megabytes each, so that some always fit."""
MAX_AT_ONCE = 200
"""Messages taken by one poll: a tenth of the room, so that one poll never goes far beyond it."""
MAX_WAITING = MAX_IN_HAND // 2
"""Questions that may wait for an evaluator that is away, where there are several: the others keep half of the room."""
POLL_MS = 300
"""Longest wait for messages: how soon the thread sees that it shall stop."""
LONGEST_PAUSE_MS = 86_400_000
"""A day without a poll is no reason to lose partitions: none is made while an evaluator is away and the hands are full.
Heartbeats come from the same loop, so a thread that does nothing any more loses its partitions by them."""
COMMIT_EVERY_S = 1.0
"""A crash repeats at most this much work, and what is under way."""


class JudgeWorker:
    """Judges until it is stopped. `start` returns at once; an error of Kafka's ends the worker by `failed`.

    Parameters
    ----------
    settings
        Broker, topics, criteria and evaluators.
    topics
        The topics as they are on the broker.
    stats
        Counts of judgments and the states of evaluators, for metrics and /readyz.
    failed
        Called from the thread with the error that ended it.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        topics: TopicMap,
        stats: WorkerStats,
        failed: Callable[[BaseException], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._stats = stats
        self._failed = failed
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="oqm-judge", daemon=True)
        self._window: Window[TopicPartition] = Window()
        self._tasks: dict[asyncio.Task[None], TopicPartition] = {}
        self._ended = asyncio.Event()
        self._desks: dict[str, Desk] = {}
        self._assigned = False

    def start(self) -> None:
        """Begin to read and ask."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is under way is asked again by the next owner. Blocks until the thread has ended."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as error:
            self._failed(BrokerError(f"judge: Kafka: {error}") if isinstance(error, KafkaError) else error)

    async def _work(self) -> None:
        settings = self._settings
        used = {criterion.evaluator for criterion in settings.judged}
        configs = [config for config in settings.evaluators if config.name in used]
        room = MAX_WAITING if len(configs) > 1 else None
        made = [Desk(build_evaluator(each), each, settings.judging.give_up_after, room) for each in configs]
        self._desks = {desk.name: desk for desk in made}
        judging = Judging(
            self._desks,
            settings.criteria_of,
            settings.judged,
            salt_of(settings, self._topics),
            self._stats,
            self._clock,
        )
        consumer = AIOKafkaConsumer(
            **async_client_options(settings.broker),
            client_id="oqm-judge",
            group_id=f"{settings.topics.outputs.name}.judge",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=MAX_AT_ONCE,
            max_poll_interval_ms=LONGEST_PAUSE_MS,
        )
        producer = LogProducer(settings.broker)
        await producer.start()
        try:
            await consumer.start()
            try:
                consumer.subscribe([self._topics.sampled.name], listener=_Rebalance(self._revoked, self._got))
                alerts = DownAlerts(settings, self._topics.alerts.name, producer)
                await self._read(consumer, producer, judging, alerts)
            finally:
                await self._cancelled(set(self._tasks))
                await consumer.stop()
        finally:
            await producer.stop()
            for desk in made:
                await desk.close()

    async def _read(
        self, consumer: AIOKafkaConsumer, producer: LogProducer, judging: Judging, alerts: DownAlerts
    ) -> None:
        looked = 0.0
        while not self._stop.is_set():
            if self._full:
                self._ended.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_MS / 1000.0):
                        await self._ended.wait()
            else:
                polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_AT_ONCE)
                if self._assigned:
                    self._assigned = False
                    await self._take_over(consumer, alerts)
                for where, messages in polled.items():
                    for message in messages:
                        self._begin(where, message, producer, judging)
            self._raise_what_failed()
            if time.monotonic() - looked >= COMMIT_EVERY_S:
                looked = time.monotonic()
                await self._commit(consumer)
                self._count()
                await alerts.look(self._desks.values(), self._clock())
        await self._commit(consumer)

    async def _take_over(self, consumer: AIOKafkaConsumer, alerts: DownAlerts) -> None:
        """What other workers, or this one before it was started again, have done: alerts that fire, money spent."""
        now = self._clock()
        await alerts.restore(self._desks, now)
        if not any(desk.spending.limited for desk in self._desks.values()):
            return
        spent = await spent_since(self._settings.broker, self._topics.judgments, now - now % DAY_S)
        share = len(consumer.assignment()) / self._topics.sampled.partitions
        for name, desk in self._desks.items():
            usd, tokens = spent.get(name, (0.0, 0))
            desk.spending.assigned(share, usd, tokens, now)

    def _count(self) -> None:
        """What metrics and /readyz say of the evaluators, as of now."""
        stats, desks = self._stats, self._desks
        stats.judge_in_hand = self._window.messages
        stats.evaluators_down = {name: int(desk.down is not None) for name, desk in desks.items()}
        stats.evaluators_away = {name: desk.down for name, desk in desks.items() if desk.down is not None}
        stats.evaluator_scale = {name: desk.spending.scale for name, desk in desks.items()}
        stats.evaluator_spent = {name: desk.spending.spent_share for name, desk in desks.items()}

    @property
    def _full(self) -> bool:
        return self._window.messages >= MAX_IN_HAND or self._window.bytes >= MAX_BYTES_IN_HAND

    def _begin(
        self, where: TopicPartition, message: ConsumerRecord[bytes, bytes], producer: LogProducer, judging: Judging
    ) -> None:
        self._window.take(where, message.offset, len(message.value or b""))
        task = asyncio.create_task(self._one(where, message, producer, judging))
        self._tasks[task] = where
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            self._tasks.pop(task, None)
        self._ended.set()

    def _raise_what_failed(self) -> None:
        for task in list(self._tasks):
            if task.done():
                task.result()

    async def _one(
        self, where: TopicPartition, message: ConsumerRecord[bytes, bytes], producer: LogProducer, judging: Judging
    ) -> None:
        try:
            sampled = decode_sampled(message.value or b"")
        except InvalidEvent as error:
            # Only featurize and this package's commands write here; what it is and where it stands is in the log.
            log.error("%s partition %d offset %d: %s", where.topic, where.partition, message.offset, error)
            self._stats.sampled_unreadable += 1
        else:
            judgments = await judging.judge(sampled, message.timestamp / 1000.0)
            await producer.send(self._outgoing(judgment) for judgment in judgments)
        self._window.done(where, message.offset)

    def _outgoing(self, judgment: Judgment) -> Outgoing:
        key = judgment.stream.encode("utf-8", "replace")
        return Outgoing(self._topics.judgments.name, key=key, value=encode_record(judgment))

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        owned = consumer.assignment()
        positions = {where: offset for where, offset in self._window.positions().items() if where in owned}
        if not positions:
            return
        try:
            await consumer.commit(positions)
        except (CommitFailedError, IllegalStateError) as error:
            # The partitions went to another worker meanwhile, which asks again from the offsets committed before.
            log.info("judge: offsets not committed: %s", error)
        except KafkaError as error:
            if not error.retriable:
                raise
            log.info("judge: offsets not committed now: %s", error)

    async def _got(self) -> None:
        self._assigned = True

    async def _revoked(self, revoked: Iterable[TopicPartition]) -> None:
        gone = set(revoked)
        await self._cancelled({task for task, where in self._tasks.items() if where in gone})
        for where in gone:
            self._window.drop(where)

    async def _cancelled(self, tasks: set[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """Lets go of partitions before another worker gets them, and notes that new ones came."""

    def __init__(
        self,
        revoked: Callable[[Iterable[TopicPartition]], Awaitable[None]],
        got: Callable[[], Awaitable[None]],
    ) -> None:
        self._revoked = revoked
        self._got = got

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Cancel what is under way for them: their next owner asks again from the committed offsets."""
        await self._revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """The consumer continues from the committed offsets; what else there is to know is read before the next ask."""
        await self._got()
