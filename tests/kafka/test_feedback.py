"""What users say, from the publishing client over a real Kafka into store, stream and dead letters, with a kill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.criteria.derived import feedback_stream
from monitor.publisher import OutputPublisher
from monitor.settings import Settings
from pipelines.kafka.connection import client_options
from tests.brokers.apache import ApacheKafka
from tests.cli.run_oqm import json_lines, oqm
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation, made_event

pytestmark = pytest.mark.kafka


@pytest.fixture
def installation(kafka_broker: ApacheKafka, tmp_path: Path) -> Iterator[Installation]:
    for made in installed(kafka_broker, tmp_path):
        location = str(tmp_path / "traces")
        stored = Settings.model_validate({"store": {"location": location}})
        made.settings = made.settings.model_copy(update={"store": stored.store})
        made.with_sections({"store": {"location": location}})
        yield made


def test_votes_reach_store_and_stream_once_and_what_is_malformed_the_dead_letters(installation: Installation) -> None:
    topics = installation.settings.topics
    options = client_options(installation.settings.broker)
    servers = options.pop("bootstrap_servers")
    config = ["--config", str(installation.folder / "monitor.yaml")]
    worker = installation.worker("detect", "featurize", "store")
    installation.ready(worker)
    with OutputPublisher(servers, topics.outputs.name, kafka=options, feedback_topic=topics.feedback.name) as publisher:
        # The votes on half of the outputs come before the outputs.
        for n in range(150):
            assert publisher.feedback(
                f"s-{n}", n % 5 != 0, stream="s" if n % 2 else None, text="no" if n == 0 else None
            )
        assert publisher.flush(30)
        worker.kill()
        installation.publish(made_event("s", n, long=False) for n in range(150))
        worker = installation.worker("detect", "featurize", "store")
        for n in range(150, 300):
            assert publisher.feedback(f"s-{n}", n % 5 != 0, stream="s")
        assert publisher.feedback("s-0", True)  # thinks better of it
        installation.send(topics.feedback.name, b'{"event": "s-1", "value": "up"}', 0)
        assert publisher.flush(30)
    installation.ready(worker)

    def said() -> list[dict[str, object]]:
        rows = json_lines(oqm("quality", "--json", *config).stdout)
        return [row for row in rows if row["criterion"] == "feedback_thumb"]

    installation.wait_for("all votes stored", lambda: [row["judged"] for row in said()] == [300], 60)
    (row,) = said()
    assert row["stream"] == "s"
    assert row["rate"] == pytest.approx((300 - 60 + 1) / 300)  # one in five is down, and one of these was taken back
    (trace,) = json_lines(oqm("trace", "s-0", "--json", *config).stdout)
    assert [(one["kind"], one["good"]) for one in trace["feedback"]] == [("thumb", True)]

    stream = feedback_stream("s", "thumb")
    named = 75 + 150
    installation.wait_for_events({stream: named})
    (letter,) = installation.read(topics.deadletter.name)
    headers = dict(letter.headers)
    assert (headers["oqm-reason"], headers["oqm-topic"]) == (b"unreadable", topics.feedback.name.encode())
    found = Counter(finding.stream for finding in installation.offline_findings())
    assert found[stream] == 0
    assert worker.stop() == 0
