"""Feedback over HTTP into a real Kafka, from the service as `oqm serve` builds it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor.cli.serve import application
from monitor.ledger.open import open_ledger
from monitor.settings.serve import Serve
from monitor.telemetry.logs import LogFormat
from tests.brokers.apache import ApacheKafka
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation

pytestmark = pytest.mark.kafka


@pytest.fixture
def installation(kafka_broker: ApacheKafka, tmp_path: Path) -> Iterator[Installation]:
    yield from installed(kafka_broker, tmp_path)


async def test_what_is_answered_as_delivered_is_in_the_topic(installation: Installation, tmp_path: Path) -> None:
    serve = Serve(database=str(tmp_path / "ledger"))
    ledger = open_ledger(serve.database)
    secret = ledger.token_create("app", ["feedback"], time.time())
    ledger.close()
    services, app = application(installation.settings.model_copy(update={"serve": serve}), "info", LogFormat.TEXT)
    transport: Any = httpx.ASGITransport(app=app)
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://oqm", headers=headers) as client:
        said = [{"event": f"e{n}", "value": n % 2 == 0, "stream": "s"} for n in range(20)]
        answers = [await client.post("/v1/feedback", json=one) for one in said]
    services.close()
    delivered = [one["event"] for one, answer in zip(said, answers, strict=True) if answer.status_code == 200]
    topic = installation.settings.topics.feedback.name
    stored = [json.loads(record.value)["event"] for record in installation.read(topic)]
    # The first may come before the connection stands (202): it is sent when the service ends.
    assert len(delivered) >= 15
    assert sorted(stored) == sorted(str(one["event"]) for one in said)
