"""The courier: at least once, in order, one process at a time, whatever the broker does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.actions.message import decode_action
from monitor.errors import BrokerError
from monitor.ledger.base import Ledger
from monitor.ledger.open import open_ledger
from monitor.settings import Broker
from monitor.settings.topics import Topics
from pipelines.courier import courier as module
from pipelines.courier.courier import Courier
from pipelines.kafka.producer import Outgoing
from tests.ledger.made import NOW, claim_of, proposal


class Log:
    """A broker that refuses the first `refuses` batches, and loses the confirmation of the next `loses`."""

    def __init__(self, refuses: int = 0, loses: int = 0) -> None:
        self.messages: list[Outgoing] = []
        self.refuses, self.loses = refuses, loses

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def send(self, messages: list[Outgoing]) -> list[object]:
        if self.refuses:
            self.refuses -= 1
            raise BrokerError("refused")
        self.messages += messages
        if self.loses:
            self.loses -= 1
            raise BrokerError("no answer")
        return []


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL_S", 0.01)
    monkeypatch.setattr(module, "RETRY_S", 0.01)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(str(tmp_path))
    yield opened
    opened.close()


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def running(ledger: Ledger, log: Log) -> Courier:
    return Courier(ledger, Broker(), Topics(), lambda: NOW, lambda: log)  # type: ignore[arg-type, return-value]


def test_changes_are_published_in_order_with_their_key(ledger: Ledger) -> None:
    log = Log()
    courier = running(ledger, log)
    courier.start()
    for n in range(20):
        ledger.propose(proposal(f"order-{n}"), NOW)
        ledger.claim(claim_of(proposal(f"order-{n}")), NOW)
    ledger.write(lambda tx: tx.publish("reviews", "e1", b"{}"))
    until(lambda: ledger.outbox_waiting() == 0)
    courier.close()
    assert [message.topic for message in log.messages] == ["oqm.actions"] * 40 + ["oqm.reviews"]
    seqs = [decode_action(message.value or b"").seq for message in log.messages[:40]]
    assert seqs == list(range(1, 41))
    assert (log.messages[0].key, log.messages[0].headers) == (b"shop/order-0", [("oqm-id", b"1")])
    assert courier.sent == 41


@pytest.mark.parametrize(("refuses", "loses", "copies"), [(3, 0, 1), (0, 2, 3)])
def test_nothing_is_lost_and_a_copy_has_the_same_id(ledger: Ledger, refuses: int, loses: int, copies: int) -> None:
    log = Log(refuses, loses)
    ledger.propose(proposal(), NOW)
    courier = running(ledger, log)
    courier.start()
    until(lambda: ledger.outbox_waiting() == 0)
    courier.close()
    assert len(log.messages) == copies
    assert len({(message.key, message.value, tuple(message.headers)) for message in log.messages}) == 1


def test_one_process_at_a_time_and_the_next_when_it_leaves(ledger: Ledger) -> None:
    assert ledger.outbox_turn("a", NOW, 30)
    assert ledger.outbox_turn("a", NOW + 1, 30)
    assert not ledger.outbox_turn("b", NOW + 30, 30)
    assert ledger.outbox_turn("b", NOW + 31, 30)
    ledger.outbox_leave("a")
    assert not ledger.outbox_turn("a", NOW + 32, 30)
    ledger.outbox_leave("b")
    assert ledger.outbox_turn("a", NOW + 32, 30)


class Silent(Log):
    """A broker that accepts connections and never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.stopped = False

    async def start(self) -> None:
        self.asked.set()
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self.stopped = True


def test_its_end_does_not_wait_for_a_broker_that_never_answers(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_ENDS_S", 0.01)
    log = Silent()
    ledger.propose(proposal(), NOW)
    courier = running(ledger, log)
    courier.start()
    assert log.asked.wait(60)
    courier.close()
    assert log.stopped
    assert ledger.outbox_waiting() == 1
    assert ledger.outbox_turn("next", NOW, 30)
