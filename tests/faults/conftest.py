"""The real Kafka of `tests.kafka`."""

from __future__ import annotations

from tests.kafka.conftest import kafka_broker, on_kafka

__all__ = ["kafka_broker", "on_kafka"]
