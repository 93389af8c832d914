"""`oqm review`: the review queue on the command line, one item after another, or step by step for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from monitor.actions.review import Also, Kind, Opinion
from monitor.alerting.rendering.moments import moment
from monitor.cli.ledger_option import LedgerOption
from monitor.cli.options import AsJson, ConfigFile
from monitor.cli.output import notes, print_json, tables
from monitor.cli.review_desk import ByOption, TokenFile, UrlOption, desk
from monitor.cli.store_option import StoreOption

if TYPE_CHECKING:
    from monitor.review.records import Listed

EXIT_NONE = 1  # as grep does: nothing was found

KindOption = Annotated[
    Kind | None,
    typer.Option("--kind", help="Only of this kind. Drawn outputs and second opinions look alike.", show_default=False),
]
StreamOption = Annotated[
    str | None,
    typer.Option("--stream", metavar="NAME", help="Only of this stream; NAME* for all that begin so."),
]
CriterionOption = Annotated[str | None, typer.Option("--criterion", metavar="NAME", help="Only by this criterion.")]
ItemId = Annotated[str, typer.Argument(metavar="ID", help="The item's id, as `oqm review next` shows it.")]
Fence = Annotated[int, typer.Option("--fence", metavar="N", help="The number of your lease, shown with the item.")]


def group() -> typer.Typer:
    """The command group; without a command it goes through the queue."""
    app = typer.Typer(
        help="Outputs and held actions that wait for a person: label them, and correct the evaluator.",
        rich_markup_mode="markdown",
        invoke_without_command=True,
    )
    app.callback()(session)
    app.command("next")(next_)
    app.command("decide")(decide)
    app.command("release")(release)
    app.command("list")(list_)
    app.command("add")(add)
    return app


def session(
    context: typer.Context,
    kind: KindOption = None,
    stream: StreamOption = None,
    criterion: CriterionOption = None,
    url: UrlOption = None,
    token_file: TokenFile = None,
    by: ByOption = None,
    ledger: LedgerOption = None,
    store: StoreOption = None,
    config: ConfigFile = None,
) -> None:
    """Go through the queue: one item after another, with a key for each answer.

    p passes, f fails, u cannot tell, s skips (someone else gets it), n writes a note, a marks it for the anchors, c for
    a suite's cases, r for the reference, q ends. In a pipe each line is a key; at its end the item in hand is given
    back. Exit code 1: nothing waits.
    """
    if context.invoked_subcommand is not None:
        return
    from monitor.cli.review_session import go_through
    from monitor.review.records import Ask

    with desk(url, token_file, by, ledger, store, config) as reviewer:
        if not go_through(reviewer, Ask(kind=kind, stream=stream, criterion=criterion)):
            raise typer.Exit(EXIT_NONE)


def next_(
    kind: KindOption = None,
    stream: StreamOption = None,
    criterion: CriterionOption = None,
    lease: Annotated[str, typer.Option("--lease", metavar="DURATION", help="How long it is yours.")] = "15m",
    json: AsJson = False,
    url: UrlOption = None,
    token_file: TokenFile = None,
    by: ByOption = None,
    ledger: LedgerOption = None,
    store: StoreOption = None,
    config: ConfigFile = None,
) -> None:
    """Take the most urgent item, for as long as the lease lasts. Exit code 1: nothing waits for you."""
    from monitor.cli.review_item import print_item
    from monitor.review.records import Ask

    with desk(url, token_file, by, ledger, store, config) as reviewer:
        ask = Ask(kind=kind, stream=stream, criterion=criterion, lease_s=_seconds(lease))
        found = reviewer.next(ask)
    if found is None:
        notes().print("nothing waits for you", markup=False)
        raise typer.Exit(EXIT_NONE)
    if json:
        print_json(found)
        return
    print_item(tables(), found)
    answer = f"answer: oqm review decide {found.id} pass|fail|unsure --fence {found.fence}"
    notes().print(answer, markup=False, soft_wrap=True)


def decide(
    item: ItemId,
    opinion: Annotated[Opinion, typer.Argument(help="What you say; unsure: you cannot tell.")],
    fence: Fence,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why.", show_default=False)] = "",
    also: Annotated[
        list[Also] | None,
        typer.Option("--also", help="What else it is good for. Repeatable.", show_default=False),
    ] = None,
    json: AsJson = False,
    url: UrlOption = None,
    token_file: TokenFile = None,
    by: ByOption = None,
    ledger: LedgerOption = None,
    store: StoreOption = None,
    config: ConfigFile = None,
) -> None:
    """Say whether an item passes. Of a held action, pass approves it and fail rejects it."""
    from monitor.cli.review_item import print_decided
    from monitor.review.records import Decide

    with desk(url, token_file, by, ledger, store, config) as reviewer:
        made = reviewer.decide(item, Decide(fence=fence, opinion=opinion, note=note, also=tuple(also or ())))
    if json:
        print_json(made)
    else:
        print_decided(tables(), made)


def release(
    item: ItemId,
    fence: Fence,
    mine: Annotated[bool, typer.Option("--mine", help="You may get it again; else it is for others.")] = False,
    url: UrlOption = None,
    token_file: TokenFile = None,
    by: ByOption = None,
    ledger: LedgerOption = None,
    store: StoreOption = None,
    config: ConfigFile = None,
) -> None:
    """Give an item back."""
    from monitor.review.records import Release

    with desk(url, token_file, by, ledger, store, config) as reviewer:
        reviewer.release(item, Release(fence=fence, skip=not mine))
    notes().print(f"{item}: given back", markup=False)


def list_(
    kind: KindOption = None,
    stream: StreamOption = None,
    criterion: CriterionOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, metavar="N", help="At most this many.")] = 20,
    json: AsJson = False,
    url: UrlOption = None,
    token_file: TokenFile = None,
    by: ByOption = None,
    ledger: LedgerOption = None,
    store: StoreOption = None,
    config: ConfigFile = None,
) -> None:
    """Show what waits, the most urgent first, and how much in all. Takes nothing."""
    with desk(url, token_file, by, ledger, store, config) as reviewer:
        found = reviewer.list(kind=kind, stream=stream, criterion=criterion, limit=limit)
    if json:
        for item in found.items:
            print_json(item)
        return
    if found.items:
        _print_list(found)
    total = ", ".join(f"{count:,} {name}" for name, count in found.waiting.items())
    notes().print(f"waiting in all: {total or 'nothing'}", markup=False)


def add(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Id of the output.")],
    stream: StreamOption = None,
    criterion: CriterionOption = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why people shall look at it.")] = "",
    anchor: Annotated[bool, typer.Option("--anchor", help="To be labelled for the anchors of the criterion.")] = False,
    url: UrlOption = None,
    token_file: TokenFile = None,
    by: ByOption = None,
    ledger: LedgerOption = None,
    store: StoreOption = None,
    config: ConfigFile = None,
) -> None:
    """Ask people to look at an output. It was chosen, so it counts in no estimate."""
    from monitor.review.records import Flag

    with desk(url, token_file, by, ledger, store, config) as reviewer:
        made = reviewer.flag(Flag(event=event, stream=stream, criterion=criterion, reason=reason, anchor=anchor))
    notes().print(f"{made.id}: {'waits for people' if made.new else 'was there already'}", markup=False)


def _seconds(text: str) -> float:
    from monitor.actions.review import checked_lease
    from monitor.config_values.durations import parse_duration
    from monitor.errors import ConfigError

    try:
        return checked_lease(parse_duration(text))
    except ValueError as error:
        raise ConfigError(f"--lease {text}: {error}") from None


def _print_list(found: Listed) -> None:
    from rich.text import Text

    from monitor.alerting.rendering.terminal_text import plain
    from monitor.cli.fitted_table import FittedTable

    table = FittedTable("since (UTC)", "kind", "stream", "about", "criterion", "with", prose=("about",))
    for item in found.items:
        about = f"{item.event or item.key}{f': {item.reason}' if item.reason else ''}"
        table.add_row(
            moment(item.created), item.kind.value, plain(item.stream), Text(plain(about)), item.criterion,
            Text(plain(item.leased_by)),
        )  # fmt: skip
    tables().print(table)
