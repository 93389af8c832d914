"""An alert as an event of PagerDuty's Events API v2.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/. `dedup_key` is the alert's id, so that the same
alert is the same incident there whatever is sent again. May import `monitor.alerting` and below.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from monitor.alerting.alert import Alert
from monitor.alerting.rendering.alert_facts import (
    also_in,
    followed,
    judged,
    largest,
    refined,
    resolved_in_full,
    segment_text,
    since,
)
from monitor.alerting.rendering.terminal_text import excerpt_text, plain
from monitor.detection.records.finding import Excerpt
from monitor.sinks.pagerduty.config import PagerDutySeverity

Action = Literal["trigger", "acknowledge", "resolve"]

LARGEST_EVENT_BYTES = 512 * 1024
"""PagerDuty refuses an event that is larger. By the bounds below ours is at most about a fifth of it."""
SUMMARY_CHARS = 1_024
"""Limit of PagerDuty for `summary`."""
DEDUP_KEY_CHARS = 255
"""Limit of PagerDuty for `dedup_key`."""
# The following are ours: together they keep any event at about a fifth of LARGEST_EVENT_BYTES.
_MAX_NAME_CHARS = 255
_MAX_TEXT_CHARS = 1_024  # as much as the summary may have
_MAX_URL_CHARS = 2_048  # what browsers and proxies are sure to accept
_MAX_CHANGES = 10  # the largest ones; more are not read in an incident
_MAX_STEPS = 10  # no alert has as many
_MAX_EXCERPTS = 3  # on each side; what a phone shows without much scrolling


def event(alert: Alert, action: Action, *, routing_key: str, severity: PagerDutySeverity) -> dict[str, Any]:
    """The event that does `action` to the alert's incident.

    Acknowledging needs the key alone: PagerDuty keeps the details of the first event. Resolving says in its own summary
    why it is over and how long it lasted, for the incident's timeline.
    """
    head: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": alert.fingerprint[:DEDUP_KEY_CHARS],
    }
    if action == "resolve":
        return head | {"payload": _over(alert, severity)}
    if action != "trigger":
        return head
    links = [
        {"href": url, "text": name}
        for name, url in (
            ("Runbook", alert.links.runbook),
            ("Dashboard", alert.links.dashboard),
            ("Trace", alert.links.trace),
        )
        if url is not None and _is_web(url)
    ]
    head |= {"payload": _payload(alert, severity), "client": "output quality monitor"}
    if alert.links.dashboard is not None and _is_web(alert.links.dashboard):
        head["client_url"] = alert.links.dashboard
    return head | {"links": links} if links else head


def _payload(alert: Alert, severity: PagerDutySeverity) -> dict[str, Any]:
    raised = alert.raised_at.time
    payload: dict[str, Any] = {
        # The stream first: a phone shows and reads out the first words.
        "summary": _chars(f"{alert.stream}: {alert.title}", SUMMARY_CHARS),
        "source": _chars(alert.stream, _MAX_NAME_CHARS) or "(no stream)",
        "severity": severity,
        "class": alert.kind.value,
        "custom_details": _details(alert),
    }
    if alert.incident:
        payload["group"] = _chars(alert.incident, _MAX_NAME_CHARS)
    if alert.segment and "model.name" in alert.segment:
        payload["component"] = _chars(alert.segment["model.name"], _MAX_NAME_CHARS)
    if raised is not None and (time := _iso8601(raised)):
        payload["timestamp"] = time
    return payload


def _over(alert: Alert, severity: PagerDutySeverity) -> dict[str, Any]:
    return {
        "summary": _chars(f"{alert.stream}: {resolved_in_full(alert)}", SUMMARY_CHARS),
        "source": _chars(alert.stream, _MAX_NAME_CHARS) or "(no stream)",
        "severity": severity,
        "custom_details": {"resolved": _chars(resolved_in_full(alert), _MAX_TEXT_CHARS)},
    }


def _details(alert: Alert) -> dict[str, Any]:
    """What the incident's page shows as a table, in the order of questions at night. Numbers lead the keys: PagerDuty
    sorts them by name."""
    facts: dict[str, Any] = {
        "1 cause": _chars(alert.cause, _MAX_TEXT_CHARS),
        "2 since": since(alert),
        "2 refined": _chars(refined(alert), _MAX_TEXT_CHARS),
        "2 judged": _chars(judged(alert), _MAX_TEXT_CHARS),
        "2 followed": _chars(followed(alert), _MAX_TEXT_CHARS),
        "3 where": _chars(segment_text(alert.segment), _MAX_TEXT_CHARS) if alert.segment else "",
        "4 what changed": {
            _chars(change.name, _MAX_NAME_CHARS): f"{_chars(change.before_text, 60)} -> {_chars(change.after_text, 60)}"
            + (f" ({_chars(change.difference, 30)})" if change.difference else "")
            for change in largest(alert.changes, _MAX_CHANGES)
        },
        "5 what to do now": [_chars(step, _MAX_TEXT_CHARS) for step in alert.next_steps[:_MAX_STEPS]],
        "6 after the change": _examples(alert.excerpts_after),
        "7 before the change": _examples(alert.excerpts_before),
        "also in": [_chars(stream, _MAX_NAME_CHARS) for stream in also_in(alert)],
        "owner": _chars(alert.owner, _MAX_NAME_CHARS),
        "runbook": _chars(alert.links.runbook, _MAX_URL_CHARS),
        "alert": _chars(alert.fingerprint, _MAX_NAME_CHARS),
        "false alarm": f"oqm alert false-alarm {_chars(alert.fingerprint, _MAX_NAME_CHARS)}",
    }
    return {name: value for name, value in facts.items() if value}


def _examples(excerpts: Sequence[Excerpt]) -> list[str]:
    shown = []
    for excerpt in excerpts[:_MAX_EXCERPTS]:
        known = bool(excerpt.input.strip() or excerpt.output.strip())
        answer = excerpt_text(excerpt.output) or ("(empty)" if known else "(no excerpt kept)")
        asked = f"{excerpt_text(excerpt.input)} -> " if excerpt.input.strip() else ""
        shown.append(_chars(f"{asked}{answer} ({excerpt.event_id})", _MAX_TEXT_CHARS))
    return shown


def _chars(words: str, room: int) -> str:
    """`words` on one line, of at most `room` characters."""
    words = plain(words)
    return words if len(words) <= room else words[: room - 1].rstrip() + "…"


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://")) and len(url) <= _MAX_URL_CHARS and url.isprintable()


def _iso8601(time: float) -> str | None:
    try:
        return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):  # a clock far outside the calendar
        return None
