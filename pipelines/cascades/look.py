"""`exceeded`: of some new outputs and actions, those whose cascade is a loop, too deep, or a burst of actions.

It follows the store: the rows of edges are a projection of the log, and the same rows give the same answer. Detection
cannot do it, for a chain goes through streams that have different owners.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from monitor.actions.cascade import Cascade, EdgesFrom, follow, roots_of
from monitor.cascade.excess import Excess, Tally, excess_of, tallies
from monitor.cascade.report import lookups
from monitor.ledger.base import Ledger
from monitor.ledger.edges import LedgerEdges
from monitor.settings.cascades import CascadeLimits, Cascades
from monitor.store.base import TraceStore
from monitor.store.periods import DAY_S

MOST_NODES = 50_000
"""Outputs and actions of one look: a second of work."""
LOOK_BACK_S = 2 * DAY_S
"""How old the root of a new output may be. Older edges lie in other files, and a loop of machines takes no two days."""


@dataclass(frozen=True, slots=True)
class Exceeded:
    """One root from which too much follows.

    `at_least`: the walk ended at a limit. `actions_known`: there is a ledger.
    """

    excess: Excess
    tally: Tally
    limits: CascadeLimits
    circle: tuple[str, ...]
    at_least: bool
    actions_known: bool


def exceeded(
    traces: TraceStore, ledger: Ledger | None, targets: Sequence[str], settings: Cascades, now: float
) -> list[Exceeded]:
    """The roots of some outputs and keys of actions from which too much follows.

    `now` is in seconds since 1970. Raises `StoreError` and `LedgerError` where a database does not answer.
    """
    if not targets:
        return []
    since_day = int((now - LOOK_BACK_S) // DAY_S)
    into: list[EdgesFrom] = [partial(traces.edges, into=True, since_day=since_day)]
    if ledger is not None:
        into.append(LedgerEdges(ledger, into=True))
    roots = roots_of(targets, into, most=MOST_NODES)
    found = follow(dict.fromkeys(sorted(roots), ""), lookups(traces, ledger, since_day), most=MOST_NODES)
    least = _least(settings)
    too_much = []
    for tally in tallies(found, {}, now - settings.within):
        circle = _circle_of(found, tally)
        if excess_of(tally, least, circle) is None:  # no stream has lower limits
            continue
        outputs = traces.find(tally.root)
        tally.stream = outputs[0].stream if outputs else tally.stream
        limits = settings.for_stream(tally.stream)
        excess = excess_of(tally, limits, circle)
        if excess is not None:
            too_much.append(Exceeded(excess, tally, limits, circle, found.at_least, ledger is not None))
    return too_much


def _least(settings: Cascades) -> CascadeLimits:
    """The lowest limits that any stream has."""
    all_of = [settings.for_stream("")] + [
        CascadeLimits(
            depth=override.depth or settings.depth,
            repeats=override.repeats or settings.repeats,
            actions=override.actions or settings.actions,
        )
        for override in settings.streams
    ]
    return CascadeLimits(
        depth=min(one.depth for one in all_of),
        repeats=min(one.repeats for one in all_of),
        actions=min(one.actions for one in all_of),
    )


def _circle_of(found: Cascade, tally: Tally) -> tuple[str, ...]:
    """The circle of a walk, where it belongs to this root."""
    if not found.circle:
        return ()
    of_root = {one.id for one in found.reached if one.root == tally.root} | {tally.root}
    return found.circle if of_root.intersection(found.circle) else ()
