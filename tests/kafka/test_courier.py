"""Changes of actions from the ledger to a real Kafka."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.actions.message import decode_action
from monitor.ledger.open import open_ledger
from pipelines.courier.courier import Courier
from tests.brokers.apache import ApacheKafka
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation
from tests.ledger.made import NOW, claim_of, proposal

pytestmark = pytest.mark.kafka


@pytest.fixture
def installation(kafka_broker: ApacheKafka, tmp_path: Path) -> Iterator[Installation]:
    yield from installed(kafka_broker, tmp_path)


def test_an_action_is_followed_on_its_topic(installation: Installation, tmp_path: Path) -> None:
    ledger = open_ledger(str(tmp_path / "ledger"))
    topics = installation.settings.topics
    courier = Courier(ledger, installation.settings.broker, topics, time.time)
    courier.start()
    for n in range(30):
        ledger.propose(proposal(f"order-{n}"), NOW)
        ledger.claim(claim_of(proposal(f"order-{n}")), NOW)
        ledger.done("shop", f"order-{n}", 1, b"", NOW)
    installation.wait_for("an empty outbox", lambda: ledger.outbox_waiting() == 0, 60)
    courier.close()
    messages = [decode_action(message.value) for message in installation.read(topics.actions.name)]
    assert sorted(one.seq for one in messages) == list(range(1, 91))
    for n in range(30):
        assert [one.what for one in messages if one.key == f"order-{n}"] == ["proposed", "claimed", "done"]
    ledger.close()
