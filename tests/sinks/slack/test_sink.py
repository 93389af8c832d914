from __future__ import annotations

import json

import pytest

from monitor.alerting.rendering.samples import sample_alert
from monitor.sinks.slack.config import SlackSinkConfig
from monitor.sinks.slack.sink import SlackSink
from monitor.testing.sinks import check_sink
from tests.sinks.receiver import Receiver
from tests.sinks.slack.test_message import SCHEMA

SECRET = "T000/B000/XXXXXXXX"


def sink(server: Receiver) -> SlackSink:
    return SlackSink(SlackSinkConfig.model_validate({"type": "slack", "url": f"{server.url}/services/{SECRET}"}))


async def test_keeps_the_contract(server: Receiver) -> None:
    server.text = "ok"
    await check_sink(lambda: sink(server), server.keys)


async def test_posts_what_the_documentation_demands(server: Receiver) -> None:
    server.text = "ok"
    await (slack := sink(server)).send(sample_alert())
    path, headers, body = server.last
    assert path == f"/services/{SECRET}"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    SCHEMA.validate(json.loads(body))
    assert sample_alert().title in server.json()["blocks"][0]["text"]["text"]
    await slack.close()


def test_the_address_is_a_secret() -> None:
    config = SlackSinkConfig.model_validate({"type": "slack", "url": f"https://hooks.slack.com/services/{SECRET}"})
    assert SECRET not in repr(config)
    assert SECRET not in config.model_dump_json()


@pytest.mark.parametrize("data", [{}, {"url": ""}, {"url": "hooks.slack.com/x"}, {"url": "http://x", "channel": "#a"}])
def test_a_configuration_that_cannot_work_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"url|channel"):
        SlackSinkConfig.model_validate({"type": "slack", **data})
