"""The real Kafka of `tests.kafka`."""

from __future__ import annotations

from tests.kafka.conftest import kafka_broker

__all__ = ["kafka_broker"]
