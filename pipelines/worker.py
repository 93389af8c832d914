"""`run_worker`: one process with the featurize, detect and notify agents, or some of them, until it is asked to stop.

It stops by itself, with a non-zero exit, when continuing would do harm or nothing moves: topics missing, a write that
Kafka refused, state of another format, a part of it stuck (`pipelines.liveness.watchdog`). Its supervisor starts it
again, and everything it had not finished comes again.

Kafka being away is no reason to stop once the worker runs: it waits, says so on /readyz and in its metrics, and
continues when Kafka is back. Only at the start no broker is an error at once, as then the address is likely wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import tempfile
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.errors import BrokerError
from monitor.settings import Settings
from monitor.sinks.base import Sink
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.cascades.fresh import Fresh
from pipelines.cascades.watch import CascadeWatch
from pipelines.faust_consumer.consumer import FaustConsumer, GroupMembership
from pipelines.feature_log.ticks import TICK_EVERY_S
from pipelines.judge.worker import JudgeWorker
from pipelines.kafka.dead_letters import DeadLetterWriter
from pipelines.kafka.producer import LogProducer
from pipelines.kafka.topics import read_topics
from pipelines.liveness.metrics_port import MetricsPort, open_metrics_server
from pipelines.liveness.watchdog import Watchdog, exit_stuck
from pipelines.liveness.watched_parts import WorkerMarks, watched_parts
from pipelines.matters.harm_judge import HarmJudge
from pipelines.reload import Reread, reread_settings
from pipelines.roles import Role
from pipelines.stages.base import Stage, StageServices
from pipelines.stages.build_stages import ConsumerHooks, ReplayMode, StageBuilder
from pipelines.stages.detect import Detect
from pipelines.stages.draw import salt_of
from pipelines.stages.notify.configured_sinks import ConfiguredSinks
from pipelines.stages.notify.stage import Notify
from pipelines.store.writer import StoreWriter

log = logging.getLogger(__name__)

SESSION_TIMEOUT_S = 60.0
"""Consumer session time-out: longer than any pause of a healthy worker, and what a killed one's partitions wait for."""
LOOK_EVERY_S = 2.0
"""Between two looks after the consumer: how old the lag in the metrics and the group's offsets may be."""
BEAT_EVERY_S = 0.2
"""Between two beats, which measure whether the event loop turns: far below the shortest pause that matters."""
WRITE_WITHIN_S = 2.0
"""How long a look waits for what is being written; while Kafka is away the write takes until it is back."""


@dataclass(frozen=True)
class Supervision:
    """How a worker and what supervises it reach each other.

    Attributes
    ----------
    reread
        Reads the settings again, with their warnings, for `Worker.reload`. Raises `ConfigError`. None: no settings
        file.
    stuck
        Called from another thread, with one sentence, when the worker has stopped working by its own fault
        (`pipelines.liveness.watchdog`). None: there is no watchdog.
    """

    reread: Reread | None = None
    stuck: Callable[[str], None] | None = None


class Worker:
    """One worker. `run` it in an event loop; `stop` it from any thread.

    Parameters
    ----------
    settings
        All settings; `settings.broker` says where Kafka is.
    roles
        The agents to run; all by default.
    sinks
        Where notify delivers; from the settings where None.
    session_timeout_s
        Consumer session time-out. Workers of the same outputs topic share its partitions in one consumer group.
    metrics
        Where metrics and probes are served; nowhere by default.
    supervision
        Reading the settings again, and reporting that the worker is stuck.
    replay
        For the worker of a replay.
    """

    def __init__(
        self,
        settings: Settings,
        roles: Collection[Role] = tuple(Role),
        *,
        sinks: Sequence[Sink] | None = None,
        session_timeout_s: float = SESSION_TIMEOUT_S,
        metrics: MetricsPort = MetricsPort(),  # noqa: B008  frozen
        supervision: Supervision = Supervision(),
        replay: ReplayMode | None = None,
    ) -> None:
        self.settings = settings
        self.roles = frozenset(roles)
        self.stats = WorkerStats()
        self.stages: dict[str, Stage] = {}
        self._given_sinks = sinks
        self._configured_sinks = ConfiguredSinks(time.time)
        self._group = GroupMembership(f"{settings.topics.outputs.name}.monitor", session_timeout_s)
        self._metrics = metrics
        self._supervision = supervision
        self._replay = replay
        self._reloading = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._consumer: FaustConsumer
        self._ended: asyncio.Future[None] | None = None
        self._watchdog: Watchdog | None = None
        self._marks = WorkerMarks()
        self._writing: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Ask the worker to finish what it has in hand and end. From any thread, repeatable."""
        self._marks.stop_asked.set()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._end, None)

    def _end_from_thread(self, error: BaseException) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._end, error)

    def _end(self, error: BaseException | None) -> None:
        ended = self._ended
        if ended is not None and not ended.done():
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

    async def run(self) -> None:
        """Work until `stop`. Raises `BrokerError` and others of `OqmError` where it cannot start or continue."""
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        if self._marks.stop_asked.is_set():
            return
        settings = self.settings
        topics = await asyncio.to_thread(read_topics, settings.broker, settings.topics)
        async with contextlib.AsyncExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="oqm-compute"))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oqm-worker-")))
            producer = LogProducer(settings.broker)
            await producer.start()
            stack.push_async_callback(producer.stop)
            letters = DeadLetterWriter(
                settings.broker, topics.deadletter.name, settings.worker.dead_letters, self.stats
            )
            await letters.start()
            stack.push_async_callback(letters.stop)
            sinks = self._sinks() if Role.NOTIFY in self.roles else []
            stack.push_async_callback(self._configured_sinks.close)
            builder = StageBuilder(
                StageServices(topics, producer, letters, self.stats, pool, time.time),
                lambda: self.settings,
                ConsumerHooks(lambda *gap: self._consumer.on_gap(*gap), lambda: self._consumer.is_owner()),
                sinks,
                self._replay,
            )
            self.stages = stages = await asyncio.to_thread(builder.build, self.roles)
            self._consumer = consumer = FaustConsumer(
                settings.broker, self._group, stages.values(), self.stats, self._end, folder, time.time
            )
            if Role.STORE in self.roles and settings.store.location:
                fresh, salt = Fresh(), salt_of(settings, topics)
                store = StoreWriter(settings, topics, salt, self.stats, self._end_from_thread, written=fresh.add)
                store.start()
                stack.push_async_callback(asyncio.to_thread, store.stop)
                watch = CascadeWatch(lambda: self.settings, topics, fresh, self._end_from_thread)
                watch.start()
                stack.push_async_callback(asyncio.to_thread, watch.stop)
            if Role.JUDGE in self.roles and settings.judged:
                judge = JudgeWorker(settings, topics, self.stats, self._end_from_thread)
                judge.start()
                stack.push_async_callback(asyncio.to_thread, judge.stop)
                harm = HarmJudge(lambda: self.settings, topics, self._end_from_thread)
                harm.start()
                stack.push_async_callback(asyncio.to_thread, harm.stop)
            if self._supervision.stuck is not None and stages:
                parts = watched_parts(settings.broker, settings.topics.features.name, consumer, stages, self._marks)
                self._watchdog = Watchdog(parts, settings.worker.stuck_after, self._supervision.stuck)
                stack.callback(self._watchdog.stop)
            if self._metrics.port:
                stack.enter_context(
                    open_metrics_server(self._metrics, settings.metrics, self.stats, self._suspicion, time.time)
                )
            await self._run(consumer, stages)

    def _suspicion(self) -> str | None:
        return self._watchdog.suspicion if self._watchdog is not None else None

    def _sinks(self) -> Sequence[Sink]:
        return self._configured_sinks.build(self.settings.sinks) if self._given_sinks is None else self._given_sinks

    async def _run(self, consumer: FaustConsumer, stages: dict[str, Stage]) -> None:
        assert self._ended is not None
        if not stages:  # trace store and judge alone, which have their own threads and consumer groups
            self.stats.assigned = True
            log.info("worker ready, roles: %s", ", ".join(sorted(self.roles)))
            return await self._ended
        # Not awaited alone: it returns once the group has let this worker in, which may take a broker half a minute.
        starting = asyncio.get_running_loop().create_task(consumer.app.start(), name="start")
        await asyncio.wait({starting, self._ended}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            await consumer.stop()
            await asyncio.gather(starting, return_exceptions=True)
            return self._ended.result()
        starting.result()
        tasks = [self._task(stage.run(), f"{role}-run") for role, stage in stages.items()]
        tasks.append(self._task(self._every(BEAT_EVERY_S, functools.partial(self._beat, consumer)), "beat"))
        tasks.append(self._task(self._every(LOOK_EVERY_S, functools.partial(self._look, consumer, stages)), "look"))
        detect = stages.get(Role.DETECT)
        if self._replay is None and isinstance(detect, Detect):
            tasks.append(self._task(self._every(TICK_EVERY_S, detect.tick), "tick"))
        if self._watchdog is not None:
            self._watchdog.start()
        try:
            await self._ended
        finally:
            if self._ended.exception() is None:
                # Before the tasks end: a batch in hand is finished, not broken off.
                for stage in stages.values():
                    await stage.settle()
                with contextlib.suppress(BrokerError):
                    await consumer.commit()
            if self._writing is not None:
                tasks.append(self._writing)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await consumer.stop()

    def _task(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task whose error ends the worker."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end(error)

    async def _every(self, seconds: float, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await act()

    async def _beat(self, consumer: FaustConsumer) -> None:
        self._marks.beats += 1
        consumer.beat()

    async def _look(self, consumer: FaustConsumer, stages: Mapping[str, Stage]) -> None:
        """Write what is due, commit the group's offsets, and look after the consumer."""
        self._marks.looks += 1
        if consumer.app.crashed:
            raise BrokerError(f"the Kafka consumer ended: {consumer.app.crash_reason!r}")
        if consumer.app.rebalancing:
            return
        if self._writing is None or self._writing.done():
            self._writing = self._task(self._write_due(stages), "write")
        # Not waited for: while Kafka is away a write takes until it is back, and that it is away has to be seen.
        await asyncio.wait({self._writing}, timeout=WRITE_WITHIN_S)
        await consumer.commit()
        await consumer.look_for_stalls()
        if all(stage.buffer.idle for stage in stages.values()):
            self.stats.progress_at = time.time()

    async def _write_due(self, stages: Mapping[str, Stage]) -> None:
        for stage in stages.values():
            await stage.idle()

    def reload(self) -> None:
        """Read the settings again and take over what can change while the worker runs. Called on SIGHUP."""
        self._task(self._reload(), "reload")

    async def _reload(self) -> None:
        async with self._reloading:
            change = await reread_settings(self._supervision.reread, self.settings)
            if change is None:
                return
            self.settings = change.settings
            await self._take_over()
            log.info("settings read again and taken over: %s", ", ".join(change.now))

    async def _take_over(self) -> None:
        """Give the new settings to what does not look them up for each use."""
        detect, notify = self.stages.get(Role.DETECT), self.stages.get(Role.NOTIFY)
        if isinstance(detect, Detect):
            await detect.settings_changed()
        if isinstance(notify, Notify):
            await notify.settings_changed(self._sinks(), self.settings.maintenance, self.settings.delivery)
            await self._configured_sinks.close_replaced()


def run_worker(
    settings: Settings,
    roles: Collection[Role] = tuple(Role),
    *,
    metrics_port: int | None = None,
    session_timeout_s: float = SESSION_TIMEOUT_S,
    reread: Reread | None = None,
) -> None:
    """Run a worker in this process until SIGTERM or Ctrl-C. Called by `oqm worker`.

    `metrics_port` overrides the settings' (0 for none); where neither is set, the next free port is taken if the
    default is not free. `reread` reads the settings again on SIGHUP, and returns them with their warnings. Raises
    `BrokerError` or another `OqmError`, in one line, where it cannot start or continue.
    """

    async def run() -> None:
        port = settings.metrics.port if metrics_port is None else metrics_port
        chosen = metrics_port is not None or "port" in settings.metrics.model_fields_set
        worker = Worker(
            settings,
            roles,
            session_timeout_s=session_timeout_s,
            metrics=MetricsPort(port, or_next_free=not chosen),
            supervision=Supervision(reread, exit_stuck),
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        loop.add_signal_handler(signal.SIGHUP, worker.reload)
        await worker.run()

    asyncio.run(run())
