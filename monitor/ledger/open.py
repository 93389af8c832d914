"""A ledger by its address: a folder for SQLite, `postgresql://...` for PostgreSQL."""

from __future__ import annotations

from monitor.ledger.base import Ledger, LedgerError


def open_ledger(address: str, *, read_only: bool = False) -> Ledger:
    """The ledger at `address`. Raises `LedgerError` where it cannot be opened."""
    raise LedgerError(f"{address}: not yet (read_only={read_only})")
