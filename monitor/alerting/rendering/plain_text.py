"""An alert as plain text: a block for a terminal or a log, and one line for where there is no more room.

100 columns, no colours, ASCII rules where it matters: it must survive journald, `kubectl logs` and a pager's screen.
Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monitor.alerting.alert import Alert, ChangedFeature, is_update
from monitor.alerting.rendering.alert_facts import (
    also_in,
    cause_alone,
    judged,
    largest,
    refined,
    resolved_in_full,
    segment_text,
)
from monitor.alerting.rendering.moments import moment, span
from monitor.alerting.rendering.terminal_text import clip, excerpt_text, pad, plain, width, wrap
from monitor.detection.records.finding import Driver, Excerpt, State

COLUMNS = 100
"""Fits a terminal beside the prefix that `kubectl logs` and journald put before a line."""
_LABEL_COLUMNS = 11
"""The longest label, `Dashboard`, and two spaces."""
_MAX_CHANGES = 8
"""Features that are shown, those with the largest effect: more are not read at night, and their number is given."""
_MAX_EXCERPTS = 3
"""Examples on each side: as many as detection keeps."""
_DRIVERS = {
    Driver.OUTPUT: "The outputs themselves changed.",
    Driver.INPUT: "The inputs changed.",
    Driver.MIX: "The mix of traffic changed, not the outputs within each part of it.",
    Driver.CALL: "The calls behind the outputs changed.",
}


def short(alert: Alert, columns: int = 160) -> str:
    """One line: `FIRING critical | support-bot/answer | Answers 2.9 times longer ... | 3f2a9c01d4e5b677`."""
    head, tail = f"{_state(alert)} | {plain(alert.stream)} | ", f" | {alert.fingerprint}"
    return head + clip(alert.title, max(20, columns - width(head) - width(tail))) + tail


def body(alert: Alert) -> str:
    """What changed, since when, where and why, what to do, and the examples; without title, state and stream."""
    return "\n".join(_sections(alert))


def block(alert: Alert) -> str:
    """The whole alert, framed, at most 100 columns wide, ending without a line break."""
    rule = ("=" if alert.state is State.FIRING else "-") * COLUMNS
    left, right = f"{_state(alert)}  {plain(alert.stream)}", f"alert {alert.fingerprint}"
    left = clip(left, COLUMNS - width(right) - 2)
    lines = [rule, pad(left, COLUMNS - width(right)) + right, *wrap(alert.title, COLUMNS), rule, body(alert), rule]
    return "\n".join(lines)


def _state(alert: Alert) -> str:
    """`FIRING warning`, `UPDATE warning`, `RESOLVED`, `INFO`."""
    if is_update(alert):
        return f"UPDATE {alert.severity.value}"
    if alert.state is State.FIRING:
        return f"FIRING {alert.severity.value}"
    return alert.state.value.upper()


def _sections(alert: Alert) -> Iterator[str]:
    yield from _facts(alert)
    if alert.changes:
        yield ""
        yield from _table(alert.changes)
    if alert.state is State.FIRING:
        yield ""
        yield "What to do now"
        for number, step in enumerate(alert.next_steps, start=1):
            yield from _hanging(f"  {number}. ", step)
    yield ""
    yield from _fact("Runbook", alert.links.runbook)
    yield from _fact("Dashboard", alert.links.dashboard)
    yield from _fact("Trace", alert.links.trace)
    if alert.state is not State.RESOLVED:
        yield from _examples("Before the change", alert.excerpts_before, alert.examples.before)
        yield from _examples("After the change", alert.excerpts_after, alert.examples.after)


def _facts(alert: Alert) -> Iterator[str]:
    began, raised = alert.began_at, alert.raised_at
    if alert.state is State.RESOLVED:
        yield from _fact("Resolved", resolved_in_full(alert))
    when = f"{moment(began.time)}, at event {began.index:,}" if began.time is not None else f"event {began.index:,}"
    interval = f" (90 %: {began.low:,} to {began.high:,})" if began.low != began.high else ""
    yield from _fact("Since", when + interval)
    delay = f"{max(0, raised.index - began.index):,} events"
    if began.time is not None and raised.time is not None:
        delay += f" or {span(raised.time - began.time)}"
    yield from _fact("Noticed", f"{delay} later, at event {raised.index:,}")
    if alert.state is State.FIRING:
        yield from _fact("Refined", refined(alert))
    yield from _fact("Judged", judged(alert))
    if alert.segment:
        yield from _fact("Where", segment_text(alert.segment))
    yield from _fact("Cause", cause_alone(alert) or (_DRIVERS[alert.driver] if alert.driver else ""))
    if alert.also_in:
        yield from _fact("Also in", ", ".join(also_in(alert)))
    yield from _fact("Owner", f"{plain(alert.owner)} (route {plain(alert.route)})" if alert.owner else "")


def _fact(label: str, value: str | None) -> Iterator[str]:
    if value:
        yield from _hanging(pad(label, _LABEL_COLUMNS), value)


def _hanging(first: str, text: str) -> Iterator[str]:
    """`text` behind `first`, its further lines under its first. A word too long for a line (a URL) stays whole."""
    room = COLUMNS - width(first)
    words = text.split()
    lines = [text] if any(width(word) > room and "://" in word for word in words) else wrap(text, room)
    for number, line in enumerate(lines):
        yield (first if number == 0 else " " * width(first)) + line


def _table(changes: Sequence[ChangedFeature]) -> Iterator[str]:
    shown = largest(changes, _MAX_CHANGES)
    rows = [("What changed", "before", "after", "", "x floor")]
    rows += [
        (
            clip(plain(change.name), 36),
            clip(change.before_text, 18),
            clip(change.after_text, 18),
            change.difference,
            f"{abs(change.effect):,.1f}",
        )
        for change in shown
    ]
    widths = [max(width(row[column]) for row in rows) for column in range(5)]
    for row, change in zip(rows, (None, *shown), strict=True):
        cells = [pad(row[0], widths[0] + 1)] + [pad(row[i], widths[i] + 2, right=True) for i in range(1, 5)]
        line = "".join(cells)
        meaning = plain(change.meaning or change.unit) if change is not None else "meaning"
        yield clip(f"{line}   {meaning}".rstrip(), COLUMNS)
    if len(changes) > len(shown):
        yield f"and {len(changes) - len(shown)} more"


def _examples(title: str, excerpts: Sequence[Excerpt], ids: Sequence[str]) -> Iterator[str]:
    if not excerpts and not ids:
        return
    yield ""
    yield title
    for excerpt in excerpts[:_MAX_EXCERPTS]:
        known = excerpt.input.strip() or excerpt.output.strip()
        yield clip(f"  {plain(excerpt.event_id)}" + ("" if known else "  (no excerpt kept)"), COLUMNS)
        if not known:
            continue
        if excerpt.input.strip():
            yield from _hanging("    in   ", excerpt_text(excerpt.input))
        yield from _hanging("    out  ", excerpt_text(excerpt.output) or "(empty)")
    if not excerpts:
        yield from _hanging("  events ", ", ".join(plain(event) for event in ids))
