"""A replay through a broker finds what a replay without one finds."""

from __future__ import annotations

import json
import uuid

import pytest

from monitor.demo.embedded_broker import EmbeddedBroker
from monitor.events import decode_event
from monitor.events.schema import OutputEvent
from monitor.settings import Broker, Settings
from pipelines.kafka.topics import admin_client
from pipelines.replay.replay import replay
from pipelines.replay.through_kafka import replay_through_broker
from tests.brokers.apache import ApacheKafka
from tests.kafka.installation import made_event


def events(times: bool) -> list[OutputEvent]:
    made = [made_event(f"bot-{i % 2}/answer", i // 2, long=i >= 700) for i in range(1000)]
    read = [decode_event(json.dumps(event).encode(), default_id="", timestamp=None).event for event in made]
    for number, event in enumerate(read):
        event.time = 1_700_000_000.0 + 3.0 * number if times else None
    return read


@pytest.mark.parametrize("times", [True, False], ids=["with-times", "without"])
@pytest.mark.parametrize(
    "broker",
    [
        pytest.param("kafka_broker", marks=pytest.mark.kafka),
        pytest.param("embedded_broker", marks=pytest.mark.embedded),
    ],
)
def test_the_same_findings_as_without_a_broker(broker: str, times: bool, request: pytest.FixtureRequest) -> None:
    process: ApacheKafka | EmbeddedBroker = request.getfixturevalue(broker)
    settings = Settings.model_validate({"detection": {"warmup": 200}})
    settings = settings.model_copy(update={"broker": Broker(bootstrap=process.address)})
    run = uuid.uuid4().hex[:8]
    seen: list[int] = []
    found = list(
        replay_through_broker(
            events(times), settings, run, progress=seen.append, session_timeout_s=process.session_timeout_s
        )
    )
    assert [(f.id, f.state, f.began_at) for f in found] == [
        (f.id, f.state, f.began_at) for f in replay(events(times), settings)
    ]
    assert any(f.state == "firing" for f in found)
    assert seen[-1] == 1000
    with admin_client(settings.broker) as admin:
        assert not [topic for topic in admin.list_topics() if run in str(topic)]
