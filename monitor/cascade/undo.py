"""`undo_all`, `reject_all`: in bulk, what can still be done about the actions of a cascade."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from monitor.actions.states import Action, ActionError
from monitor.cascade.report import ActionThatFollowed
from monitor.ledger.base import Ledger


@dataclass(slots=True)
class Remedied:
    """What came of it: the actions that were entered or rejected, and those that were refused, each with the reason."""

    actions: list[Action] = field(default_factory=list)
    refused: list[tuple[ActionThatFollowed, str]] = field(default_factory=list)


def undo_all(ledger: Ledger, actions: Iterable[ActionThatFollowed], by: str, why: str, now: float) -> Remedied:
    """Enter the action `undo:<key>` for each: the application that carried it out claims it and undoes it.

    One that was undone, or is being undone, since it was looked at is refused, and the others go on. Raises
    `LedgerError` where the database does not answer; what was entered before stays, and the same call again goes on.
    """
    return _each(actions, lambda one: ledger.undo(one.scope, one.key, by, why, now))


def reject_all(ledger: Ledger, actions: Iterable[ActionThatFollowed], by: str, why: str, now: float) -> Remedied:
    """Reject each, for good: what has not begun never begins."""
    return _each(actions, lambda one: ledger.reject(one.scope, one.key, by, why, now))


def _each(actions: Iterable[ActionThatFollowed], act: Callable[[ActionThatFollowed], Action]) -> Remedied:
    done = Remedied()
    for one in actions:
        try:
            done.actions.append(act(one))
        except ActionError as error:
            done.refused.append((one, str(error)))
    return done
