"""An alert says the same words wherever it is read: terminal, mail, Slack, PagerDuty, Markdown."""

from __future__ import annotations

import html
import json

import pytest

from monitor.alerting.alert import Alert
from monitor.alerting.rendering.alert_facts import commands, noticed, since
from monitor.alerting.rendering.markdown import markdown
from monitor.alerting.rendering.plain_text import AFTER_TITLE, BEFORE_TITLE, STEPS_TITLE, TABLE_TITLE, block
from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import State
from monitor.sinks.email.message import mail
from monitor.sinks.pagerduty.event import event
from monitor.sinks.slack.message import message


def of_mail(alert: Alert) -> str:
    body = mail(alert, sender="oqm@example.org", recipients=["a@example.org"], now=1.7e9).get_body(("html",))
    assert body is not None
    return html.unescape(body.get_content())


READ_IN = {
    "terminal": block,
    "mail": of_mail,
    "Slack": lambda alert: json.dumps(message(alert), ensure_ascii=False),
    "PagerDuty": lambda alert: json.dumps(
        event(alert, "trigger", routing_key="key", severity="error"), ensure_ascii=False
    ),
    "Markdown": markdown,
}


@pytest.mark.parametrize("where", READ_IN)
def test_title_beginning_and_parts_have_the_same_words(where: str) -> None:
    alert = sample_alert()
    text = READ_IN[where](alert)
    for words in (alert.title, since(alert), *alert.next_steps[:1]):
        assert words in text
    for words in (TABLE_TITLE, STEPS_TITLE, AFTER_TITLE, BEFORE_TITLE):
        assert words.lower() in text.lower()
    if where != "PagerDuty":  # its page shows the time of its own trigger
        assert noticed(alert) in text


@pytest.mark.parametrize("where", ["mail", "Slack"])
def test_what_to_do_about_an_alert_is_named_as_the_commands_are(where: str) -> None:
    for what, command in commands(sample_alert()):
        assert command.split()[2].split("-")[0][:3] in what.lower()
        shown = READ_IN[where](sample_alert())
        assert what.lower() in shown.lower()
        assert command in shown
    assert commands(sample_alert(State.RESOLVED)) == []
