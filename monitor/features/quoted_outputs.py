"""What travels of each output for people to read: beginning, end, and facts of the call, masked and bounded.

Called by the featurizer. May import `monitor.events` and the families' readers.
"""

from __future__ import annotations

from collections.abc import Sequence

from monitor.events.excerpt_parts import Parts, joined
from monitor.events.excerpt_size import EXCERPT_CHARS
from monitor.events.redaction import excerpts, last_characters
from monitor.events.schema import OutputEvent
from monitor.features.families.tools import tools_of

TAIL_CHARS = 80
"""Characters of the end: a sentence, as appended ones are; with the beginning it is half as much again as before."""
MAX_FACTS_CHARS = 120
"""Characters of the facts: a tool, a failed dependency and a time fit, and a message grows by a known amount."""
_MAX_NAME_CHARS = 40
"""Of one name in the facts: longer ones are ids or whole messages, which would leave no room for the others."""
_MAX_NAMED = 3
"""Tools, and failed calls, that are named: the first ones show the change as well as a hundred."""


def quoted_outputs(events: Sequence[OutputEvent]) -> list[str]:
    """Of each event at most `EXCERPT_CHARS`, `TAIL_CHARS` and `MAX_FACTS_CHARS` characters (`Parts`)."""
    outputs = [event.output for event in events]
    heads, tails = excerpts(outputs), last_characters(outputs, EXCERPT_CHARS, TAIL_CHARS)
    facts = excerpts([_facts(event) for event in events])
    return [
        joined(Parts(head, tail, fact[:MAX_FACTS_CHARS])) for head, tail, fact in zip(heads, tails, facts, strict=True)
    ]


def _facts(event: OutputEvent) -> str:
    """`tool get_order; identity-api: timeout; 2.4 s`."""
    found = []
    if event.steps or event.action:
        names = list(dict.fromkeys(tool.name for tool in tools_of(event)))[:_MAX_NAMED]
        if names:
            found.append(f"tool {', '.join(map(_short, names))}")
    failed = [call for call in event.calls if call.error][:_MAX_NAMED]
    found += [f"{_short(call.dependency)}: {_short(call.error or '')}" for call in failed]
    if event.error:
        found.append(f"error: {_short(event.error)}")
    slowest = max(event.calls, key=lambda call: call.duration_s or 0.0, default=None)
    if slowest is not None and slowest.duration_s:
        found.append(f"{_short(slowest.dependency)} took {_seconds(slowest.duration_s)}")
    if event.latency.total_s is not None:
        found.append(f"{_seconds(event.latency.total_s)} in all")
    return "; ".join(found)


def _short(name: str) -> str:
    words = " ".join(name.split())
    return words if len(words) <= _MAX_NAME_CHARS else f"{words[: _MAX_NAME_CHARS - 3]}..."


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s"
