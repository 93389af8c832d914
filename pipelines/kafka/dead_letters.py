"""Dead letters: messages that could not be used, with their original bytes and headers, and the reason.

Written before the message counts as done, and the write is awaited: a message is either used, or here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from monitor.errors import BrokerError, OqmError
from monitor.settings import Broker, DeadLetters
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.kafka.connection import async_client_options, quiet_client_logs, spaced, unreachable
from pipelines.kafka.ordered_buffer import Message
from pipelines.kafka.topics import LARGEST_DEAD_LETTER_BYTES

log = logging.getLogger(__name__)

PROCESSING_FAILED = "processing_failed"
"""The reason that says: not the message is at fault, we are."""

REQUEUED = "oqm-requeued"
"""Header that counts how often a message was sent back, so that one that fails each time is seen."""

STREAM_HEADER = "oqm-stream"
SOURCE_HEADER = "oqm-source-topic"
EVENTS_HEADER = "oqm-events"
"""Of rows that a stream's monitor could not judge: JSON, `[[partition, offset, event id], ...]`, in the rows' order."""

_KEPT_OF_TOO_LARGE = 512 * 2**10  # bytes of a message that the broker refuses for its size; half of its usual limit


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message with the reason (stable code) and one sentence why it could not be used.

    `more` are further headers beside the reason: which stream, which events (`pipelines.stages.stream_letters`).
    """

    message: Message
    reason: str
    detail: str
    more: tuple[tuple[str, bytes], ...] = ()


class TooManyDeadLetters(OqmError):
    """So much could not be processed that going on would lose it all: stop, and let a person look."""


def headers_of(letter: DeadLetter, topic: str) -> list[tuple[str, bytes]]:
    """The original headers, then why and where from, under names that start with `oqm-`."""
    message = letter.message
    return [
        *((name, value) for name, value in message.headers or () if name == REQUEUED or not name.startswith("oqm-")),
        ("oqm-reason", letter.reason.encode()),
        ("oqm-detail", letter.detail[:1000].encode("utf-8", "replace")),
        ("oqm-topic", topic.encode()),
        ("oqm-partition", str(message.partition).encode()),
        ("oqm-offset", str(message.offset).encode()),
        *letter.more,
    ]


class DeadLetterWriter:
    """Writes dead letters, counts them by reason, and says when there are too many.

    The limit counts only what *our* processing failed on (`processing_failed`): an application that publishes nothing
    but malformed messages must not be able to stop the monitoring of all the others; a bug of ours on most messages
    would empty `oqm.outputs` into the dead-letter topic, and there a person must look first.

    Its producer is not the idempotent one: a message that the broker refuses for its size would end that for good.
    """

    def __init__(self, broker: Broker, topic: str, limit: DeadLetters, stats: WorkerStats) -> None:
        self._broker = broker
        self._topic = topic
        self._limit = limit
        self._stats = stats
        self._seen = 0
        self._failed = 0
        self._window: deque[tuple[int, int]] = deque()
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect. Raises `BrokerError` where no broker answers."""
        producer = spaced(
            AIOKafkaProducer(
                **async_client_options(self._broker),
                client_id="oqm-deadletter",
                acks="all",
                max_request_size=LARGEST_DEAD_LETTER_BYTES,
                max_batch_size=2**20,
            )
        )
        with quiet_client_logs():
            try:
                await producer.start()
            except (KafkaError, OSError) as error:
                await producer.stop()
                raise unreachable(self._broker, error) from error
        self._producer = producer

    async def stop(self) -> None:
        """Disconnect. Repeatable."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def write(self, letters: Sequence[DeadLetter], topic: str) -> None:
        """Write all and wait for the broker's confirmation. Raises `BrokerError` where it cannot be had."""
        if not letters:
            return
        try:
            await asyncio.gather(*(self._write(letter, topic) for letter in letters))
        except KafkaError as error:
            raise BrokerError(f"a dead letter could not be written to {self._topic}: {error}") from error
        self._stats.rejects.update(letter.reason for letter in letters)

    async def _write(self, letter: DeadLetter, topic: str) -> None:
        while True:
            try:
                return await self._send(letter, topic)
            except KafkaError as error:
                if not (error.retriable or isinstance(error, KafkaTimeoutError)):
                    raise
                # The client gave up after 40 s, and Kafka may be away for longer. A letter twice is better than none.
                log.warning("a dead letter is not in %s yet: %s", self._topic, error or type(error).__name__)

    async def _send(self, letter: DeadLetter, topic: str) -> None:
        if self._producer is None:
            raise BrokerError("the dead-letter producer has been stopped")
        message, headers = letter.message, headers_of(letter, topic)
        try:
            await self._producer.send_and_wait(self._topic, message.value, key=message.key, headers=headers)
        except MessageSizeTooLargeError:
            value = message.value or b""
            headers.append(("oqm-original-bytes", str(len(value)).encode()))
            await self._producer.send_and_wait(self._topic, value[:_KEPT_OF_TOO_LARGE], headers=headers)

    def check_share(self, seen: int, letters: Iterable[DeadLetter]) -> None:
        """Count a batch of `seen` messages; raises `TooManyDeadLetters` over the limit of the settings."""
        failed = sum(letter.reason == PROCESSING_FAILED for letter in letters)
        self._window.append((seen, failed))
        self._seen += seen
        self._failed += failed
        while self._seen - self._window[0][0] >= self._limit.window:
            old_seen, old_failed = self._window.popleft()
            self._seen -= old_seen
            self._failed -= old_failed
        if (
            self._limit.max_share < 1
            and self._seen >= self._limit.window
            and self._failed > self._limit.max_share * self._seen
        ):
            raise TooManyDeadLetters(
                f"processing failed on {self._failed} of the last {self._seen} messages "
                f"(worker.dead_letters.max_share {self._limit.max_share}): see {self._topic} for them; "
                "nothing after them has been taken"
            )
