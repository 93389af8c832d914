"""A stream's past on real Kafka: passed over again, by the settings as they are and by others."""

from __future__ import annotations

import json

import pytest

from tests.cli.run_oqm import json_lines, oqm
from tests.kafka.installation import Installation, made_event

pytestmark = pytest.mark.kafka


def test_the_past_tells_what_was_told_and_what_others_would_have(on_kafka: Installation) -> None:
    streams = {f"bot-{i}/answer": 450 for i in range(3)}
    worker = on_kafka.worker()
    on_kafka.ready(worker)
    on_kafka.publish(made_event(stream, i, long=i >= 350) for i in range(450) for stream in streams)
    on_kafka.wait_for_events(streams, timeout_s=90)
    on_kafka.wait_for_findings(streams)
    assert worker.stop() == 0
    at = (
        "--past",
        "--json",
        "--broker",
        on_kafka.settings.broker.bootstrap,
        "--config",
        on_kafka.folder / "monitor.yaml",
    )
    found = json_lines(oqm("replay", *at).stdout)
    alerts = on_kafka.alerts()
    assert {(row["id"], row["state"]) for row in found} == {(alert.fingerprint, alert.state.value) for alert in alerts}
    assert {row["stream"] for row in found} == set(streams)
    one = "bot-1/answer"
    outcomes = json_lines(
        oqm("replay", *at, "--stream", one, "--try", "alert_on=mix", "--try", "floors.number=0.5").stdout
    )
    assert [(row["stream"], row["candidate"]) for row in outcomes] == [
        (one, "as configured"), (one, "alert_on=mix"), (one, "floors.number=0.5"),
    ]  # fmt: skip
    assert [bool(row["fired"]) for row in outcomes] == [True, False, True], json.dumps(outcomes)
    assert all(row["events"] == 450 for row in outcomes)
    assert outcomes[0]["first_alert"]["id"] in {row["id"] for row in found if row["stream"] == one}
