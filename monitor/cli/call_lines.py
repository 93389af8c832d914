"""Steps and calls of an output as lines that a person reads at night: what was called, how it ended, what came back.

    1. crm.get_order: 200, 0.12 s, 2026-11-30 09:12:44 UTC
       response: {"order":{"id":7}}

Called by `oqm trace`. Steps are whatever the application sends; what is not recognised is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from monitor.alerting.rendering.moments import moment
from monitor.alerting.rendering.terminal_text import plain

SHOWN_CHARS = 600
"""Of a body: ten lines of a terminal, so that the next call is still on the screen; `--json` has what is stored."""
_NAMES = ("dependency", "tool", "name", "type")
_DURATIONS = ("duration_s", "latency_s", "seconds")
_TIMES = ("time", "started_at", "start_time", "timestamp")
_BODIES = ("error", "response", "result", "output", "content", "body", "arguments", "input")


def call_lines(item: Any) -> Iterator[str]:
    """The lines of one step or call: its heading, then what it carries, each behind its name."""
    if not isinstance(item, Mapping):
        yield _cut(item)
        return
    rest = dict(item)
    yield plain(_heading(rest))
    for name in [name for name in _BODIES if rest.get(name) not in (None, "")]:
        yield f"{name}: {_cut(rest.pop(name))}"
    left = {name: value for name, value in rest.items() if value is not None}
    if left:
        yield f"also: {_cut(left)}"


def _heading(rest: dict[str, Any]) -> str:
    """What it is, its status, how long it took and when it began; taken out of `rest`."""
    named = next((name for name in _NAMES if isinstance(rest.get(name), str)), None)
    what = rest.pop(named) if named is not None else "step"
    if isinstance(rest.get("operation"), str):
        what += f".{rest.pop('operation')}"
    said = []
    if isinstance(rest.get("status"), str | int):
        said.append(str(rest.pop("status")))
    elif rest.get("error"):
        said.append("failed")
    for name in _DURATIONS:
        if isinstance(rest.get(name), int | float):
            said.append(f"{rest.pop(name):.3g} s")
            break
    for name in _TIMES:
        if isinstance(rest.get(name), int | float):
            said.append(moment(float(rest.pop(name))))
            break
        if isinstance(rest.get(name), str):
            said.append(rest.pop(name))
            break
    return f"{what}: {', '.join(said)}" if said else what


def _cut(value: Any) -> str:
    text = plain(value if isinstance(value, str) else msgspec.json.encode(value).decode())
    if len(text) <= SHOWN_CHARS:
        return text
    return f"{text[:SHOWN_CHARS]}... ({len(text):,} characters are stored: --json)"
