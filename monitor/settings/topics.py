"""The Kafka topics: names, partitions, retention."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    Field,
    model_validator,
)

from monitor.config_values.checked_text import matching
from monitor.config_values.durations import Duration
from monitor.config_values.plain_errors import MisplacedError
from monitor.settings.part import Part

TopicName = Annotated[
    str, matching(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}", "a topic's name: 1 to 249 letters, digits, dots, _ and -")
]


class Topic(Part):
    """One topic that holds its messages for a time."""

    name: TopicName
    partitions: int = Field(8, ge=1, le=10_000, description="number of partitions")
    retention: Duration = Field(7 * 86_400.0, gt=0, validate_default=True, description="how long messages are kept")


class OutputsTopic(Topic):
    """Model outputs, as applications publish them; keyed by event id."""

    name: TopicName = Field("oqm.outputs", description="topic's name")


class FeaturesTopic(Topic):
    """Feature rows and control rows, in the order that counts. One owner per partition."""

    name: TopicName = Field("oqm.features", description="topic's name")
    partitions: int = Field(
        8,
        ge=1,
        le=10_000,
        description="partitions of detect; checkpoints depend on their number (oqm topics shows how to change it)",
    )


class AlertsTopic(Topic):
    """Transitions of alerts as JSON, keyed by alert id."""

    name: TopicName = Field("oqm.alerts", description="topic's name")
    partitions: int = Field(
        1, ge=1, le=10_000, description="number of partitions; incidents are grouped within a partition, so one is best"
    )
    retention: Duration = Field(90 * 86_400.0, gt=0, validate_default=True, description="how long messages are kept")


class DeadLetterTopic(Topic):
    """Messages that could not be read: their original bytes, the reason in headers."""

    name: TopicName = Field("oqm.deadletter", description="topic's name")
    partitions: int = Field(1, ge=1, le=10_000, description="number of partitions")
    retention: Duration = Field(30 * 86_400.0, gt=0, validate_default=True, description="how long messages are kept")


class StateTopic(Part):
    """Checkpoints of detect and positions of featurize: compacted; a stream's are removed when it ends."""

    name: TopicName = Field("oqm.state", description="topic's name")


class OutboxTopic(Part):
    """What notify has delivered, per alert, transition and sink: compacted; removed 14 days after an alert is over."""

    name: TopicName = Field("oqm.outbox", description="topic's name")


class SampledTopic(Topic):
    """Outputs that were drawn for an evaluation model, whole, with their probability; keyed by event id."""

    name: TopicName = Field("oqm.sampled", description="topic's name")
    partitions: int = Field(4, ge=1, le=10_000, description="partitions; as many judge workers share the work")
    retention: Duration = Field(2 * 86_400.0, gt=0, validate_default=True, description="how long messages are kept")


class JudgmentsTopic(Topic):
    """What evaluation models say of outputs, as JSON; keyed by stream."""

    name: TopicName = Field("oqm.judgments", description="topic's name")
    partitions: int = Field(4, ge=1, le=10_000, description="number of partitions")
    retention: Duration = Field(90 * 86_400.0, gt=0, validate_default=True, description="how long messages are kept")


class FeedbackTopic(Topic):
    """What users say of outputs (thumbs, ratings, corrections), as JSON; keyed by event id."""

    name: TopicName = Field("oqm.feedback", description="topic's name")
    partitions: int = Field(4, ge=1, le=10_000, description="number of partitions")
    retention: Duration = Field(90 * 86_400.0, gt=0, validate_default=True, description="how long messages are kept")


class ActionsTopic(Topic):
    """Changes of actions that the gate holds and applications claim, as JSON; keyed by action."""

    name: TopicName = Field("oqm.actions", description="topic's name")
    partitions: int = Field(4, ge=1, le=10_000, description="number of partitions")
    retention: Duration = Field(365 * 86_400.0, gt=0, validate_default=True, description="how long messages are kept")


class ReviewsTopic(Topic):
    """What people decide in the review queue, as JSON; keyed by event id."""

    name: TopicName = Field("oqm.reviews", description="topic's name")
    partitions: int = Field(4, ge=1, le=10_000, description="number of partitions")
    retention: Duration = Field(365 * 86_400.0, gt=0, validate_default=True, description="how long messages are kept")


class Topics(Part):
    """The Kafka topics; `oqm topics` creates them."""

    replication: int = Field(1, ge=1, le=32, description="copies of each topic; 3 in production")
    outputs: OutputsTopic = Field(default_factory=OutputsTopic)
    features: FeaturesTopic = Field(default_factory=FeaturesTopic)
    alerts: AlertsTopic = Field(default_factory=AlertsTopic)
    deadletter: DeadLetterTopic = Field(default_factory=DeadLetterTopic)
    state: StateTopic = Field(default_factory=StateTopic)
    outbox: OutboxTopic = Field(default_factory=OutboxTopic)
    sampled: SampledTopic = Field(default_factory=SampledTopic)
    judgments: JudgmentsTopic = Field(default_factory=JudgmentsTopic)
    feedback: FeedbackTopic = Field(default_factory=FeedbackTopic)
    actions: ActionsTopic = Field(default_factory=ActionsTopic)
    reviews: ReviewsTopic = Field(default_factory=ReviewsTopic)

    @property
    def parts(self) -> dict[str, Topic | StateTopic | OutboxTopic]:
        """The topics by the names of their settings."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "replication"}

    @model_validator(mode="after")
    def _distinct(self) -> Topics:
        names = [part.name for part in self.parts.values()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            later = [part for part, name in zip(self.parts, names, strict=True) if name == twice[0]]
            given = [part for part in later if part in self.model_fields_set]
            at = (given or later)[-1]
            raise MisplacedError(f"two topics have the same name: {', '.join(twice)}", at, "name")
        return self
