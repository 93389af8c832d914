from __future__ import annotations

import json

import pytest

from monitor.alerting.alert import Alert, decode
from monitor.alerting.rendering.plain_text import block
from monitor.alerting.rendering.samples import sample_alert
from monitor.sinks.base import Resources
from monitor.sinks.webhook.config import WebhookSinkConfig
from monitor.sinks.webhook.signature import sign, verify
from monitor.sinks.webhook.sink import WebhookSink
from monitor.testing.sinks import check_sink
from tests.sinks.receiver import Receiver

NOW = 1_763_890_900.7


def sink(server: Receiver, **data: object) -> WebhookSink:
    config = WebhookSinkConfig.model_validate({"type": "webhook", "url": f"{server.url}/hook?a=1", **data})
    return WebhookSink(config, Resources(clock=lambda: NOW))


async def test_keeps_the_contract(server: Receiver) -> None:
    await check_sink(lambda: sink(server, secret="k"), server.keys)


async def test_posts_the_alert_with_its_renderings(server: Receiver) -> None:
    alert = sample_alert()
    await (hook := sink(server)).send(alert)
    path, headers, body = server.last
    assert path == "/hook"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == "output-quality-monitor"
    assert "X-OQM-Signature" not in headers
    assert decode(body) == alert
    assert server.json()["text"] == block(alert)
    await hook.close()


async def test_a_receiver_can_verify_what_it_got(server: Receiver) -> None:
    await (hook := sink(server, secret="schlüssel")).send(sample_alert())
    _, headers, body = server.last
    signature, timestamp = headers["X-OQM-Signature"], headers["X-OQM-Timestamp"]
    assert timestamp == str(int(NOW))
    assert verify("schlüssel", signature, timestamp, body, now=NOW + 299)
    assert verify("schlüssel", f"v1=0000, {signature}", timestamp, body, now=NOW)
    assert not verify("other", signature, timestamp, body, now=NOW)
    assert not verify("schlüssel", signature, timestamp, body + b" ", now=NOW)
    assert not verify("schlüssel", signature, str(int(timestamp) + 1), body, now=NOW)
    assert not verify("schlüssel", signature, timestamp, body, now=NOW + 302)
    assert not verify("schlüssel", signature, timestamp, body, now=NOW - 302)
    await hook.close()


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "1e9", "٣", "9" * 400])
def test_an_unreadable_time_is_not_verified(timestamp: str) -> None:
    assert not verify("k", sign("k", 1, b""), timestamp, b"", now=1.0)


@pytest.mark.parametrize("signature", ["", "v1=", "sha256=abc", "v1=\ud800", "é,é"])
def test_an_unreadable_signature_is_not_verified(signature: str) -> None:
    assert not verify("k", signature, "1", b"", now=1.0)


async def test_a_template_replaces_the_body_and_headers_are_added(server: Receiver) -> None:
    template = '{"text": $title, "tags": [$labels.severity, $segment.nothing], "price": "$$5", "n": $began_at.index}'
    hook = sink(server, template=template, headers={"Authorization": "Bearer t"})
    await hook.send(sample_alert())
    assert server.json() == {
        "text": sample_alert().title, "tags": ["warning", None], "price": "$5", "n": 1204,
    }  # fmt: skip
    assert server.last[1]["Authorization"] == "Bearer t"
    await hook.close()


async def test_no_text_can_break_out_of_a_template(server: Receiver) -> None:
    import msgspec

    alert: Alert = msgspec.structs.replace(sample_alert(), title='"}\n$stream \\ {"x": "')
    hook = sink(server, template='{"text": $title}')
    await hook.send(alert)
    assert json.loads(server.last[2]) == {"text": alert.title}
    await hook.close()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"template": '{"a": $nope}'}, r"unknown name \$nope, known are .*\$title"),
        ({"template": '{"a": "$title"}'}, "does not give valid JSON"),
        ({"template": '{"a": 5 $ }'}, "a single \\$"),
        ({"template": "{"}, "does not give valid JSON"),
        ({"url": "ftp://x"}, "scheme"),
        ({"secret": ""}, "must not be empty"),
        ({"timeout": 0}, "greater than 0"),
        ({"headers": {"A b": "c"}}, "is no name of an HTTP header"),
        ({"headers": {"A": "c\r\nB: d"}}, "printable ASCII"),
        ({"headers": {"content-TYPE": "c"}}, "set by the sink itself"),
        ({"name": "My Hook"}, "must be 1 to 64"),
        ({"routes": []}, "at least 1"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(data: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WebhookSinkConfig.model_validate({"type": "webhook", "url": "http://x", **data})
