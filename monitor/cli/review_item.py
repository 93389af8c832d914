"""An item of the review queue on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.alerting.rendering.moments import moment

if TYPE_CHECKING:
    from rich.console import Console

    from monitor.review.records import Decided, HeldAction, ReviewedItem

_LISTS = ("steps", "calls")


def print_item(console: Console, item: ReviewedItem, *, with_id: bool = True) -> None:
    """What it is, its texts, and what is asked. Texts lose characters that would control the terminal."""
    from monitor.alerting.rendering.terminal_text import plain

    def line(text: str, style: str | None = None) -> None:
        console.print(plain(text), style=style, markup=False, soft_wrap=True)

    if with_id:
        line(f"{item.id}  fence {item.fence}, yours until {moment(item.leased_until)}")
    about = f"{item.event} in {item.stream}" if item.event else item.stream or "no stream"
    line(f"{_KINDS[item.kind.value]}: {about}, {moment(item.time)}", "bold")
    if item.reason:
        line(f"why: {item.reason}")
    if item.version:
        line(f"version: {item.version}")
    if item.action is not None:
        _print_action(console, item.action)
    if item.texts_missing and item.event:
        line("The trace store has no such output, or not any more.", "yellow")
    else:
        for title, text in (("prompt", item.prompt), ("input", item.input), ("output", item.output)):
            if text is not None or title == "output":
                _print_text(console, title, text)
        for name in _LISTS:
            if item.fields.get(name):
                _print_list(console, name, item.fields[name])
    if item.verdict is not None:
        line("")
        line(f"{item.evaluator or 'the evaluator'} {_said(item.verdict)}{_because(item.rationale)}")
    line("")
    if item.criterion:
        line(f"{item.criterion}: {item.question or 'does it pass?'}", "bold")
    else:
        line("Shall this be done?" if item.action is not None else "Is it good?", "bold")


def print_decided(console: Console, made: Decided) -> None:
    """What was decided, and what the evaluator had said of it."""
    from monitor.alerting.rendering.terminal_text import plain

    also = f", also for: {', '.join(made.also)}" if made.also else ""
    text = f"{made.id}: {made.opinion.value}, by {made.by}{also}"
    if made.verdict is not None:
        text += f"; {made.evaluator or 'the evaluator'} {_said(made.verdict)}{_because(made.rationale)}"
    console.print(plain(text), markup=False, soft_wrap=True)


_KINDS = {
    "sample": "drawn output",
    "second": "drawn output",
    "flagged": "flagged output",
    "held": "held action",
    "anchor": "output for the anchors",
}


def _said(passed: bool) -> str:
    return "passed it" if passed else "failed it"


def _because(rationale: str | None) -> str:
    return f": {' '.join(rationale.split())}" if rationale else ""


def _print_text(console: Console, title: str, text: str | None) -> None:
    from monitor.alerting.rendering.terminal_text import plain

    console.print(f"\n{title}", style="bold", markup=False)
    for line in ("(not sent, or not kept)" if text is None else text).split("\n"):
        console.print(f"  {plain(line)}", markup=False, soft_wrap=True)


def _print_list(console: Console, title: str, items: Any) -> None:
    from monitor.cli.call_lines import call_lines

    console.print(f"\n{title}", style="bold", markup=False)
    for number, one in enumerate(items if isinstance(items, list) else [items], start=1):
        for place, text in enumerate(call_lines(one)):
            console.print(f"{f'  {number}. ' if place == 0 else '     '}{text}", markup=False, soft_wrap=True)


def _print_action(console: Console, action: HeldAction) -> None:
    from monitor.alerting.rendering.terminal_text import plain

    facts: dict[str, Any] = {
        "action": f"{action.kind} {action.key}",
        "for": action.target,
        "asked by": action.requester,
        "approvals": f"{action.approvals} of {action.approvals_needed}",
        "expires": moment(action.expires_at) if action.expires_at is not None else "never",
        "can be undone": action.undo or "no",
    }
    facts |= _flat("field", action.fields) | _flat("payload", action.payload)
    for name, value in facts.items():
        if value not in ("", None):
            shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            console.print(plain(f"{name}: {shown}"), markup=False, soft_wrap=True)


def _flat(what: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{what} {name}": value for name, value in values.items()}
