"""Brings a database to the schema of this version, by Alembic (`migrations/versions`).

Its version table has a name of its own, so that the ledger and the trace store can be in one database.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from monitor.ledger.base import LedgerError, NoLedger
from monitor.ledger.tables import VERSION_TABLE

_SCRIPTS = Path(__file__).with_name("migrations")


def head() -> str:
    """The revision that this version of the program reads and writes."""
    found = ScriptDirectory(str(_SCRIPTS)).get_current_head()
    if found is None:
        raise LedgerError(f"no migrations in {_SCRIPTS}: install output-quality-monitor again")
    return found


def revision_of(connection: Connection) -> str | None:
    """The revision of a database; None of an empty one."""
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def upgrade(connection: Connection) -> None:
    """Bring the database to the head, in the caller's transaction. Raises `LedgerError` where it is newer than that."""
    found = revision_of(connection)
    if found == head():
        return
    known = {script.revision for script in ScriptDirectory(str(_SCRIPTS)).walk_revisions()}
    if found is not None and found not in known:
        raise LedgerError(f"the ledger has schema {found}, which a newer version wrote: run that version")
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def refuse_other_schema(connection: Connection) -> None:
    """Raises `LedgerError` where a reader would read another schema than it knows."""
    found = revision_of(connection)
    if found is None:
        raise NoLedger("the database holds no ledger; `oqm serve` makes it")
    if found != head():
        raise LedgerError(
            f"the ledger has schema {found}, this version reads {head()}: start `oqm serve` of this version, "
            "which brings it up to date"
        )
