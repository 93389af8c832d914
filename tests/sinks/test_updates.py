"""What each receiver gets of a revision of an alert that it knows."""

from __future__ import annotations

import io

import msgspec

from monitor.alerting.alert import Alert
from monitor.alerting.from_finding import from_finding
from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.rendering.alert_facts import refined
from monitor.alerting.rendering.markdown import markdown
from monitor.alerting.rendering.plain_text import block
from monitor.alerting.rendering.samples import sample_finding
from monitor.detection.records.finding import Severity, State
from monitor.sinks.alertmanager.config import AlertmanagerSinkConfig
from monitor.sinks.alertmanager.sink import AlertmanagerSink
from monitor.sinks.base import CannotReplace, Resources
from monitor.sinks.email.message import mail, message_id
from monitor.sinks.email.sink import EmailSink
from monitor.sinks.log.config import LogSinkConfig
from monitor.sinks.log.sink import LogSink
from monitor.sinks.pagerduty.event import event
from monitor.sinks.slack.message import message
from monitor.sinks.slack.sink import SlackSink
from monitor.sinks.webhook.template import values
from tests.sinks.receiver import Receiver

NOW = 1_763_891_000.0


def revised(*severities: Severity) -> Alert:
    """An alert that fired as the first of these severities, in its latest revision."""
    book, news = AlertBook(), None
    for number, severity in enumerate(severities):
        events = 200 * number if number else None
        finding = sample_finding(State.FIRING, time=NOW - 60)
        finding = msgspec.structs.replace(finding, revision=number, measured_events=events, severity=severity)
        news = book.apply(from_finding(finding))
    assert news is not None
    return news


UPDATE = revised(Severity.WARNING, Severity.WARNING)
RISEN = revised(Severity.WARNING, Severity.CRITICAL)
LESS = revised(Severity.CRITICAL, Severity.WARNING)


def test_all_say_on_how_many_events() -> None:
    words = "measured again on 200 events since the change"
    assert refined(UPDATE) == words
    for shown in (
        block(UPDATE),
        markdown(UPDATE),
        str(values(UPDATE)["text"]),
        str(message(UPDATE)),
        str(mailed(UPDATE)),
    ):
        assert words in " ".join(shown.replace("=\n", "").split())
    assert block(UPDATE).splitlines()[1].startswith("UPDATE warning")
    assert markdown(UPDATE).startswith("### UPDATE (warning)")
    assert "by these it is warning, it fired as critical" in " ".join(block(LESS).split())


def mailed(alert: Alert) -> object:
    return mail(alert, sender="oqm@example.org", recipients=["ada@example.org"], now=NOW)


def test_a_mail_of_an_update_answers_the_mail_of_the_alert() -> None:
    sent = mail(RISEN, sender="oqm@example.org", recipients=["ada@example.org"], now=NOW)
    first = message_id(f"{RISEN.fingerprint}:firing", "example.org")
    assert sent["References"] == sent["In-Reply-To"] == first
    assert sent["Message-ID"] != first
    assert str(sent["Subject"]).startswith("[UPDATE critical]")
    assert sent["Importance"] == "high"
    same = revised(Severity.CRITICAL, Severity.CRITICAL)
    assert mail(same, sender="o@example.org", recipients=["a@example.org"], now=NOW)["Importance"] is None


def test_slack_gets_a_short_message() -> None:
    whole, short = message(revised(Severity.WARNING)), message(RISEN)
    assert len(msgspec.json.encode(short)) < len(msgspec.json.encode(whole)) / 2
    assert " Update: " in short["blocks"][0]["text"]["text"]
    assert short["text"].startswith("UPDATE critical")


def test_chat_and_mail_cannot_replace_what_they_sent() -> None:
    assert isinstance(SlackSink.__dict__["cannot_replace"], property)
    assert isinstance(EmailSink.__dict__["cannot_replace"], property)
    assert not isinstance(LogSink(LogSinkConfig(name="log", type="log")), CannotReplace)


def test_pagerduty_updates_the_incident_in_place() -> None:
    first, sent = (
        event(a, "trigger", routing_key="k", severity="critical") for a in (revised(Severity.WARNING), UPDATE)
    )
    assert (sent["dedup_key"], sent["event_action"]) == (first["dedup_key"], "trigger")
    assert sent["payload"]["custom_details"]["2 refined"] == refined(UPDATE)
    assert "2 refined" not in first["payload"]["custom_details"]


async def test_the_log_gets_a_line() -> None:
    out = io.StringIO()
    await LogSink(LogSinkConfig(name="log", type="log"), Resources(stream=out)).send(UPDATE)
    (line,) = out.getvalue().splitlines()
    assert line.startswith("UPDATE warning | ")


async def test_alertmanager_knows_it_by_the_same_labels_unless_it_became_more_severe(
    server: Receiver,
) -> None:
    config = AlertmanagerSinkConfig.model_validate({"type": "alertmanager", "name": "am", "urls": [server.url]})
    sink = AlertmanagerSink(config, Resources(clock=lambda: NOW))
    await sink.send(UPDATE)
    (posted,) = server.json()
    assert posted["labels"] == revised(Severity.WARNING).labels
    assert "measured again on 200 events" in " ".join(posted["annotations"]["description"].split())
    await sink.send(LESS)
    (posted,) = server.json()
    assert posted["labels"]["severity"] == "critical"
    assert posted["annotations"]["severity_now"] == "warning"
    await sink.send(RISEN)
    new, old = server.json()
    assert (new["labels"]["severity"], old["labels"]["severity"]) == ("critical", "warning")
    assert {**new["labels"], "severity": ""} == {**old["labels"], "severity": ""}
    assert new["endsAt"] > old["endsAt"]
    await sink.close()
