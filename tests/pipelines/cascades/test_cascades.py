"""What is too much of what follows, on SQLite and PostgreSQL: loops, depth, circles, bursts; the life of its alert."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from monitor.actions.states import Proposal
from monitor.alerting.alert import Alert, decode
from monitor.cascade.excess import Excess
from monitor.detection.records.control import Control
from monitor.detection.records.finding import Ended, FindingKind, Severity, State
from monitor.detection.records.followed import from_data
from monitor.events.schema import OutputEvent, Trace
from monitor.ledger.base import Ledger
from monitor.ledger.open import open_ledger
from monitor.settings import Settings
from monitor.settings.cascades import Cascades
from monitor.store.base import TraceStore
from monitor.store.open import open_store
from monitor.store.privacy import Privacy
from monitor.store.records import Incoming, Place
from pipelines.cascades.cascade_alerts import QUIET_S, CascadeAlerts
from pipelines.cascades.fresh import MOST_WAITING, Fresh
from pipelines.cascades.look import Exceeded, exceeded
from pipelines.cascades.reach import Reach
from tests.cascade import chain
from tests.cascade.chain import NOON

NOW = NOON + 1_000.0
Both = tuple[TraceStore, Ledger]
LIMITS = Cascades.model_validate({"depth": 12, "repeats": 6, "actions": 5})


@pytest.fixture(params=["sqlite", "postgres"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Both]:
    folder = str(tmp_path / "traces")
    address = folder if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    store, ledger = open_store(address), open_ledger(address)
    yield store, ledger
    ledger.close()
    store.close()


def incoming(events: Sequence[OutputEvent], first: int = 0) -> Incoming:
    made = Incoming()
    made.add_outputs([(one, Place("topic", 0, first + k, NOON + k)) for k, one in enumerate(events)], Privacy())
    return made


def chained(name: str, streams: Sequence[str], first: tuple[str, ...] = ()) -> list[OutputEvent]:
    """Outputs, each of which follows from the one before."""
    return [
        chain.output(f"{name}{k}", stream, k, causes=[f"{name}{k - 1}"] if k else list(first))
        for k, stream in enumerate(streams)
    ]


def look(both: Both, events: Sequence[OutputEvent], limits: Cascades = LIMITS) -> list[Exceeded]:
    both[0].write(incoming(events))
    return exceeded(*both, [one.id or "" for one in events[-3:]], limits, NOW)


def test_a_stream_that_comes_again_and_again_is_a_loop(both: Both) -> None:
    [one] = look(both, chained("a", ["shop/answer", "shop/triage"] * 6))
    assert (one.excess, one.tally.root, one.tally.stream, one.tally.outputs) == (Excess.LOOP, "a0", "shop/answer", 11)
    assert one.tally.repeated is not None
    assert one.tally.repeated.repeats == 6
    assert look(both, chained("b", ["shop/answer", "shop/triage"] * 5)) == []


def test_a_long_chain_of_different_streams_is_too_deep(both: Both) -> None:
    [one] = look(both, chained("a", [f"s{k}" for k in range(13)]))
    assert (one.excess, one.tally.deepest and one.tally.deepest.depth) == (Excess.DEPTH, 12)
    assert look(both, chained("b", [f"s{k}" for k in range(12)])) == []


def test_a_span_that_nobody_published_is_a_root(both: Both) -> None:
    spans = [Trace(trace_id="t", span_id=f"{k + 1:016x}", parent_id=f"{k:016x}") for k in range(1, 15)]
    events = [chain.output(f"e{k}", f"s{k}", k, trace=trace) for k, trace in enumerate(spans)]
    [one] = look(both, events)
    assert (one.excess, one.tally.root, one.tally.stream) == (Excess.DEPTH, f"span:t/{1:016x}", "s0")


def test_outputs_that_name_each_other_are_a_circle(both: Both) -> None:
    [one] = look(both, [chain.output("a", "s", 0, causes=["b"]), chain.output("b", "s", 1, causes=["a"])])[:1]
    assert (one.excess, set(one.circle)) == (Excess.CIRCLE, {"a", "b"})


def test_actions_of_one_root_are_a_burst_however_they_are_spread_over_its_outputs(both: Both) -> None:
    store, ledger = both
    store.write(incoming([*chained("a", ["s", "t", "u"]), chain.output("other", "s", 9)]))
    for k in range(6):
        event = f"a{k % 3}" if k < 5 else "other"
        ledger.propose(proposal(f"mail-{k}", event), NOW - 10)
    ledger.propose(proposal("old", "other"), NOW - 7_200)
    keys = [f"mail-{k}" for k in range(6)]
    [one] = exceeded(*both, keys, LIMITS, NOW)
    assert (one.excess, one.tally.root, one.tally.actions) == (Excess.BURST, "a0", 5)
    usual = {"depth": 12, "repeats": 6, "actions": 5, "streams": [{"match": "s*", "actions": 500}]}
    assert exceeded(*both, keys, Cascades.model_validate(usual), NOW) == []
    assert exceeded(*both, keys, LIMITS, NOW + 7_200) == []  # too long ago to be a burst


def proposal(key: str, event: str) -> Proposal:
    return Proposal(scope="shop", key=key, kind="email", fingerprint="f", requester="agent", stream="s", event=event)


def test_a_normal_fan_out_is_none(both: Both) -> None:
    fan = [chain.output("root", "s", 0), *(chain.output(f"f{k}", "t", k, causes=["root"]) for k in range(2_000))]
    assert look(both, fan) == []


def test_one_alert_fires_in_a_stream_until_nothing_more_follows(both: Both) -> None:
    sent: list[Alert] = []
    alerts = CascadeAlerts(lambda: Settings(cascades=LIMITS), sent.append)
    found = look(both, chained("a", ["shop/answer", "shop/triage"] * 6))
    alerts.take(found, NOW)
    alerts.take(found, NOW + 60)
    alerts.end(NOW + 60 + QUIET_S - 1)
    [fired] = sent
    assert (fired.stream, fired.kind, fired.state, fired.severity) == (
        "shop/answer", FindingKind.CASCADE, State.FIRING, Severity.WARNING,
    )  # fmt: skip
    assert fired.title.startswith("Outputs follow from one another in a loop: shop/triage came 6 times in one chain")
    assert fired.cause == (
        "From a0 (shop/answer) followed 11 outputs (shop/triage 6, shop/answer 5) and 0 actions. The chain has come to "
        "a11. From 6 on this is reported (cascades.repeats)."
    )
    assert fired.examples.after == ["a0", "a11"]
    # Another worker takes over, and it ends there.
    later: list[Alert] = []
    successor = CascadeAlerts(lambda: Settings(cascades=LIMITS), later.append)
    successor.restore([fired], NOW + 100)
    successor.take(found, NOW + 110)
    successor.end(NOW + 110 + QUIET_S)
    [resolved] = later
    assert (resolved.fingerprint, resolved.state) == (fired.fingerprint, State.RESOLVED)
    assert resolved.resolution is not None
    assert (resolved.resolution.how, resolved.resolution.time) == (Ended.RECOVERED, NOW + 110)
    # The chain begins again: another alert.
    successor.take(found, NOW + 2 * QUIET_S)
    assert later[-1].state is State.FIRING
    assert later[-1].fingerprint != fired.fingerprint


def test_how_much_followed_is_counted_after_a_while_and_again(both: Both) -> None:
    store, ledger = both
    chain.fill(store, ledger)
    sent: list[Control] = []
    reach = Reach(sent.append)
    alert = decode(chain.body().encode())
    fired = NOON + 60
    reach.take(alert, fired, fired + 1)
    reach.look(store, ledger, fired + 59)
    assert sent == []
    reach.look(store, ledger, fired + 61)
    [control] = sent
    identity, followed = from_data(control.data)
    assert (control.stream, identity) == ("support/triage", chain.ALERT)
    assert (followed.began_with, followed.outputs, followed.streams, followed.actions) == (2, 2, 2, 5)
    assert followed.text == "From 2 outputs followed 2 outputs in 2 streams and 5 actions"
    chain.entered(ledger, "email-2", "email", "second")
    reach.look(store, ledger, fired + 901)
    assert from_data(sent[-1].data)[1].actions == 6
    reach.look(store, ledger, fired + 5_000)
    assert len(sent) == 2
    reach.take(alert, fired, fired + 7_200)  # too old
    reach.look(store, ledger, fired + 9_000)
    assert len(sent) == 2


def test_where_nothing_followed_nothing_is_said(both: Both) -> None:
    store, _ = both
    store.write(incoming([chain.output("flagged", "support/triage", 10)]))
    sent: list[Control] = []
    reach = Reach(sent.append)
    reach.take(decode(chain.body().encode()), NOON, NOON)
    reach.look(store, None, NOON + 1_000)
    assert sent == []


def test_what_was_written_waits_and_is_bounded() -> None:
    now = 10.0
    fresh = Fresh(lambda: now)
    fresh.add(incoming(chained("a", ["s"] * 4)))
    now = 20.0
    fresh.add(incoming([chain.output("x", "s", 0, trace=Trace(trace_id="t", span_id="0a"))]))
    assert fresh.targets(9.0, 10) == []
    assert fresh.targets(10.0, 2) == ["a1", "a2"]
    assert fresh.targets(30.0, 10) == ["a3"]
    for start in range(0, 2 * MOST_WAITING, 1_000):
        fresh.add(incoming(chained(f"b{start}-", ["s"] * 1_001)))
    assert len(fresh.targets(30.0, 10**6)) == MOST_WAITING
