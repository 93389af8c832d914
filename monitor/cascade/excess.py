"""`excess_of`: whether what follows from one output is a loop, too deep, or a burst of actions. Pure.

A loop of programs makes new outputs in each round, so it shows as a chain in which the same stream comes again and
again; only ids that senders set wrongly make a circle of outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from monitor.actions.cascade import Cascade, Reached, shown
from monitor.config_values.durations import in_words
from monitor.settings.cascades import CascadeLimits


class Excess(StrEnum):
    """What is too much."""

    CIRCLE = "circle"
    LOOP = "loop"
    DEPTH = "depth"
    BURST = "burst"


@dataclass(slots=True)
class Tally:
    """What followed from one root.

    Attributes
    ----------
    root, stream
        Its node, and the stream of the root; of the first output that followed where the root is a span.
    outputs, actions
        How many followed; of the actions those that were proposed within the time that counts.
    kinds
        Streams of the outputs, with their numbers.
    deepest, repeated
        What is farthest, and what closes most rounds of a stream.
    first, last
        Times of the first and the last of what followed.
    """

    root: str
    stream: str
    outputs: int = 0
    actions: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    deepest: Reached | None = None
    repeated: Reached | None = None
    first: float = 0.0
    last: float = 0.0

    def add(self, one: Reached, actions_since: float) -> None:
        """Count an output or an action."""
        self.first = min(self.first or one.time, one.time)
        self.last = max(self.last, one.time)
        if one.is_action:
            self.actions += one.time >= actions_since
            return
        self.outputs += 1
        self.stream = self.stream or one.stream
        self.kinds[one.stream] = self.kinds.get(one.stream, 0) + 1
        if self.deepest is None or one.depth > self.deepest.depth:
            self.deepest = one
        if self.repeated is None or one.repeats > self.repeated.repeats:
            self.repeated = one


def tallies(found: Cascade, streams: Mapping[str, str], actions_since: float) -> list[Tally]:
    """What followed from each root. `streams` are those of the roots; actions before `actions_since` do not count."""
    of_root = {root: Tally(root, streams.get(root, "")) for root in found.roots}
    for one in found.reached:
        of_root[one.root].add(one, actions_since)
    return list(of_root.values())


def excess_of(tally: Tally, limits: CascadeLimits, circle: tuple[str, ...] = ()) -> Excess | None:
    """What is too much of what followed from a root; `circle` are ids of it that follow from themselves."""
    if circle:
        return Excess.CIRCLE
    if tally.repeated is not None and tally.repeated.repeats >= limits.repeats:
        return Excess.LOOP
    if tally.deepest is not None and tally.deepest.depth >= limits.depth:
        return Excess.DEPTH
    if tally.actions >= limits.actions:
        return Excess.BURST
    return None


def title_of(excess: Excess, tally: Tally, within_s: float) -> str:
    """The title of the alert, a sentence without its full stop."""
    if excess is Excess.CIRCLE:
        return f"Outputs of {tally.stream} follow from themselves"
    if excess is Excess.LOOP and tally.repeated is not None:
        one = tally.repeated
        return f"Outputs follow from one another in a loop: {one.stream} came {one.repeats} times in one chain"
    if excess is Excess.DEPTH and tally.deepest is not None:
        return f"A chain of {tally.deepest.depth} outputs follows from one of {tally.stream}"
    return f"{tally.actions:,} actions followed from one output of {tally.stream} within {in_words(within_s)}"


def cause_of(
    excess: Excess,
    tally: Tally,
    limits: CascadeLimits,
    circle: tuple[str, ...] = (),
    *,
    at_least: bool = False,
    actions_known: bool = True,
) -> str:
    """What followed from what, and which setting says that it is too much. Without a ledger no actions are known."""
    least = "at least " if at_least else ""
    kinds = sorted(tally.kinds.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{stream} {number:,}" for stream, number in kinds[:_NAMED])
    more = f" and {len(kinds) - _NAMED} more streams" if len(kinds) > _NAMED else ""
    acted = f" and {tally.actions:,} actions" if actions_known else ""
    said = (
        f"From {shown(tally.root)} ({tally.stream}) followed {least}{tally.outputs:,} outputs ({named}{more}){acted}."
    )
    if excess is Excess.CIRCLE:
        return f"{said} These name each other as their cause: {' -> '.join(map(shown, circle[:_NAMED]))}."
    setting, limit = {
        Excess.LOOP: ("repeats", limits.repeats), Excess.DEPTH: ("depth", limits.depth),
    }.get(excess, ("actions", limits.actions))  # fmt: skip
    last = tally.repeated if excess is Excess.LOOP else tally.deepest
    newest = f" The chain has come to {shown(last.id)}." if last is not None and excess is not Excess.BURST else ""
    return f"{said}{newest} From {limit} on this is reported (cascades.{setting})."


_NAMED = 5  # streams or outputs that a sentence names
