"""A ledger by its address: a folder for SQLite, `postgresql://...` for PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.exc import ArgumentError

from monitor.ledger.base import Ledger, LedgerError


def open_ledger(address: str, *, read_only: bool = False) -> Ledger:
    """The ledger at `address`. Raises `LedgerError` where it cannot be opened."""
    if address.startswith(("postgresql://", "postgres://")):
        from monitor.ledger.postgres import open_postgres

        try:
            return open_postgres(address.replace("postgres://", "postgresql://", 1), read_only=read_only)
        except (ArgumentError, ValueError):  # a port that is no number
            raise LedgerError("the ledger's address must be postgresql://user:password@host:port/database") from None
    if not address or "://" in address:
        raise LedgerError("the ledger's address must be a folder, or postgresql://user:password@host:port/database")
    from monitor.ledger.sqlite import open_sqlite

    return open_sqlite(Path(address), read_only=read_only)
