"""Brokers to start on this machine: a real Apache Kafka (tests, benchmarks) and the embedded one (demo).

Both listen on 127.0.0.1 only, write logs into a folder, and stop with their context manager. Neither is for data that
matters. May import `monitor.errors` only.
"""

from __future__ import annotations

from pipelines.brokers.apache import ApacheKafka
from pipelines.brokers.embedded import EmbeddedBroker
from pipelines.brokers.process import BrokerProcess, free_port

__all__ = ["ApacheKafka", "BrokerProcess", "EmbeddedBroker", "free_port"]
