"""`follow`: what followed from an output, over streams and services, and what can be said of it.

Nodes are outputs (by the id of their event), actions (by scope and key) and spans of traces. Edges come from the trace
store (`trace.parent_id` and `causes` of events) and from the ledger (an action names the output that it was proposed
for). The walk goes level by level, so it does not matter in which database, or in how many, the edges are; each node
counts once, so a circle ends.

A span is a step that costs nothing: events name the span of their caller and not its event, so an output leads to its
span, and the span to the outputs whose parent it is. Neither has to be stored before the other.

Pure. May import nothing of this project; the small install has what it needs.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

MOST_NODES = 10_000
"""Outputs and actions that one walk lists: more is not read by a person, and would take memory without bound."""
DEEPEST = 200
"""Levels that one walk goes down: a chain that is longer is a loop."""


MAX_NODE_BYTES = 1_024
"""Of a node in UTF-8, so that two fit into an entry of PostgreSQL's index (2,704 bytes). An id of 512 ASCII characters,
the longest, is kept as it is; what is longer is known by its hash, which connects as well and finds no output."""
_HASHED = "sha256:"


def node(text: str) -> str:
    """An id of an event or the key of an action as an end of an edge: a text that databases hold and can index."""
    encoded = text.encode("utf-8", "replace").replace(b"\0", "\ufffd".encode())
    return encoded.decode() if len(encoded) <= MAX_NODE_BYTES else _HASHED + hashlib.sha256(encoded).hexdigest()


_ACTION, _BETWEEN = "action:", "\x1f"  # a scope and a key have no control characters


def action_node(scope: str, key: str) -> str:
    """An action as an end of an edge: two applications may have the same key."""
    return node(f"{_ACTION}{scope}{_BETWEEN}{key}")


def action_of_node(name: str) -> tuple[str, str] | None:
    """Scope and key of an action's node; None for any other."""
    if not name.startswith(_ACTION) or _BETWEEN not in name:
        return None
    scope, _, key = name.removeprefix(_ACTION).partition(_BETWEEN)
    return scope, key


def shown(name: str) -> str:
    """A node as people know it: the id of an event, the key of an action."""
    action = action_of_node(name)
    return name if action is None else action[1]


class EdgeKind(StrEnum):
    """What an edge says."""

    SPAN = "span"  # from an output to the span of a trace in which it was made
    TRACE = "trace"  # from a span to an output whose parent it is
    CAUSE = "cause"  # from an output or an action to an output that names it in `causes`
    ACTION = "action"  # from an output to an action that was proposed for it


class Edge(NamedTuple):
    """One step. `stream` and `time` (seconds since 1970) are those of the target."""

    source: str
    target: str
    kind: EdgeKind
    stream: str
    time: float


class Reached(NamedTuple):
    """An output or an action that followed; `id`, `root` and `after` are nodes.

    `depth` counts the steps from `root`; `after` is the output or action that it was reached from first. `repeats`
    counts how often its stream has come on the way from the root to it, itself included.
    """

    id: str
    is_action: bool
    stream: str
    time: float
    depth: int
    root: str
    after: str
    repeats: int = 1


@dataclass(slots=True)
class Cascade:
    """What followed from some outputs.

    Attributes
    ----------
    roots
        Where it began.
    reached
        What followed, without the roots, by depth.
    at_least
        Whether the walk ended at a limit: there is more.
    circle
        Nodes that follow from themselves, in their order, the first one again at the end; empty where there are none.
    """

    roots: tuple[str, ...]
    reached: list[Reached] = field(default_factory=list)
    at_least: bool = False
    circle: tuple[str, ...] = ()

    @property
    def outputs(self) -> list[Reached]:
        """The outputs that followed."""
        return [one for one in self.reached if not one.is_action]

    @property
    def actions(self) -> list[Reached]:
        """The actions that followed."""
        return [one for one in self.reached if one.is_action]

    @property
    def streams(self) -> Mapping[str, int]:
        """Outputs by stream, the most first."""
        return dict(Counter(one.stream for one in self.outputs).most_common())

    @property
    def depth(self) -> int:
        """Steps from a root to what is farthest."""
        return max((one.depth for one in self.reached), default=0)

    @property
    def until(self) -> float | None:
        """Time of the latest of what followed, seconds since 1970."""
        return max((one.time for one in self.reached), default=None)


EdgesFrom = Callable[[Sequence[str], int], Iterable[Edge]]
"""The edges out of some nodes, at most as many as the second argument says."""


def follow(
    roots: Mapping[str, str],
    edges_from: Sequence[EdgesFrom],
    *,
    most: int = MOST_NODES,
    deepest: int = DEEPEST,
) -> Cascade:
    """What followed from outputs (or actions).

    Parameters
    ----------
    roots
        Ids, each with the name of its stream; empty for an action's key.
    edges_from
        Where edges are looked up: the trace store, the ledger.
    most
        Outputs and actions after which the walk ends.
    deepest
        Steps after which it ends.
    """
    return _Walk(roots, edges_from, most, deepest).go()


class _Walk:
    def __init__(self, roots: Mapping[str, str], edges_from: Sequence[EdgesFrom], most: int, deepest: int) -> None:
        self._edges_from = edges_from
        self._most = most
        self._deepest = deepest
        self._found = Cascade(tuple(roots))
        self._by_id: dict[str, Reached] = {
            root: Reached(root, False, stream, 0.0, 0, root, "", 1 if stream else 0) for root, stream in roots.items()
        }
        # Nodes whose edges were looked up or wait for it, each with the output or action that it belongs to.
        self._owner: dict[str, str] = {root: root for root in roots}
        self._back: dict[str, set[str]] = {}
        self._met_again = False

    def go(self) -> Cascade:
        level = list(self._owner)
        depth = 0
        while level and depth < self._deepest and not self._found.at_least:
            # A span is no step: what is reached through one is a step from the span's output.
            spans, fresh = self._expand(level, depth)
            _, behind = self._expand(spans, depth)
            level = [*fresh, *behind]
            depth += 1
        self._found.at_least |= bool(level)
        if self._met_again:
            self._found.circle = _circle(self._back)
        return self._found

    def _expand(self, nodes: Sequence[str], depth: int) -> tuple[list[str], list[str]]:
        """The spans, and the outputs and actions, that are new behind these."""
        spans: list[str] = []
        fresh: list[str] = []
        limit = 2 * self._most
        for edges_from in self._edges_from if nodes else ():
            taken = 0
            for edge in edges_from(nodes, limit):
                taken += 1
                self._take(edge, depth, spans if edge.kind is EdgeKind.SPAN else fresh)
            self._found.at_least |= taken >= limit
        return spans, fresh

    def _take(self, edge: Edge, depth: int, fresh: list[str]) -> None:
        source = self._owner[edge.source]
        if edge.kind is EdgeKind.SPAN:
            if edge.target not in self._owner:
                self._owner[edge.target] = source
                fresh.append(edge.target)
            return
        self._back.setdefault(edge.target, set()).add(source)
        if edge.target in self._owner:
            self._met_again = True
            return
        if len(self._found.reached) >= self._most:
            self._found.at_least = True
            return
        self._owner[edge.target] = edge.target
        fresh.append(edge.target)
        before = self._by_id[source]
        reached = Reached(
            edge.target,
            edge.kind is EdgeKind.ACTION,
            edge.stream,
            edge.time,
            depth + 1,
            before.root,
            source,
            self._repeats(before, edge),
        )
        self._by_id[edge.target] = reached
        self._found.reached.append(reached)

    def _repeats(self, before: Reached, edge: Edge) -> int:
        """How often the stream of an edge's target occurs on the path to it; 0 for an action, which has no stream."""
        if edge.kind is EdgeKind.ACTION:
            return 0
        one: Reached | None = before
        while one is not None:
            if not one.is_action and one.stream == edge.stream and one.repeats:
                return one.repeats + 1
            one = self._by_id.get(one.after)
        return 1


def _circle(back: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Nodes in a circle, where there is one. `back` has for each node those that it follows from."""
    sorter = TopologicalSorter(back)
    try:
        sorter.prepare()
    except CycleError as error:
        nodes: list[str] = error.args[1]
        return tuple(nodes)
    return ()


def roots_of(
    targets: Iterable[str], edges_into: Sequence[EdgesFrom], *, most: int = MOST_NODES, highest: int = DEEPEST
) -> set[str]:
    """Where outputs or actions come from in the end: nodes that follow from nothing, as far as is known.

    `edges_into` look up the edges into some nodes. What has no such node above it within `highest` steps and `most`
    nodes, as it follows from itself or the walk ended, is a root itself.
    """
    wanted = set(targets)
    level, seen = set(wanted), set(wanted)
    behind: dict[str, set[str]] = {}
    roots: set[str] = set()
    for _ in range(2 * highest):  # a span is a level here
        if not level or len(seen) > most:
            break
        above: dict[str, set[str]] = {}
        for edges_into_of in edges_into:
            for edge in edges_into_of(sorted(level), 2 * most):
                above.setdefault(edge.target, set()).add(edge.source)
                behind.setdefault(edge.source, set()).add(edge.target)
        roots |= level - above.keys()
        level = set().union(*above.values()) - seen
        seen |= level
    covered, down = set(roots), list(roots)
    while down:
        fresh = behind.get(down.pop(), set()) - covered
        covered |= fresh
        down += fresh
    return roots | (wanted - covered)
