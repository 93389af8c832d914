"""`oqm cascade ID`: what followed from a flagged output, over streams and services, and what can still be undone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.alerting.rendering.moments import moment
from monitor.cli.options import AsJson, ConfigFile
from monitor.cli.output import notes, print_json, tables
from monitor.cli.reference import By, user_name
from monitor.cli.store_option import StoreOption, opened
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from monitor.cascade.report import ActionThatFollowed, Remedy, Report
    from monitor.cascade.undo import Remedied
    from monitor.ledger.base import Ledger

EXIT_NONE = 1  # as grep does: there is no such output, finding or action
SHOWN = 20  # outputs and actions, each, that are listed: a screen full


def command(
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="An output's id, a finding's (its alert's), or an action's key.")
    ],
    undo: Annotated[
        bool, typer.Option("--undo", help="Undo what is done and can be undone, after a question.", show_default=False)
    ] = False,
    reject: Annotated[
        bool, typer.Option("--reject", help="Reject what has not begun, after a question.", show_default=False)
    ] = False,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the audit log.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.", show_default=False)] = False,
    by: By = None,
    limit: Annotated[
        int, typer.Option("--limit", min=0, max=10_000, metavar="N", help="Outputs and actions listed, at most.")
    ] = SHOWN,
    json: AsJson = False,
    store: StoreOption = None,
    ledger: Annotated[
        str | None,
        typer.Option(
            "--ledger",
            metavar="FOLDER|URL",
            envvar="OQM_LEDGER",
            help="Where the ledger of actions is; without it, serve.database, else as the trace store.",
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Show what followed from an output, a finding's outputs or an action: outputs of all streams, and actions.

    Followed are the spans of traces and the field `causes` of events, and the outputs that actions were proposed for.
    With --json one object. Exit code 1: nothing has this id.
    """
    from monitor.cascade.origin import find_origin
    from monitor.cascade.report import Remedy, report
    from monitor.settings import load_settings

    settings = load_settings(config)
    traces = opened(settings, store)
    actions = None
    try:
        location = ledger or settings.serve.database or store or settings.store.location
        actions = _ledger(location, must_be=bool(ledger or settings.serve.database))
        origin = find_origin(traces, actions, identity)
        if origin is None:
            notes().print(_nothing(identity, actions), markup=False, soft_wrap=True)
            raise typer.Exit(EXIT_NONE)
        found = report(traces, actions, origin)
        if json:
            print_json(found)
        else:
            _print(found, limit)
        if not (undo or reject):
            return
        if actions is None:
            raise ConfigError("there is no ledger of actions here: give --ledger, or --config with serve.database")
        who = user_name() if by is None else by
        for wanted, remedy in ((undo, Remedy.UNDO), (reject, Remedy.REJECT)):
            if wanted:
                _remedy(location, found, remedy, who, why or f"cascade of {identity}", yes)
    finally:
        if actions is not None:
            actions.close()
        traces.close()


def _ledger(location: str, *, must_be: bool) -> Ledger | None:
    """The ledger, to be read; None where nothing was ever written there, unless it was asked for by name."""
    from monitor.ledger.base import LedgerError
    from monitor.ledger.open import open_ledger

    try:
        return open_ledger(location, read_only=True)
    except LedgerError as error:
        if must_be:
            raise
        notes().print(f"actions are not known: {error}", markup=False, soft_wrap=True)
        return None


def _nothing(identity: str, ledger: Ledger | None) -> str:
    also = "" if ledger is None else ", and the ledger no action with this key"
    return f"the trace store has no output and no finding with the id {identity}{also}"


def _remedy(location: str, found: Report, remedy: Remedy, by: str, why: str, yes: bool) -> None:
    from monitor.cascade.report import Remedy
    from monitor.cascade.undo import reject_all, undo_all
    from monitor.ledger.open import open_ledger

    chosen = found.with_remedy(remedy)
    verb = "undone" if remedy is Remedy.UNDO else "rejected"
    if not chosen:
        notes().print(f"there is nothing that can be {verb}", markup=False)
        return
    more = "; there are more than were found, so look again afterwards" if found.at_least else ""
    question = f"To be {verb}, by {by}: {_by_kind(chosen)}{more}. Go on?"
    try:
        if not yes and not typer.confirm(question, err=True):
            raise typer.Exit(EXIT_NONE)
    except typer.Abort:  # the end of the input: no terminal, and no pipe that answers
        raise ConfigError(
            f"{_count(len(chosen), 'action')} would be {verb}: nobody can be asked here, so say --yes"
        ) from None
    act = undo_all if remedy is Remedy.UNDO else reject_all
    with closing(open_ledger(location)) as ledger:
        came = act(ledger, chosen, by, why, time.time())
    _say(came, verb)


def _say(came: Remedied, verb: str) -> None:
    console = notes()
    for one, reason in came.refused:
        console.print(f"not {verb}: {one.key}: {reason}", style="yellow", markup=False, soft_wrap=True)
    if verb == "undone" and came.actions:
        console.print(
            f"entered: {_count(len(came.actions), 'undo action')}, from {came.actions[0].key} on. The applications "
            "claim them and undo; look again for what is left.",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    elif came.actions:
        console.print(f"rejected, for good: {_count(len(came.actions), 'action')}", markup=False, soft_wrap=True)
    if came.refused:
        raise typer.Exit(EXIT_NONE)


def _by_kind(actions: Sequence[ActionThatFollowed]) -> str:
    return ", ".join(f"{number:,} {kind}" for kind, number in Counter(one.kind for one in actions).most_common())


def _print(found: Report, limit: int) -> None:
    from monitor.alerting.rendering.terminal_text import plain

    console = tables()
    what = {"output": "output", "finding": "finding", "action": "action"}[found.what]
    title = f": {found.title}" if found.title else ""
    where = f" in {found.stream}" if found.stream else ""
    when = "" if found.since is None else f", {'since ' if found.what == 'finding' else ''}{moment(found.since)}"
    console.print(plain(f"{what} {found.id}{where}{title}{when}"), style="bold", markup=False, soft_wrap=True)
    console.print(plain(summary(found)), markup=False, soft_wrap=True)
    if found.circle:
        console.print(
            plain(f"These follow from themselves: {' -> '.join(found.circle[:10])}"),
            style="red", markup=False, soft_wrap=True,
        )  # fmt: skip
    _print_streams(console, found)
    _print_actions(console, found, limit)
    _print_outputs(console, found, limit)


def summary(found: Report) -> str:
    """`From 412 outputs at least 1,204 outputs in 3 streams and 37 actions followed, at most 5 steps on.`"""
    begin = "From it" if found.began_with == 1 else f"From {found.began_with:,} outputs"
    least = "at least " if found.at_least else ""
    if not found.outputs and not found.actions:
        known = "nothing is known to have followed" if found.actions_known else "no output is known to have followed"
        return f"{begin} {known}."
    acted = f" and {_count(found.actions, 'action')}" if found.actions_known else ""
    steps = f"{_count(found.depth, 'step')} on at most"
    return (
        f"{begin} followed {least}{_count(found.outputs, 'output')} in {_count(len(found.streams), 'stream')}{acted}, "
        f"{steps}."
    )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _print_streams(console: Console, found: Report) -> None:
    from monitor.cli.fitted_table import FittedTable

    if not found.streams:
        return
    table = FittedTable("stream", "outputs", "first (UTC)", "last (UTC)", right=("outputs",))
    for one in found.streams:
        table.add_row(one.stream, f"{one.outputs:,}", moment(one.first), moment(one.last))
    console.print(table)


def _print_actions(console: Console, found: Report, limit: int) -> None:
    from monitor.cli.fitted_table import FittedTable

    if not found.acted:
        return
    table = FittedTable("kind", "state", "actions", "what can be done", right=("actions",), prose=("what can be done",))
    for (kind, state, remedy), number in Counter(
        (one.kind, one.state, one.remedy) for one in found.acted
    ).most_common():
        table.add_row(kind, state.value, f"{number:,}", _SAID[remedy.value])
    console.print(table)
    if limit:
        listed = FittedTable("action", "kind", "state", "target", "after", "what can be done")
        order = sorted(found.acted, key=lambda one: (_URGENT.index(one.remedy.value), one.proposed_at))
        for one in order[:limit]:
            listed.add_row(one.key, one.kind, one.state.value, one.target, one.after, one.remedy.value)
        console.print(listed)
        _more(console, len(order), limit, "actions")


def _print_outputs(console: Console, found: Report, limit: int) -> None:
    from monitor.cli.fitted_table import FittedTable

    if not found.followed or not limit:
        return
    table = FittedTable("step", "time (UTC)", "output", "stream", "after", right=("step",))
    for one in found.followed[:limit]:
        table.add_row(str(one.depth), moment(one.time), one.event, one.stream, one.after)
    console.print(table)
    _more(console, len(found.followed), limit, "outputs")


def _more(console: Console, number: int, limit: int, things: str) -> None:
    if number > limit:
        console.print(f"and {number - limit:,} more {things}: --limit N, or --json for all", markup=False)


_SAID = {
    "undo": "can be undone: --undo",
    "reject": "has not begun: --reject",
    "undoing": "its undo is on its way",
    "wait": "is being carried out: look again",
    "resolve": "may have happened: say how it ended first",
    "none": "cannot be undone: no undo was registered",
    "over": "nothing: it had no effect, or is undone",
}
_URGENT = ("undo", "reject", "resolve", "wait", "undoing", "none", "over")
"""The order of the list: what a person can act on first."""
