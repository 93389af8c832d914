"""Run by Alembic: on the connection and in the transaction of `monitor.store.migrate`."""

from __future__ import annotations

from alembic import context

from monitor.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
