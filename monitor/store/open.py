"""A trace store by its address: a folder for SQLite, `postgresql://...` for PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.exc import ArgumentError

from monitor.store.base import StoreError, TraceStore


def open_store(address: str, *, read_only: bool = False) -> TraceStore:
    """The store at `address`. Raises `StoreError` where it cannot be opened."""
    if address.startswith(("postgresql://", "postgres://")):
        from monitor.store.postgres import PostgresStore

        try:
            return PostgresStore(address.replace("postgres://", "postgresql://", 1), read_only=read_only)
        except (ArgumentError, ValueError):  # a port that is no number
            raise StoreError("the store's address must be postgresql://user:password@host:port/database") from None
    if "://" in address:
        raise StoreError("the store's address must be a folder, or postgresql://user:password@host:port/database")
    from monitor.store.sqlite import SqliteStore

    return SqliteStore(Path(address), read_only=read_only)
