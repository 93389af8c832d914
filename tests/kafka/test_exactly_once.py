"""Workers killed in mid-stream: every event counted once, findings those of an undisturbed pass over the same log."""

from __future__ import annotations

import random
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.brokers.apache import ApacheKafka, missing_tools
from tests.kafka.conftest import installed
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
    from pipelines.kafka.topics import admin_client, ensure_topics

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


@pytest.mark.timeout(300)
def test_settings_changed_between_two_runs_take_effect_in_the_log(on_kafka: Installation) -> None:
    """A restarted worker watches known streams by the settings that it has now: longer answers are information."""
    stream = "bot/answer"
    worker = on_kafka.worker()
    on_kafka.ready(worker)
    on_kafka.publish(made_event(stream, i, long=False) for i in range(250))
    on_kafka.wait_for_events({stream: 250}, timeout_s=60)
    assert worker.stop() == 0

    on_kafka.change_settings(alert_on=("call",))
    worker.start()
    on_kafka.ready(worker)
    on_kafka.wait_for("the new settings in the log", lambda: bool(on_kafka.controls(stream)), 60)
    on_kafka.publish(made_event(stream, i, long=True) for i in range(250, 400))
    on_kafka.wait_for_events({stream: 400}, timeout_s=60)
    [control] = on_kafka.controls(stream)
    assert control.data["alert_on"] == ["call"]
    on_kafka.wait_for_findings([stream])
    assert {alert.state.value for alert in on_kafka.alerts()} == {"info"}


@pytest.mark.timeout(300)
def test_a_worker_that_wakes_after_its_partitions_went_to_another_does_no_harm(on_kafka: Installation) -> None:
    streams = {f"bot-{i}/answer": 500 for i in range(6)}
    events = [made_event(stream, i, long=i >= 350) for i in range(500) for stream in streams]
    publishing = threading.Thread(target=on_kafka.publish, args=(events,), kwargs={"rate": 120}, daemon=True)
    sleeper, heir = on_kafka.worker(), on_kafka.worker()
    on_kafka.ready(sleeper)
    on_kafka.ready(heir)
    publishing.start()
    time.sleep(3)
    sleeper.signal(signal.SIGSTOP)
    time.sleep(3 * on_kafka.session_timeout_s)
    sleeper.signal(signal.SIGCONT)
    publishing.join()
    on_kafka.wait_for_events(streams, timeout_s=90)
    _findings(on_kafka)
    assert heir.running


@pytest.mark.timeout(300)
def test_ten_thousand_malformed_messages_are_all_accounted_for(on_kafka: Installation) -> None:
    rng = random.Random(7)
    on_kafka.worker()
    good = {"support-bot/answer": 100}
    for number in range(10_000):
        whole = b'{"stream": "support-bot/answer", "output": "The answer is yes.", "id": "%d"}' % number
        # Before the output: whatever is put in its place, it is no event.
        cut = whole[: rng.randrange(whole.index(b'"output"'))] + rng.choice([b"", b"\xff", b"\x00", b"}", b'"'])
        on_kafka.publish_bytes(cut, key=b"bad")
        if number % 100 == 0:
            on_kafka.publish([made_event("support-bot/answer", number // 100, long=False)])
    on_kafka.flush()
    on_kafka.wait_for_events(good, timeout_s=90)
    topic = on_kafka.settings.topics.deadletter.name
    on_kafka.wait_for("10,000 dead letters", lambda: len(on_kafka.read(topic)) >= 10_000, 120)
    assert len(on_kafka.read(topic)) == 10_000


def test_no_broker_and_no_topics_are_one_line_and_a_non_zero_exit(on_kafka: Installation) -> None:
    from pipelines.kafka.topics import delete_topics

    delete_topics(on_kafka.settings.broker, on_kafka.settings.topics)
    time.sleep(1)
    worker = on_kafka.worker()
    assert worker.wait(60) == 2
    assert "create with: oqm topics" in worker.log.read_text().splitlines()[-1]


@pytest.mark.timeout(300)
def test_the_broker_restarts_in_mid_stream(tmp_path: Path) -> None:
    if missing := missing_tools():
        pytest.skip(missing)
    streams = {f"bot-{i}/answer": 500 for i in range(4)}
    events = [made_event(stream, i, long=i >= 350) for i in range(500) for stream in streams]
    with ApacheKafka(folder=tmp_path / "kafka") as broker:
        broker.session_timeout_s = 10.0
        for installation in installed(broker, tmp_path):
            worker = installation.worker()
            installation.ready(worker)
            publishing = threading.Thread(
                target=installation.publish, args=(events,), kwargs={"rate": 100}, daemon=True
            )
            publishing.start()
            time.sleep(5)
            broker.stop()
            time.sleep(3)
            broker.start()
            publishing.join()
            installation.wait_for_events(streams, timeout_s=120)
            _findings(installation)
            assert worker.running
