"""`oqm alert` and notify over a broker: what one machine says, the other honours."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor.alerting.alert import Alert, encode
from monitor.alerting.from_finding import from_finding
from monitor.alerting.rendering.samples import SPECS, sample_finding
from monitor.demo.embedded_broker import EmbeddedBroker
from monitor.detection.records.finding import State
from monitor.settings import Broker, Settings
from pipelines.kafka.topics import private_topics, temporary_topics
from tests.cli.run_oqm import json_lines, one_line_of_error, oqm
from tests.kafka.installation import Installation
from tests.sinks.pager import Pager, listening

pytestmark = pytest.mark.embedded


@pytest.fixture
def pager() -> Iterator[Pager]:
    with listening() as pager:
        yield pager


class Desk:
    """An installation whose notify tells `pager`, and an operator's `oqm` on another machine."""

    def __init__(self, installation: Installation, config: Path) -> None:
        self.installation = installation
        self.at = ("--broker", installation.settings.broker.bootstrap, "--config", str(config))

    def publish(self, *alerts: Alert) -> None:
        for alert in alerts:
            self.installation.send(self.installation.settings.topics.alerts.name, encode(alert), partition=0)

    def oqm(self, *words: str) -> str:
        done = oqm("alert", *words, *self.at)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, *words: str) -> dict[str, dict[str, Any]]:
        return {row["id"]: row for row in json_lines(self.oqm("list", "--json", *words))}


@pytest.fixture
def desk(embedded_broker: EmbeddedBroker, tmp_path: Path, pager: Pager) -> Iterator[Desk]:
    settings = Settings()
    settings = settings.model_copy(
        update={
            "broker": Broker(bootstrap=embedded_broker.address),
            "topics": private_topics(settings.topics, uuid.uuid4().hex[:8]),
        }
    )
    url = f"http://127.0.0.1:{pager.server_port}/v2/enqueue"
    sinks = [{"type": "log"}, {"type": "pagerduty", "routing_key": "k" * 32, "url": url}]
    with temporary_topics(settings.broker, settings.topics):
        installation = Installation(settings, embedded_broker.session_timeout_s, tmp_path, sections={"sinks": sinks})
        try:
            yield Desk(installation, tmp_path / "monitor.yaml")
        finally:
            installation.close()


def made(number: int, state: State = State.FIRING, stream: str = "bot/answer", model: str | None = None) -> Alert:
    # A model of its own: the same change behind one model would be one incident, and one page.
    finding = msgspec.structs.replace(sample_finding(state, stream=stream), id=f"{number:016x}", model=model)
    return from_finding(finding, owner="ada", specs=SPECS)


def test_what_is_said_on_one_machine_is_done_on_the_other(desk: Desk, pager: Pager) -> None:
    worker = desk.installation.worker("notify")
    taken, false, snoozed = (made(0xA1B2C3 + n, stream=f"bot-{n}/answer", model=f"m{n}") for n in range(3))
    desk.publish(taken, false, snoozed)
    desk.installation.wait_for("three pages", lambda: len(pager.events) == 3)

    desk.oqm("ack", taken.fingerprint, "--by", "ada")
    desk.oqm("false-alarm", false.fingerprint, "--by", "bob")
    desk.oqm("snooze", snoozed.fingerprint, "--for", "3s", "--by", "eve")
    desk.installation.wait_for(
        "an acknowledgement", lambda: pager.actions(taken.fingerprint) == ["trigger", "acknowledge"]
    )
    desk.installation.wait_for("a resolution", lambda: pager.actions(false.fingerprint) == ["trigger", "resolve"])
    # The snooze over, it fires still: told anew.
    desk.installation.wait_for("a reminder", lambda: pager.actions(snoozed.fingerprint) == ["trigger", "trigger"])

    rows = desk.rows()
    assert set(rows) == {taken.fingerprint, snoozed.fingerprint}
    assert rows[taken.fingerprint]["acked_by"] == "ada"
    assert desk.rows("--all")[false.fingerprint]["false_by"] == "bob"
    assert "acknowledged by ada" in desk.oqm("list")
    assert "* acknowledged by ada" in desk.oqm("show", taken.fingerprint)
    assert "answers 2.9 times longer" in desk.oqm("show", taken.fingerprint)

    # A new worker knows it all from the log, and says nothing twice.
    worker.stop()
    desk.installation.worker("notify")
    desk.publish(made(0xFFFF, stream="another/answer", model="m9"))
    desk.publish(made(0xFFFE, stream="and-another/answer", model="m9"))  # the same incident, so no page
    desk.publish(made(0xFFFD, stream="a-third/answer", model="m10"))
    desk.installation.wait_for("the next pages", lambda: len(pager.events) == 8)
    assert pager.actions(snoozed.fingerprint) == ["trigger", "trigger"]
    assert pager.actions(f"{0xFFFE:016x}") == []
    assert not desk.installation.read(desk.installation.settings.topics.deadletter.name)


def test_an_incident_is_taken_as_a_whole_and_ids_can_be_cut(desk: Desk) -> None:
    one, other = made(0xAAAA_1111_0000_0000, stream="a"), made(0xAAAA_2222_0000_0000, stream="b")
    desk.publish(one, other, made(0xBBBB_0000_0000_0000, State.RESOLVED, stream="c"))
    incident = desk.rows()[one.fingerprint]["incident"]
    desk.oqm("ack", incident, "--by", "ada")
    assert {row["acked_by"] for row in desk.rows().values()} == {"ada"}
    desk.oqm("ack", one.fingerprint[:8], "--by", "bob")
    assert desk.rows()[one.fingerprint]["acked_by"] == "bob"

    for words, message in (
        (("ack", "aaaa"), "2 alerts begin so: aaaa111100000000, aaaa222200000000"),
        (("show", "dddd1111"), "no such alert or incident"),
        (("ack", "aa"), "at least 4 characters"),
        (("snooze", "bbbb0000", "--for", "1h"), "resolved, so it cannot be acknowledged or snoozed"),
        (("snooze", "aaaa1111", "--for", "soon"), "must be a duration"),
        (("snooze", "aaaa1111", "--for", "999999999w"), "must be at most 30d"),
    ):
        assert message in one_line_of_error(oqm("alert", *words, *desk.at))


def test_nothing_fires_on_an_empty_log(desk: Desk) -> None:
    assert desk.rows() == {}
    assert "0 alerts fire" in desk.oqm("list")
