"""A stream's past as it stands in `oqm.features`: read from its oldest kept message to where it ends now.

Reading leaves nothing behind: no consumer group, no topic, no position.
"""

from __future__ import annotations

from collections.abc import Iterator

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from monitor.detection.records.log_format import partition_for
from monitor.errors import BrokerError
from monitor.settings import Settings
from pipelines.kafka.connection import client_options, quiet_client_logs, unreachable
from pipelines.kafka.topics import read_topics

_POLL_MS = 500  # longest wait of one poll; records that are there come at once


def past_of(settings: Settings, stream: str | None = None) -> Iterator[Iterator[ConsumerRecord]]:
    """The messages of each detect partition in turn, or of the one that holds `stream`.

    Each partition must be read to its end before the next is asked for. Raises `BrokerError` where no broker answers or
    the topic is missing.
    """
    facts = read_topics(settings.broker, settings.topics).features
    numbers = range(facts.partitions) if stream is None else [partition_for(stream, facts.partitions)]
    with quiet_client_logs():
        try:
            consumer = KafkaConsumer(**client_options(settings.broker), group_id=None, enable_auto_commit=False)
        except (KafkaError, OSError, ValueError) as error:
            raise unreachable(settings.broker, error) from error
    try:
        for number in numbers:
            yield _messages(consumer, TopicPartition(facts.name, number))
    except KafkaError as error:
        raise BrokerError(f"{facts.name} on {settings.broker.bootstrap} cannot be read: {error}") from error
    finally:
        consumer.close()


def _messages(consumer: KafkaConsumer, partition: TopicPartition) -> Iterator[ConsumerRecord]:
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end = consumer.end_offsets([partition])[partition]
    while consumer.position(partition) < end:
        for record in consumer.poll(timeout_ms=_POLL_MS).get(partition, []):
            if record.offset < end:
                yield record
