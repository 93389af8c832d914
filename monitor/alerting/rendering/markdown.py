"""An alert as Markdown, for receivers that render it. Text of models and users is escaped: it must not become markup.

Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from monitor.alerting.alert import Alert, is_update
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
)
from monitor.alerting.rendering.plain_text import AFTER_TITLE, BEFORE_TITLE, STEPS_TITLE, TABLE_TITLE
from monitor.alerting.rendering.terminal_text import excerpt_text, plain
from monitor.detection.records.finding import Excerpt, State

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~@&])")
_MAX_CHANGES = 8
"""Features that are shown, those with the largest effect: more are not read at night, and their number is given."""
_MAX_EXCERPTS = 3
"""Examples on each side: as many as detection keeps."""


def markdown(alert: Alert) -> str:
    """The whole alert: heading, facts, a table of changes, steps, links and examples."""
    return "\n".join(_lines(alert)) + "\n"


def escape(text: str) -> str:
    """`text` on one line with every character escaped that Markdown, or a chat's mention of a person, would read."""
    return _SPECIAL.sub(r"\\\1", plain(text))


def _lines(alert: Alert) -> Iterator[str]:
    state = f"{'UPDATE' if is_update(alert) else alert.state.value.upper()} ({alert.severity.value})"
    yield f"### {state}: {escape(alert.title)}"
    yield ""
    facts = {
        "Stream": escape(alert.stream),
        "Resolved": escape(resolved_in_full(alert)) if alert.state is State.RESOLVED else "",
        "Since": since(alert),
        "Noticed": noticed(alert),
        "Refined": escape(refined(alert)) if alert.state is State.FIRING else "",
        "Judged": escape(judged(alert)),
        "Followed": escape(followed(alert)),
        "Where": escape(segment_text(alert.segment)) if alert.segment else "",
        "Cause": escape(cause_alone(alert)),
        "Also in": ", ".join(escape(stream) for stream in also_in(alert)),
        "Owner": escape(alert.owner),
        "Alert": alert.fingerprint,
    }
    yield from (f"- **{name}:** {value}" for name, value in facts.items() if value)
    if alert.changes:
        yield ""
        yield f"| {TABLE_TITLE} | before | after | | x floor |"
        yield "|---|--:|--:|--:|--:|"
        for c in largest(alert.changes, _MAX_CHANGES):
            cells = (c.name, c.before_text, c.after_text, c.difference, f"{abs(c.effect):,.1f}")
            yield "| " + " | ".join(escape(cell) for cell in cells) + " |"
        if len(alert.changes) > _MAX_CHANGES:
            yield f"and {len(alert.changes) - _MAX_CHANGES} more"
    if alert.state is State.FIRING:
        yield ""
        yield f"**{STEPS_TITLE}**"
        yield ""
        yield from (f"{number}. {escape(step)}" for number, step in enumerate(alert.next_steps, start=1))
    links = {"Runbook": alert.links.runbook, "Dashboard": alert.links.dashboard, "Trace": alert.links.trace}
    shown = [f"[{name}]({url})" if "://" in url else f"{name}: `{url}`" for name, url in links.items() if url]
    yield ""
    yield " · ".join(shown)
    if alert.state is not State.RESOLVED:
        yield from _examples(BEFORE_TITLE, alert.excerpts_before)
        yield from _examples(AFTER_TITLE, alert.excerpts_after)


def _examples(title: str, excerpts: Sequence[Excerpt]) -> Iterator[str]:
    if not excerpts:
        return
    yield ""
    yield f"**{title}**"
    yield ""
    for excerpt in excerpts[:_MAX_EXCERPTS]:
        asked = f"{escape(excerpt_text(excerpt.input))} → " if excerpt.input.strip() else ""
        known = excerpt.input.strip() or excerpt.output.strip()
        answer = escape(excerpt_text(excerpt.output)) or ("(empty)" if known else "(no excerpt kept)")
        yield f"- {asked}{answer} ({escape(excerpt.event_id)})"
