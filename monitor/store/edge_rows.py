"""What followed from what: rows of the table `edge`, made of events. Pure.

An event that has a span makes an edge from its id to the span; one that names its caller's span makes an edge from
that span to its id; each of `causes` makes one to its id. Each edge is a function of one event, so that it does not
matter in which order events come, and a rebuilt store has the same edges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from monitor.actions.cascade import EdgeKind
from monitor.events.schema import OutputEvent, Trace
from monitor.store.texts import storable

MAX_NODE_BYTES = 1_024
"""Of a node in UTF-8, so that two fit into an entry of PostgreSQL's index (2,704 bytes). An id of 512 ASCII characters,
the longest, is kept as it is; what is longer is known by its hash, which connects as well and finds no output."""
SPAN = "span:"
"""Beginning of the name of a span's node. The id of an event may begin so as well; then it is taken for a span."""
_HASHED = "sha256:"


def node(text: str) -> str:
    """An id of an event or the key of an action as an end of an edge."""
    kept = storable(text) or ""
    encoded = kept.encode()
    return kept if len(encoded) <= MAX_NODE_BYTES else _HASHED + hashlib.sha256(encoded).hexdigest()


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
