"""An alert as a mail (RFC 5322): plain text for every reader, HTML for those that show it.

The Message-ID is a function of the transition alone, so that what is sent twice is one mail; a resolution answers the
mail of the alert, so that readers show them as one conversation. May import `monitor.alerting` and below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape

from monitor.alerting.alert import Alert, Revised, is_update, transition_key
from monitor.alerting.rendering import plain_text
from monitor.alerting.rendering.alert_facts import (
    also_in,
    cause_alone,
    commands,
    followed,
    judged,
    largest,
    noticed,
    refined,
    resolved_in_full,
    segment_text,
    since,
    state_words,
    unit_beside,
)
from monitor.alerting.rendering.next_steps import split_command
from monitor.alerting.rendering.plain_text import AFTER_TITLE, BEFORE_TITLE, STEPS_TITLE, TABLE_TITLE
from monitor.alerting.rendering.terminal_text import clip, excerpt_text, plain
from monitor.detection.records.finding import Excerpt, Severity, State

TRANSITION_HEADER = "X-OQM-Transition"
_MAX_SUBJECT_COLUMNS = 180
"""Mail readers show fewer; below the 998 characters that a line of a header may have (RFC 5322, 2.1.1)."""
_MAX_CHANGES = 8
"""Features that are shown, those with the largest effect: more are not read at night, and their number is given."""
_MAX_EXCERPTS = 3
"""Examples on each side: as many as detection keeps."""
_COLOURS = {Severity.CRITICAL: "#b3261e", Severity.WARNING: "#b25e00", Severity.INFO: "#1a5fb4"}
_GREEN = "#1e7b34"
_COMMAND_COLUMNS = 13
"""The longest word before a command, `Acknowledge`, and two spaces."""
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9.-]+")


def mail(alert: Alert, *, sender: str, recipients: Sequence[str], now: float) -> EmailMessage:
    """The mail for one transition, written at `now` (seconds since 1970)."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = clip(
        f"[{state_words(alert)}] {plain(alert.stream)}: {plain(alert.title)}", _MAX_SUBJECT_COLUMNS
    )
    local, _, domain = sender.rpartition("@")
    message["From"] = Address("Output quality monitor", local, domain)
    message["To"] = ", ".join(recipients)
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    message["Message-ID"] = message_id(alert.transition, domain)
    first = transition_key(alert.fingerprint, State.FIRING)
    if alert.transition != first and alert.state is not State.INFO:
        message["In-Reply-To"] = message["References"] = message_id(first, domain)
    # No out-of-office notes back to a machine (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message[TRANSITION_HEADER] = alert.transition
    newly = not is_update(alert) or Revised.SEVERITY in alert.revised
    if alert.severity is Severity.CRITICAL and alert.state is State.FIRING and newly:
        message["Importance"] = "high"
    lines = [plain_text.block(alert), *_commands(alert)]
    # A lone surrogate is no UTF-8.
    message.set_content("\n".join(lines).encode("utf-8", "replace").decode() + "\n", cte=_CTE)
    message.add_alternative("\n".join(_html(alert)), subtype="html", cte=_CTE)
    return message


_CTE = "quoted-printable"  # 7-bit lines of bounded length, which every server on the way takes


def message_id(transition: str, domain: str) -> str:
    """`<e85a88db90c7fe89.firing@example.org>`: constant per transition."""
    return f"<{_NOT_IN_AN_ID.sub('.', transition)}@{domain}>"


def _commands(alert: Alert) -> Iterator[str]:
    yield from (f"{what:<{_COMMAND_COLUMNS}}{command}" for what, command in commands(alert))


def _html(alert: Alert) -> Iterator[str]:
    """Inline styles and tables only: what mail readers leave of HTML. Every text is escaped; no image, no script."""
    colour = _GREEN if alert.state is State.RESOLVED else _COLOURS[alert.severity]
    yield "<!DOCTYPE html>"
    yield '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>'
    yield f'<body style="margin:0;background:#f4f4f5;color:#1c1c1e;font:15px/1.45 system-ui,sans-serif;{_BREAK}">'
    yield '<div style="max-width:680px;margin:0 auto;background:#ffffff">'
    yield f'<div style="background:{colour};color:#ffffff;padding:14px 18px">'
    yield f'<div style="font-size:13px">{_words(state_words(alert))} &middot; {_words(alert.stream)}</div>'
    yield f'<div style="font-size:19px;font-weight:600;margin-top:4px">{_words(alert.title)}</div></div>'
    yield '<div style="padding:14px 18px">'
    yield from _facts(alert)
    if alert.state is not State.RESOLVED:
        yield from _changes(alert)
        if alert.state is State.FIRING and alert.next_steps:
            yield f"{_H}{STEPS_TITLE}</h3>"
            yield '<ol style="margin:0;padding-left:22px">'
            yield from (f"<li>{_step(step)}</li>" for step in alert.next_steps)
            yield "</ol>"
        yield from _examples(AFTER_TITLE, alert.excerpts_after)
        yield from _examples(BEFORE_TITLE, alert.excerpts_before)
    yield from _links(alert)
    yield "</div></div></body></html>"


_H = '<h3 style="font-size:15px;margin:18px 0 6px">'
_SMALL = "color:#6b6b70;font-size:12px"
_BREAK = "overflow-wrap:anywhere;word-break:break-word"
"""Long names and links break, so that nothing is wider than a phone; the second for readers that lack the first."""
_CELL = 'style="padding:3px 10px 3px 0;vertical-align:top'


def _words(words: str) -> str:
    return escape(plain(words))


def _step(step: str) -> str:
    words, command = split_command(plain(step))
    return escape(words) + (f"<code>{escape(command)}</code>" if command else "")


def _facts(alert: Alert) -> Iterator[str]:
    facts = {
        "Resolved": resolved_in_full(alert) if alert.state is State.RESOLVED else "",
        "Since": since(alert),
        "Noticed": noticed(alert),
        "Refined": refined(alert) if alert.state is State.FIRING else "",
        "Judged": judged(alert),
        "Followed": followed(alert),
        "Where": segment_text(alert.segment) if alert.segment else "",
        "Cause": cause_alone(alert),
        "Also in": ", ".join(also_in(alert)),
        "Owner": alert.owner,
    }
    yield '<table role="presentation" style="border-collapse:collapse">'
    for name, value in facts.items():
        if value:
            yield f'<tr><td {_CELL};color:#6b6b70;white-space:nowrap">{name}</td><td {_CELL}">{_words(value)}</td></tr>'
    yield "</table>"


def _changes(alert: Alert) -> Iterator[str]:
    if not alert.changes:
        return
    yield f"{_H}{TABLE_TITLE}</h3>"
    # Two columns of fixed shares, each with its own line breaks: six columns are wider than a phone.
    yield '<table style="border-collapse:collapse;table-layout:fixed;width:100%;font-variant-numeric:tabular-nums">'
    for change in largest(alert.changes, _MAX_CHANGES):
        what = _words(change.meaning) or _words(change.name)
        unit, difference = _words(unit_beside(change)), _words(change.difference)
        yield (
            f'<tr><td {_CELL};width:55%">{what}<br><span style="{_SMALL}">{_words(change.name)}</span></td>'
            f'<td {_CELL};text-align:right">{_words(change.before_text)} &rarr; '
            f'<span style="font-weight:600">{_words(change.after_text)}</span>{" " + unit if unit else ""}'
            f'<br><span style="{_SMALL}">{difference}</span></td></tr>'
        )
    yield "</table>"
    if len(alert.changes) > _MAX_CHANGES:
        yield f"<div>and {len(alert.changes) - _MAX_CHANGES} more</div>"


def _examples(title: str, excerpts: Sequence[Excerpt]) -> Iterator[str]:
    if not excerpts:
        return
    yield f"{_H}{title}</h3>"
    for excerpt in excerpts[:_MAX_EXCERPTS]:
        known = bool(excerpt.input.strip() or excerpt.output.strip())
        yield '<div style="border-left:3px solid #d0d0d5;padding:2px 0 2px 10px;margin:6px 0">'
        if excerpt.input.strip():
            yield f'<div style="color:#6b6b70">{_words(excerpt_text(excerpt.input))}</div>'
        yield f"<div>{_words(excerpt_text(excerpt.output)) or ('(empty)' if known else '(no excerpt kept)')}</div>"
        yield f'<div style="{_SMALL}">{_words(excerpt.event_id)}</div></div>'


def _links(alert: Alert) -> Iterator[str]:
    links = {"Runbook": alert.links.runbook, "Dashboard": alert.links.dashboard, "Trace": alert.links.trace}
    shown = [
        f'<a href="{escape(url)}">{name}</a>'
        if url.startswith(("https://", "http://"))
        else f"{name}: <code>{_words(url)}</code>"
        for name, url in links.items()
        if url
    ]
    yield f'<p style="margin:18px 0 6px">{" &middot; ".join(shown)}</p>'
    commands = "\n".join(
        escape(line) for line in (*_commands(alert), f"{'Alert':<{_COMMAND_COLUMNS}}{plain(alert.fingerprint)}")
    )
    yield f'<pre style="font-size:12px;color:#6b6b70;white-space:pre-wrap;margin:0">{commands}</pre>'
