"""`OutputPublisher`: hands output events to Kafka from inside an application, and stays out of the application's way.

`publish` checks and encodes an event and puts it in a bounded buffer; a background thread connects, sends and receives
the confirmations. Where the broker is slow or absent the buffer fills; then `publish` waits up to `block_s` (never in a
running event loop), drops the event and counts it. Nothing raises into the application unless `strict` is set.

May import `monitor.events`, `monitor.errors` and this package, which imports kafka-python when a publisher is made.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import msgspec

from monitor.errors import BrokerError, InvalidEvent, OqmError
from monitor.events import OutputEvent, Reason
from monitor.publisher import processes
from monitor.publisher.coerce import FieldError, encode
from monitor.publisher.kafka_producer import KafkaProducers, is_imported

if TYPE_CHECKING:
    from monitor.publisher.recording import Recording

log = logging.getLogger(__name__)

TOPIC = "oqm.outputs"

_T = TypeVar("_T")


class Undelivered(StrEnum):
    """Why an event did not reach Kafka."""

    BUFFER_FULL = "buffer_full"  # no room, also after waiting: the broker is slower than the application, or away
    TOO_LARGE = "too_large"  # more bytes than a message may have
    NOT_ENCODABLE = "not_encodable"  # holds what JSON cannot carry, or lacks stream or output
    WRONG_TYPE = "wrong_type"  # a field that the monitor would refuse, of a type without a clear meaning there
    OUT_OF_RANGE = "out_of_range"  # right type, impossible value: a negative count, a stream's name of two lines
    TIMEOUT = "timeout"  # not confirmed within the delivery time-out
    REFUSED = "refused"  # the broker, or the client, refused it for good
    CLOSED = "closed"  # published after close, or still unsent when close ran out of time


class Future(Protocol):
    """What a producer returns for a message: calls back once, from any thread."""

    def add_callback(self, function: Callable[[Any], Any], /) -> Any:
        """Call with the metadata of the confirmed message."""
        ...

    def add_errback(self, function: Callable[[BaseException], Any], /) -> Any:
        """Call with the error of a message that failed for good."""
        ...


class Producer(Protocol):
    """The part of kafka-python's `KafkaProducer` that is used here."""

    def send(self, topic: str, *, value: bytes, key: bytes, timestamp_ms: int | None) -> Future:
        """Queue a message; may block for metadata, raises what kafka-python raises."""
        ...

    def flush(self, timeout: float | None = None) -> None:
        """Block until everything queued is confirmed or has failed."""
        ...

    def close(self, timeout: float | None = None) -> None:
        """Flush, then let go of connections and threads."""
        ...


ProducerFactory: TypeAlias = Callable[[], Producer]


class _Pending:
    """An encoded event between `publish` and its confirmation."""

    __slots__ = ("deadline", "key", "settled", "time_ms", "value")

    def __init__(self, key: bytes, value: bytes, time_ms: int, deadline: float) -> None:
        self.key = key
        self.value = value
        self.time_ms = time_ms
        self.deadline = deadline
        self.settled = False


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

    Attributes
    ----------
    undelivered
        Counts by reason (`Undelivered`) of events that were not delivered.
    delivered
        Number of events that the broker has confirmed.
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
        }
        self.topic = topic
        self.strict = strict
        self.clock = clock
        self._wall_clock = wall_clock
        self._buffer_events = buffer_events
        self._buffer_bytes = buffer_bytes
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
        self.undelivered: Counter[str] = Counter()
        self.delivered = 0
        self._pid = os.getpid()
        self._changed = threading.Condition()  # of an RLock: a signal handler may publish or close
        self._queue: deque[_Pending] = deque()
        self._in_flight: set[_Pending] = set()
        self._bytes = 0
        self._closing = False
        self._closed = False
        self._producer: Producer | None = None
        self._warned: dict[str, float] = {}  # when each subject was last logged
        self._unsaid: list[tuple[str, str]] = []  # warnings to log once the lock is free: a log handler may be slow
        self._renew = False  # set where the producer has reported that it can do no more
        self._thread: threading.Thread | None = None

    def _begin(self) -> None:
        """The first event of this process: start the thread, and let the process's end wait for what is left."""
        self._thread = threading.Thread(target=self._run, name="oqm-publisher", daemon=True)
        self._thread.start()
        self._end.watch()

    # --- the application's side ---------------------------------------------------------------------------------

    def publish(self, event: OutputEvent) -> bool:
        """Hand over an event; returns whether it was taken into the buffer.

        A missing `id` is made (a random UUID), a missing `time` is now; the event itself is not changed. What the
        monitor would refuse is converted where its meaning is clear (see `monitor.publisher.coerce`), else dropped and
        counted. Waits at most `block_s`, where the buffer is full, and never in a running event loop. Raises only if
        `strict`.
        """
        try:
            self._publish(event)
        except _Dropped as dropped:
            self._count(dropped.reason, str(dropped), dropped.subject)
            if self.strict:
                raise dropped.error from None
            return False
        except Exception as error:  # the application's request must not fail because its monitoring has a bug
            self._count(Undelivered.REFUSED, f"{type(error).__name__}: {error}")
            self.report_bug("publishing an output event failed")
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
        from monitor.publisher.recording import Recording

        return Recording(self, stream, input, input_of=input_of, output_of=output_of, **fields)

    def report_bug(self, what: str) -> None:
        """Log the exception being handled, at most once a minute; for errors in the publisher's own measuring."""
        if self._is_due(what):
            log.exception("%s; the application is not affected", what)

    @property
    def pending(self) -> int:
        """Events taken but not confirmed yet."""
        return len(self._queue) + len(self._in_flight)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything published so far is confirmed or counted as undelivered; False where time ran out.

        In a running event loop it does not wait: use `await aflush()` there.
        """
        if in_event_loop():
            if self.pending:
                self._warn("flush", "flush() does not wait in a running event loop; use `await publisher.aflush()`")
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
        if self._closing and self._pid == os.getpid():
            return True
        if not in_event_loop():
            return self._all_out(self._close(timeout))
        with self._changed:
            self._closing = True
            complete = not self.pending
        threading.Thread(target=self._close, args=(timeout,), name="oqm-publisher-close", daemon=True).start()
        return complete

    async def aclose(self, timeout: float = 10.0) -> bool:  # noqa: ASYNC109  as `close` has it
        """As `close`, for coroutines: waits in a thread, the event loop goes on."""
        if self._closing and self._pid == os.getpid():
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
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._queue or self._in_flight:
                left = deadline - time.monotonic()
                if left <= 0 or self._thread is None or not self._thread.is_alive():
                    return False
                self._changed.wait(left)
        return True

    def _close(self, timeout: float) -> int:
        """Returns how many events were left. More than one thread may be here: each event is counted once."""
        if self._pid != os.getpid():
            self.after_fork()
        deadline = time.monotonic() + timeout
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        complete = self._flush(timeout)
        with self._changed:
            self._closed = True
            left = [*self._queue, *self._in_flight]
            self._queue.clear()
            for pending in left:
                self._settle(pending, Undelivered.CLOSED, "still unsent when the publisher was closed")
            self._changed.notify_all()
            producer, thread = self._producer, self._thread
        self._say_unsaid()
        self._end.forget()
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
        if producer is not None:
            _close(producer, max(0.0, deadline - time.monotonic()) if complete else 0.0)
        return len(left)

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
            raise _Dropped(Undelivered.NOT_ENCODABLE, why, InvalidEvent(Reason.MISSING_STREAM, why))
        if event.output is None and not event.error:
            why = "the event has neither output nor error; set one"
            raise _Dropped(Undelivered.NOT_ENCODABLE, why, InvalidEvent(Reason.MISSING_OUTPUT, why))
        try:
            key, value, changed = encode(event, strict=self.strict)
        except InvalidEvent as refused:
            raise _Dropped(_REFUSALS.get(refused.reason, Undelivered.NOT_ENCODABLE), refused.detail, refused) from None
        for what in changed:
            if self._is_due(what, again_after_s=math.inf):
                log.info("output events: %s", what)
        if len(value) + len(key) > self._max_message_bytes:
            why = f"the event has {len(value):,} bytes, at most {self._max_message_bytes:,} are sent"
            raise _Dropped(Undelivered.TOO_LARGE, why, InvalidEvent(Reason.TOO_LARGE, why))
        pending = _Pending(key, value, int(now * 1000), self.clock() + self._delivery_timeout_s)
        with self._changed:
            if not self._has_room(len(value)) and self._block_s > 0 and not in_event_loop():
                self._changed.wait_for(lambda: self._closing or self._has_room(len(value)), self._block_s)
            if self._closing:
                why = "the publisher is closed"
                raise _Dropped(Undelivered.CLOSED, why, BrokerError(why))
            if not self._has_room(len(value)):
                why = f"the buffer is full ({self.pending:,} events, {self._bytes:,} bytes); is the broker there?"
                raise _Dropped(Undelivered.BUFFER_FULL, why, BrokerError(why))
            self._bytes += len(value)
            self._queue.append(pending)
            if self._thread is None:
                self._begin()
            elif len(self._queue) == 1:
                self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        # An event larger than the whole buffer passes alone, or it never would.
        return self.pending < self._buffer_events and (self._bytes + size <= self._buffer_bytes or not self._bytes)

    # --- what `monitor.publisher.processes` calls ---------------------------------------------------------------

    def after_fork(self) -> None:
        """Start with fresh state in a forked child: threads did not come along, and they may have held locks."""
        if self._producer is not None:
            # Kept, not closed: its sockets are the parent's.
            self._left_behind.append(self._producer)
        self._end.forget()
        self._reset()

    def process_starts(self) -> None:
        """A child of `multiprocessing` begins its work, and has removed the finalizers registered until then."""
        if self._thread is not None:
            self._end.watch()

    def close_at_exit(self, timeout: float) -> None:
        """The process ends: send what is left. Never raises."""
        if self._pid == os.getpid() and not self._closed:
            self._close(timeout)

    # --- counting and logging -----------------------------------------------------------------------------------

    def _count(self, reason: Undelivered, why: str, subject: str = "") -> None:
        with self._changed:
            self._count_held(reason, why, subject)
        self._say_unsaid()

    def _count_held(self, reason: Undelivered, why: str, subject: str = "") -> None:
        """As `_count`, with the lock held: the caller calls `_say_unsaid` once it is free."""
        self.undelivered[reason] += 1
        if self._is_due(f"{reason} {subject}"):
            self._unsaid.append((reason, why))

    def _say_unsaid(self) -> None:
        while self._unsaid:
            try:
                reason, why = self._unsaid.pop(0)
            except IndexError:  # another thread logs it
                return
            log.warning("output event not delivered (%s): %s", reason, why)

    def _is_due(self, subject: str, again_after_s: float = 60.0) -> bool:
        """Whether to log this subject now: at most once a minute, or once only."""
        now = self.clock()
        last = self._warned.get(subject)
        if last is not None and now - last < again_after_s:
            return False
        if len(self._warned) >= _MOST_SUBJECTS:
            self._warned.clear()
        self._warned[subject] = now
        return True

    def _warn(self, subject: str, text: str) -> None:
        """Log it, at most once a minute and subject."""
        if self._is_due(subject):
            log.warning("%s", text)

    # --- the thread's side --------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._closed:
            try:
                producer = self._connected()
                self._send_batch(producer, self._next_batch())
                pause = _FIRST_PAUSE_S
            except Exception as error:  # whatever a client raises while its broker is away: log it, wait, try again
                self._warn("connection", f"cannot publish to {self.topic}: {type(error).__name__}: {error}")
                with self._changed:
                    self._expire()
                self._say_unsaid()
                with self._changed:
                    if not self._closed:
                        self._changed.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _connected(self) -> Producer:
        """The producer, made anew where there is none or where it has given up."""
        with self._changed:
            producer, renew, self._renew = self._producer, self._renew, False
        if producer is not None and renew:
            self._producer = None
            _close(producer, 0.0)
            producer = None
        if producer is None:
            producer = self._factory()
            with self._changed:
                if not self._closed:
                    self._producer = producer
            if self._producer is None:
                _close(producer, 0.0)  # closed meanwhile
            else:
                self._end.watch()  # again: see there
        return producer

    def _next_batch(self) -> deque[_Pending]:
        with self._changed:
            while not self._queue and not self._closed and not self._renew:
                self._changed.wait()
            batch, self._queue = self._queue, deque()
            self._in_flight.update(batch)
            return batch

    def _send_batch(self, producer: Producer, batch: deque[_Pending]) -> None:
        """Send what has been taken from the queue; what could not be sent for now goes back to its front."""
        while batch and not self._closed:
            pending = batch[0]
            try:
                if self.clock() >= pending.deadline:
                    raise TimeoutError("not sent within the delivery time-out")
                future = producer.send(self.topic, value=pending.value, key=pending.key, timestamp_ms=pending.time_ms)
            except Exception as error:
                if _is_final(error):
                    batch.popleft()
                    self._failed(pending, error)
                    continue
                with self._changed:
                    self._in_flight.difference_update(batch)
                    self._queue.extendleft(reversed(batch))
                    self._renew = self._renew or not getattr(error, "retriable", False)
                raise
            batch.popleft()
            future.add_callback(partial(self._confirmed, pending))
            future.add_errback(partial(self._failed, pending))

    def _expire(self) -> None:
        """Give up on events whose time is over; called with the lock held."""
        now = self.clock()
        while self._queue and self._queue[0].deadline <= now:
            self._settle(self._queue.popleft(), Undelivered.TIMEOUT, "no broker within the delivery time-out")

    def _settle(self, pending: _Pending, reason: Undelivered | None, why: str = "") -> None:
        """An event's outcome is known; called with the lock held. Only the first outcome counts."""
        if pending.settled:
            return
        pending.settled = True
        self._in_flight.discard(pending)
        self._bytes -= len(pending.value)
        if reason is None:
            self.delivered += 1
        else:
            self._count_held(reason, why)
        self._changed.notify_all()

    def _confirmed(self, pending: _Pending, metadata: Any = None) -> None:
        with self._changed:
            self._settle(pending, None)

    def _failed(self, pending: _Pending, error: BaseException) -> None:
        name = type(error).__name__
        if "TooLarge" in name:
            reason = Undelivered.TOO_LARGE
        elif "Timeout" in name:
            reason = Undelivered.TIMEOUT
        else:
            reason = Undelivered.REFUSED
        with self._changed:
            self._settle(pending, reason, f"{name}: {error}")
            self._renew = self._renew or name in _PRODUCER_IS_DONE
        self._say_unsaid()


_MOST_SUBJECTS = 1_000  # of warnings that are remembered; far more than fields and reasons there are
_FIRST_PAUSE_S = 0.2  # between attempts to connect or to send, doubled up to the longest
_LONGEST_PAUSE_S = 10.0

# After these an idempotent producer refuses all further work. By name: kafka-python is imported only to connect.
_PRODUCER_IS_DONE = frozenset(
    (
        "ProducerFencedError",
        "OutOfOrderSequenceNumberError",
        "InvalidProducerEpochError",
        "InvalidProducerIdMappingError",
        "UnknownProducerIdError",
        "ClusterAuthorizationFailedError",
    )
)


def _is_final(error: Exception) -> bool:
    """Whether sending this event again can only fail again, whoever sends it."""
    return "TooLarge" in type(error).__name__ or isinstance(
        error, (TypeError, ValueError, AssertionError, TimeoutError)
    )


def _close(producer: Producer, timeout: float) -> None:
    try:
        producer.close(timeout=timeout)
    except Exception as error:  # nothing depends on it any more; the events are accounted for
        log.debug("closing the producer: %s", error)


class _Dropped(OqmError):
    """An event that does not go into the buffer; `error` is what a strict publisher raises for it."""

    def __init__(self, reason: Undelivered, why: str, error: OqmError) -> None:
        super().__init__(why)
        self.reason = reason
        self.error = error
        self.subject = why.partition(":")[0] if isinstance(error, FieldError) else ""


_REFUSALS: dict[str, Undelivered] = {
    Reason.WRONG_TYPE: Undelivered.WRONG_TYPE,
    Reason.OUT_OF_RANGE: Undelivered.OUT_OF_RANGE,
    Reason.BAD_TIME: Undelivered.OUT_OF_RANGE,
}


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
