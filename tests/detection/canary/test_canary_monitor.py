"""Two versions at the same time: what differs is reported once, what moves both or neither is not."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.detection import Control, ControlAction, DetectionSettings, Finding, FindingKind, State, StreamMonitor
from monitor.detection.canary.versions import GONE
from monitor.detection.records.finding import Driver
from tests.detection.streams import (
    ASKED,
    CHARS,
    EMPTY,
    LATENCY,
    REFUSAL,
    SENTIMENT,
    SETTINGS,
    WORDS,
    Traffic,
    calm,
    decoded,
    fired,
    named,
    replay,
    watch,
)

START = 400


Marks = NDArray[np.bool_]


def rolled_out(
    n: int = 1600, seed: int = 1, share: float = 0.3, stop: int | None = None, attribute: str = "model.version"
) -> tuple[Traffic, Marks]:
    """Calm traffic of which a share goes to a second version from `START` on, and which rows do."""
    traffic = calm(n, seed, version=None)
    place = np.arange(n)
    new = (np.random.default_rng([seed, 9]).random(n) < share) & (place >= START) & (place < (stop or n))
    traffic.segments = [{attribute: "2" if other else "1"} for other in new]
    return traffic, new


def longer(traffic: Traffic, rows: Marks, factor: float = 3.0) -> None:
    for name in (CHARS, WORDS):
        traffic[name][rows] *= factor


def of_canary(findings: list[Finding], state: State = State.FIRING) -> list[Finding]:
    return [f for f in findings if f.kind is FindingKind.CANARY and f.state is state]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_version_that_differs_is_found_and_reported_once(share: float) -> None:
    traffic, new = rolled_out(share=share)
    longer(traffic, new)
    found = replay(watch(), traffic)
    assert len(fired(found)) == 1
    (finding,) = of_canary(found)
    assert finding.segment == {"model.version": "2"}
    assert finding.driver is Driver.OUTPUT
    assert {CHARS, WORDS} <= named(finding)
    assert START <= finding.raised_at.index < START + 90 / share
    assert traffic.ids[finding.raised_at.index] == finding.raised_at.event_id
    assert abs(finding.began_at.index - START) <= 32 / share
    assert finding.began_at.low <= finding.began_at.index <= finding.began_at.high <= finding.raised_at.index
    change = next(c for c in finding.features if c.name == CHARS)
    assert isinstance(change.before, float)
    assert isinstance(change.after, float)
    assert change.before == pytest.approx(np.median(traffic[CHARS][~new]), rel=0.25)
    assert change.after == pytest.approx(np.median(traffic[CHARS][new]), rel=0.35)
    assert finding.examples.before
    assert finding.examples.after
    assert not {traffic.ids.index(i) for i in finding.examples.before} & set(np.flatnonzero(new))
    assert {traffic.ids.index(i) for i in finding.examples.after} <= set(np.flatnonzero(new))
    assert finding.runbook == "runbooks/canary.md"
    assert "model.version=2 beside 1" in finding.cause


@pytest.mark.parametrize("seed", range(100, 108))
def test_a_version_pages_once_at_a_time_whichever_evidence_comes_first(seed: int) -> None:
    """At four fifths of the traffic a drift that is laid to the new version often comes before the comparison."""
    traffic, new = rolled_out(1000, seed, share=0.8)
    longer(traffic, new)
    paging: set[str] = set()
    found = [f for f in replay(watch(), traffic) if f.segment == {"model.version": "2"}]
    for finding in found:
        if finding.state is State.FIRING:
            assert not paging
            paging.add(finding.id)
        elif finding.state is State.RESOLVED:
            paging.remove(finding.id)
    assert any(f.kind is FindingKind.CANARY for f in found)


@pytest.mark.parametrize("name", [SENTIMENT, LATENCY, REFUSAL])
def test_whatever_differs_is_named(name: str) -> None:
    traffic, new = rolled_out()
    rng = np.random.default_rng(3)
    if name == REFUSAL:
        traffic[name][new] = rng.random(new.sum()) < 0.4
    elif name == LATENCY:
        traffic[name][new] *= 2
    else:
        traffic[name][new] -= 0.8
    (finding,) = of_canary(replay(watch(), traffic))
    assert finding.features[0].name == name
    assert finding.driver is (Driver.CALL if name == LATENCY else Driver.OUTPUT)
    if name == REFUSAL:
        assert finding.features[0].before == pytest.approx(0.04, abs=0.04)
        assert finding.features[0].after == pytest.approx(0.4, abs=0.15)


@pytest.mark.parametrize("attribute", ["model.fingerprint", "prompt.version"])
def test_versions_of_other_kinds_are_compared_too(attribute: str) -> None:
    traffic, new = rolled_out(attribute=attribute)
    longer(traffic, new)
    (finding,) = of_canary(replay(watch(), traffic))
    assert finding.segment == {attribute: "2"}


def test_any_attribute_can_be_compared_and_none() -> None:
    traffic, new = rolled_out(attribute="attributes.arm")
    longer(traffic, new, 1.8)
    assert of_canary(replay(watch(), traffic)) == []
    arms = SETTINGS.model_copy(update={"canary": ("attributes.arm",)})
    (finding,) = of_canary(replay(watch(arms), traffic))
    assert finding.segment == {"attributes.arm": "2"}
    traffic, new = rolled_out()
    longer(traffic, new, 1.8)
    assert of_canary(replay(watch(SETTINGS.model_copy(update={"canary": ()})), traffic)) == []


def test_a_version_under_several_names_is_one_comparison() -> None:
    traffic, new = rolled_out()
    longer(traffic, new)
    for row, other in enumerate(new):
        traffic.segments[row]["model.fingerprint"] = "b" if other else "a"
        traffic.segments[row]["prompt.version"] = "p1"
    monitor = watch()
    assert len(fired(replay(monitor, traffic))) == 1
    assert len(decoded(monitor.snapshot())["canary"][1]) == 1


# What is no difference


@pytest.mark.parametrize("share", [0.05, 0.5])
@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_versions_alike_do_not_fire(share: float, rho: float) -> None:
    traffic, _new = rolled_out(8000, seed=7, share=share)
    other = calm(8000, 7, version=None, rho=rho)
    other.segments = traffic.segments
    assert of_canary(replay(watch(), other)) == []
    assert fired(replay(watch(), other)) == []


def test_what_moves_both_versions_is_a_drift_and_no_difference() -> None:
    traffic, _new = rolled_out(2400, seed=5)
    longer(traffic, np.arange(2400) >= 1200)
    found = replay(watch(), traffic)
    assert of_canary(found) == []
    assert [f.kind for f in fired(found)] == [FindingKind.SILENT_UPDATE]


def test_a_switch_from_one_version_to_the_other_is_no_comparison() -> None:
    traffic = calm(1600, 6, version=None)
    traffic.segments = [{"model.version": "1" if row < 800 else "2"} for row in range(1600)]
    longer(traffic, np.arange(1600) >= 800)
    monitor = watch()
    found = replay(monitor, traffic)
    assert of_canary(found) == []
    assert fired(found)[0].segment == {"model.version": "2"}
    assert decoded(monitor.snapshot())["canary"][1] == []


def asked_otherwise() -> tuple[Traffic, Marks]:
    """The router sends long questions to the new version; its answers are what such questions get."""
    traffic, new = rolled_out(2400, seed=8)
    rng = np.random.default_rng(1)
    asked = rng.normal(size=2400) + np.where(new, 2.0, 0.0)
    traffic[ASKED][:] = np.round(np.exp(4 + 0.5 * asked))
    length = 6.5 + 0.5 * asked + 0.1 * rng.normal(size=2400)
    traffic[CHARS][:] = np.round(np.exp(length))
    traffic[WORDS][:] = np.round(np.exp(length) / 6)
    return traffic, new


def test_versions_that_are_asked_otherwise_are_no_page() -> None:
    found = replay(watch(), asked_otherwise()[0])
    assert of_canary(found) == []
    said = of_canary(found, State.INFO)
    assert [f.driver for f in said] == [Driver.INPUT]
    assert "routed" in said[0].cause


def test_faults_of_a_version_are_not_laid_to_what_it_is_asked() -> None:
    traffic, new = asked_otherwise()
    traffic[EMPTY][new] = np.random.default_rng(2).random(int(new.sum())) < 0.3
    found = of_canary(replay(watch(), traffic))
    assert [f.driver for f in found] == [Driver.OUTPUT]
    assert found[0].features[0].name == EMPTY


def test_a_difference_below_the_floor_is_information_once() -> None:
    traffic, new = rolled_out(12_000, seed=9, share=0.5)
    traffic[LATENCY][new] *= np.exp(0.055)  # a sixth of a standard deviation
    found = replay(watch(), traffic)
    assert fired(found) == []
    assert len(of_canary(found, State.INFO)) == 1


# Afterwards


def test_versions_that_agree_again_resolve_it() -> None:
    traffic, new = rolled_out(3000)
    longer(traffic, new & (np.arange(3000) < 1200))
    monitor = watch()
    found = replay(monitor, traffic)
    (first,), (last,) = of_canary(found), of_canary(found, State.RESOLVED)
    assert first.id == last.id
    assert "agree again" in last.cause
    assert monitor.status().firing == []


@pytest.mark.parametrize("seed", [2, 3])
def test_a_version_that_fails_now_and_then_is_not_called_agreeing(seed: int) -> None:
    """4 % of its answers for 5,000 events: of the windows of some hundred rows several show hardly any."""
    traffic, new = rolled_out(START + 5_000, seed)
    traffic[EMPTY][:] = new & (np.random.default_rng([seed, 3]).random(len(traffic)) < 0.04)
    # A reference that is no longer learned: a young one would take in what few failures there are.
    found = replay(watch(DetectionSettings(warmup=START, mature=START)), traffic)
    assert len(of_canary(found)) == 1
    assert of_canary(found, State.RESOLVED) == []


def test_it_comes_back_after_it_was_resolved() -> None:
    traffic, new = rolled_out(4500)
    place = np.arange(4500)
    longer(traffic, new & ((place < 1200) | (place >= 3000)))
    found = of_canary(replay(watch(), traffic))
    assert len(found) == 2
    assert 3000 <= found[1].raised_at.index < 3300
    assert abs(found[1].began_at.index - 3000) < 150


def test_a_canary_that_is_rolled_back_resolves_it() -> None:
    traffic, new = rolled_out(3500, stop=1200)
    longer(traffic, new)
    monitor = watch()
    found = replay(monitor, traffic)
    assert len(fired(found)) == 1
    (ended,) = of_canary(found, State.RESOLVED)
    assert f"model.version=2 has not come for {GONE:,} events" in ended.cause
    assert monitor.status().firing == []


def test_a_canary_that_takes_over_is_a_drift_from_the_reference() -> None:
    traffic, new = rolled_out(4000)
    new |= np.arange(4000) >= 1500
    traffic.segments = [{"model.version": "2" if other else "1"} for other in new]
    longer(traffic, new)
    monitor = watch()
    found = replay(monitor, traffic)
    assert [f.state for f in found if f.kind is FindingKind.CANARY] == [State.FIRING, State.RESOLVED]
    after = [f for f in fired(found) if f.kind is not FindingKind.CANARY]
    assert after
    assert all(f.raised_at.index >= 1500 for f in after)
    assert monitor.status().firing == [f.id for f in after]


def test_a_difference_that_is_accepted_is_not_reported_again() -> None:
    traffic, new = rolled_out(4000)
    longer(traffic, new)
    monitor = watch()
    assert len(of_canary(replay(monitor, traffic, 0, 1000))) == 1
    ended = monitor.control(Control(action=ControlAction.ACCEPT, stream="s"))
    assert [f.kind for f in ended] == [FindingKind.CANARY]
    assert "accepted" in ended[0].cause
    assert fired(replay(monitor, traffic, 1000)) == []


def test_a_pinned_reference_begins_all_anew() -> None:
    traffic, new = rolled_out(2400)
    longer(traffic, new)
    monitor = watch()
    replay(monitor, traffic, 0, 1000)
    assert of_canary(monitor.control(Control(action=ControlAction.PIN, stream="s")), State.RESOLVED)
    again = of_canary(replay(monitor, traffic, 1000))
    assert len(again) == 1
    assert again[0].raised_at.index >= 1200


def test_old_versions_alone_are_as_they_were_beside_a_canary_that_differs() -> None:
    """A drift of the old version is found while the canary's finding is open."""
    traffic, new = rolled_out(2400)
    longer(traffic, new)
    traffic[SENTIMENT][~new & (np.arange(2400) >= 1600)] -= 0.8
    found = fired(replay(watch(), traffic))
    assert next(f.kind for f in found) is FindingKind.CANARY
    assert any(SENTIMENT in named(f) and f.raised_at.index >= 1600 for f in found[1:])


# Laws


@pytest.fixture(scope="module")
def eventful() -> Traffic:
    traffic, new = rolled_out(3600, seed=4, stop=2300)
    place = np.arange(3600)
    longer(traffic, new & (place < 1100))
    traffic[SENTIMENT][new & (place >= 1900)] -= 0.8
    third = (place > 700) & (np.random.default_rng(8).random(3600) < 0.05)
    for row in np.flatnonzero(third):
        traffic.segments[row] = {"model.version": "3"}
    traffic.segments[1500] = {}
    return traffic


@pytest.fixture(scope="module")
def in_one_go(eventful: Traffic) -> tuple[list[Finding], bytes]:
    monitor = watch()
    return monitor.observe(eventful.batch()), monitor.snapshot()


def test_the_roll_out_is_eventful(in_one_go: tuple[list[Finding], bytes]) -> None:
    found, _ = in_one_go
    assert len(of_canary(found)) == 2
    assert len(of_canary(found, State.RESOLVED)) == 2


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 3599), min_size=1, max_size=12))
def test_cuts_and_restores_change_nothing(
    eventful: Traffic, in_one_go: tuple[list[Finding], bytes], cuts: list[int]
) -> None:
    plain, restored = watch(), watch()
    found: tuple[list[Finding], list[Finding]] = ([], [])
    for batch in eventful.batches(cuts):
        found[0].extend(plain.observe(batch))
        snapshot = restored.snapshot()
        restored = watch()
        restored.restore(snapshot)
        assert restored.snapshot() == snapshot
        found[1].extend(restored.observe(batch))
    assert (found[0], plain.snapshot()) == in_one_go
    assert (found[1], restored.snapshot()) == in_one_go


def test_ticks_that_part_the_versions_do_not_hide_a_difference() -> None:
    """A quiet stream's blocks hold one row each; neighbours are found all the same.

    So large a difference may page as the new version's drift before the comparison has a piece, and it only adds to it.
    """
    traffic, new = rolled_out(700, share=0.5)
    longer(traffic, new)
    monitor = watch()
    found: list[Finding] = []
    for row in range(700):
        found += monitor.observe(traffic.batch(row, row + 1))
        found += monitor.tick(float(traffic.times[row]) + 6)
    assert [f.segment for f in found if f.kind is FindingKind.CANARY] == [{"model.version": "2"}]
    assert [f.segment for f in fired(found)] == [{"model.version": "2"}]


def _state(monitor: StreamMonitor) -> int:
    return len(msgspec.msgpack.encode(decoded(monitor.snapshot())["canary"]))


def test_the_state_is_small_and_bounded() -> None:
    traffic, _new = rolled_out(3000, share=0.3)
    one = watch()
    replay(one, traffic, 0, START)
    assert _state(one) < 8 * 1024
    replay(one, traffic, START)
    running = _state(one)
    many = calm(6000, 3, version=None)
    versions = np.random.default_rng(1).integers(0, 400, 6000)
    many.segments = [{"model.version": str(v), "prompt.version": str(v % 30)} for v in versions]
    monitor = watch(DetectionSettings(warmup=200))
    replay(monitor, many)
    assert _state(monitor) < 8 * 1024, "with so many at a time they are no versions"
    few = np.random.default_rng(1).integers(0, 7, 6000)
    many.segments = [{"model.version": str(v), "prompt.version": str((v * 3) % 5)} for v in few]
    monitor = watch()
    assert fired(replay(monitor, many)) == []
    assert running < _state(monitor) < 3 * running + 8 * 1024
