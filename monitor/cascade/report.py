"""`report`: what followed from an origin, with the states of its actions and what can still be undone."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from monitor.actions.cascade import (
    MOST_NODES,
    Cascade,
    Edge,
    EdgesFrom,
    Reached,
    action_of_node,
    follow,
    shown,
)
from monitor.actions.states import UNDO_PREFIX, Action, State
from monitor.cascade.origin import Origin
from monitor.ledger.base import Ledger
from monitor.ledger.edges import LedgerEdges, actions_of
from monitor.store.base import TraceStore


class Remedy(StrEnum):
    """What can still be done about an action."""

    UNDO = "undo"  # it is done, and how to undo it is registered
    UNDOING = "undoing"  # its undo waits for the application, or is being carried out
    REJECT = "reject"  # it has not begun: a rejection is final
    WAIT = "wait"  # it is being carried out
    RESOLVE = "resolve"  # nobody knows whether it happened: say so first
    NONE = "none"  # it is done, and cannot be undone
    OVER = "over"  # it had no effect, or was undone


class ActionThatFollowed(msgspec.Struct, frozen=True, kw_only=True):
    """An action, and what can be done about it. Times are seconds since 1970."""

    scope: str
    key: str
    kind: str
    state: State
    stream: str
    target: str
    depth: int
    after: str
    proposed_at: float
    changed_at: float
    remedy: Remedy
    undo: str | None = None


class OutputThatFollowed(msgspec.Struct, frozen=True, kw_only=True):
    """An output, `depth` steps after the flagged one; `after` is the output or action that it follows from."""

    event: str
    stream: str
    time: float
    depth: int
    after: str


class StreamThatFollowed(msgspec.Struct, frozen=True, kw_only=True):
    """Outputs of one stream, with the times of the first and the last."""

    stream: str
    outputs: int
    first: float
    last: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What followed.

    Attributes
    ----------
    what, id, stream, title, since, until
        Of the origin: `monitor.cascade.origin.Origin`.
    began_with
        Outputs (or actions) with which it begins: of a finding all since its change.
    outputs, actions
        How many followed.
    at_least
        Whether there are more than these numbers say: a limit was reached.
    actions_known
        Whether there is a ledger: without one nothing is known of actions.
    depth
        Steps to what is farthest.
    streams
        By stream, the most outputs first.
    followed, acted
        The outputs and actions, by depth.
    circle
        Ids that follow from themselves, in their order; empty where none do.
    """

    what: str
    id: str
    stream: str
    title: str
    since: float | None
    until: float | None
    began_with: int
    outputs: int
    actions: int
    at_least: bool
    actions_known: bool
    depth: int
    streams: list[StreamThatFollowed]
    followed: list[OutputThatFollowed]
    acted: list[ActionThatFollowed]
    circle: list[str]

    def with_remedy(self, remedy: Remedy) -> list[ActionThatFollowed]:
        """The actions about which this can be done."""
        return [one for one in self.acted if one.remedy is remedy]


class StoreEdges:
    """Looks up edges in a trace store, as `monitor.actions.cascade.follow` asks for them.

    Outputs name an action by its key alone, so what names one follows from each action with that key that was reached.
    """

    def __init__(self, traces: TraceStore, since_day: int | None) -> None:
        self._traces = traces
        self._since_day = since_day

    def __call__(self, nodes: Sequence[str], limit: int) -> list[Edge]:
        """The edges out of some nodes."""
        named: dict[str, list[str]] = {}
        for name in nodes:
            named.setdefault(shown(name), []).append(name)
        edges = self._traces.edges(list(named), limit, since_day=self._since_day)
        return [edge._replace(source=name) for edge in edges for name in named[edge.source]]


def lookups(traces: TraceStore, ledger: Ledger | None, since_day: int | None) -> list[EdgesFrom]:
    """Where edges are looked up: the trace store from a day on, and the ledger where there is one."""
    found: list[EdgesFrom] = [StoreEdges(traces, since_day)]
    if ledger is not None:
        found.append(LedgerEdges(ledger))
    return found


def report(traces: TraceStore, ledger: Ledger | None, origin: Origin, *, most: int = MOST_NODES) -> Report:
    """What followed from an origin. Raises `StoreError` and `LedgerError` where a database does not answer."""
    found = follow(origin.roots, lookups(traces, ledger, origin.since_day), most=most)
    return Report(
        what=origin.what.value,
        id=origin.id,
        stream=origin.stream,
        title=origin.title,
        since=origin.since,
        until=origin.until,
        began_with=len(origin.roots),
        outputs=len(found.outputs),
        actions=len(found.actions),
        at_least=found.at_least or origin.at_least,
        actions_known=ledger is not None,
        depth=found.depth,
        streams=_streams(found),
        followed=[
            OutputThatFollowed(event=one.id, stream=one.stream, time=one.time, depth=one.depth, after=shown(one.after))
            for one in found.outputs
        ],
        acted=[] if ledger is None else acted(ledger, found.actions),
        circle=[shown(one) for one in found.circle],
    )


def _streams(found: Cascade) -> list[StreamThatFollowed]:
    times: dict[str, list[float]] = {}
    for one in found.outputs:
        times.setdefault(one.stream, []).append(one.time)
    return [
        StreamThatFollowed(stream=stream, outputs=number, first=min(times[stream]), last=max(times[stream]))
        for stream, number in found.streams.items()
    ]


def acted(ledger: Ledger, reached: Sequence[Reached]) -> list[ActionThatFollowed]:
    """The actions as the ledger has them now."""
    named = [(one, name) for one in reached if (name := action_of_node(one.id)) is not None]
    actions = ledger.read(lambda connection: actions_of(connection, [name for _, name in named]))
    found = []
    for one, (scope, key) in named:
        action = actions.get((scope, key))
        if action is None:  # forgotten since
            continue
        undoing = actions.get((scope, UNDO_PREFIX + key))
        found.append(
            ActionThatFollowed(
                scope=action.scope,
                key=action.key,
                kind=action.kind,
                state=action.state,
                stream=action.stream,
                target=action.target,
                depth=one.depth,
                after=shown(one.after),
                proposed_at=action.proposed_at,
                changed_at=action.changed_at,
                remedy=remedy_of(action, undoing),
                undo=action.undo,
            )
        )
    return found


def remedy_of(action: Action, undoing: Action | None = None) -> Remedy:
    """What can still be done about an action; `undoing` is the action `undo:<key>`, where there is one."""
    if action.state is State.DONE:
        if undoing is not None and undoing.state not in (State.REJECTED, State.EXPIRED, State.UNDONE):
            return Remedy.UNDOING
        return Remedy.NONE if action.undo is None else Remedy.UNDO
    return _BY_STATE[action.state]


_BY_STATE = {
    State.HELD: Remedy.REJECT,
    State.ALLOWED: Remedy.REJECT,
    State.CLAIMED: Remedy.WAIT,
    State.UNKNOWN: Remedy.RESOLVE,
    State.FAILED: Remedy.OVER,
    State.REJECTED: Remedy.OVER,
    State.EXPIRED: Remedy.OVER,
    State.UNDONE: Remedy.OVER,
}
