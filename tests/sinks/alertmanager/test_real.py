"""Against a real Alertmanager with the configuration that ships."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from monitor.alerting.alert import Alert
from monitor.alerting.from_finding import from_finding
from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.rendering.samples import sample_alert, sample_finding
from monitor.detection.records.finding import FindingKind, State
from monitor.settings.paths import config_dir
from monitor.sinks.alertmanager.config import AlertmanagerSinkConfig
from monitor.sinks.alertmanager.sink import AlertmanagerSink
from tests.servers import alertmanager
from tests.sinks.receiver import receiver

SHIPPED = config_dir() / "alertmanager" / "alertmanager.yml"


@pytest.fixture
def real(tmp_path: Path) -> Iterator[str]:
    with alertmanager(SHIPPED, tmp_path) as url:
        yield url


def sink(url: str, **data: object) -> AlertmanagerSink:
    config = AlertmanagerSinkConfig.model_validate({"type": "alertmanager", "urls": [url], **data})
    return AlertmanagerSink(config)


def in_seconds(folder: Path, page: str, wait: str = "1s") -> Path:
    """The configuration as shipped, with a receiver, and groups that wait for seconds."""
    config = yaml.safe_load(SHIPPED.read_text())
    config["route"] |= {"group_wait": wait, "group_interval": wait}
    config["receivers"][0]["webhook_configs"] = [{"url": page}]
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    return path


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what a server does in its own time."""
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit
        await asyncio.sleep(0.1)


def listed(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/v2/alerts?active=true&inhibited=true", timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)
        return found


def told(book: AlertBook, alert: Alert) -> Alert:
    news = book.apply(alert)
    assert news is not None
    return news


def incident(book: AlertBook) -> str | None:
    known = book.get(sample_alert(stream="s0").fingerprint)
    assert known is not None
    return known.incident


async def test_an_alert_arrives_once_however_often_it_is_sent_and_resolves(real: str) -> None:
    book, made = AlertBook(), sink(real, labels={"cluster": "test"})
    firing = told(book, sample_alert(time=time.time() - 60))
    await made.send(firing)
    await made.send(firing)
    await made.keep_alive(book.firing())
    (alert,) = listed(real)
    assert alert["labels"] == {"cluster": "test", **firing.labels}
    assert alert["annotations"]["summary"] == firing.title
    assert alert["status"]["state"] == "active"
    assert [r["name"] for r in alert["receivers"]] == ["on-call"]

    await made.send(told(book, sample_alert(State.RESOLVED, time=time.time() - 60)))
    assert listed(real) == []
    await made.close()


async def test_an_alert_that_is_not_kept_alive_ends_by_itself(real: str) -> None:
    made = sink(real, keep_alive="1s", expires_after="2s")
    await made.send(sample_alert(time=time.time()))
    assert len(listed(real)) == 1
    limit = time.monotonic() + 30
    while listed(real):
        assert time.monotonic() < limit
        await asyncio.sleep(0.2)
    await made.close()


async def test_the_cause_silences_its_consequences_in_the_same_stream(real: str) -> None:
    made = sink(real)
    await made.send(sample_alert(time=time.time()))  # a silent update
    for stream in ("support-bot/answer", "another"):
        finding = sample_finding(stream=stream, time=time.time())
        finding = msgspec.structs.replace(finding, kind=FindingKind.FORMAT, id=f"format-{stream}")
        await made.send(from_finding(finding))
    limit = time.monotonic() + 30
    while True:  # inhibition is decided when the alerts are looked at again
        states = {(a["labels"]["kind"], a["labels"]["stream"]): a["status"]["state"] for a in listed(real)}
        if states.get(("format", "support-bot/answer")) == "suppressed":
            break
        assert time.monotonic() < limit, states
        await asyncio.sleep(0.2)
    assert states[("silent_update", "support-bot/answer")] == "active"
    assert states[("format", "another")] != "suppressed"
    await made.close()


def silence(url: str, stream: str, comment: str) -> str:
    """A silence of one stream for an hour, as an operator sets it; gives its id."""
    now = time.time()
    asked = {
        "matchers": [{"name": "stream", "value": stream, "isRegex": False, "isEqual": True}],
        "startsAt": datetime.fromtimestamp(now - 1, UTC).isoformat(),
        "endsAt": datetime.fromtimestamp(now + 3_600, UTC).isoformat(),
        "createdBy": "ada",
        "comment": comment,
    }
    body = json.dumps(asked).encode()
    request = urllib.request.Request(f"{url}/api/v2/silences", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        made: str = json.load(answer)["silenceID"]
        return made


def end_silence(url: str, known_as: str) -> None:
    request = urllib.request.Request(f"{url}/api/v2/silence/{known_as}", method="DELETE")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


async def test_a_silence_is_respected_until_it_ends(tmp_path: Path) -> None:
    async with receiver() as pager:
        with alertmanager(in_seconds(tmp_path, f"{pager.url}/page"), tmp_path) as url:
            made = sink(url)
            quiet = silence(url, "quiet/answer", "known, being mended")
            for stream, kind in (("quiet/answer", FindingKind.FORMAT), ("loud/answer", FindingKind.LATENCY)):
                finding = msgspec.structs.replace(
                    sample_finding(stream=stream, time=time.time()), kind=kind, id=stream.replace("/", "-")
                )
                told_of = AlertBook().apply(from_finding(finding))
                assert told_of is not None
                await made.send(told_of)
            await until(lambda: len(pager.requests) == 1)
            assert [alert["labels"]["stream"] for alert in pager.json()["alerts"]] == ["loud/answer"]
            (held,) = [alert for alert in listed(url) if alert["labels"]["stream"] == "quiet/answer"]
            assert held["status"] == {"state": "suppressed", "silencedBy": [quiet], "inhibitedBy": []}
            end_silence(url, quiet)
            await until(lambda: len(pager.requests) == 2)
            assert [alert["labels"]["stream"] for alert in pager.json()["alerts"]] == ["quiet/answer"]
            await made.close()


async def test_one_incident_in_many_streams_is_one_notification_and_so_is_its_end(tmp_path: Path) -> None:
    async with receiver() as pager:
        with alertmanager(in_seconds(tmp_path, f"{pager.url}/page", "5s"), tmp_path) as url:
            book, made, now = AlertBook(), sink(url), time.time()
            for state in (State.FIRING, State.RESOLVED):
                alerts = [told(book, sample_alert(state, stream=f"s{i}", time=now)) for i in range(30)]
                await asyncio.gather(*(made.send(alert) for alert in alerts))
                wanted = 1 if state is State.FIRING else 2
                await until(lambda wanted=wanted: len(pager.requests) >= wanted)
                page = pager.json()
                assert page["status"] == state.value
                assert len(page["alerts"]) == 30
                assert page["groupLabels"]["incident"] == incident(book)
            await made.close()
        assert len(pager.requests) == 2
