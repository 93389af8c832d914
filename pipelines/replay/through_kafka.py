"""`oqm replay --broker`: the same replay, through a real Kafka: publish, featurize, detect, alerts; on private topics.

The topics carry a run id, have one partition each (so that the order of the file is the order of the log, and findings
are those of the replay without a broker) and are deleted afterwards.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from monitor.detection import Finding, StreamMonitor
from monitor.detection.stream.failed_stream import FailedStream
from monitor.errors import BrokerError
from monitor.events.schema import OutputEvent, as_published
from monitor.settings import Broker, Settings, Topics
from pipelines.kafka.connection import client_options, unreachable
from pipelines.kafka.topics import LARGEST_EVENT_BYTES, private_topics, temporary_topics
from pipelines.roles import Role
from pipelines.stages.build_stages import ReplayMode
from pipelines.stages.detect import Detect
from pipelines.stages.featurize import Featurize
from pipelines.worker import SESSION_TIMEOUT_S, Worker

_POLL_S = 0.1  # the replay ends a tenth of a second late at most


def event_bytes(event: OutputEvent) -> bytes:
    """The event as an application would publish it."""
    return msgspec.json.encode(as_published(event))


def single_partition(topics: Topics, run: str) -> Topics:
    """Private topics of one partition each."""
    private = private_topics(topics, run)
    one = {"partitions": 1}
    return private.model_copy(
        update={
            name: getattr(private, name).model_copy(update=one)
            for name in ("outputs", "features", "alerts", "deadletter")
        }
    )


def replay_through_broker(
    events: Iterable[OutputEvent],
    settings: Settings,
    run: str,
    *,
    progress: Callable[[int], None] | None = None,
    watched: Callable[[Mapping[str, StreamMonitor | FailedStream]], None] | None = None,
    session_timeout_s: float = SESSION_TIMEOUT_S,
    failed: dict[str, str] | None = None,
) -> Iterator[Finding]:
    """Findings in these events, in order, by way of the broker in `settings.broker`.

    `watched` is called at the end with what watched each stream; `failed` is filled with what could not be judged, and
    why, once all findings are taken.

    Raises `BrokerError` where it cannot be reached or something cannot be written. The private topics are deleted in
    the end, however it comes.
    """
    settings = settings.model_copy(update={"topics": single_partition(settings.topics, run)})
    found: queue.SimpleQueue[list[Finding] | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        try:
            asyncio.run(_work(events, settings, found.put, progress, watched, session_timeout_s, stop, failed))
            found.put(None)
        except BaseException as error:
            found.put(error)

    with temporary_topics(settings.broker, settings.topics):
        thread = threading.Thread(target=work, name="oqm-replay", daemon=True)
        thread.start()
        try:
            while (got := found.get()) is not None:
                if isinstance(got, BaseException):
                    raise got
                yield from got
        finally:
            stop.set()
            thread.join()


async def _work(
    events: Iterable[OutputEvent],
    settings: Settings,
    found: Callable[[list[Finding]], None],
    progress: Callable[[int], None] | None,
    watched: Callable[[Mapping[str, StreamMonitor | FailedStream]], None] | None,
    session_timeout_s: float,
    stop: threading.Event,
    failed: dict[str, str] | None,
) -> None:
    worker = Worker(
        settings,
        (Role.FEATURIZE, Role.DETECT),
        session_timeout_s=session_timeout_s,
        replay=ReplayMode(on_findings=found),
    )
    working = asyncio.create_task(worker.run())
    outputs = settings.topics.outputs.name
    publishing = asyncio.create_task(asyncio.to_thread(_publish, events, settings.broker, outputs, stop))
    total: int | None = None
    try:
        while not stop.is_set():
            if working.done():
                working.result()
                raise BrokerError("the replay's worker ended before its work did")
            if publishing.done():
                total = publishing.result()
            if progress is not None:
                progress(worker.stats.events)
            if total is not None and worker.stats.messages["featurize"] >= total:
                featurize, detect = worker.stages[Role.FEATURIZE], worker.stages[Role.DETECT]
                assert isinstance(featurize, Featurize)
                assert isinstance(detect, Detect)
                if detect.applied.get(0, 0) >= featurize.log_ends.get(0, 0):
                    await detect.close()
                    if watched is not None:
                        watched(detect.streams)
                    if failed is not None:
                        failed |= detect.not_judged()
                    return
            await asyncio.sleep(_POLL_S)
    finally:
        stop.set()
        worker.stop()
        await asyncio.gather(working, publishing, return_exceptions=True)


def _publish(events: Iterable[OutputEvent], broker: Broker, topic: str, stop: threading.Event) -> int:
    """Publish all; how many. The message's time is the event's, so that no event counts as late."""
    try:
        producer = KafkaProducer(
            **client_options(broker), linger_ms=20, acks="all", max_request_size=LARGEST_EVENT_BYTES
        )
    except (KafkaError, OSError) as error:
        raise unreachable(broker, error) from error
    try:
        sent = 0
        failed: list[BaseException] = []
        for event in events:
            if stop.is_set() or failed:
                break
            when = None if event.time is None else int(event.time * 1000)
            key = (event.id or "").encode("utf-8", "replace")
            sending = producer.send(topic, event_bytes(event), key=key, partition=0, timestamp_ms=when)
            sending.add_errback(failed.append)
            sent += 1
        producer.flush()
        if failed:
            raise BrokerError(f"an event could not be published: {failed[0]}")
        return sent
    finally:
        producer.close()
