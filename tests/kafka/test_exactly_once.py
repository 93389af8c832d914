"""Workers killed in mid-stream: every event counted once, findings those of an undisturbed pass over the same log."""

from __future__ import annotations

import random
import threading
import time

import pytest

from tests.kafka.installation import Installation, made_event

pytestmark = pytest.mark.kafka


def _findings(on_kafka: Installation) -> None:
    alerts = {(alert.fingerprint, alert.state) for alert in on_kafka.alerts()}
    assert alerts == {(finding.id, finding.state) for finding in on_kafka.offline_findings()}
    assert alerts


@pytest.mark.timeout(300)
def test_kill_9_and_restart_in_mid_stream(on_kafka: Installation) -> None:
    streams = {f"bot-{i}/answer": 500 for i in range(6)}
    events = [made_event(stream, i, long=i >= 350) for i in range(500) for stream in streams]
    publishing = threading.Thread(target=on_kafka.publish, args=(events,), kwargs={"rate": 60}, daemon=True)
    worker = on_kafka.worker()
    on_kafka.ready(worker)
    publishing.start()
    rng = random.Random(6)
    for _ in range(3):
        time.sleep(rng.uniform(1, 4))
        worker.kill()
        worker.start()
        on_kafka.ready(worker)
    publishing.join()
    on_kafka.wait_for_events(streams, timeout_s=90)
    _findings(on_kafka)


@pytest.mark.timeout(300)
def test_a_worker_joins_and_another_leaves(on_kafka: Installation) -> None:
    streams = {f"bot-{i}/answer": 500 for i in range(6)}
    events = [made_event(stream, i, long=i >= 350) for i in range(500) for stream in streams]
    publishing = threading.Thread(target=on_kafka.publish, args=(events,), kwargs={"rate": 150}, daemon=True)
    first = on_kafka.worker()
    on_kafka.ready(first)
    publishing.start()
    second = on_kafka.worker()
    on_kafka.ready(second)
    time.sleep(2)
    assert first.stop() == 0
    publishing.join()
    on_kafka.wait_for_events(streams, timeout_s=90)
    _findings(on_kafka)


def test_a_topic_made_anew_starts_at_0_again_and_streams_keep_their_state(on_kafka: Installation) -> None:
    from pipelines.topics import admin_client, ensure_topics

    stream = "support-bot/answer"
    worker = on_kafka.worker()
    on_kafka.publish(made_event(stream, i, long=False) for i in range(120))
    on_kafka.wait_for_events({stream: 120})
    assert worker.stop() == 0
    topics = on_kafka.settings.topics
    with admin_client(on_kafka.settings.broker) as admin:
        admin.delete_topics([topics.outputs.name, topics.features.name])
        time.sleep(1)
    ensure_topics(on_kafka.settings.broker, topics)
    worker.start()
    on_kafka.publish(made_event(stream, i, long=False) for i in range(120, 200))
    on_kafka.wait_for_events({stream: 200})
