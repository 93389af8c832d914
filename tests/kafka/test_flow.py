"""publish -> features -> alert, on real Kafka and on the embedded broker."""

from __future__ import annotations

import pytest

from monitor.detection.records.finding import State
from tests.kafka.installation import Installation, made_event

STREAM = "support-bot/answer"


def test_longer_answers_become_an_alert(on_either: Installation) -> None:
    on_either.worker()
    calm = [made_event("calm/answer", i, long=False) for i in range(500)]
    changed = [made_event(STREAM, i, long=i >= 300) for i in range(500)]
    on_either.publish(event for pair in zip(calm, changed, strict=True) for event in pair)
    on_either.wait_for_events({STREAM: 500, "calm/answer": 500})
    on_either.wait_for("a stream that drifts", lambda: bool(on_either.statuses()[STREAM].firing), 30)
    firing = [alert for alert in on_either.alerts() if alert.state is State.FIRING and not alert.revision]
    assert {alert.stream for alert in firing} == {STREAM}
    first = firing[0]
    assert "output.length" in " ".join(change.name for change in first.changes)
    assert first.examples.after
    # The log sink of the default settings has told it, too.
    on_either.wait_for("a delivery", lambda: first.fingerprint in on_either.worker_output())


def test_what_cannot_be_read_is_kept_with_its_reason_and_the_stream_goes_on(on_either: Installation) -> None:
    on_either.worker()
    bad: list[tuple[bytes | None, str]] = [
        (b"{not json", "not_json"),
        (b'{"output": "no stream"}', "missing_stream"),
        (b'{"stream": 7, "output": "x"}', "wrong_type"),
        (b"\xff\xfe\x00", "not_utf8"),
        (None, "empty"),
    ]
    events = [made_event(STREAM, i, long=False) for i in range(100)]
    on_either.publish(events[:50])
    for number, (value, _) in enumerate(bad):
        on_either.publish_bytes(value, key=f"bad-{number}".encode(), headers=[("traceparent", b"00-abc")])
    on_either.publish(events[50:])
    on_either.wait_for_events({STREAM: 100})
    topic = on_either.settings.topics.deadletter.name
    # Written in no particular order with the events around them.
    on_either.wait_for(f"{len(bad)} dead letters", lambda: len(on_either.read(topic)) >= len(bad))
    letters = on_either.read(topic)
    assert len(letters) == len(bad)
    by_key = {letter.key.decode(): letter for letter in letters}
    for number, (value, _) in enumerate(bad):
        letter = by_key[f"bad-{number}"]
        headers = dict(letter.headers)
        assert letter.value == value
        assert headers["traceparent"] == b"00-abc"
        assert headers["oqm-reason"]
        assert headers["oqm-topic"].decode() == on_either.settings.topics.outputs.name
        assert headers["oqm-detail"]


@pytest.mark.kafka
def test_the_roles_apart_do_what_one_worker_does(on_kafka: Installation) -> None:
    for role in ("featurize", "detect", "notify"):
        on_kafka.worker(role)
    on_kafka.publish(made_event(STREAM, i, long=i >= 300) for i in range(500))
    on_kafka.wait_for_events({STREAM: 500})
    on_kafka.wait_for("an alert", lambda: any(alert.stream == STREAM for alert in on_kafka.alerts()))
    on_kafka.wait_for("a delivery", lambda: STREAM in on_kafka.worker_output(2))


@pytest.mark.kafka
def test_findings_are_those_of_an_offline_pass_over_the_log(on_kafka: Installation) -> None:
    on_kafka.worker()
    streams = {f"bot-{i}/answer": 420 for i in range(4)}
    on_kafka.publish(made_event(stream, i, long=i >= 300) for i in range(420) for stream in streams)
    on_kafka.wait_for_events(streams)
    on_kafka.wait_for_findings(streams)
    found = {(alert.fingerprint, alert.state) for alert in on_kafka.alerts()}
    assert found == {(finding.id, finding.state) for finding in on_kafka.offline_findings()}
    assert found


@pytest.mark.kafka
def test_a_message_of_a_stranger_in_the_features_log_stops_nothing(on_kafka: Installation) -> None:
    on_kafka.worker()
    on_kafka.publish(made_event(STREAM, i, long=False) for i in range(50))
    on_kafka.wait_for_events({STREAM: 50})
    name = on_kafka.settings.topics.features.name
    on_kafka.send(name, b"not ours", partition=on_kafka.partition_of(STREAM))
    on_kafka.publish(made_event(STREAM, i, long=False) for i in range(50, 100))
    on_kafka.wait_for_events({STREAM: 100})
    (letter,) = on_kafka.read(on_kafka.settings.topics.deadletter.name)
    assert letter.value == b"not ours"
    assert dict(letter.headers)["oqm-reason"] == b"not_features"
