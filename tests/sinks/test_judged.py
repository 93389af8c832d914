"""Every receiver says whether a change makes outputs worse, in the same words, and pages nobody a second time."""

from __future__ import annotations

import msgspec
import pytest

from monitor.alerting import alert as alerts
from monitor.alerting.alert import JUDGED, SEVERITY_NOW, Alert, Revised, is_grave_update
from monitor.alerting.from_finding import from_finding
from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.rendering.markdown import markdown
from monitor.alerting.rendering.plain_text import block
from monitor.alerting.rendering.samples import sample_finding
from monitor.detection.records.finding import Finding, Severity, State
from monitor.detection.records.judged import Harm, Judged, severity_by
from monitor.judgment.matters import Tally, conclude
from monitor.judgment.records import Side
from monitor.sinks.email.message import mail
from monitor.sinks.pagerduty.event import event
from monitor.sinks.slack.message import message

NOW = 1_763_891_000.0
SAID = {
    Harm.HARMFUL: "Judged harmful: helpful failed before 1 of 20, after 12 of 20 (people: not yet), +55 points",
    Harm.HARMLESS: "Judged harmless: helpful failed before 0 of 20, after 0 of 20 (people: not yet)",
    Harm.CANNOT_TELL: "Judged, cannot tell whether it is harmful: helpful failed before 1 of 20, after 4 of 20",
}
COUNTS = {Harm.HARMFUL: (1, 12), Harm.HARMLESS: (0, 0), Harm.CANNOT_TELL: (1, 4)}


def verdicts(harm: Harm) -> Judged:
    before, after = COUNTS[harm]
    tally = Tally()
    tally.judged.update(dict.fromkeys(Side, 20))
    tally.failed.update({Side.BEFORE: before, Side.AFTER: after})
    judged = conclude({"helpful": tally}, {"helpful": 40})
    assert judged.harm is harm
    return judged


def firing(severity: Severity, judged: Judged | None = None, revision: int = 0) -> Finding:
    made = sample_finding(State.FIRING, time=NOW - 60)
    now = severity if judged is None else severity_by(severity, made.kind, judged)
    return msgspec.structs.replace(made, severity=now, judged=judged, revision=revision)


def updated(harm: Harm, severity: Severity = Severity.WARNING) -> Alert:
    """What receivers get: an alert that fired with this severity, and then the conclusion."""
    book = AlertBook()
    book.apply(from_finding(firing(severity)))
    news = book.apply(from_finding(firing(severity, verdicts(harm), 1)))
    assert news is not None
    return alerts.decode(alerts.encode(news))


@pytest.mark.parametrize("harm", list(Harm))
def test_all_receivers_say_it(harm: Harm) -> None:
    update = updated(harm)
    mailed = mail(update, sender="oqm@example.org", recipients=["ada@example.org"], now=NOW)
    shown = {
        "terminal": block(update),
        "markdown": markdown(update),
        "mail": mailed.get_body(("plain",)).get_content(),  # type: ignore[union-attr]
        "mail, HTML": mailed.get_body(("html",)).get_content(),  # type: ignore[union-attr]
        "Slack": str(message(update)),
        "PagerDuty": str(event(update, "trigger", routing_key="r" * 32, severity="warning")),
        "Alertmanager": update.annotations[JUDGED],
    }
    for receiver, text in shown.items():
        words = " ".join(text.replace("\\", "").split())
        assert SAID[harm].split(" (")[0] in words.replace("&#x27;", "'"), receiver
    assert update.revised == [Revised.JUDGED] or harm is Harm.HARMFUL
    assert is_grave_update(update)


def test_harm_raises_the_severity_and_what_is_harmless_is_said_to_be_less() -> None:
    harmful = updated(Harm.HARMFUL)
    assert harmful.severity is Severity.CRITICAL
    assert set(harmful.revised) == {Revised.SEVERITY, Revised.JUDGED}
    harmless = updated(Harm.HARMLESS)
    # The label by which receivers know it stays; what it is now is said.
    assert (harmless.severity, harmless.annotations[SEVERITY_NOW]) == (Severity.WARNING, "info")
    assert "With this it is info, it fired as warning." in " ".join(block(harmless).split())
    unsure = updated(Harm.CANNOT_TELL)
    assert unsure.severity is Severity.WARNING
    assert SEVERITY_NOW not in unsure.annotations


def test_it_is_the_same_alert_everywhere() -> None:
    first, update = from_finding(firing(Severity.WARNING)), updated(Harm.CANNOT_TELL)
    assert update.fingerprint == first.fingerprint
    one, two = (
        event(alert, "trigger", routing_key="r" * 32, severity="warning")["dedup_key"] for alert in (first, update)
    )
    assert one == two
    assert update.previous_labels is None


def test_a_hostile_name_of_an_evaluator_or_criterion_stays_text() -> None:
    judged = msgspec.structs.replace(
        verdicts(Harm.HARMFUL), text="Judged harmful: <!channel> *free* \x1b[31m\nNEW LINE"
    )
    book = AlertBook()
    book.apply(from_finding(firing(Severity.WARNING)))
    update = book.apply(from_finding(firing(Severity.WARNING, judged, 1)))
    assert update is not None
    assert "<!channel>" not in str(message(update))
    assert "\x1b" not in block(update)
    assert "<!channel>" not in markdown(update)
