"""`OutputPublisher` against real brokers: delivered once each, through an absent broker and through an outage."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka import KafkaConsumer
from kafka.consumer.fetcher import ConsumerRecord

from monitor.events import OutputEvent, decode_event
from monitor.publisher import OutputPublisher, Undelivered
from monitor.settings import Broker, Settings
from pipelines.kafka.topics import ensure_topics, private_topics
from tests.brokers.apache import ApacheKafka, missing_tools
from tests.kafka.installation import Installation


def events(prefix: str, n: int) -> list[OutputEvent]:
    return [OutputEvent(stream="bot/answer", output=f"answer {i} 📦", id=f"{prefix}-{i}") for i in range(n)]


def read(address: str, topic: str) -> list[ConsumerRecord]:
    """Until nothing more comes: the embedded broker's end offsets leave out all but the first of its last batch."""
    with KafkaConsumer(
        topic, bootstrap_servers=address, auto_offset_reset="earliest", consumer_timeout_ms=3_000
    ) as consumer:
        return list(consumer)


def test_everything_arrives_once(on_either: Installation) -> None:
    topic = on_either.settings.topics.outputs.name
    sent = events("e", 3000)
    with OutputPublisher(on_either.settings.broker.bootstrap, topic, block_s=30.0) as publisher:
        for event in sent:
            assert publisher.publish(event)
    assert (publisher.delivered, publisher.pending, publisher.undelivered) == (3000, 0, {})
    records = read(on_either.settings.broker.bootstrap, topic)
    received = {
        record.key.decode(): decode_event(record.value, default_id="d", timestamp=record.timestamp / 1000).event
        for record in records
    }
    assert len(records) == len(received) == 3000
    assert {received[event.id or ""].output for event in sent} == {event.output for event in sent}
    assert len({record.partition for record in records}) > 1  # keyed by event, so that one stream spreads out


@pytest.mark.kafka
def test_a_topic_that_is_not_there_is_not_made(on_kafka: Installation) -> None:
    missing = f"missing-{uuid.uuid4().hex[:8]}"
    publisher = OutputPublisher(
        on_kafka.settings.broker.bootstrap, missing, delivery_timeout_s=2.0, kafka={"max_block_ms": 500}
    )
    publisher.publish(events("e", 1)[0])
    publisher.flush(30)
    assert publisher.undelivered.total() == 1
    assert not publisher.undelivered.keys() - {Undelivered.TIMEOUT, Undelivered.REFUSED}
    publisher.close()
    with KafkaConsumer(bootstrap_servers=on_kafka.settings.broker.bootstrap) as consumer:
        assert missing not in consumer.topics()


@pytest.mark.kafka
def test_a_broker_that_comes_late_and_goes_away_for_a_while_loses_nothing(tmp_path: Path) -> None:
    if missing := missing_tools():
        pytest.skip(f"real Kafka not tested: {missing}")
    broker = ApacheKafka(folder=tmp_path)
    topics = private_topics(Settings().topics, "outage")
    publisher = OutputPublisher(
        broker.address, topics.outputs.name, kafka={"request_timeout_ms": 2_000, "max_block_ms": 1_000}
    )
    try:
        for event in events("early", 200):
            assert publisher.publish(event)
        assert publisher.delivered == 0
        with broker:
            ensure_topics(Broker(bootstrap=broker.address), topics)
            assert publisher.flush(60)
        for event in events("outage", 200):
            assert publisher.publish(event)
        with broker:
            for event in events("late", 200):
                assert publisher.publish(event)
            assert publisher.flush(90), publisher.undelivered
            assert (publisher.delivered, publisher.undelivered) == (600, {})
            times = Counter(record.key for record in read(broker.address, topics.outputs.name))
            assert len(times) == 600
            assert set(times.values()) == {1}
    finally:
        publisher.close(0.0)


@pytest.mark.kafka
async def test_an_application_with_an_event_loop(on_kafka: Installation) -> None:
    """Coroutines, streams and readers who leave, while the loop goes on; what arrives is what the monitor reads."""
    bootstrap, topic = on_kafka.settings.broker.bootstrap, on_kafka.settings.topics.outputs.name
    steps = 0

    async def count_steps() -> None:
        nonlocal steps
        while True:
            await asyncio.sleep(0)
            steps += 1

    counting = asyncio.create_task(count_steps())
    async with OutputPublisher(bootstrap, topic) as publisher:

        @publisher.record("bot/answer", input_of="question", session={"id": "whole"})
        async def answer(tenant: str, question: str) -> str:
            await asyncio.sleep(0)
            return question.upper()

        @publisher.record("bot/stream", session={"id": "part"})
        async def stream(question: str) -> AsyncGenerator[str, None]:
            yield "Be"
            await asyncio.Event().wait()

        async def read(question: str) -> None:
            async for _ in stream(question):
                reading.set()

        answers = await asyncio.gather(*(answer("acme", f"q{i}") for i in range(100)))
        assert answers == [f"Q{i}" for i in range(100)]
        reading = asyncio.Event()
        reader = asyncio.create_task(read("why?"))
        await reading.wait()
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        before = steps
    assert steps > before + 10  # while it closed, which takes the broker's confirmations
    counting.cancel()
    assert (publisher.delivered, publisher.undelivered) == (101, {})
    received = await asyncio.to_thread(read_events, bootstrap, topic)
    [left] = [event for event in received if event.stream == "bot/stream"]
    assert (left.output, left.finish_reason, left.error) == ("Be", "abandoned", None)
    assert {(event.input, event.output) for event in received if event is not left} == {
        (f"q{i}", f"Q{i}") for i in range(100)
    }


@pytest.mark.kafka
def test_what_was_converted_is_read_by_the_monitor(on_kafka: Installation) -> None:
    bootstrap, topic = on_kafka.settings.broker.bootstrap, on_kafka.settings.topics.outputs.name
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    fields: dict[str, Any] = {
        "id": uuid.UUID(int=1),
        "output": [{"type": "text", "text": "hi"}],
        "time": moment,
        "cost_usd": Decimal("0.01"),
        "attributes": {"score": np.float32(0.5)},
    }

    def conversation() -> Generator[str, str, int]:
        return len((yield "a") + (yield "b"))

    with OutputPublisher(bootstrap, topic) as publisher:
        assert publisher.publish(OutputEvent(stream="converted", **fields))
        assert not publisher.publish(OutputEvent(stream="refused", output=b"\xff"))  # type: ignore[arg-type]
        talk = publisher.record("talk")(conversation)()
        assert (next(talk), talk.send("xx")) == ("a", "b")
        with pytest.raises(StopIteration) as stop:
            talk.send("yyy")
    assert stop.value.value == 5
    assert publisher.undelivered == {Undelivered.OUT_OF_RANGE: 1}
    received = {event.stream: event for event in read_events(bootstrap, topic)}
    assert received.keys() == {"converted", "talk"}
    event = received["converted"]
    assert (event.id, event.output, event.cost_usd) == (str(fields["id"]), "hi", 0.01)
    assert (event.time, event.attributes) == (moment.timestamp(), {"score": 0.5})
    assert received["talk"].output == "ab"


def read_events(bootstrap: str, topic: str) -> list[OutputEvent]:
    return [decode_event(record.value, default_id="d", timestamp=None).event for record in read(bootstrap, topic)]
