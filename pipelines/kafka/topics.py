"""The topics: their partitions, retention and clean-up; creating them; and what the broker says of them.

A topic's id distinguishes a topic that was deleted and created again from the one whose offsets we remember.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from monitor.errors import BrokerError
from monitor.events.decode import MAX_BYTES
from monitor.settings import Broker, Topics
from pipelines.kafka.connection import client_options, quiet_client_logs, unreachable

# A worker paused for longer than this (SIGSTOP, a laptop's lid) and woken could write state older than what compaction
# has already settled on. While both are there, the newer one wins by its position.
MIN_COMPACTION_LAG_S = 3600
# Compaction touches closed segments only: small ones keep what a restart has to read small.
_COMPACTED = {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": str(MIN_COMPACTION_LAG_S * 1000),
    "segment.bytes": str(64 * 2**20),
    "segment.ms": str(3600 * 1000),
    "min.cleanable.dirty.ratio": "0.2",
}
LARGEST_EVENT_BYTES = MAX_BYTES + 64 * 2**10  # the largest event that the reader takes, and its headers
# The dead letter of the largest event has room for the headers that say why.
LARGEST_DEAD_LETTER_BYTES = LARGEST_EVENT_BYTES + 64 * 2**10


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """What the broker says of a topic. `id` is its name where the broker knows no topic ids (before Kafka 2.8)."""

    name: str
    id: str
    partitions: int


@dataclass(frozen=True, slots=True)
class TopicMap:
    """All of our topics as they are on the broker."""

    outputs: TopicFacts
    features: TopicFacts
    alerts: TopicFacts
    deadletter: TopicFacts
    state: TopicFacts
    outbox: TopicFacts
    sampled: TopicFacts
    judgments: TopicFacts
    feedback: TopicFacts
    actions: TopicFacts
    reviews: TopicFacts

    @property
    def positions_partition(self) -> int:
        """The partition of the state topic that holds featurize's positions, after one for each detect partition."""
        return self.features.partitions


def private_topics(topics: Topics, run: str) -> Topics:
    """The same topics under private names, kept until deleted: for a replay through a broker.

    Records there carry the times of the replayed events, by which a broker would delete them at once.
    """
    forever = 100 * 365 * 86_400.0

    def renamed(part: Any, **update: Any) -> Any:
        return part.model_copy(update={"name": f"{part.name}.{run}", **update})

    return topics.model_copy(
        update={
            "outputs": renamed(topics.outputs, retention=forever),
            "features": renamed(topics.features, retention=forever),
            "alerts": renamed(topics.alerts, retention=forever),
            "deadletter": renamed(topics.deadletter, retention=forever),
            "state": renamed(topics.state),
            "outbox": renamed(topics.outbox),
            "sampled": renamed(topics.sampled, retention=forever),
            "judgments": renamed(topics.judgments, retention=forever),
            "feedback": renamed(topics.feedback, retention=forever),
            "actions": renamed(topics.actions, retention=forever),
            "reviews": renamed(topics.reviews, retention=forever),
        }
    )


def topic_names(topics: Topics) -> list[str]:
    """Names of all topics, in the order of `TopicMap`."""
    return [part.name for part in topics.parts.values()]


def _wanted(topics: Topics) -> list[NewTopic]:
    def topic(name: str, partitions: int, configs: dict[str, str]) -> NewTopic:
        return NewTopic(name, partitions, topics.replication, topic_configs=configs)

    def kept(seconds: float, largest: int | None = None) -> dict[str, str]:
        limit = {"max.message.bytes": str(largest)} if largest else {}
        return {"cleanup.policy": "delete", "retention.ms": str(int(seconds * 1000)), **limit}

    outputs, features, alerts, deadletter = topics.outputs, topics.features, topics.alerts, topics.deadletter
    return [
        topic(outputs.name, outputs.partitions, kept(outputs.retention, LARGEST_EVENT_BYTES)),
        topic(features.name, features.partitions, kept(features.retention)),
        topic(alerts.name, alerts.partitions, kept(alerts.retention)),
        topic(deadletter.name, deadletter.partitions, kept(deadletter.retention, LARGEST_DEAD_LETTER_BYTES)),
        topic(topics.state.name, features.partitions + 1, _COMPACTED),
        topic(topics.outbox.name, alerts.partitions, _COMPACTED),
        topic(topics.sampled.name, topics.sampled.partitions, kept(topics.sampled.retention, LARGEST_EVENT_BYTES)),
        topic(topics.judgments.name, topics.judgments.partitions, kept(topics.judgments.retention)),
        topic(topics.feedback.name, topics.feedback.partitions, kept(topics.feedback.retention)),
        topic(topics.actions.name, topics.actions.partitions, kept(topics.actions.retention)),
        topic(topics.reviews.name, topics.reviews.partitions, kept(topics.reviews.retention)),
    ]


@contextmanager
def admin_client(broker: Broker, timeout_s: float = 5.0) -> Iterator[KafkaAdminClient]:
    """An admin client, closed afterwards. Raises `BrokerError` in one line where no broker answers."""
    with quiet_client_logs():
        try:
            client = KafkaAdminClient(
                **client_options(broker), client_id="oqm-admin", bootstrap_timeout_ms=int(timeout_s * 1000)
            )
        except (KafkaError, OSError, ValueError) as error:
            raise unreachable(broker, error) from error
    try:
        yield client
    except KafkaError as error:
        raise BrokerError(f"Kafka at {broker.bootstrap} refused: {error}") from error
    finally:
        client.close()


def _described(client: KafkaAdminClient, topics: Topics) -> dict[str, TopicFacts]:
    """The topics that are there, by name."""
    return {
        found["name"]: TopicFacts(found["name"], str(found["topic_id"] or found["name"]), len(found["partitions"]))
        for found in client.describe_topics(topic_names(topics))
        if not found["error_code"]
    }


def ensure_topics(broker: Broker, topics: Topics) -> list[str]:
    """Create the topics that are missing; names of those created. What is there is left as it is.

    Raises `BrokerError` where no broker answers or it refuses.
    """
    with admin_client(broker) as client:
        there = _described(client, topics)
        missing = [topic for topic in _wanted(topics) if topic.name not in there]
        created = []
        for topic in missing:
            try:
                client.create_topics([topic])
            except TopicAlreadyExistsError:
                continue  # another worker was quicker
            created.append(topic.name)
        if created:
            client.wait_for_topics(created, timeout_ms=30_000)
    return created


def read_topics(broker: Broker, topics: Topics) -> TopicMap:
    """The topics as they are. Raises `BrokerError` where one is missing or their partitions do not fit together."""
    with admin_client(broker) as client:
        there = _described(client, topics)
    missing = [name for name in topic_names(topics) if name not in there]
    if missing:
        raise BrokerError(f"missing on {broker.bootstrap}: {', '.join(missing)}; create with: oqm topics")
    facts = TopicMap(*(there[name] for name in topic_names(topics)))
    for one, other, wanted in (
        (facts.state, facts.features, facts.features.partitions + 1),
        (facts.outbox, facts.alerts, facts.alerts.partitions),
    ):
        if one.partitions != wanted:
            raise BrokerError(
                f"{one.name} has {one.partitions} partitions, but with {other.partitions} of {other.name} it needs "
                f"{wanted}: state is bound to the number of partitions. To change that number, let the workers drain "
                f"{other.name} and stop them, then delete {other.name} and {one.name} and run: oqm topics"
            )
    return facts


@contextmanager
def temporary_topics(broker: Broker, topics: Topics) -> Iterator[None]:
    """The whole set, created, and deleted on leaving: for `private_topics`. Raises as `ensure_topics` does."""
    ensure_topics(broker, topics)
    try:
        yield
    finally:
        delete_topics(broker, topics)


def delete_topics(broker: Broker, topics: Topics) -> None:
    """Delete the whole set, as far as it is there."""
    with admin_client(broker) as client:
        there = _described(client, topics)
        if there:
            client.delete_topics(sorted(there))
