"""A reviewer who is gone: everything that is held is warned of, expires, and has its named answer; nothing runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.actions.messages import GateRequest
from monitor.actions.states import Change, Claim, Outcome, State
from monitor.ledger.base import Ledger
from monitor.ledger.open import open_ledger
from monitor.serve.context import Services
from monitor.serve.gatekeeper import Gatekeeper
from monitor.serve.measure import Measurer
from monitor.serve.streams import StreamStates
from monitor.settings import Settings
from monitor.settings.yaml_loader import parse

HELD = {"sqlite": 1_000, "postgres": 200}
NOW = 1_764_000_000.0
HOUR_S = 3_600.0
SETTINGS = """
gate:
  kinds:
    email: {decide: checked, hold_if: [drift, unsure], requires: [key], expires: 4h, warn_before: 30m}
    money: {decide: approval, requires: [key], expires: 24h, warn_before: 2h, on_expired: hand_over}
"""


@pytest.fixture(params=list(HELD))
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    postgres = request.param == "postgres"
    opened = open_ledger(request.getfixturevalue("postgres_database") if postgres else str(tmp_path / "ledger"))
    yield opened
    opened.close()


def test_a_thousand_held_items_expire_with_a_warning_and_their_named_answer(
    ledger: Ledger, request: pytest.FixtureRequest
) -> None:
    n_held = HELD[request.node.callspec.params["ledger"]]
    services = Services(settings=parse(Settings, SETTINGS, name="test", environ={}), ledger=ledger, clock=lambda: NOW)
    keeper = Gatekeeper(services)
    services.parts = {Measurer: Measurer(services), StreamStates: StreamStates(services)}  # no store: nothing is known
    asked = [
        GateRequest(kind="money" if n % 4 == 0 else "email", key=f"item:{n}", stream="s", output=f"Text {n}")
        for n in range(n_held)
    ]
    for one in asked:
        answer = keeper.answer(one, "default", "app", NOW)
        assert (answer.answer, answer.state) == ("hold", "held")
        assert "unsure" in [reason.code for reason in answer.reasons]

    seen: Counter[tuple[str, str]] = Counter()
    for hours in (1, 3.4, 3.6, 4.1, 5, 21.9, 22.1, 24.1, 30):
        while due := ledger.due(NOW + hours * HOUR_S):
            for each in due:
                seen[each.action.kind, each.what.value] += 1
                # Nothing is warned of or expires early, and the warning comes first.
                warn, expire = (3.5, 4.0) if each.action.kind == "email" else (22.0, 24.0)
                assert hours >= (warn if each.what is Change.WARNED else expire)
    email, money = n_held * 3 // 4, n_held // 4
    assert seen == {
        ("email", "warned"): email,
        ("email", "expired"): email,
        ("money", "warned"): money,
        ("money", "expired"): money,
    }

    named = {"email": "fall_back", "money": "hand_over"}
    later = NOW + 31 * HOUR_S
    for one in asked:
        answer = keeper.answer(one, "default", "app", later)
        assert (answer.answer, answer.state) == (named[one.kind], "expired")
        assert answer.reasons[-1].code == "expired"  # never told as rejected
    for one in asked[:8]:
        answer = keeper.answer(one, "default", "app", later)
        claim = Claim(
            scope="default",
            key=one.key,
            kind=one.kind,
            fingerprint=answer.fingerprint,
            text_hash=answer.text_hash,
            policy_version=answer.policy_version,
            claimant="app",
            lease_s=60,
        )
        assert ledger.claim(claim, later).outcome is Outcome.EXPIRED
    assert not ledger.list(state=State.HELD)
    assert ledger.verify_audit() is None
