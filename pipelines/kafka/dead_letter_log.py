"""What stands in the dead-letter topic: reading it, and sending letters back to where they came from."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from kafka.consumer.fetcher import ConsumerRecord

from monitor.errors import BrokerError
from monitor.settings import Settings
from pipelines.kafka.connection import client_options, quiet_client_logs, unreachable
from pipelines.kafka.dead_letters import EVENTS_HEADER, REQUEUED
from pipelines.kafka.topic_window import topic_window
from pipelines.kafka.topics import LARGEST_DEAD_LETTER_BYTES, read_topics


class Letter(msgspec.Struct, frozen=True):
    """A dead letter as it stands in the topic.

    Attributes
    ----------
    partition, offset
        Its place in the dead-letter topic.
    time
        When it was written, in seconds since 1970.
    reason, detail
        Why the message could not be used.
    topic, source_partition, source_offset
        Where the message came from.
    events
        Of rows that a stream's monitor could not judge: places and ids of the events in `oqm.outputs`.
    cut
        Whether only the beginning was kept, as the message was too large.
    requeued
        How often the message had been sent back before.
    """

    partition: int
    offset: int
    time: float
    reason: str
    detail: str
    topic: str
    source_partition: int
    source_offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    events: tuple[tuple[int, int, str], ...]
    cut: bool
    requeued: int

    @property
    def place(self) -> str:
        """How commands name it: partition/offset in the dead-letter topic."""
        return f"{self.partition}/{self.offset}"


def letter_of(record: ConsumerRecord) -> Letter:
    """The letter in a record; what a header does not say is empty or -1."""
    headers = tuple((name, value) for name, value in record.headers or () if value is not None)
    said = {name: value.decode("utf-8", "replace") for name, value in headers if name.startswith("oqm-")}

    def number(name: str, missing: int) -> int:
        text = said.get(name, "")
        return int(text) if text.isdecimal() else missing

    return Letter(
        partition=record.partition,
        offset=record.offset,
        time=record.timestamp / 1000.0,
        reason=said.get("oqm-reason", ""),
        detail=said.get("oqm-detail", ""),
        topic=said.get("oqm-topic", ""),
        source_partition=number("oqm-partition", -1),
        source_offset=number("oqm-offset", -1),
        key=record.key,
        value=record.value,
        headers=tuple((name, value) for name, value in headers if not name.startswith("oqm-")),
        events=_events(said.get(EVENTS_HEADER, "")),
        cut="oqm-original-bytes" in said,
        requeued=number(REQUEUED, 0),
    )


def _events(text: str) -> tuple[tuple[int, int, str], ...]:
    try:
        return tuple(msgspec.json.decode(text, type=list[tuple[int, int, str]])) if text else ()
    except msgspec.DecodeError:
        return ()


def originals(settings: Settings, letters: Sequence[Letter]) -> tuple[list[Letter], int]:
    """What is sent back for these letters, and how many events Kafka no longer holds.

    A letter of `oqm.outputs` is sent back as it is. One of rows that a stream's monitor could not judge stands for the
    events that these were measured from, which are read from `oqm.outputs`: the rows themselves would be dropped as
    known, by the fence. Raises `BrokerError`.
    """
    facts = read_topics(settings.broker, settings.topics).outputs
    found = [letter for letter in letters if not letter.events]
    lost = 0
    with topic_window(settings.broker, facts.name, facts.partitions) as window:
        records = window.records_at((partition, offset) for letter in letters for partition, offset, _ in letter.events)
        for letter in letters:
            for partition, offset, _ in letter.events:
                record = records.get((partition, offset))
                if record is None:
                    lost += 1
                    continue
                event = letter_of(record)
                found.append(msgspec.structs.replace(event, topic=facts.name, requeued=letter.requeued))
    return found, lost


@dataclass(slots=True)
class Listing:
    """The newest letters, oldest first, and how many there are in all by reason."""

    letters: list[Letter]
    by_reason: Counter[str]


def read_letters(settings: Settings, since_s: float | None, reason: str | None, limit: int | None) -> Listing:
    """Letters written since a moment (None: all that are kept), of one reason or of all. Raises `BrokerError`."""
    counts: Counter[str] = Counter()
    facts = read_topics(settings.broker, settings.topics).deadletter
    with topic_window(settings.broker, facts.name, facts.partitions) as window:
        found = _counted(window.between(since_s, None), reason, counts)
        if limit is None:
            letters = sorted(found, key=_order)
        else:
            letters = sorted(heapq.nlargest(limit, found, key=_order), key=_order)
    return Listing(letters, counts)


def _order(letter: Letter) -> tuple[float, int, int]:
    return (letter.time, letter.partition, letter.offset)


def _counted(records: Iterable[ConsumerRecord], reason: str | None, counts: Counter[str]) -> Iterator[Letter]:
    for record in records:
        letter = letter_of(record)
        counts[letter.reason or "(none)"] += 1
        if reason in (None, letter.reason):
            yield letter


def read_letters_at(settings: Settings, places: Sequence[tuple[int, int]]) -> list[Letter | None]:
    """The letters at these (partition, offset) places; None where there is none. Raises `BrokerError`."""
    facts = read_topics(settings.broker, settings.topics).deadletter
    with topic_window(settings.broker, facts.name, facts.partitions) as window:
        found = window.records_at(places)
    return [letter_of(found[place]) if place in found else None for place in places]


async def send_back(settings: Settings, letters: Sequence[Letter]) -> None:
    """Publish the original messages again, to the topic they came from, confirmed by the broker.

    Key, value and headers are the original ones, the time is that of the letter. An event that had been applied after
    all is counted as a duplicate and changes nothing. Raises `BrokerError`.
    """
    producer = AIOKafkaProducer(
        **client_options(settings.broker),
        client_id="oqm-requeue",
        acks="all",
        max_request_size=LARGEST_DEAD_LETTER_BYTES,
    )
    with quiet_client_logs():
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise unreachable(settings.broker, error) from error
    try:
        sent = [
            await producer.send(
                letter.topic,
                letter.value,
                key=letter.key,
                headers=[*letter.headers, (REQUEUED, str(letter.requeued + 1).encode())],
                timestamp_ms=int(letter.time * 1000),
            )
            for letter in letters
        ]
        await producer.flush()
        await asyncio.gather(*sent)
    except KafkaError as error:
        raise BrokerError(f"a message could not be sent back: {error or type(error).__name__}") from error
    finally:
        await producer.stop()
