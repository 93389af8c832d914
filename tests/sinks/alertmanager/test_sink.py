from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.rendering.plain_text import body
from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import RaisedAt, Severity, State
from monitor.errors import PermanentDelivery, RetryableDelivery
from monitor.sinks.alertmanager.config import AlertmanagerSinkConfig
from monitor.sinks.alertmanager.sink import AlertmanagerSink
from monitor.sinks.base import Resources
from monitor.testing.sinks import check_failure, check_sink
from tests.sinks.receiver import Receiver, receiver

NOW = 1_763_891_000.0


def sink(*urls: str, **data: object) -> AlertmanagerSink:
    config = AlertmanagerSinkConfig.model_validate({"type": "alertmanager", "urls": urls, **data})
    return AlertmanagerSink(config, Resources(clock=lambda: NOW))


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def test_keeps_the_contract(server: Receiver) -> None:
    await check_sink(lambda: sink(server.url), server.keys)


async def test_posts_what_api_v2_asks_for(server: Receiver) -> None:
    made = sink(f"{server.url}/prefix/", labels={"cluster": "eu-1", "stream": "never"}, username="u", password="p")
    alert = sample_alert()
    await made.send(alert)
    path, headers, _ = server.last
    assert path == "/prefix/api/v2/alerts"
    assert headers["Authorization"] == "Basic dTpw"
    (posted,) = server.json()
    assert posted["labels"] == {"cluster": "eu-1", **alert.labels}  # ours win: they are the identity
    assert posted["annotations"]["description"] == body(alert)
    assert posted["annotations"]["runbook_url"] == "config/runbooks/silent_update.md"
    assert all(isinstance(value, str) for value in posted["annotations"].values())
    assert seconds(posted["startsAt"]) == alert.raised_at.time
    assert seconds(posted["endsAt"]) == NOW + 300
    assert "generatorURL" not in posted
    await made.close()


async def test_resolved_ends_now_under_the_same_labels(server: Receiver) -> None:
    book, made = AlertBook(), sink(server.url)
    posted: list[Any] = []
    for state in (State.FIRING, State.RESOLVED):
        alert = book.apply(sample_alert(state))
        assert alert is not None
        await made.send(alert)
        posted += server.json()
    assert posted[0]["labels"] == posted[1]["labels"]
    assert posted[0]["startsAt"] == posted[1]["startsAt"]
    assert seconds(posted[1]["endsAt"]) == NOW
    await made.close()


@pytest.mark.parametrize("time", [None, NOW + 3_600.0, -5.0])
async def test_an_alert_never_ends_before_it_starts(server: Receiver, time: float | None) -> None:
    made = sink(server.url)
    alert = msgspec.structs.replace(sample_alert(State.RESOLVED), raised_at=RaisedAt(None, 1, time))
    await made.send(alert)
    (posted,) = server.json()
    assert 0 <= seconds(posted["startsAt"]) <= seconds(posted["endsAt"])
    await made.close()


async def test_keep_alive_repeats_in_pieces_what_is_for_this_sink(server: Receiver) -> None:
    made = sink(server.url, routes=["a"])
    firing = [sample_alert(stream=f"s{i}", route="a" if i else "b") for i in range(451)]
    await made.keep_alive([*firing, sample_alert(State.RESOLVED, route="a")])
    posted = [msgspec.json.decode(content) for _, _, content in server.requests]
    assert [len(piece) for piece in posted] == [200, 200, 50]
    assert {p["labels"]["stream"] for piece in posted for p in piece} == {f"s{i}" for i in range(1, 451)}
    await made.close()


async def test_one_peer_of_a_cluster_is_enough(server: Receiver, nobody: str) -> None:
    made = sink(nobody, server.url, timeout=2)
    await made.send(sample_alert())
    assert len(server.requests) == 1
    await made.close()


async def test_all_peers_failing_says_what_each_said(nobody: str) -> None:
    async with receiver() as bad, receiver() as busy:
        bad.status, busy.status, busy.headers = 400, 503, {"Retry-After": "9"}
        await check_failure(made := sink(bad.url, busy.url), RetryableDelivery, retry_after_s=9.0)
        await made.close()
        await check_failure(made := sink(bad.url), PermanentDelivery)
        await made.close()
        await check_failure(made := sink(busy.url, nobody), RetryableDelivery)
        await made.close()


def test_information_is_not_for_alertmanager_unless_asked_for() -> None:
    alert = msgspec.structs.replace(sample_alert(State.INFO), severity=Severity.INFO)
    assert not sink("http://x").takes(alert)
    assert sink("http://x", min_severity="info").takes(alert)
