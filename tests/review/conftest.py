"""An empty ledger, in SQLite and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.ledger.base import Ledger
from monitor.ledger.open import open_ledger


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty ledger."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger")
    url: str = request.getfixturevalue("postgres_database")
    return url


@pytest.fixture
def ledger(address: str) -> Iterator[Ledger]:
    opened = open_ledger(address)
    yield opened
    opened.close()
