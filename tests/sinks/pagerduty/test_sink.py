from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings

from monitor.alerting.alert import Alert
from monitor.alerting.rendering.links import LinkTemplates
from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import Severity, State
from monitor.sinks.base import Acknowledges
from monitor.sinks.pagerduty.config import PagerDutySinkConfig
from monitor.sinks.pagerduty.event import LARGEST_EVENT_BYTES, event
from monitor.sinks.pagerduty.sink import PagerDutySink
from monitor.testing.sinks import check_sink
from tests.sinks.any_alert import alerts
from tests.sinks.receiver import Receiver

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parent / "event.schema.json").read_text()),
    format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
)
KEY = "0123456789abcdef0123456789abcdef"
LINKS = LinkTemplates(
    dashboard="http://grafana:3000/d/oqm-stream?var-stream={stream}", trace="https://tempo.example/{event_id}"
)


def sink(server: Receiver, **data: object) -> PagerDutySink:
    server.status, server.text = 202, '{"status": "success", "message": "Event processed", "dedup_key": "x"}'
    config = {"type": "pagerduty", "routing_key": KEY, "url": f"{server.url}/v2/enqueue", **data}
    return PagerDutySink(PagerDutySinkConfig.model_validate(config))


async def test_keeps_the_contract(server: Receiver) -> None:
    await check_sink(lambda: sink(server), server.keys)


async def test_triggers_acknowledges_and_resolves_one_incident(server: Receiver) -> None:
    pagerduty = sink(server)
    alert = sample_alert(links=LINKS)
    await pagerduty.send(alert)
    await pagerduty.acknowledge(alert, f"{alert.fingerprint}:acknowledged")
    await pagerduty.send(sample_alert(State.RESOLVED))
    bodies: list[dict[str, Any]] = [json.loads(body) for _, _, body in server.requests]
    for body in bodies:
        SCHEMA.validate(body)
    assert [body["event_action"] for body in bodies] == ["trigger", "acknowledge", "resolve"]
    assert {body["dedup_key"] for body in bodies} == {alert.fingerprint}
    assert "payload" not in bodies[1]
    over = bodies[2]["payload"]
    assert over["summary"].startswith("support-bot/answer: recovered: output.format.bullets is back at 12.4%")
    assert over["custom_details"]["resolved"].endswith("; it lasted 49 min, 524 events")
    assert {path for path, _, _ in server.requests} == {"/v2/enqueue"}
    assert server.keys()[1] == f"{alert.fingerprint}:acknowledged"
    await pagerduty.close()


async def test_the_incident_says_what_and_where_to_look(server: Receiver) -> None:
    await (pagerduty := sink(server)).send(sample_alert(links=LINKS))
    body = server.json()
    payload = body["payload"]
    assert payload["summary"].startswith("support-bot/answer: Silent model update: answers 2.9 times longer")
    assert payload["source"] == "support-bot/answer"
    assert payload["severity"] == "warning"
    assert payload["timestamp"] == "2025-11-23T09:41:07.000Z"
    assert payload["class"] == "silent_update"
    assert payload["component"] == "gpt-4o"
    assert payload["custom_details"]["4 what changed"]["output.length.chars"] == "412 -> 1,180 (2.9x)"
    assert len(payload["custom_details"]["6 after the change"]) == 3
    # A runbook that is a file is no link.
    assert [link["text"] for link in body["links"]] == ["Dashboard", "Trace"]
    assert body["client_url"] == body["links"][0]["href"]
    await pagerduty.close()


async def test_severities_are_called_as_the_operator_says(server: Receiver) -> None:
    critical = msgspec.structs.replace(sample_alert(), severity=Severity.CRITICAL)
    pagerduty = sink(server, severities={"warning": "error"})
    await pagerduty.send(sample_alert())
    await pagerduty.send(critical)
    assert [json.loads(body)["payload"]["severity"] for _, _, body in server.requests] == ["error", "critical"]
    await pagerduty.close()


async def test_information_opens_no_incident(server: Receiver) -> None:
    pagerduty = sink(server, min_severity="info")
    assert pagerduty.takes(sample_alert())
    assert not pagerduty.takes(sample_alert(State.INFO))
    assert isinstance(pagerduty, Acknowledges)


@given(alerts())
@settings(max_examples=50, deadline=None)
def test_any_alert_keeps_within_what_pagerduty_takes(alert: Alert) -> None:
    for action in ("trigger", "acknowledge", "resolve"):
        body = event(alert, action, routing_key=KEY, severity="warning")  # type: ignore[arg-type]
        SCHEMA.validate(body)
        assert len(msgspec.json.encode(body)) < LARGEST_EVENT_BYTES / 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"routing_key": "short"}, "32 letters and digits"),
        ({"routing_key": KEY[:-1] + "\n"}, "32 letters and digits"),
        ({"severities": {"warning": "loud"}}, "severities"),
        ({"severities": {"nope": "error"}}, "severities"),
        ({"url": "ftp://x"}, "scheme"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(data: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PagerDutySinkConfig.model_validate({"type": "pagerduty", "routing_key": KEY, **data})


def test_the_key_is_a_secret() -> None:
    assert KEY not in repr(PagerDutySinkConfig.model_validate({"type": "pagerduty", "routing_key": KEY}))
