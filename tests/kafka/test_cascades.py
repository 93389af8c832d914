"""Cascades on a real Kafka: an alert says how much followed from its outputs, and a loop is an alert until it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.alerting.alert import Alert, encode
from monitor.detection.records.finding import FindingKind, State
from monitor.settings.store import Store
from monitor.store.records import Incoming, Place
from pipelines.cascades import cascade_alerts, reach, watch
from pipelines.cascades.fresh import Fresh
from pipelines.cascades.watch import CascadeWatch
from pipelines.kafka.topics import read_topics
from tests.brokers.apache import ApacheKafka
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation, made_event

pytestmark = pytest.mark.kafka


@pytest.fixture
def installation(kafka_broker: ApacheKafka, tmp_path: Path) -> Iterator[Installation]:
    for made in installed(kafka_broker, tmp_path):
        location = str(tmp_path / "traces")
        made.settings = made.settings.model_copy(update={"store": Store(location=location)})
        made.with_sections({"store": {"location": location}})
        yield made


def test_an_alert_says_how_much_followed_and_a_loop_is_one_until_it_ends(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.ready(installation.worker("featurize", "detect", "store"))
    installation.publish(made_event("answers", n, long=False) for n in range(400))
    installation.wait_for_events({"answers": 400})
    installation.publish(made_event("answers", n, long=True) for n in range(400, 440))
    mails = ({**made_event("mails", n, long=False), "causes": [f"answers-{n}"]} for n in range(400, 420))
    installation.publish(mails)
    installation.wait_for_findings(["answers"])
    # The worker looks a minute after an alert: here another one looks at once, at the same log and store.
    monkeypatch.setattr(reach, "LOOKS_AFTER_S", (1.0,))
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.5)
    monkeypatch.setattr(cascade_alerts, "QUIET_S", 3.0)
    settings, fresh, failed = installation.settings, Fresh(), list[BaseException]()
    other = CascadeWatch(lambda: settings, read_topics(settings.broker, settings.topics), fresh, failed.append)
    other.start()
    try:
        [fired] = [alert for alert in installation.alerts() if alert.stream == "answers"][:1]
        place = Place("alerts", 0, 0, fired.raised_at.time or 0.0)
        fresh.add(Incoming(alerts=[{**place.columns(), "stream": "answers", "body": encode(fired).decode()}]))
        installation.wait_for("it says so", lambda: any(alert.followed for alert in installation.alerts()), 60)
        revised = next(alert for alert in installation.alerts() if alert.followed)
        assert revised.fingerprint == fired.fingerprint
        assert revised.revision > fired.revision
        assert revised.followed is not None
        assert (revised.followed.outputs, revised.followed.streams, revised.followed.actions) == (20, 1, None)

        rounds = [{**made_event("loop", n, long=False), "causes": [f"loop-{n - 1}"]} for n in range(1, 31)]
        installation.publish([made_event("loop", 0, long=False), *rounds])
        # The worker's own watch raises it: it sees what its writer has written.
        installation.wait_for("the loop", lambda: bool(loops(installation)), 60)
        [loop] = loops(installation)
        assert (loop.stream, loop.state) == ("loop", State.FIRING)
        assert "loop came " in loop.title
    finally:
        other.stop()
    assert failed == []
    # One that takes over finds it in the log, and ends it.
    heir = CascadeWatch(lambda: settings, read_topics(settings.broker, settings.topics), Fresh(), failed.append)
    heir.start()
    try:
        installation.wait_for("its end", lambda: len(loops(installation)) == 2, 60)
    finally:
        heir.stop()
    assert [one.state for one in loops(installation)] == [State.FIRING, State.RESOLVED]
    assert failed == []


def loops(installation: Installation) -> list[Alert]:
    return [alert for alert in installation.alerts() if alert.kind is FindingKind.CASCADE]
