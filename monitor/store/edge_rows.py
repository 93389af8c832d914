"""What followed from what: rows of the table `edge`, made of events. Pure.

An event that has a span makes an edge from its id to the span; one that names its caller's span makes an edge from
that span to its id; each of `causes` makes one to its id. Each edge is a function of one event, so that it does not
matter in which order events come, and a rebuilt store has the same edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monitor.actions.cascade import EdgeKind, node
from monitor.events.schema import OutputEvent, Trace
from monitor.store.texts import storable

SPAN = "span:"
"""Beginning of the name of a span's node. The id of an event may begin so as well; then it is taken for a span."""


def edge_rows(event: OutputEvent, day: int, time: float) -> Iterator[dict[str, Any]]:
    """The rows of an event. `day` is that of its message; `time` is the event's, in seconds since 1970."""
    own = node(event.id or "")
    ends = [(own, _span(event.trace, event.trace.span_id), EdgeKind.SPAN)]
    ends.append((_span(event.trace, event.trace.parent_id), own, EdgeKind.TRACE))
    ends += [(node(cause), own, EdgeKind.CAUSE) for cause in event.causes]
    stream = storable(event.stream) or ""
    for source, target in dict.fromkeys((source, target) for source, target, _ in ends):
        if source and target and source != target:
            kind = next(kind for one, other, kind in ends if (one, other) == (source, target))
            yield {"day": day, "source": source, "target": target, "kind": kind.value, "stream": stream, "time": time}


def _span(trace: Trace, span: str | None) -> str:
    """The node of a span of the event's trace; empty without one. Zeros alone say that there is none (W3C)."""
    if not trace.trace_id or not span or not span.strip("0"):
        return ""
    return node(f"{SPAN}{trace.trace_id}/{span}".lower())
