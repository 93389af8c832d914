"""`OutputPublisher`: hands output events to Kafka from inside an application, and stays out of the application's way.

`publish` checks and encodes an event and puts it in a bounded buffer; a background thread connects, sends and receives
the confirmations. Where the broker is slow or absent the buffer fills; then `publish` waits up to `block_s` (never in a
running event loop), drops the event and counts it. Nothing raises into the application unless `strict` is set.

May import `monitor.events`, `monitor.errors`, `monitor.judgment.feedback` and this package, which imports kafka-python
when a publisher is made.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from monitor.errors import BrokerError, InvalidEvent
from monitor.events import OutputEvent, Reason
from monitor.publisher import processes
from monitor.publisher.buffer import EventBuffer, PendingEvent
from monitor.publisher.encoding import encode
from monitor.publisher.feedback import encode_feedback
from monitor.publisher.kafka_producer import KafkaProducers, is_imported
from monitor.publisher.protocol import Producer, ProducerFactory
from monitor.publisher.recording import Recording
from monitor.publisher.sender import Sender
from monitor.publisher.undelivered import Dropped, Undelivered, Warnings

log = logging.getLogger(__name__)

TOPIC = "oqm.outputs"
FEEDBACK_TOPIC = "oqm.feedback"

_T = TypeVar("_T")


class OutputPublisher:
    """Publishes output events to Kafka.

    Thread-safe. The constructor returns at once, broker or no broker; the first event of a process starts the
    background thread. After a fork (gunicorn, multiprocessing) the child starts with an empty buffer and makes another
    connection; what the parent had buffered is sent by the parent. May be passed to a spawned process.

    When a process ends (normally, by an exception, a child of `multiprocessing`, a worker of a pool), what is left is
    sent for up to 5 s, then counted as `closed` and logged. A child of `multiprocessing` also does so at SIGTERM, for
    up to 2 s, unless it has its own handler: leaving `with Pool()` ends the workers that way. What ends a process
    without a chance to act loses what is not confirmed yet, uncounted: SIGKILL, `os._exit`, a crash, SIGTERM without a
    handler in other processes. That is at most the buffer (`buffer_events`, `buffer_bytes`); with a broker in reach,
    what was published in about the last 20 ms and one round trip.

    In a running asyncio event loop nothing waits: `publish` drops and counts where the buffer is full, `close` hands
    the rest to a thread, `flush` returns what is known. Use `async with`, `await aclose()`, `await aflush()` there.

    Parameters
    ----------
    brokers
        `host:port`, several with commas or as a sequence.
    topic
        Where events go; the monitor reads `oqm.outputs`.
    kafka
        Further options of `kafka.KafkaProducer` (`security_protocol`, `sasl_mechanism`, `compression_type`, ...).
    buffer_events, buffer_bytes
        Bounds of what is not confirmed yet, in events and bytes.
    block_s
        How long `publish` may wait for room before the event is dropped. 0 never waits; a running event loop never
        waits either.
    delivery_timeout_s
        How long an event is tried before it counts as undelivered.
    max_message_bytes
        Larger events are not sent; keep it at or below the topic's `max.message.bytes`.
    strict
        Raise in the caller instead of only counting: `BrokerError`, or `InvalidEvent`, which is also a `TypeError` or
        `ValueError` where a field is wrong. A field of another type than `OutputEvent` declares is then an error and
        is not converted. For jobs, not for requests.
    producer
        Makes the producer; by default a `KafkaProducer` with the options above. For tests and other clients.
    clock, wall_clock
        Monotonic seconds, and seconds since 1970.
    feedback_topic
        Where `feedback` goes; the monitor reads `oqm.feedback`.
    """

    def __init__(
        self,
        brokers: str | Sequence[str] = "localhost:9092",
        topic: str = TOPIC,
        *,
        kafka: Mapping[str, Any] | None = None,
        buffer_events: int = 10_000,
        buffer_bytes: int = 64 * 1024 * 1024,
        block_s: float = 0.05,
        delivery_timeout_s: float = 120.0,
        max_message_bytes: int = 1_000_000,
        strict: bool = False,
        producer: ProducerFactory | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        feedback_topic: str = FEEDBACK_TOPIC,
    ) -> None:
        self._given = {
            "brokers": brokers,
            "topic": topic,
            "kafka": kafka,
            "buffer_events": buffer_events,
            "buffer_bytes": buffer_bytes,
            "block_s": block_s,
            "delivery_timeout_s": delivery_timeout_s,
            "max_message_bytes": max_message_bytes,
            "strict": strict,
            "producer": producer,
            "clock": clock,
            "wall_clock": wall_clock,
            "feedback_topic": feedback_topic,
        }
        self.topic = topic
        self.feedback_topic = feedback_topic
        self.strict = strict
        self.clock = clock
        self._wall_clock = wall_clock
        self._bounds = buffer_events, buffer_bytes
        self._block_s = block_s
        self._delivery_timeout_s = delivery_timeout_s
        self._max_message_bytes = max_message_bytes
        self._factory: ProducerFactory
        self._to_prepare: KafkaProducers | None = None
        if producer is not None:
            self._factory = producer
        else:
            self._factory = producers = KafkaProducers(brokers, kafka or {}, delivery_timeout_s, max_message_bytes)
            if is_imported() or not in_event_loop():
                producers.prepare()
            else:  # importing kafka-python takes a few 100 ms: a thread's work
                self._to_prepare = producers
        self._left_behind: list[Producer] = []  # producers of the process that this one was forked from
        self._end = processes.ProcessEnd(self)
        self._reset()
        processes.register(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """For a spawned process: the same options, nothing of the buffer."""
        return _rebuilt, (self._given,)

    def _reset(self) -> None:
        """State of a process that has published nothing yet."""
        self._pid = os.getpid()
        self._warnings = Warnings(self.clock)
        self._buffer = EventBuffer(*self._bounds, self._warnings)
        # Again at each connection: see `ProcessEnd.watch`.
        self._sender = Sender(
            self.topic, self._factory, self._buffer, self._warnings, self.clock, connected=self._end.watch
        )

    def _begin(self) -> None:
        """At the first event of this process: start the thread, and let the process's end wait for what is left."""
        if not self._sender.started:
            self._sender.start()
            self._end.watch()

    @property
    def undelivered(self) -> Counter[str]:
        """Counts by reason (`Undelivered`) of events that were not delivered."""
        return self._buffer.undelivered

    @property
    def delivered(self) -> int:
        """Number of events that the broker has confirmed."""
        return self._buffer.delivered

    # --- the application's side ---------------------------------------------------------------------------------

    def publish(self, event: OutputEvent) -> bool:
        """Hand over an event; returns whether it was taken into the buffer.

        A missing `id` is made (a random UUID), a missing `time` is now; the event itself is not changed. What the
        monitor would refuse is converted where its meaning is clear (see `monitor.publisher.coerce`), else dropped and
        counted. Waits at most `block_s`, where the buffer is full, and never in a running event loop. Raises only if
        `strict`.
        """
        return self._taken(partial(self._publish, event), "publishing an output event failed")

    def feedback(
        self,
        event_id: str,
        value: bool | float | None = None,
        *,
        stream: str | None = None,
        kind: str | None = None,
        scale: tuple[float, float] | None = None,
        text: str | None = None,
        by: str | None = None,
        time: float | datetime | None = None,
    ) -> bool:
        """Hand over what a user says of an output; returns whether it was taken into the buffer.

        `publisher.feedback(id, True)` is a thumb up, `feedback(id, 4, scale=(1, 5))` a rating, and
        `feedback(id, text="...")` a correction. Said again of the same output, the latest counts. Waits, drops, counts
        and raises as `publish` does.

        Parameters
        ----------
        event_id
            The id under which the output was published.
        value
            True or False, or a number of a scale.
        stream
            The output's stream. Without it feedback is counted where the trace store has the output, and is not
            watched as a stream.
        kind
            `thumb`, `rating`, `correction`, or a name of yours for another question (`helpful`). By default what
            value, scale and text make it.
        scale
            The lowest and the highest value that a number can have.
        text
            A comment, or the corrected output.
        by
            Who says so, as your application names people; better a pseudonym.
        time
            When it was said, seconds since 1970 or a `datetime` with its zone; now by default.
        """
        said = partial(self._feedback, event_id, value, stream, kind, scale, text, by, time)
        return self._taken(said, "publishing feedback failed")

    def _taken(self, act: Callable[[], None], bug: str) -> bool:
        """Whether an event went into the buffer; what did not is counted, and raised where the publisher is strict."""
        try:
            act()
        except Dropped as dropped:
            self._count(dropped.reason, str(dropped), dropped.subject)
            if self.strict:
                raise dropped.error from None
            return False
        except Exception as error:  # the application's request must not fail because its monitoring has a bug
            self._count(Undelivered.REFUSED, f"{type(error).__name__}: {error}")
            self.report_bug(bug)
            if self.strict:
                raise
            return False
        return True

    def record(
        self,
        stream: str,
        input: Any = None,
        *,
        input_of: str | Callable[..., Any] | None = None,
        output_of: Callable[[Any], Any] | None = None,
        **fields: Any,
    ) -> Recording:
        """Measure one model call and publish it: as a context manager, or as a decorator of the function that calls.

        Parameters
        ----------
        stream
            The use case, such as `support-bot/answer`.
        input
            What was asked, where it is known here.
        input_of
            Of a decorated function: the name of the argument that is the input, or a function of all arguments. By
            default the first argument that is a text, else the first that is a list of chat messages.
        output_of
            Of a decorated function: makes the output's text of what it returns, or of each piece that it yields.
        fields
            Those of `OutputEvent`; `model` and `prompt` may be given by name.

        Raises `ConfigError` for a field or argument that does not exist. See `Recording`.
        """
        return Recording(self, stream, input, input_of=input_of, output_of=output_of, **fields)

    def report_bug(self, what: str) -> None:
        """Log the exception being handled, at most once a minute; for errors in the publisher's own measuring."""
        if self._warnings.is_due(what):
            log.exception("%s; the application is not affected", what)

    @property
    def pending(self) -> int:
        """Events taken but not confirmed yet."""
        return len(self._buffer)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything published so far is confirmed or counted as undelivered; False where time ran out.

        In a running event loop it does not wait: use `await aflush()` there.
        """
        if in_event_loop():
            if self.pending:
                self._warnings.warn(
                    "flush", "flush() does not wait in a running event loop; use `await publisher.aflush()`"
                )
            return not self.pending
        return self._flush(timeout)

    async def aflush(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109  as `flush` has it
        """As `flush`, for coroutines: waits in a thread, the event loop goes on."""
        return await _in_thread(partial(self._flush, timeout))

    def close(self, timeout: float = 10.0) -> bool:
        """Flush, then stop; what is not out when time is up counts as undelivered. Returns whether all went out.

        Repeatable. Raises `BrokerError` for what was left if `strict`. In a running event loop it does not wait: a
        thread does the rest, the process's end waits for that, and the result says whether all was out already; use
        `async with` or `await aclose()` there.
        """
        if self._buffer.closing and self._pid == os.getpid():
            return True
        if not in_event_loop():
            return self._all_out(self._close(timeout))
        self._buffer.begin_closing()
        complete = not self.pending
        threading.Thread(target=self._close, args=(timeout,), name="oqm-publisher-close", daemon=True).start()
        return complete

    async def aclose(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109  as `close` has it
        """As `close`, for coroutines: waits in a thread, the event loop goes on."""
        if self._buffer.closing and self._pid == os.getpid():
            return True
        return self._all_out(await _in_thread(partial(self._close, timeout)))

    def __enter__(self) -> OutputPublisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except BrokerError:
            if error is None:  # the application's own error says more
                raise

    async def __aenter__(self) -> OutputPublisher:
        if self._to_prepare is not None:
            await _in_thread(self._to_prepare.prepare)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.aclose()
        except BrokerError:
            if error is None:  # as above
                raise

    def _flush(self, timeout: float) -> bool:
        if self._pid != os.getpid():
            self.after_fork()
        return self._buffer.wait_until_empty(timeout, lambda: self._sender.alive)

    def _close(self, timeout: float) -> int:
        """Returns how many events were left. More than one thread may be here: each event is counted once."""
        if self._pid != os.getpid():
            self.after_fork()
        deadline = time.monotonic() + timeout

        def left_s() -> float:
            return max(0.0, deadline - time.monotonic())

        self._buffer.begin_closing()
        complete = self._flush(timeout)
        left = self._buffer.close()
        self._warnings.log_noted()
        self._end.forget()
        self._sender.end(left_s(), lambda: left_s() if complete else 0.0)
        return left

    def _all_out(self, left: int) -> bool:
        if left and self.strict:
            raise BrokerError(f"{left} output events were not delivered to {self.topic} before closing")
        return not left

    def _publish(self, event: OutputEvent) -> None:
        if self._pid != os.getpid():  # forked by something that does not run Python's handlers
            self.after_fork()
        now = self._wall_clock()
        event = msgspec.structs.replace(
            event,
            id=uuid.uuid4().hex if event.id is None or event.id == "" else event.id,
            time=now if event.time is None else event.time,
        )
        if not isinstance(event.stream, str) or not event.stream:
            why = "the event has no stream"
            raise Dropped(Undelivered.NOT_ENCODABLE, why, InvalidEvent(Reason.MISSING_STREAM, why))
        if event.output is None and not event.error:
            why = "the event has neither output nor error; set one"
            raise Dropped(Undelivered.NOT_ENCODABLE, why, InvalidEvent(Reason.MISSING_OUTPUT, why))
        try:
            key, value, changed = encode(event, strict=self.strict)
        except InvalidEvent as refused:
            raise Dropped.refused(refused) from None
        for what in changed:
            self._warnings.inform_once(what)
        self._put(key, value, now)

    def _feedback(self, *said: Any) -> None:
        if self._pid != os.getpid():  # as above
            self.after_fork()
        now = self._wall_clock()
        try:
            key, value = encode_feedback(*said, now=now)
        except InvalidEvent as refused:
            raise Dropped.refused(refused) from None
        self._put(key, value, now, self.feedback_topic)

    def _put(self, key: bytes, value: bytes, now: float, topic: str | None = None) -> None:
        if len(value) + len(key) > self._max_message_bytes:
            why = f"the event has {len(value):,} bytes, at most {self._max_message_bytes:,} are sent"
            raise Dropped(Undelivered.TOO_LARGE, why, InvalidEvent(Reason.TOO_LARGE, why))
        pending = PendingEvent(key, value, int(now * 1000), self.clock() + self._delivery_timeout_s, topic)
        self._buffer.put(pending, 0.0 if in_event_loop() else self._block_s, self._begin)

    # --- what `monitor.publisher.processes` calls ---------------------------------------------------------------

    def after_fork(self) -> None:
        """Start with fresh state in a forked child: threads did not come along, and they may have held locks."""
        if self._sender.producer is not None:
            # Kept, not closed: its sockets are the parent's.
            self._left_behind.append(self._sender.producer)
        self._end.forget()
        self._reset()

    def process_starts(self) -> None:
        """A child of `multiprocessing` begins its work, and has removed the finalizers registered until then."""
        if self._sender.started:
            self._end.watch()

    def close_at_exit(self, timeout: float) -> None:
        """The process ends: send what is left. Never raises."""
        if self._pid == os.getpid() and not self._buffer.closed:
            self._close(timeout)

    def _count(self, reason: Undelivered, why: str, subject: str = "") -> None:
        self._buffer.count(reason, why, subject)
        self._warnings.log_noted()


def _rebuilt(options: dict[str, Any]) -> OutputPublisher:
    return OutputPublisher(**options)


# --- event loops ------------------------------------------------------------------------------------------------


def in_event_loop() -> bool:
    """Whether the caller runs in an asyncio event loop, which must not wait. Does not import asyncio."""
    asyncio = sys.modules.get("asyncio")
    current = getattr(asyncio, "_get_running_loop", None)  # None also while another thread is importing asyncio
    return current is not None and current() is not None


async def _in_thread(function: Callable[[], _T]) -> _T:
    import asyncio

    return await asyncio.to_thread(function)
