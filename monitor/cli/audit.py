"""`oqm audit`: the log of every change of an action, a token, a review."""

from __future__ import annotations

from typing import Annotated

import typer

from monitor.alerting.rendering.moments import moment
from monitor.cli.ledger_option import LedgerOption, ledger_address
from monitor.cli.options import AsJson, ConfigFile
from monitor.cli.output import notes, print_json, tables

EXIT_BROKEN = 1
"""The log was changed, cut, or contradicts the rows."""
MAX_SHOWN = 100_000  # entries that `list` reads at once, some 100 MB


def group() -> typer.Typer:
    """The command group."""
    app = typer.Typer(
        help="The audit log of the ledger: every change of an action, a token, a review, in a chain of hashes.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    app.command("verify")(verify)
    app.command("list")(list_)
    return app


def verify(
    head: Annotated[
        str | None,
        typer.Option(
            metavar="SEQ:HASH",
            help="An entry that was noted earlier, as this command prints it: it must still be in the log.",
            show_default=False,
        ),
    ] = None,
    ledger: LedgerOption = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Verify the chain, its end, and that the rows of actions are as it says. Exit code 1 where something is wrong.

    A log that somebody has written again from some entry on, or cut at its end, is consistent in itself. Note what this
    prints, elsewhere, and give it with --head the next time; `oqm.actions` carries the same hashes.
    """
    from monitor.ledger.open import open_ledger
    from monitor.settings import load_settings

    noted = _noted(head)
    opened = open_ledger(ledger_address(load_settings(config), ledger), read_only=True)
    try:
        broken = opened.verify_audit()
        if broken is None and noted is not None:
            there = opened.audit(noted[0] - 1, 1)
            broken = None if there and (there[0].seq, there[0].hash) == noted else noted[0]
        entries, last = opened.audit_end()
    finally:
        opened.close()
    if as_json:
        print_json({"ok": broken is None, "entries": entries, "head": last, "broken": broken})
    elif broken is None:
        tables().print(f"{entries:,} entries, all right. Head: {entries}:{last}", soft_wrap=True)
    else:
        notes().print(
            f"Entry {broken:,} of {entries:,} is missing, was changed, or is contradicted by the rows of actions: see "
            "docs/operations/ledger.md",
            soft_wrap=True,
        )
    if broken is not None:
        raise typer.Exit(EXIT_BROKEN)


def list_(
    after: Annotated[int, typer.Option(min=0, metavar="SEQ", help="Only entries after this one.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=MAX_SHOWN, metavar="N", help="The largest number of entries.")] = 50,
    ledger: LedgerOption = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Entries of the audit log, in order; with --json one object a line, with its body and hashes."""
    from rich.markup import escape
    from rich.table import Column, Table

    from monitor.ledger.open import open_ledger
    from monitor.settings import load_settings

    opened = open_ledger(ledger_address(load_settings(config), ledger), read_only=True)
    try:
        found = opened.audit(after, limit)
    finally:
        opened.close()
    if as_json:
        for entry in found:
            print_json(entry)
        return
    table = Table("seq", "at", Column("actor", overflow="fold"), "what", Column("subject", overflow="fold"))
    for entry in found:
        table.add_row(str(entry.seq), moment(entry.at), escape(entry.actor), entry.what, escape(entry.subject))
    tables().print(table)


def _noted(head: str | None) -> tuple[int, str] | None:
    if head is None:
        return None
    seq, colon, digest = head.partition(":")
    if not (colon and seq.isascii() and seq.isdigit() and int(seq) > 0 and len(digest) == 64):
        raise typer.BadParameter("must be SEQ:HASH, as `oqm audit verify` prints it", param_hint="--head")
    return int(seq), digest
