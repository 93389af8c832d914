"""Run by Alembic: on the connection and in the transaction of `monitor.ledger.migrate`."""

from __future__ import annotations

from alembic import context

from monitor.ledger.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
context.run_migrations()
