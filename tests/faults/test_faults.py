"""The script of faults, shortened; whole: `python -m tests.faults.run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.brokers.apache import missing_tools
from tests.faults.run import account_of

pytestmark = pytest.mark.kafka


@pytest.mark.timeout(900)
def test_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    if missing := missing_tools():
        pytest.skip(missing)
    account = account_of(tmp_path, kills=5, seed=6, rate=150)
    print(account.table())
    assert account.wrong == []
