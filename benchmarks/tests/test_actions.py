"""The study of actions whose processes die, shortened: its account must come out as the protocols promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.actions import Account, Scale, study
from tests.servers import PostgresServer

SMALL = Scale(actions=40, life_s=0.8)


def accounted(account: Account) -> None:
    assert account.deaths >= 5
    assert (account.twice, account.lost, account.broken) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["lease, ask", "lease, key", "one transaction"])
def test_nothing_happens_twice_and_nothing_is_lost_on_sqlite(protocol: str) -> None:
    account = study(protocol, 5, None, scale=SMALL)
    accounted(account)
    assert account.effects[0] == account.unknown - account.happened


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["lease, ask"])
def test_nor_on_a_postgresql_that_is_restarted_and_cut_off(protocol: str, tmp_path: Path) -> None:
    server = PostgresServer(tmp_path)
    server.start()
    try:
        account = study(protocol, 5, server, scale=SMALL)
    finally:
        server.remove()
    accounted(account)
    assert account.faults > 0


@pytest.mark.slow
def test_the_study_would_see_an_effect_that_happens_twice() -> None:
    assert study("look, act, note", 20, None).twice > 0
