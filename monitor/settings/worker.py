"""How a worker runs: batches, limits, delivery, metrics."""

from __future__ import annotations

from pydantic import (
    Field,
)

from monitor.config_values.durations import Duration
from monitor.settings.part import Part


class Delivery(Part):
    """How notify tries again when a receiver fails."""

    first_retry: Duration = Field(1.0, gt=0, validate_default=True, description="wait after the first failure")
    longest_retry: Duration = Field(
        300.0, gt=0, validate_default=True, description="longest wait: it doubles with each failure up to this"
    )
    give_up_after: Duration = Field(
        86_400.0,
        gt=0,
        validate_default=True,
        description="after this long without success the delivery has failed for good",
    )


class DeadLetters(Part):
    """When failures of the monitor itself stop the worker; malformed messages never do."""

    max_share: float = Field(0.9, gt=0, le=1, description="share of failed messages that stops the worker (1: never)")
    window: int = Field(10_000, ge=100, description="number of latest messages over which the share is counted")


class Worker(Part):
    """The Faust worker."""

    featurize_batch: int = Field(1024, ge=1, le=10_000, description="maximum number of events in a micro-batch")
    featurize_linger: Duration = Field(
        0.05, ge=0, le=60, validate_default=True, description="maximum wait for a micro-batch to fill"
    )
    detect_batch: int = Field(64, ge=1, le=10_000, description="maximum number of messages in a batch of detect")
    max_streams: int = Field(
        20_000,
        ge=1,
        description="maximum number of streams per detect partition; events of further ones go to the dead letters",
    )
    checkpoint_interval: Duration = Field(
        10.0,
        gt=0,
        le=3600,
        validate_default=True,
        description="how often detect saves its state; saving takes at most a tenth of its time",
    )
    stuck_after: Duration = Field(
        300.0,
        gt=0,
        le=86_400,
        validate_default=True,
        description="a worker without progress for this long, while Kafka answers, exits (code 70) to be restarted",
    )
    dead_letters: DeadLetters = Field(default_factory=DeadLetters)


class Metrics(Part):
    """What Prometheus scrapes from each worker."""

    port: int = Field(
        9464,
        ge=0,
        le=65_535,
        description="port of /metrics, /healthz, /readyz; 0: none; unset: the next free; --metrics-port comes first",
    )
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="address to listen on; 0.0.0.0 in a container; --metrics-host takes precedence",
    )
    max_streams: int = Field(
        1_000, ge=0, description="maximum number of streams exported, drifting ones first; the others are counted"
    )
    max_series: int = Field(
        20_000, ge=0, description="maximum number of series of features and segments exported; the others are counted"
    )
