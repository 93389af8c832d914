"""The mail as RFC 5322 and RFC 2046 want it, whatever stands in the alert."""

from __future__ import annotations

import re
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP, default
from html.parser import HTMLParser
from typing import cast

import msgspec
from hypothesis import given, settings

from monitor.alerting.alert import Alert
from monitor.alerting.from_finding import from_finding
from monitor.alerting.rendering.samples import sample_alert, sample_finding
from monitor.detection.records.finding import Excerpt, FeatureChange, State
from monitor.sinks.email.message import mail, message_id
from tests.sinks.any_alert import alerts

NOW = 1_763_890_900.0
TAGS = {*"html head meta body div table tr td br span h3 ol li p a code pre".split(" ")}  # noqa: SIM905


def written(alert: Alert) -> bytes:
    return mail(alert, sender="oqm@example.org", recipients=["a@example.org", "b@example.org"], now=NOW).as_bytes()


def read(raw: bytes) -> EmailMessage:
    return cast(EmailMessage, BytesParser(policy=default).parsebytes(raw))


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


class Seen(HTMLParser):
    """What a reader of the HTML sees, and which tags make it."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") and value]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_headers_say_what_it_is() -> None:
    message = read(written(sample_alert()))
    assert message["Subject"].startswith("[FIRING warning] support-bot/answer: Silent model update: answers 2.9 times")
    assert message["From"] == "Output quality monitor <oqm@example.org>"
    assert message["To"] == "a@example.org, b@example.org"
    assert message["Date"] == "Sun, 23 Nov 2025 09:41:40 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-OQM-Transition"] == sample_alert().transition


def test_one_id_for_a_transition_and_the_resolution_answers_it() -> None:
    firing, again, resolved = (read(written(sample_alert(s))) for s in (State.FIRING, State.FIRING, State.RESOLVED))
    assert firing["Message-ID"] == again["Message-ID"] == f"<{sample_alert().fingerprint}.firing@example.org>"
    assert resolved["Message-ID"] != firing["Message-ID"]
    assert resolved["In-Reply-To"] == resolved["References"] == firing["Message-ID"]
    assert firing["In-Reply-To"] is None


def test_an_id_stays_an_id_whatever_the_transition() -> None:
    assert message_id("a b>\r\n:x", "example.org") == "<a.b.x@example.org>"


def test_plain_text_comes_first_and_both_parts_say_the_same() -> None:
    message = read(written(sample_alert()))
    assert message.get_content_type() == "multipart/alternative"
    assert [p.get_content_type() for p in message.iter_parts()] == ["text/plain", "text/html"]
    seen = Seen()
    seen.feed(part(message, "html"))
    html, plain = " ".join(" ".join(seen.words).split()), " ".join(part(message, "plain").split())
    for words in ("answers 2.9 times longer", "1,180", "gpt-4o", "oqm reference accept", "evt-1211", "oqm alert ack"):
        assert words in html
        assert words in plain


def test_nothing_is_wider_than_a_phone() -> None:
    # Seen in Chromium at 390 px: six columns of figures pushed the values off the screen, and so did one long word.
    wide = msgspec.structs.replace(
        sample_finding(),
        features=[FeatureChange("output.format.json_shape", "{a:" + "x" * 90 + "}", "{b:" + "y" * 90 + "}", 9.0)],
        excerpts_after=[Excerpt("e" * 90, "q", "https://example.org/" + "z" * 120)],
    )
    html = part(read(written(from_finding(wide))), "html")
    assert "overflow-wrap:anywhere" in html.split("<body", 1)[1].split(">", 1)[0]
    assert all(row.count("<td") <= 2 for row in html.split("<tr>")[1:])
    assert "table-layout:fixed;width:100%" in html
    labels = re.findall(r'<td style="([^"]*)">(?:Since|Noticed|Cause)</td>', html)
    assert len(labels) == 3
    assert all("white-space:nowrap" in style for style in labels)


@given(alerts())
@settings(max_examples=30, deadline=None)
def test_any_alert_makes_a_mail_that_every_server_takes(alert: Alert) -> None:
    raw = written(alert)
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
    message = read(raw)
    assert not message.defects
    assert [p.get_content_type() for p in message.iter_parts()] == ["text/plain", "text/html"]
    assert set(message.keys()) <= {
        "Subject", "From", "To", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
        "X-OQM-Transition", "Importance", "MIME-Version", "Content-Type",
    }  # fmt: skip
    seen = Seen()
    seen.feed(part(message, "html"))
    assert seen.tags <= TAGS
    assert all(link.startswith(("http://", "https://")) for link in seen.links)


def test_the_mail_is_flattened_as_smtp_wants_it() -> None:
    assert mail(sample_alert(), sender="a@b.c", recipients=["d@e.f"], now=NOW).policy == SMTP
