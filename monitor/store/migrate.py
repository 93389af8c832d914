"""Brings a database to the schema of this version, by Alembic (`migrations/versions`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from monitor.store.base import StoreError

_SCRIPTS = Path(__file__).with_name("migrations")


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@cache
def head() -> str:
    """The revision that this version of the program reads and writes."""
    found = ScriptDirectory(str(_SCRIPTS)).get_current_head()
    if found is None:
        raise StoreError(f"no migrations in {_SCRIPTS}: install output-quality-monitor again")
    return found


def revision_of(connection: Connection) -> str | None:
    """The revision of a database; None of an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection) -> None:
    """Bring the database to the head, in the caller's transaction. Raises `StoreError` where it is newer than that."""
    found = revision_of(connection)
    if found == head():
        return
    known = {script.revision for script in ScriptDirectory(str(_SCRIPTS)).walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            f"the store has schema {found}, which a newer version wrote: run that version, or drop the store"
        )
    command.upgrade(_config(connection), "head")


def refuse_other_schema(connection: Connection) -> None:
    """Raises `StoreError` where a reader would read another schema than it knows."""
    found = revision_of(connection)
    if found != head():
        raise StoreError(f"the store has schema {found or 'none'}, this version reads {head()}: start a worker of this "
                         "version with the role store, which brings it up to date")  # fmt: skip
