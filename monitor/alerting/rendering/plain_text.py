"""An alert as plain text: a block for a terminal or a log, and one line for where there is no more room.

100 columns if nothing else is asked for, no colours, ASCII rules where it matters: it must survive journald,
`kubectl logs` and a pager's screen. Names and ids are never cut: what does not fit beside them goes onto the next line.
Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monitor.alerting.alert import Alert, ChangedFeature
from monitor.alerting.rendering.alert_facts import (
    also_in,
    cause_alone,
    followed,
    judged,
    largest,
    noticed,
    refined,
    resolved_in_full,
    segment_text,
    since,
    state_words,
)
from monitor.alerting.rendering.terminal_text import clip, excerpt_text, pad, plain, width, wrap
from monitor.detection.records.finding import Driver, Excerpt, State

COLUMNS = 100
"""Fits a terminal beside the prefix that `kubectl logs` and journald put before a line."""
MIN_COLUMNS = 40
"""Narrower terminals get this width and break its lines themselves: below it every second word would be broken."""
_MIN_MEANING_COLUMNS = 16
"""Least room for a feature's meaning beside its figures, some three words; below it the meaning has its own line."""
_MIN_VALUE_COLUMNS = 18
"""Most columns of a value of a category, in the width that needs no more; wider blocks show more of it."""
_COLUMNS_BESIDE_VALUES = 64
"""What the other columns of the table of changes take: a name, a difference, an effect and a short meaning."""
TABLE_TITLE, STEPS_TITLE = "What changed", "What to do now"
BEFORE_TITLE, AFTER_TITLE = "Before the change", "After the change"
PARTS = (STEPS_TITLE, BEFORE_TITLE, AFTER_TITLE)
"""Lines that are the title of a part; that of the table begins its first line."""
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
    head, tail = f"{state_words(alert)} | {plain(alert.stream)} | ", f" | {alert.fingerprint}"
    return head + clip(alert.title, max(20, columns - width(head) - width(tail))) + tail


def body(alert: Alert, columns: int = COLUMNS) -> str:
    """What changed, since when, where and why, what to do, and the examples; without title, state and stream."""
    return "\n".join(_sections(alert, max(columns, MIN_COLUMNS)))


def heading(alert: Alert, columns: int = COLUMNS) -> list[str]:
    """The framed lines that `block` begins with: state, stream, id and title."""
    columns = max(columns, MIN_COLUMNS)
    rule = _rule(alert, columns)
    left, right = f"{state_words(alert)}  {plain(alert.stream)}", f"alert {alert.fingerprint}"
    if width(left) + 2 + width(right) <= columns:
        return [rule, pad(left, columns - width(right)) + right, *wrap(alert.title, columns), rule]
    return [rule, *wrap(left, columns), right, *wrap(alert.title, columns), rule]


def block(alert: Alert, columns: int = COLUMNS) -> str:
    """The whole alert, framed, at most `columns` wide (but at least `MIN_COLUMNS`), ending without a line break."""
    columns = max(columns, MIN_COLUMNS)
    return "\n".join([*heading(alert, columns), body(alert, columns), _rule(alert, columns)])


def _rule(alert: Alert, columns: int) -> str:
    return ("=" if alert.state is State.FIRING else "-") * columns


def _sections(alert: Alert, columns: int) -> Iterator[str]:
    yield from _facts(alert, columns)
    if alert.changes:
        yield ""
        yield from _table(alert.changes, columns)
    if alert.state is State.FIRING:
        yield ""
        yield STEPS_TITLE
        for number, step in enumerate(alert.next_steps, start=1):
            yield from _hanging(f"  {number}. ", step, columns)
    yield ""
    yield from _fact("Runbook", alert.links.runbook, columns)
    yield from _fact("Dashboard", alert.links.dashboard, columns)
    yield from _fact("Trace", alert.links.trace, columns)
    if alert.state is not State.RESOLVED:
        yield from _examples(BEFORE_TITLE, alert.excerpts_before, alert.examples.before, columns)
        yield from _examples(AFTER_TITLE, alert.excerpts_after, alert.examples.after, columns)


def _facts(alert: Alert, columns: int) -> Iterator[str]:
    if alert.state is State.RESOLVED:
        yield from _fact("Resolved", resolved_in_full(alert), columns)
    yield from _fact("Since", since(alert), columns)
    yield from _fact("Noticed", noticed(alert), columns)
    if alert.state is State.FIRING:
        yield from _fact("Refined", refined(alert), columns)
    yield from _fact("Judged", judged(alert), columns)
    yield from _fact("Followed", followed(alert), columns)
    if alert.segment:
        yield from _fact("Where", segment_text(alert.segment), columns)
    yield from _fact("Cause", cause_alone(alert) or (_DRIVERS[alert.driver] if alert.driver else ""), columns)
    if alert.also_in:
        yield from _fact("Also in", ", ".join(also_in(alert)), columns)
    yield from _fact("Owner", f"{plain(alert.owner)} (route {plain(alert.route)})" if alert.owner else "", columns)


def _fact(label: str, value: str | None, columns: int) -> Iterator[str]:
    if value:
        yield from _hanging(pad(label, _LABEL_COLUMNS), value, columns)


def _hanging(first: str, text: str, columns: int) -> Iterator[str]:
    """`text` behind `first`, its further lines under its first. A word too long for a line (a URL) stays whole."""
    room = columns - width(first)
    words = text.split()
    lines = [text] if any(width(word) > room and "://" in word for word in words) else wrap(text, room)
    for number, line in enumerate(lines):
        yield (first if number == 0 else " " * width(first)) + line


def _table(changes: Sequence[ChangedFeature], columns: int) -> Iterator[str]:
    shown = largest(changes, _MAX_CHANGES)
    room = max(_MIN_VALUE_COLUMNS, (columns - _COLUMNS_BESIDE_VALUES) // 2)
    rows = [(TABLE_TITLE, "before", "after", "", "x floor")]
    rows += [
        (
            plain(change.name),
            clip(change.before_text, room),
            clip(change.after_text, room),
            change.difference,
            f"{abs(change.effect):,.1f}",
        )
        for change in shown
    ]
    widths = [max(width(row[column]) for row in rows) for column in range(5)]
    figures = sum(widths[1:]) + 2 * len(widths[1:])
    # A name that does not fit before its figures has a line; so has a meaning for which there is no room behind them.
    name_columns = max(1, min(widths[0] + 1, columns - figures))
    meaning_behind = columns - name_columns - figures - 3 >= _MIN_MEANING_COLUMNS
    for row, change in zip(rows, (None, *shown), strict=True):
        cells = "".join(pad(row[i], widths[i] + 2, right=True) for i in range(1, 5))
        name = row[0]
        if width(name) > name_columns:
            yield from wrap(name, columns)
            name = ""
        meaning = plain(change.meaning or change.unit) if change is not None else "meaning"
        line = pad(name, name_columns) + cells
        if meaning_behind:
            yield clip(f"{line}   {meaning}".rstrip(), columns)
            continue
        yield clip(line.rstrip(), columns)
        if change is not None and meaning:
            yield from _hanging("  ", meaning, columns)
    if len(changes) > len(shown):
        yield f"and {len(changes) - len(shown)} more"


def _examples(title: str, excerpts: Sequence[Excerpt], ids: Sequence[str], columns: int) -> Iterator[str]:
    if not excerpts and not ids:
        return
    yield ""
    yield title
    for excerpt in excerpts[:_MAX_EXCERPTS]:
        known = excerpt.input.strip() or excerpt.output.strip()
        line = f"  {plain(excerpt.event_id)}" + ("" if known else "  (no excerpt kept)")
        yield from [line] if width(line) <= columns else _hanging("  ", line, columns)
        if not known:
            continue
        if excerpt.input.strip():
            yield from _hanging("    in   ", excerpt_text(excerpt.input), columns)
        yield from _hanging("    out  ", excerpt_text(excerpt.output) or "(empty)", columns)
    if not excerpts:
        yield from _hanging("  events ", ", ".join(plain(event) for event in ids), columns)
