"""An alert as a Slack message: blocks (https://docs.slack.dev/reference/block-kit/blocks), and a line to notify with.

The order is that of questions at night: what and where, how bad, since when, why, by how much, what to do, and only
then examples. Text of models and users is data: it cannot mention people, make links or change the layout. May import
`monitor.alerting` and below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from monitor.alerting.alert import Alert, ChangedFeature, is_update
from monitor.alerting.rendering import plain_text
from monitor.alerting.rendering.alert_facts import (
    also_in,
    commands,
    followed,
    judged,
    largest,
    noticed,
    refined,
    resolved_in_full,
    segment_text,
    since,
    unit_beside,
)
from monitor.alerting.rendering.next_steps import split_command
from monitor.alerting.rendering.terminal_text import clip, excerpt_text, plain
from monitor.detection.records.finding import Excerpt, Severity, State

HEADER_CHARS = 150
"""Most characters of a header block (docs.slack.dev, header block)."""
FIELD_CHARS = 2_000
"""Most characters of a field of a section, which has at most 10 fields (docs.slack.dev, section block)."""
_MAX_CHANGES = 6
"""Features that are shown: as many as fit on a phone beside the other parts; the number of the others is given."""
_MAX_EXCERPTS = 3
"""Examples on each side: as many as detection keeps."""
_ROOM = {"cause": 800, "judged": 900, "also": 600, "changes": 1_400, "steps": 1_400, "examples": 1_500, "links": 1_500}
"""Most characters of each part. A section may have 3,000, but all blocks together fail from some 13,200 on with
`msg_blocks_too_long`, a limit that Slack does not document (slackapi/bolt-js issue 2509); these stay below 10,000."""
_MAX_FIELD_CHARS = 250
"""Of one field, far below FIELD_CHARS: the fields share the space with all blocks."""

_MARKS = {
    (State.FIRING, Severity.CRITICAL): "\N{LARGE RED CIRCLE}",
    (State.FIRING, Severity.WARNING): "\N{LARGE ORANGE CIRCLE}",
}
_OTHER_MARKS = {State.RESOLVED: "\N{LARGE GREEN CIRCLE}"}
_CALM = "\N{LARGE BLUE CIRCLE}"

# Slack knows no escape for its own marks, so a look-alike stands where one could begin or end something.
_LOOK_ALIKES = {"*": "∗", "~": "∼", "`": "ˋ", "_": "ˍ"}  # noqa: RUF001
_MARK = re.compile(r"[*~`]|(?<![^\W_])_|_(?![^\W_])")
_EMOJI = re.compile(r":(?!\d\d?:)(?=[a-z0-9_+'-]+:)")  # a time such as 09:38:00 names none
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def message(alert: Alert) -> dict[str, Any]:
    """The message for one transition: `text` for notifications and search, `blocks` for reading."""
    blocks = _update(alert) if is_update(alert) else _blocks(alert)
    return {"text": short(alert), "blocks": list(blocks), "unfurl_links": False, "unfurl_media": False}


def short(alert: Alert) -> str:
    """One line for a phone's lock screen: state, stream and title."""
    return escape(_cut(plain_text.short(alert).rpartition(" | ")[0], 300))


def escape(words: str) -> str:
    r"""`words` on one line, with nothing left in it that Slack would read as markup, an emoji, a link or a mention.

    >>> escape("<!channel> & snake_case")
    '&lt;!channel&gt; &amp; snake_case'
    >>> ascii(escape("*free* :tada:"))
    "'\\u2217free\\u2217 \\ua789tada:'"
    """
    marked = _MARK.sub(lambda match: _LOOK_ALIKES[match[0]], plain(words))
    marked = _EMOJI.sub("\N{MODIFIER LETTER COLON}", marked)
    return "".join(_ENTITIES.get(character, character) for character in marked)


def _blocks(alert: Alert) -> Iterator[dict[str, Any]]:
    mark = _MARKS.get((alert.state, alert.severity)) or _OTHER_MARKS.get(alert.state, _CALM)
    title = plain(alert.title)
    if alert.state is State.RESOLVED:
        title = f"Resolved: {title}"
    header = _entities(f"{mark} {title}", HEADER_CHARS)
    yield {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": True}}
    yield {"type": "section", "fields": [_mrkdwn(field) for field in _fields(alert)]}
    if alert.state is State.RESOLVED:
        why = escape(_cut(resolved_in_full(alert), _ROOM["cause"]))
        yield from _section([why[:1].upper() + why[1:]], _ROOM["cause"])
    else:
        yield from _section([escape(_cut(alert.cause, 400))], _ROOM["cause"])
    yield from _section([escape(_cut(judged(alert), 600)), escape(followed(alert))], _ROOM["judged"])
    if alert.also_in:
        yield from _section([f"*Also in* {', '.join(_name(stream) for stream in also_in(alert))}"], _ROOM["also"])
    if alert.state is not State.RESOLVED:
        yield from _section(_changes(alert.changes), _ROOM["changes"])
    if alert.state is State.FIRING and alert.next_steps:
        yield from _section(["*What to do now*", *_steps(alert.next_steps)], _ROOM["steps"])
    # Before the examples: on a phone they fill a screen, and the runbook must not be below it.
    yield from _section([" · ".join(_links(alert))], _ROOM["links"])
    if alert.state is not State.RESOLVED:
        yield from _section(_examples("After the change", alert.excerpts_after), _ROOM["examples"])
        yield from _section(_examples("Before the change", alert.excerpts_before), _ROOM["examples"])
    yield {"type": "context", "elements": [_mrkdwn("\n".join(_foot(alert)))]}


def _update(alert: Alert) -> Iterator[dict[str, Any]]:
    """A few lines under the message that stands in the channel already."""
    mark = _MARKS.get((alert.state, alert.severity), _CALM)
    header = _entities(f"{mark} Update: {plain(alert.title)}", HEADER_CHARS)
    yield {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": True}}
    where = f" · in {escape(segment_text(alert.segment))}" if alert.segment else ""
    first = f"{_name(alert.stream)} · {alert.severity.value}{where}"
    yield from _section([first, escape(refined(alert)), escape(_cut(alert.cause, 400))], _ROOM["cause"])
    yield from _section([escape(_cut(judged(alert), 600)), escape(followed(alert))], _ROOM["judged"])
    yield from _section(_changes(alert.changes), _ROOM["changes"])
    yield {"type": "context", "elements": [_mrkdwn(f"alert {_code(alert.fingerprint)}")]}


def _fields(alert: Alert) -> Iterator[str]:
    """Two columns: at most 10 fields."""
    yield f"*Stream*\n{_name(alert.stream)}"
    yield f"*Severity*\n{alert.state.value}, {alert.severity.value}"
    yield f"*Since*\n{since(alert)}"
    yield f"*Noticed*\n{noticed(alert)}"
    if alert.segment:
        yield f"*Where*\n{escape(_cut(segment_text(alert.segment), _MAX_FIELD_CHARS))}"
    if alert.owner:
        yield f"*Owner*\n{escape(_cut(alert.owner, _MAX_FIELD_CHARS))}"


def _changes(changes: Sequence[ChangedFeature]) -> Iterator[str]:
    shown = largest(changes, _MAX_CHANGES)
    if shown:
        yield "*What changed* (before → after)"
    for change in shown:
        values = f"{escape(_cut(change.before_text, 60))} → *{escape(_cut(change.after_text, 60))}*"
        values += f" {escape(_cut(unit, 30))}" if (unit := unit_beside(change)) else ""
        beside = f" ({escape(_cut(change.difference, 30))})" if change.difference else ""
        meaning = escape(_cut(change.meaning or change.unit, 80))
        yield f"• {meaning or _code(change.name)}: {values}{beside}"
    if len(changes) > len(shown):
        yield f"and {len(changes) - len(shown)} more"


def _steps(steps: Sequence[str]) -> Iterator[str]:
    for number, step in enumerate(steps, start=1):
        words, command = split_command(plain(step))
        yield f"{number}. {escape(_cut(words, 200))}" + (f" {_code(command)}" if command else "")


def _examples(title: str, excerpts: Sequence[Excerpt]) -> Iterator[str]:
    if excerpts:
        yield f"*{title}*"
    for excerpt in excerpts[:_MAX_EXCERPTS]:
        known = bool(excerpt.input.strip() or excerpt.output.strip())
        asked = f"{escape(_cut(excerpt_text(excerpt.input), 170))}  →  " if excerpt.input.strip() else ""
        answer = escape(_cut(excerpt_text(excerpt.output), 170)) or ("(empty)" if known else "(no excerpt kept)")
        yield f"• {asked}_{answer}_  {_code(excerpt.event_id)}"


def _links(alert: Alert) -> Iterator[str]:
    links = {"Runbook": alert.links.runbook, "Dashboard": alert.links.dashboard, "Trace": alert.links.trace}
    for name, url in links.items():
        address = _address(url) if url else None
        if address:
            yield f"<{address}|{name}>"
        elif url:
            yield f"{name} {_code(url)}"


def _address(url: str) -> str | None:
    """`url` fit for `<url|text>`; None for what is no web address or would not fit whole."""
    address = plain(url).replace("|", "%7C").replace("<", "%3C").replace(">", "%3E").replace(" ", "%20")
    address = address.replace("&", "&amp;")
    return address if address.startswith(("https://", "http://")) and _length(address) <= 450 else None


def _foot(alert: Alert) -> Iterator[str]:
    yield f"alert {_code(alert.fingerprint)}" + (f" · incident {_code(alert.incident)}" if alert.incident else "")
    yield from (f"{what.lower()}: {_code(command)}" for what, command in commands(alert))


def _name(stream: str) -> str:
    return f"*{escape(_cut(stream, 100))}*"


def _code(words: str) -> str:
    """`words` as code, in which nothing is markup but the mark that ends it."""
    inside = _cut(words, 120).replace("`", _LOOK_ALIKES["`"])
    return "`" + "".join(_ENTITIES.get(character, character) for character in inside) + "`" if inside else ""


def _section(lines: Iterable[str], room: int) -> Iterator[dict[str, Any]]:
    """A section of whole lines, as many as there is room for; none where there are no words."""
    kept: list[str] = []
    for line in lines:
        room -= _length(line) + 1
        if room < 0:
            break
        kept.append(line)
    if "".join(kept).strip():
        yield {"type": "section", "text": _mrkdwn("\n".join(kept))}


def _mrkdwn(words: str) -> dict[str, Any]:
    """A text object. `verbatim`: Slack does not turn parts of the text into links and mentions."""
    return {"type": "mrkdwn", "text": words, "verbatim": True}


def _entities(words: str, room: int) -> str:
    """`words` for plain text, where only the three entities are read; cut before one of them, never in it."""
    kept: list[str] = []
    used = 0
    for character in words:
        entity = _ENTITIES.get(character, character)
        used += _length(entity)
        if used > room - 1:
            return "".join(kept).rstrip() + "…"
        kept.append(entity)
    return "".join(kept)


def _cut(words: str, room: int) -> str:
    """`words` on one line, of at most `room` characters as Slack counts them, with an ellipsis where it was cut."""
    return clip(plain(words), room, _length)


def _length(words: str) -> int:
    """Characters as JavaScript counts them, which are never fewer than those of Python: UTF-16 code units."""
    return len(words.encode("utf-16-le", "surrogatepass")) // 2
