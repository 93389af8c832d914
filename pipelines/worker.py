"""`run_worker`: one process with the featurize, detect and notify agents, or some of them, until it is told to stop.

It stops by itself, with a non-zero exit, when going on would do harm or nothing goes on: topics missing, a write that
Kafka refused, state of another format, a part of it stuck (`pipelines.liveness.watchdog`). Whoever supervises it
starts it again; everything it had not finished comes again.

Kafka being away is no reason to stop once the worker runs: it waits, says so on /readyz and in its metrics, and goes on
when Kafka is back. Only at the start no broker is an error at once, as then the address is likely wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any

from monitor.alerting.from_finding import from_finding
from monitor.detection import Finding
from monitor.errors import BrokerError, ConfigError
from monitor.settings import Settings
from monitor.sinks.base import Sink
from monitor.sinks.config import SinkConfig
from monitor.sinks.registry import build_sinks
from monitor.telemetry.server import (
    Health,
    MetricsServer,
    PortTakenError,
    Readiness,
    worker_health,
    worker_readiness,
    worker_registry,
)
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.faust_consumer.consumer import FaustConsumer
from pipelines.feature_log.ticks import TICK_EVERY_S, EventTimeTicks
from pipelines.kafka.dead_letters import DeadLetterBox
from pipelines.kafka.ordered_buffer import Intake
from pipelines.kafka.producer import LogProducer
from pipelines.kafka.topics import TopicMap, read_topics
from pipelines.liveness.watchdog import Part, Watchdog, exit_stuck
from pipelines.reload import compare
from pipelines.replay.replay import featurizer_for, partition_monitor
from pipelines.stages.base import Stage
from pipelines.stages.detect import Detect
from pipelines.stages.featurize import EventReader, Featurize
from pipelines.stages.notify.stage import Notify, dispatch_for
from pipelines.state.checkpoint import DetectCheckpoint, Positions, answers, read_at

log = logging.getLogger(__name__)

SESSION_TIMEOUT_S = 60.0
"""Consumer session time-out: longer than any pause of a healthy worker, and what a killed one's partitions wait for."""

_PORTS_TO_TRY = 32
"""From the default port of metrics on: more workers than one machine has cores for."""
_COMMIT_EVERY_S = 2.0
_BEAT_EVERY_S = 0.2
# How long the regular look waits for what is written.
_WRITE_WITHIN_S = 2.0
# The watchdog's questions to Kafka.
_ANSWER_WITHIN_S = 10.0


def _installed_version() -> str:
    try:
        return metadata.version("output-quality-monitor")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"


class Role(StrEnum):
    """The agents of a worker."""

    FEATURIZE = "featurize"
    DETECT = "detect"
    NOTIFY = "notify"


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
    group
        Consumer group. Workers of one group share the partitions.
    session_timeout_s
        Consumer session time-out.
    metrics_port
        Port of /metrics, /healthz and /readyz; 0 for none.
    next_port
        Whether the next free port is taken where another process listens on that one.
    reread
        Reads the settings again, with their warnings, for `reload`. Raises `ConfigError`.
    event_time
        For a replay: the time in the log comes from the events, not from the clock. One partition of each topic.
    on_findings
        Called with findings once their alerts are confirmed.
    stuck
        Called from another thread, with one sentence, when the worker has stopped working by a fault of its own
        (`pipelines.liveness.watchdog`); None: nobody looks.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        roles: Collection[Role] = tuple(Role),
        *,
        sinks: Sequence[Sink] | None = None,
        group: str | None = None,
        session_timeout_s: float = SESSION_TIMEOUT_S,
        metrics_port: int = 0,
        next_port: bool = False,
        reread: Callable[[], tuple[Settings, list[str]]] | None = None,
        event_time: bool = False,
        on_findings: Callable[[list[Finding]], None] | None = None,
        stuck: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.roles = frozenset(roles)
        self.stats = WorkerStats()
        self._sinks = sinks
        self._group = group or f"{settings.topics.outputs.name}.monitor"
        self._session_timeout_s = session_timeout_s
        self._metrics_port = metrics_port
        self._next_port = next_port
        self._reread = reread
        self._reloading = asyncio.Lock()
        self._built: dict[str, tuple[SinkConfig, Sink]] = {}
        self._event_time = event_time
        self._on_findings = on_findings
        self.stages: dict[Role, Stage] = {}
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flow: FaustConsumer
        self._ended: asyncio.Future[None] | None = None
        self._stop_asked = threading.Event()
        self._stuck = stuck
        self._watchdog: Watchdog | None = None
        self._beats = self._looks = 0
        self._writing: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Ask the worker to finish what it has in hand and end. From any thread, repeatable."""
        self._stop_asked.set()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._end, None)

    def _end(self, error: BaseException | None) -> None:
        ended = self._ended
        if ended is not None and not ended.done():
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

    async def run(self) -> None:
        """Work until `stop`. Raises `BrokerError` and others of `OqmError` where it cannot start or go on."""
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        if self._stop_asked.is_set():
            return
        topics = await asyncio.to_thread(read_topics, self.settings.broker, self.settings.topics)
        async with contextlib.AsyncExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="oqm-compute"))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oqm-worker-")))
            producer = LogProducer(self.settings.broker)
            await producer.start()
            stack.push_async_callback(producer.stop)
            letters = DeadLetterBox(
                self.settings.broker, topics.deadletter.name, self.settings.worker.dead_letters, self.stats
            )
            await letters.start()
            stack.push_async_callback(letters.stop)
            sinks = self._sinks
            if sinks is None:
                sinks = self._build_sinks() if Role.NOTIFY in self.roles else []
                stack.push_async_callback(self._close_sinks)
            self.stages = stages = await asyncio.to_thread(self._stages, topics, producer, letters, sinks, pool)
            flow = FaustConsumer(
                broker=self.settings.broker,
                group=self._group,
                stages=stages.values(),
                stats=self.stats,
                fail=self._end,
                session_timeout_s=self._session_timeout_s,
                folder=folder,
                clock=self._clock,
            )
            self._flow = flow
            if self._stuck is not None:
                self._watchdog = Watchdog(self._parts(flow, stages), self.settings.worker.stuck_after, self._stuck)
                stack.callback(self._watchdog.stop)
            if self._metrics_port:
                stack.enter_context(self._metrics())
            await self._run(flow, stages)

    def _parts(self, flow: FaustConsumer, stages: Mapping[Role, Stage]) -> dict[str, Part]:
        """What the watchdog looks at."""
        broker, topic = self.settings.broker, self.settings.topics.features.name

        def kafka_answers() -> bool:
            return asyncio.run(answers(broker, topic, _ANSWER_WITHIN_S))

        def waits(stage: Stage) -> bool:
            """Whether a batch is in hand or the log holds messages for it: then it should have taken a step."""
            if stage.in_hand is not None:
                return kafka_answers()
            try:
                return any(
                    asyncio.run(read_at(broker, stage.source.name, partition, following))[1] is not None
                    for partition, following in list(stage.intake.next.items())
                )
            except BrokerError:
                return False

        def part_of(stage: Stage) -> Part:
            return Part(lambda: (stage.steps, stage.restored), lambda: waits(stage))

        parts = {f"the stage {role}": part_of(stage) for role, stage in stages.items()}
        parts["the event loop"] = Part(lambda: self._beats, lambda: True)
        parts["the look after the flow"] = Part(lambda: self._looks, kafka_answers)
        parts["the assignment of partitions"] = Part(
            lambda: (flow.restores, [stage.restored for stage in stages.values()]),
            lambda: not self.stats.assigned and kafka_answers(),
        )
        parts["the end of the worker"] = Part(lambda: self._stop_asked.is_set(), self._stop_asked.is_set)
        return parts

    async def _beat(self, flow: FaustConsumer) -> None:
        self._beats += 1
        flow.beat()

    def reload(self) -> None:
        """Read the settings again and take over what can change while the worker runs. Called on SIGHUP."""
        self._task(self._reload(), "reload")

    async def _reload(self) -> None:
        async with self._reloading:
            if self._reread is None:
                log.warning("SIGHUP: there is no settings file to read again")
                return
            try:
                found, warnings = await asyncio.to_thread(self._reread)
            except ConfigError as error:
                for line in str(error).splitlines():
                    log.error("settings kept as they are: %s", line)
                return
            for line in warnings:
                log.warning("%s", line)
            change = compare(self.settings, found)
            for key in change.at_restart:
                log.warning("settings: %s has changed and takes effect when the worker is started again", key)
            if not change.now:
                log.info("settings read again: %s", "no change that a running worker takes over")
                return
            self.settings = change.settings
            await self._take_over()
            log.info("settings read again and taken over: %s", ", ".join(change.now))

    async def _take_over(self) -> None:
        """Hand the new settings to what does not look them up for each use."""
        detect, notify = self.stages.get(Role.DETECT), self.stages.get(Role.NOTIFY)
        if isinstance(detect, Detect):
            await detect.settings_changed()
        if isinstance(notify, Notify):
            before = {name: sink for name, (_, sink) in self._built.items()}
            sinks = self._build_sinks() if self._sinks is None else self._sinks
            await notify.settings_changed(sinks, self.settings.maintenance, self.settings.delivery)
            for name, sink in before.items():
                if name not in self._built or self._built[name][1] is not sink:
                    await sink.close()

    def _build_sinks(self) -> list[Sink]:
        """The sinks of the settings, those whose configuration has not changed as they are."""
        built: dict[str, tuple[SinkConfig, Sink]] = {}
        for config in self.settings.sinks:
            before = self._built.get(config.name)
            if before is not None and before[0] == config:
                built[config.name] = before
            else:
                built[config.name] = config, build_sinks([config], clock=self._clock)[0]
        self._built = built
        return [sink for _, sink in built.values()]

    async def _close_sinks(self) -> None:
        for _, sink in self._built.values():
            await sink.close()

    def _metrics(self) -> MetricsServer:
        options = self.settings.metrics
        registry = worker_registry(
            self.stats, version=_installed_version(), max_streams=options.max_streams, max_series=options.max_series
        )
        first = self._metrics_port
        for port in range(first, min(first + _PORTS_TO_TRY, 65_536)):
            try:
                server = MetricsServer(registry, self._health, readiness=self._readiness, host=options.host, port=port)
            except PortTakenError as error:
                taken = error
                if not self._next_port:
                    break
                continue
            if port != first:
                log.warning("port %d is taken: metrics are on port %d", first, port)
            log.info("metrics on http://%s:%d/metrics", options.host, server.port)
            return server
        raise taken

    def _health(self) -> Health:
        return worker_health(self._watchdog.suspicion if self._watchdog is not None else None)

    def _readiness(self) -> Readiness:
        return worker_readiness(self.stats, self._clock())

    async def _run(self, flow: FaustConsumer, stages: dict[Role, Stage]) -> None:
        assert self._ended is not None
        # Not awaited alone: it returns once the group has let this worker in, which may take a broker half a minute.
        starting = asyncio.get_running_loop().create_task(flow.app.start(), name="start")
        await asyncio.wait({starting, self._ended}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            await flow.stop()
            await asyncio.gather(starting, return_exceptions=True)
            return self._ended.result()
        starting.result()
        tasks = [self._task(stage.run(), f"{role}-run") for role, stage in stages.items()]
        tasks.append(self._task(self._every(_BEAT_EVERY_S, functools.partial(self._beat, flow)), "beat"))
        tasks.append(self._task(self._every(_COMMIT_EVERY_S, functools.partial(self._look, flow, stages)), "look"))
        detect = stages.get(Role.DETECT)
        if not self._event_time and isinstance(detect, Detect):
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
                    await flow.commit()
            if self._writing is not None:
                tasks.append(self._writing)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await flow.stop()

    def _task(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end(error)

    def caught_up(self) -> bool:
        """Whether everything that had come when last looked has been applied, by every stage."""
        lag = self.stats.lag
        return bool(lag) and not any(lag.values()) and all(stage.intake.idle for stage in self.stages.values())

    async def _every(self, seconds: float, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await act()

    async def _look(self, flow: FaustConsumer, stages: dict[Role, Stage]) -> None:
        """Write what is due, tell the group, and look after the flow."""
        self._looks += 1
        if flow.app.crashed:
            raise BrokerError(f"the Kafka consumer ended: {flow.app.crash_reason!r}")
        if flow.app.rebalancing:
            return
        if self._writing is None or self._writing.done():
            self._writing = self._task(self._write_due(stages), "write")
        # Not waited for: while Kafka is away a write takes until it is back, and that it is away has to be seen.
        await asyncio.wait({self._writing}, timeout=_WRITE_WITHIN_S)
        await flow.commit()
        await flow.look_for_stalls()
        if all(stage.intake.idle for stage in stages.values()):
            self.stats.progress_at = self._clock()

    async def _write_due(self, stages: Mapping[Role, Stage]) -> None:
        for stage in stages.values():
            await stage.idle()

    def _stages(
        self,
        topics: TopicMap,
        producer: LogProducer,
        letters: DeadLetterBox,
        sinks: Sequence[Sink],
        pool: ThreadPoolExecutor,
    ) -> dict[Role, Stage]:
        # What a reload may change is looked up in `self.settings` at each use, the rest once here.
        settings, options, clock = self.settings, self.settings.worker, self._clock
        broker = settings.broker

        def gap(topic: str) -> Callable[[int, int], None]:
            return lambda partition, offset: self._flow.on_gap(topic, partition, offset)

        stages: dict[Role, Stage] = {}
        featurizer = featurizer_for(settings)
        specs = featurizer.specs
        if Role.FEATURIZE in self.roles:
            stages[Role.FEATURIZE] = Featurize(
                intake=Intake(options.featurize_batch, options.featurize_linger, gap(topics.outputs.name)),
                topics=topics,
                reader=EventReader(
                    featurizer,
                    topics.outputs,
                    topics.features.partitions,
                    EventTimeTicks() if self._event_time else None,
                ),
                failures=lambda: featurizer.failures,
                producer=producer,
                positions=Positions(broker, producer, topics, topics.outputs),
                letters=letters,
                pool=pool,
                stats=self.stats,
                clock=clock,
            )
        if Role.DETECT in self.roles:
            by_name = {spec.name: spec for spec in specs}

            def alert(finding: Finding) -> Any:
                stream = self.settings.for_stream(finding.stream)
                return from_finding(
                    finding, owner=stream.owner, route=stream.route, links=self.settings.links, specs=by_name
                )

            stages[Role.DETECT] = Detect(
                # No linger: what has arrived is applied, and while it is, more arrives.
                intake=Intake(options.detect_batch, 0.0, gap(topics.features.name)),
                topics=topics,
                monitor=lambda: partition_monitor(settings, specs, current=lambda: self.settings),
                alert=alert,
                producer=producer,
                checkpoint=DetectCheckpoint(broker, producer, topics),
                checkpoint_every_s=options.checkpoint_interval,
                letters=letters,
                pool=pool,
                stats=self.stats,
                clock=clock,
                on_findings=self._on_findings,
            )
        if Role.NOTIFY in self.roles:
            stages[Role.NOTIFY] = Notify(
                intake=Intake(100, 0.0, gap(topics.alerts.name)),
                topics=topics,
                broker=broker,
                sinks=sinks,
                dispatch=lambda: dispatch_for(self.settings),
                sure=lambda: self._flow.sure(),
                budget=lambda stream: self.settings.for_stream(stream).detection.alert_budget,
                delivery=settings.delivery,
                producer=producer,
                positions=Positions(broker, producer, topics, topics.alerts),
                letters=letters,
                stats=self.stats,
                clock=clock,
            )
        return stages


def run_worker(
    settings: Settings,
    roles: Collection[Role] = tuple(Role),
    *,
    metrics_port: int | None = None,
    session_timeout_s: float = SESSION_TIMEOUT_S,
    reread: Callable[[], tuple[Settings, list[str]]] | None = None,
) -> None:
    """Run a worker in this process until SIGTERM or Ctrl-C.

    `metrics_port` overrides the settings' (0 for none); where neither is set, the next free port is taken if the
    default is not free. `reread` reads the settings again on SIGHUP, and returns them with their warnings. Raises
    `BrokerError` or another `OqmError`, in one line, where
    it cannot start or go on.
    """

    async def run() -> None:
        port = settings.metrics.port if metrics_port is None else metrics_port
        chosen = metrics_port is not None or "port" in settings.metrics.model_fields_set
        worker = Worker(
            settings,
            roles,
            session_timeout_s=session_timeout_s,
            metrics_port=port,
            next_port=not chosen,
            reread=reread,
            stuck=exit_stuck,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        loop.add_signal_handler(signal.SIGHUP, worker.reload)
        await worker.run()

    asyncio.run(run())
