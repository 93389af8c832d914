"""Many at once: threads and processes on one ledger, on both databases."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from monitor.actions.states import Action, Change, NotAllowed, OnUnknown, Outcome, Proposal, StaleFence, State
from monitor.ledger.base import Ledger, LedgerError, Transaction
from monitor.ledger.open import open_ledger
from monitor.ledger.transaction import GroupTransaction
from tests.ledger.made import LEASE_S, NOW, claim_of, held, proposal
from tests.servers import PostgresServer

ROUNDS = 15  # each a new action, for which all race


@contextmanager
def two(address: str) -> Iterator[tuple[Ledger, Ledger]]:
    """Two ledgers on one database, as two processes have them: each with its own writer."""
    ledgers = (open_ledger(address), open_ledger(address))
    try:
        yield ledgers
    finally:
        for one in ledgers:
            one.close()


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each call returns, or the error that it raises; they start together."""
    results: list[object] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(number: int) -> None:
        start.wait()
        try:
            results[number] = calls[number]()
        except (NotAllowed, StaleFence) as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def approving(ledger: Ledger, key: str, by: str, at: float = NOW) -> Callable[[], State]:
    return lambda: ledger.approve("shop", key, by, "f1", "t1", "p1", at).state


def claiming(ledger: Ledger, one: Proposal, at: float = NOW) -> Callable[[], Outcome]:
    return lambda: ledger.claim(claim_of(one), at).outcome


def test_one_of_many_claims_is_granted(address: str) -> None:
    with two(address) as ledgers:
        for round_ in range(ROUNDS):
            key = f"order-{round_}"
            ledgers[0].propose(proposal(key), NOW)
            outcomes = at_once(*[claiming(one, proposal(key)) for one in ledgers * 4])
            assert Counter(outcomes) == {Outcome.MINE: 1, Outcome.IN_FLIGHT: 7}
        assert ledgers[0].verify_audit() is None


def test_one_of_many_claims_takes_over(address: str) -> None:
    with two(address) as ledgers:
        for round_ in range(ROUNDS):
            key = f"order-{round_}"
            one = proposal(key, on_unknown=OnUnknown.RETRY)
            ledgers[0].propose(one, NOW)
            ledgers[0].claim(claim_of(one), NOW)
            late = NOW + LEASE_S
            first, second, done, _ = at_once(
                claiming(ledgers[0], one, late),
                claiming(ledgers[1], one, late),
                partial(ledgers[0].done, "shop", key, 1, b"", late),
                partial(ledgers[1].due, late),
            )
            if isinstance(done, Action):  # the late claimant was first
                assert {first, second} == {Outcome.REPLAY}
            else:
                assert isinstance(done, StaleFence)
                assert Counter([first, second]) == {Outcome.MINE: 1, Outcome.IN_FLIGHT: 1}


def test_two_approvers_and_the_same_one_twice(address: str) -> None:
    with two(address) as ledgers:
        for round_ in range(ROUNDS):
            key = f"order-{round_}"
            ledgers[0].propose(held(key, approvals_needed=2), NOW)
            results = at_once(*[approving(one, key, by) for one in ledgers for by in ("ann", "bob")])
            assert Counter(map(type, results)) == {State: 2, NotAllowed: 2}
            found = ledgers[1].get("shop", key)
            assert (found.state, sorted(vote.by for vote in found.votes)) == (State.ALLOWED, ["ann", "bob"])


def test_approve_against_reject_and_expire(address: str) -> None:
    with two(address) as (one, other):
        for round_ in range(ROUNDS):
            key = f"order-{round_}"
            one.propose(held(key), NOW)
            late = NOW + 3600
            approved, rejected, due = at_once(
                approving(one, key, "ann", late - 1),
                partial(other.reject, "shop", key, "bob", "", late - 1),
                partial(other.due, late),
            )
            state = one.get("shop", key).state
            assert isinstance(due, list)
            due = [found.what for found in due if found.action.key == key]
            if isinstance(rejected, Action):  # before the approval, or after it: nothing was claimed yet
                assert (state, due) == (State.REJECTED, [])
            elif isinstance(approved, State):
                assert (state, due) == (State.ALLOWED, [])
            else:
                assert (state, due) == (State.EXPIRED, [Change.EXPIRED])
            assert one.due(late) == []


def test_an_approval_is_claimed_once(address: str) -> None:
    with two(address) as ledgers:
        for round_ in range(ROUNDS):
            key = f"order-{round_}"
            ledgers[0].propose(held(key), NOW)
            approving(ledgers[0], key, "ann")()
            outcomes = at_once(*[claiming(one, held(key)) for one in ledgers * 2])
            assert Counter(outcomes) == {Outcome.MINE: 1, Outcome.IN_FLIGHT: 3}
            ledgers[1].failed("shop", key, 1, "no", NOW)
            outcomes = at_once(*[claiming(one, held(key)) for one in ledgers * 2])
            assert Counter(outcomes) == {Outcome.HELD: 4}


def test_what_is_due_is_reported_by_one(address: str) -> None:
    with two(address) as (one, other):
        for number in range(40):
            one.propose(held(f"order-{number}"), NOW)
        found = at_once(*[partial(ledger.due, NOW + 3600) for ledger in (one, other, one, other)])
        keys = [due.action.key for part in found for due in part]  # type: ignore[attr-defined]
        assert sorted(keys) == sorted(f"order-{number}" for number in range(40))
        assert one.verify_audit() is None


WRITES = """
import sys
from monitor.ledger.open import open_ledger
from tests.ledger.made import NOW, proposal
ledger = open_ledger(sys.argv[1])
for number in range(40):
    ledger.propose(proposal(f"{sys.argv[2]}-{number}"), NOW)
ledger.close()
"""


def test_processes_write_one_chain(address: str) -> None:
    """They also make the tables at once."""
    root = str(Path(__file__).parents[2])
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITES, address, str(number)], cwd=root, stderr=subprocess.PIPE)
        for number in range(3)
    ]
    for one in writers:
        _, errors = one.communicate()
        assert one.returncode == 0, errors.decode()
    ledger = open_ledger(address, read_only=True)
    assert len(ledger.list(limit=1000)) == 120
    assert ledger.verify_audit() is None
    ledger.close()


def test_a_connection_that_is_cut_is_followed_by_another(postgres_database: str) -> None:
    ledger = open_ledger(postgres_database)
    cut = text(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = :name and pid <> pg_backend_pid()"
    )
    admin = create_engine(postgres_database.replace("postgresql://", "postgresql+psycopg://"))
    for number in range(5):
        with admin.connect() as connection:
            connection.execute(cut, {"name": postgres_database.rpartition("/")[2]})
        assert ledger.propose(proposal(f"order-{number}"), NOW).seq == number + 1
        assert len(ledger.list()) == number + 1
    admin.dispose()
    ledger.close()


@pytest.mark.parametrize("applied", [True, False])
def test_a_commit_without_an_answer_is_looked_up_in_the_chain(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch, applied: bool
) -> None:
    """The connection breaks in the commit, after the server has applied it or before: it is applied once."""
    ledger = open_ledger(postgres_database)
    flush, broken = GroupTransaction.flush, []

    def flush_and_cut(self: GroupTransaction) -> None:
        flush(self)
        if not broken:
            broken.append(True)
            driver = self.connection.connection.driver_connection
            assert driver is not None
            if applied:
                driver.commit()
            driver.close()

    monkeypatch.setattr(GroupTransaction, "flush", flush_and_cut)
    assert ledger.write(lambda tx: tx.record(NOW, "x", "y", "z", {}).seq) == 1
    assert broken
    assert [entry.what for entry in ledger.audit()] == ["y"]
    assert ledger.propose(proposal(), NOW).seq == 2
    assert ledger.verify_audit() is None
    ledger.close()


def test_a_process_that_is_stopped_in_a_write_holds_up_others_for_a_while_only(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monitor.ledger import postgres as module

    monkeypatch.setattr(module, "STALLED_MS", 500)
    with two(postgres_database) as (stalled, other):
        inside, goes_on = threading.Event(), threading.Event()

        def work(tx: Transaction) -> int:
            if not inside.is_set():
                inside.set()
                goes_on.wait(60)
            return tx.record(NOW, "x", "y", "z", {}).seq

        seqs: list[int] = []
        thread = threading.Thread(target=lambda: seqs.append(stalled.write(work)))
        thread.start()
        inside.wait(60)
        assert other.propose(proposal(), NOW).seq == 1  # the server has ended the other's session
        goes_on.set()
        thread.join()
        assert seqs == [2]  # on a new connection
        assert other.verify_audit() is None


def test_a_restart_of_the_server_is_waited_for(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path)
    server.start()
    try:
        ledger = open_ledger(server.url)
        ledger.propose(proposal(), NOW)
        server.crash()
        waiting = threading.Thread(target=server.start)
        waiting.start()
        assert ledger.claim(claim_of(proposal()), NOW).outcome is Outcome.MINE
        waiting.join()
        server.stop()
        with pytest.raises(LedgerError, match="ledger postgresql://"):
            ledger.list()
        server.start()
        assert ledger.verify_audit() is None
        ledger.close()
    finally:
        server.remove()


def test_a_server_that_stays_away_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitor.ledger import writer

    monkeypatch.setattr(writer, "PATIENCE_S", 0.5)
    server = PostgresServer(tmp_path)
    server.start()
    try:
        ledger = open_ledger(server.url)
        server.crash()
        with pytest.raises(LedgerError, match="ledger postgresql://"):
            ledger.propose(proposal(), NOW)
        server.start()
        assert ledger.propose(proposal(), NOW).seq == 1
        ledger.close()
    finally:
        server.remove()
