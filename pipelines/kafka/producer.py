"""The worker's own producer: idempotent, in order, and done for good at its first error.

Faust turns idempotence on only inside transactions, so what must not come out of order is sent here. The rule that
matters: messages of one source stand in the log in the order of their source offsets, and none is sent before the one
ahead of it is confirmed. A producer that failed sends nothing more, so that a later row can never stand in the log
where an earlier one is missing (the fence in detect would then drop the earlier one when it is sent again).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownError
from aiokafka.structs import RecordMetadata

from monitor.errors import BrokerError
from monitor.settings import Broker
from pipelines.kafka.connection import async_client_options, quiet_client_logs, spaced, unreachable

# Longer than a broker takes to restart. A batch that cannot be delivered in this time ends the worker.
_DELIVERY_TIMEOUT_MS = 120_000
_LARGEST_REQUEST = 8 * 2**20  # bytes: above any message of ours (1 MB), so that several go in one request


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way. Without a `partition` the key decides."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class LogProducer:
    """Sends and waits for the broker's confirmation; `start` and `stop` around it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._producer: AIOKafkaProducer | None = None
        self._failed: BrokerError | None = None

    async def start(self) -> None:
        """Connect. Raises `BrokerError` where no broker answers."""
        with quiet_client_logs():
            try:
                self._producer = await self._connected(idempotent=True)
            except UnknownError:
                # The embedded broker does not know aiokafka's way of asking for a producer id. Without one, a write
                # that is tried again may stand in the log twice, which the fence takes; aiokafka has one batch per
                # partition on its way at a time, so nothing comes out of order.
                self._producer = await self._connected(idempotent=False)

    async def _connected(self, *, idempotent: bool) -> AIOKafkaProducer:
        producer = spaced(
            AIOKafkaProducer(
                **async_client_options(self._broker),
                client_id="oqm-log",
                acks="all",
                enable_idempotence=idempotent,
                max_request_size=_LARGEST_REQUEST,
                max_batch_size=2**20,
                request_timeout_ms=_DELIVERY_TIMEOUT_MS,
            )
        )
        try:
            await producer.start()
        except asyncio.CancelledError:
            await producer.stop()
            raise
        except (KafkaError, OSError) as error:
            await producer.stop()
            if isinstance(error, UnknownError):
                raise
            raise unreachable(self._broker, error) from error
        return producer

    async def stop(self) -> None:
        """Flush and disconnect. Repeatable."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def send(self, messages: Iterable[Outgoing]) -> list[RecordMetadata]:
        """Send all, in this order per partition, and wait until the broker has confirmed every one: where each stands.

        Raises `BrokerError` at the first failure, and at every call after it.
        """
        if self._failed is not None:
            raise self._failed
        producer = self._producer
        if producer is None:
            raise BrokerError("the producer has been stopped")
        try:
            confirmations = [
                await producer.send(
                    message.topic,
                    value=message.value,
                    key=message.key,
                    partition=message.partition,
                    headers=list(message.headers) or None,
                )
                for message in messages
            ]
            return await asyncio.gather(*confirmations)
        except KafkaError as error:
            self._failed = BrokerError(f"a message could not be written to Kafka: {error or type(error).__name__}")
            raise self._failed from error
