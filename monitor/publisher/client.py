"""`OutputPublisher`: hands output events to Kafka from inside an application, and stays out of the application's way.

`publish` encodes an event and puts it in a bounded buffer; a thread of the publisher's own connects, sends and listens
for confirmations. Where the broker is slow or absent the buffer fills; then `publish` waits a little, drops the event
and counts it. Nothing raises into the application unless it asked for that (`strict`).

May import `monitor.events`, `monitor.errors` and kafka-python; the latter only when a connection is made.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from monitor.errors import BrokerError, ConfigError, InvalidEvent, OqmError
from monitor.events import OutputEvent, Reason

if TYPE_CHECKING:
    from monitor.publisher.recording import Recording

log = logging.getLogger(__name__)

TOPIC = "oqm.outputs"


class Undelivered(StrEnum):
    """Why an event did not reach Kafka."""

    BUFFER_FULL = "buffer_full"  # no room, also after waiting: the broker is slower than the application, or away
    TOO_LARGE = "too_large"  # more bytes than a message may have
    NOT_ENCODABLE = "not_encodable"  # holds what JSON cannot carry, or lacks stream or output
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

    Thread-safe. The constructor starts a thread and returns at once, broker or no broker. After a fork (gunicorn,
    multiprocessing) the child starts with an empty buffer and a connection of its own; what the parent had buffered
    stays the parent's to send.

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
        How long `publish` may wait for room before the event is dropped. 0 never waits.
    delivery_timeout_s
        How long an event is tried before it counts as undelivered.
    max_message_bytes
        Larger events are not sent; keep it at or below the topic's `max.message.bytes`.
    strict
        Raise `BrokerError` or `InvalidEvent` in the caller instead of only counting. For jobs, not for requests.
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
        self.topic = topic
        self.strict = strict
        self.clock = clock
        self._wall_clock = wall_clock
        self._buffer_events = buffer_events
        self._buffer_bytes = buffer_bytes
        self._block_s = block_s
        self._delivery_timeout_s = delivery_timeout_s
        self._max_message_bytes = max_message_bytes
        self._factory = producer or _kafka_producer(brokers, dict(kafka or {}), delivery_timeout_s, max_message_bytes)
        self._left_behind: list[Producer] = []  # producers of the process that this one was forked from
        self._start()

    def _start(self) -> None:
        """Fresh state and a thread, in the process that calls."""
        self.undelivered: Counter[str] = Counter()
        self.delivered = 0
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._queue: deque[_Pending] = deque()
        self._in_flight: set[_Pending] = set()
        self._bytes = 0
        self._closing = False
        self._closed = False
        self._producer: Producer | None = None
        self._warned: dict[str, float] = {}  # when each reason was last said in the log
        self._renew = False  # set where the producer has said that it can do no more
        self._thread = threading.Thread(target=self._run, name="oqm-publisher", daemon=True)
        self._thread.start()
        atexit.register(self._close_at_exit)

    # --- the application's side ---------------------------------------------------------------------------------

    def publish(self, event: OutputEvent) -> bool:
        """Hand over an event; returns whether it was taken into the buffer.

        A missing `id` is made (a random UUID), a missing `time` is now; the event itself is not changed. Waits at most
        `block_s`, where the buffer is full. Raises only if `strict`.
        """
        try:
            self._publish(event)
        except _Dropped as dropped:
            self._count(dropped.reason, str(dropped))
            if self.strict:
                raise dropped.error from None
            return False
        except Exception as error:  # the application's request must not fail because its monitoring has a bug
            self._count(Undelivered.REFUSED, f"{type(error).__name__}: {error}")
            log.exception("publishing an output event failed")
            if self.strict:
                raise
            return False
        return True

    def record(self, stream: str, input: str | None = None, **fields: Any) -> Recording:
        """Measure one model call and publish it: as a context manager, or as a decorator of the function that calls.

        `fields` are those of `OutputEvent`; `model` and `prompt` may be given by name. See `Recording`.
        """
        from monitor.publisher.recording import Recording

        return Recording(self, stream, input, **fields)

    @property
    def pending(self) -> int:
        """Events taken but not confirmed yet."""
        return len(self._queue) + len(self._in_flight)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything published so far is confirmed or counted as undelivered; False where time ran out."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._queue or self._in_flight:
                left = deadline - time.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    return False
                self._changed.wait(left)
        return True

    def close(self, timeout: float = 10.0) -> bool:
        """Flush, then stop; what is not out when time is up counts as undelivered. Returns whether all went out.

        Repeatable. Raises `BrokerError` for what was left if `strict`.
        """
        if self._pid != os.getpid() or self._closed:
            return True
        deadline = time.monotonic() + timeout
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        complete = self.flush(timeout)
        with self._changed:
            self._closed = True
            left = [*self._queue, *self._in_flight]
            self._queue.clear()
            for pending in left:
                self._settle(pending, Undelivered.CLOSED, "still unsent when the publisher was closed")
            self._changed.notify_all()
            producer = self._producer
        atexit.unregister(self._close_at_exit)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if producer is not None:
            _close(producer, max(0.0, deadline - time.monotonic()) if complete else 0.0)
        if left and self.strict:
            raise BrokerError(f"{len(left)} output events were not delivered to {self.topic} before closing")
        return complete

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

    def _publish(self, event: OutputEvent) -> None:
        if self._pid != os.getpid():
            self._after_fork()
        now = self._wall_clock()
        event = msgspec.structs.replace(
            event, id=event.id or uuid.uuid4().hex, time=now if event.time is None else event.time
        )
        if not isinstance(event.stream, str) or not event.stream:
            raise _Dropped(Undelivered.NOT_ENCODABLE, "the event has no stream", _invalid(Reason.MISSING_STREAM))
        if event.output is None and not event.error:
            raise _Dropped(
                Undelivered.NOT_ENCODABLE,
                "the event has neither output nor error; set one",
                _invalid(Reason.MISSING_OUTPUT),
            )
        value = encode(event)
        key = str(event.id).encode("utf-8", "replace")
        if len(value) + len(key) > self._max_message_bytes:
            raise _Dropped(
                Undelivered.TOO_LARGE,
                f"the event has {len(value):,} bytes, at most {self._max_message_bytes:,} are sent",
                _invalid(Reason.TOO_LARGE),
            )
        pending = _Pending(key, value, int(now * 1000), self.clock() + self._delivery_timeout_s)
        with self._changed:
            if not self._has_room(len(value)) and self._block_s > 0:
                self._changed.wait_for(lambda: self._closing or self._has_room(len(value)), self._block_s)
            if self._closing:
                raise _Dropped(Undelivered.CLOSED, "the publisher is closed", BrokerError)
            if not self._has_room(len(value)):
                raise _Dropped(
                    Undelivered.BUFFER_FULL,
                    f"the buffer is full ({self.pending:,} events, {self._bytes:,} bytes); is the broker there?",
                    BrokerError,
                )
            self._bytes += len(value)
            self._queue.append(pending)
            if len(self._queue) == 1:
                self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        # An event larger than the whole buffer passes alone, or it never would.
        return self.pending < self._buffer_events and (self._bytes + size <= self._buffer_bytes or not self._bytes)

    def _after_fork(self) -> None:
        """Begin anew in a forked child: threads did not come along, locks may be held by those that did not."""
        if self._producer is not None:
            # Kept, not closed: its sockets are the parent's.
            self._left_behind.append(self._producer)
        atexit.unregister(self._close_at_exit)
        self._start()

    def _count(self, reason: Undelivered, why: str) -> None:
        with self._changed:
            self.undelivered[reason] += 1
        self._warn(reason, f"output event not delivered ({reason}): {why}")

    def _warn(self, subject: str, text: str) -> None:
        """Say it in the log, at most once a minute and subject."""
        now = self.clock()
        if now - self._warned.get(subject, -math.inf) >= 60.0:
            self._warned[subject] = now
            log.warning("%s", text)

    def _close_at_exit(self) -> None:
        try:
            self.close(timeout=5.0)
        except BrokerError as error:
            log.warning("%s", error)

    # --- the thread's side --------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._closed:
            try:
                producer = self._connected()
                self._send_batch(producer, self._next_batch())
                pause = _FIRST_PAUSE_S
            except Exception as error:  # whatever a client raises while its broker is away: say it, wait, try again
                self._warn("connection", f"cannot publish to {self.topic}: {type(error).__name__}: {error}")
                with self._changed:
                    self._expire()
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
            # kafka-python closes its producer at exit too. Handlers run in reverse order: ours has to come before.
            atexit.unregister(self._close_at_exit)
            atexit.register(self._close_at_exit)
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
            self._count(reason, why)
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


def _kafka_producer(
    brokers: str | Sequence[str], options: dict[str, Any], delivery_timeout_s: float, max_message_bytes: int
) -> ProducerFactory:
    """A factory of idempotent `KafkaProducer`s. Raises `ConfigError` for options that it does not know."""
    from kafka import KafkaProducer

    unknown = sorted(set(options) - set(KafkaProducer.DEFAULT_CONFIG))
    if unknown:
        raise ConfigError(f"OutputPublisher(kafka=...): kafka-python has no option {unknown[0]!r}")
    delivery_ms = max(1_000, int(delivery_timeout_s * 1000))
    configuration = {
        "bootstrap_servers": brokers.split(",") if isinstance(brokers, str) else list(brokers),
        "client_id": "oqm-publisher",
        "enable_idempotence": True,
        "linger_ms": 20,  # an output takes seconds to make; 20 ms more let several travel together
        "batch_size": 128 * 1024,
        "max_request_size": max(1_048_576, max_message_bytes + 1024),
        "delivery_timeout_ms": delivery_ms,
        "request_timeout_ms": min(30_000, delivery_ms // 2),
        "max_block_ms": 5_000,
        "bootstrap_timeout_ms": 5_000,
        # A topic made by the first message has the broker's defaults; `oqm topics` makes it with the right ones.
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
        **options,
    }

    def connect() -> Producer:
        producer: Producer = KafkaProducer(**configuration)
        return producer

    return connect


class _Dropped(OqmError):
    """An event that does not go into the buffer; `error` is what a strict publisher raises for it."""

    def __init__(self, reason: Undelivered, why: str, error: Callable[[str], OqmError]) -> None:
        super().__init__(why)
        self.reason = reason
        self.error = error(why)


def _invalid(reason: Reason) -> Callable[[str], InvalidEvent]:
    return lambda why: InvalidEvent(reason, why)


# --- encoding ---------------------------------------------------------------------------------------------------


def encode(event: OutputEvent) -> bytes:
    """An event as the JSON that the readers take.

    Applications put all sorts of things into attributes: numpy numbers become numbers, other objects their text, half
    surrogate pairs U+FFFD.
    """
    try:
        return _encoder.encode(event)
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
        return _encoder.encode(_mended(msgspec.to_builtins(event, enc_hook=_as_json, str_keys=True), 0))


def _as_json(content: Any) -> Any:
    item = getattr(content, "item", None)
    if callable(item) and getattr(content, "size", 1) == 1:
        return item()
    return str(content)[:1000]


_encoder = msgspec.json.Encoder(enc_hook=_as_json)


def _mended(content: Any, depth: int) -> Any:
    if isinstance(content, str):
        return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if depth > 32:
        return str(content)[:1000]
    if isinstance(content, dict):
        return {_mended(str(key), depth): _mended(item, depth + 1) for key, item in content.items()}
    if isinstance(content, (list, tuple)):
        return [_mended(item, depth + 1) for item in content]
    if isinstance(content, int) and not -(2**63) <= content < 2**64:
        return str(content)
    return content
