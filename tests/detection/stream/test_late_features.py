"""Features that come after a stream's reference: a new column, a later version's, or changed settings'."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.detection import Control, ControlAction, DetectionSettings, Finding, State, StreamMonitor
from monitor.detection.records.finding import base_name
from monitor.detection.settings import DetectorChoice
from monitor.detection.stream.late_features import MAX_GROUPS
from monitor.features.base import FeatureSpec, Kind, Worse
from tests.detection.streams import (
    ASKED,
    CHARS,
    LATENCY,
    SENTIMENT,
    SETTINGS,
    SPECS,
    WARMUP,
    WORDS,
    Traffic,
    calm,
    decoded,
    fired,
    named,
    one_column,
    replay,
    watch,
)

WARMTH = FeatureSpec("output.tone.warmth", Kind.NUMBER, "came with a later version")
CHECK = FeatureSpec("output.check.signed", Kind.FLAG, "a check that was added later", worse=Worse.UP, failure=True)
GENRE = FeatureSpec("output.genre.code", Kind.CATEGORY, "came with a later version")
TOPIC = FeatureSpec("input.topic.depth", Kind.NUMBER, "came with a later version")
LATE = (WARMTH, CHECK, GENRE, TOPIC)
CAME, WARM = 500, 500 + WARMUP + 32
"""The event from which on late features are measured, and one at which they are surely watched."""


def with_late(traffic: Traffic, came: int = CAME, seed: int = 1) -> Traffic:
    """The traffic with late features as columns of all events; `sent` leaves them out of the early ones."""
    rng = np.random.default_rng(seed)
    n = len(traffic)
    traffic.columns[WARMTH.name] = rng.normal(size=n)
    traffic.columns[CHECK.name] = (rng.random(n) < 0.02).astype(float)
    traffic.columns[TOPIC.name] = rng.normal(size=n)
    traffic.categories[GENRE.name] = [("prose", "list")[i] for i in rng.choice(2, n, p=[0.7, 0.3])]
    return traffic


def sent(
    monitor: StreamMonitor,
    traffic: Traffic,
    start: int,
    stop: int,
    size: int = 250,
    without: Callable[[int], bool] | None = None,
) -> list[Finding]:
    """Show events; what is found, without revisions of it.

    Events for which `without` holds (before `CAME`, by default) come from a version without `LATE`.
    """
    lacks = without or (lambda row: row < CAME)
    found: list[Finding] = []
    first = start
    while first < stop:
        last = first + 1
        while last < stop and last - first < size and lacks(last) == lacks(first):
            last += 1
        batch = traffic.batch(first, last)
        if lacks(first):
            late = {spec.name for spec in LATE}
            keep = [j for j, name in enumerate(batch.names) if name not in late]
            batch.names = tuple(batch.names[j] for j in keep)
            batch.values = batch.values[:, keep]
            batch.categories = {name: column for name, column in batch.categories.items() if name not in late}
        found += monitor.observe(batch)
        first = last
    return [finding for finding in found if not finding.is_update]


def upgraded(settings: DetectionSettings = SETTINGS) -> StreamMonitor:
    return watch(settings, specs=[*SPECS, *LATE])


def moved(traffic: Traffic, what: str, at: int) -> None:
    """One of the late features changes from event `at` on."""
    rng = np.random.default_rng(9)
    rest = len(traffic) - at
    if what == "number":
        traffic[WARMTH.name][at:] += 3.0
    elif what == "flag":
        traffic[CHECK.name][at:] = (rng.random(rest) < 0.3).astype(float)
    elif what == "category":
        traffic.categories[GENRE.name][at:] = [("verse", "prose")[i] for i in rng.choice(2, rest, p=[0.5, 0.5])]
    else:
        traffic[TOPIC.name][at:] += 3.0


NAMED = {"number": WARMTH.name, "flag": CHECK.name, "category": GENRE.name}


@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("what", NAMED)
def test_a_change_in_a_late_feature_fires_and_names_it(what: str, pinned: bool) -> None:
    traffic = with_late(calm(1800, 3))
    moved(traffic, what, 1400)
    monitor = upgraded()
    if pinned:
        monitor.control(Control(action=ControlAction.PIN, stream="s"))
    assert sent(monitor, traffic, 0, 1400) == [], "its coming is no change"
    found = fired(sent(monitor, traffic, 1400, 1800))
    assert len(found) == 1
    assert found[0].raised_at.index < 1460
    assert NAMED[what] in named(found[0])
    assert monitor.status().firing == [found[0].id]


def test_a_change_of_a_late_feature_of_the_input_is_information() -> None:
    traffic = with_late(calm(1800, 3))
    moved(traffic, "input", 1400)
    monitor = upgraded()
    found = sent(monitor, traffic, 0, 1800)
    assert [(f.state, f.driver and f.driver.value) for f in found] == [(State.INFO, "input")]
    assert TOPIC.name in named(found[0])


def test_a_feature_that_settings_include_later_is_watched() -> None:
    monitor = upgraded(SETTINGS.model_copy(update={"exclude": ("output.check.*", "output.tone.*")}))
    traffic = with_late(calm(1800, 3))
    moved(traffic, "flag", 1400)
    assert replay(monitor, traffic, 0, 600) == []
    monitor.control(Control(action=ControlAction.SETTINGS, stream="s", data={"exclude": []}))
    assert replay(monitor, traffic, 600, 1400) == []
    assert {WARMTH.name, CHECK.name, SENTIMENT} <= set(monitor.status().features)
    found = fired(replay(monitor, traffic, 1400))
    assert [CHECK.name in named(f) for f in found] == [True]


@pytest.mark.parametrize("came", [10, 110, 190, 199, 200, 201, 215, 233])
def test_whenever_it_comes_it_is_watched_without_a_false_alarm(came: int) -> None:
    """Within the warm-up, too: a reference of few of its values would be surer than it may be."""
    traffic = with_late(calm(1400, 5))
    moved(traffic, "number", 1000)
    monitor = upgraded()
    assert sent(monitor, traffic, 0, 1000, without=lambda row: row < came) == []
    found = fired(sent(monitor, traffic, 1000, 1400))
    assert [WARMTH.name in named(f) for f in found] == [True]


def test_unchanged_traffic_does_not_fire() -> None:
    for seed in range(12):
        traffic = with_late(calm(2500, 100 + seed, rho=0.6 if seed % 2 else 0.0), seed=200 + seed)
        assert fired(sent(upgraded(), traffic, 0, 2500)) == [], seed


def test_the_others_go_on_bit_for_bit_while_it_is_learned() -> None:
    """Until it is watched itself, a stream with late features has the state of one without."""
    plain, late = watch(), upgraded()
    traffic, richer = calm(CAME + WARMUP, 3), with_late(calm(CAME + WARMUP, 3))
    for stop in range(CAME, CAME + WARMUP - 32, 32):
        replay(plain, traffic, plain.events, stop, size=32)
        sent(late, richer, late.events, stop, size=32)
        one, other = decoded(plain.snapshot()), decoded(late.snapshot())
        assert one["monitors"]["main"] == other["monitors"]["main"], stop
    assert other["monitors"]["late"], "and something is gathered by then"


def test_what_is_watched_beside_has_its_part_of_the_budget() -> None:
    monitor = upgraded()
    traffic = with_late(calm(1800, 3))
    moved(traffic, "number", 1400)
    (found,) = fired(sent(monitor, traffic, 0, 1500))
    assert found.threshold is not None
    # Two groups, of the input and of the output, share a tenth.
    assert found.threshold == pytest.approx(np.log10(monitor.mean_run_length() * 20), abs=0.01)
    traffic[LATENCY][1500:] *= 4
    other = fired(sent(monitor, traffic, 1500, 1800))
    assert [f.threshold for f in other] == [pytest.approx(np.log10(monitor.mean_run_length() / 0.9), abs=0.01)]


def test_one_change_in_old_and_late_features_fires_once_and_ends_once() -> None:
    for seed in range(6):
        traffic = with_late(calm(2600, 40 + seed), seed=seed)
        moved(traffic, "number", 1400)
        traffic[WARMTH.name][1900:] -= 3.0
        for name in (CHARS, WORDS):
            traffic[name][1400:1900] *= 3
        found = sent(upgraded(), traffic, 0, 2600)
        assert [f.state for f in found] == [State.FIRING, State.RESOLVED], seed
        assert {CHARS, WORDS} & {base_name(name) for name in named(found[0])}


def test_what_goes_on_after_the_rest_has_recovered_is_reported_then() -> None:
    traffic = with_late(calm(3000, 40))
    moved(traffic, "number", 1400)
    for name in (CHARS, WORDS):
        traffic[name][1400:1900] *= 3
    monitor = upgraded()
    found = [f for f in sent(monitor, traffic, 0, 3000) if f.state is not State.INFO]
    assert [f.state for f in found] == [State.FIRING, State.RESOLVED, State.FIRING]
    assert WARMTH.name in named(found[2])
    assert monitor.status().firing == [found[2].id]


def test_accept_makes_both_normal() -> None:
    traffic = with_late(calm(3400, 40))
    moved(traffic, "number", 1400)
    for name in (CHARS, WORDS):
        traffic[name][1400:] *= 3
    traffic[WARMTH.name][2800:] += 3.0
    monitor = upgraded()
    assert len(sent(monitor, traffic, 0, 1800)) == 1
    assert [f.state for f in monitor.control(Control(action=ControlAction.ACCEPT, stream="s"))] == [State.RESOLVED]
    assert fired(sent(monitor, traffic, 1800, 2800)) == []
    assert len(fired(sent(monitor, traffic, 2800, 3400))) == 1


def test_another_change_while_a_finding_of_the_track_is_open_is_reported() -> None:
    """A change that nobody accepts must not hide the next one in a late feature."""
    for came in (CAME, 1900):  # learned before the first change, or while it is open
        traffic = with_late(calm(3400, 40))
        for name in (CHARS, WORDS):
            traffic[name][1400:] *= 3
        moved(traffic, "flag", 2600)
        found = fired(sent(upgraded(), traffic, 0, 3400, without=lambda row, came=came: row < came))
        assert [CHECK.name in named(f) for f in found] == [False, True]


def test_other_inputs_hide_no_failed_check() -> None:
    traffic = with_late(calm(2200, 40))
    traffic[ASKED][1400:] *= 4
    moved(traffic, "flag", 1400)
    found = sent(upgraded(), traffic, 0, 2200)
    assert [CHECK.name in named(f) for f in fired(found)] == [True]


def test_what_is_found_last_is_reported_when_a_replay_ends_or_its_time_is_up() -> None:
    """It waits for the next rows, in case the rest of the stream changes with it."""
    for end in (lambda m: m.close(), lambda m: m.tick(1_000_000.0 + 1452 + 5)):
        traffic = with_late(calm(1452, 3))
        moved(traffic, "number", 1420)
        monitor = upgraded()
        assert sent(monitor, traffic, 0, 1452) == []
        assert monitor.status().firing == []
        assert monitor.waits_for(1_000_000.0 + 1452 + 5)
        (found,) = end(monitor)
        assert WARMTH.name in named(found)
        assert monitor.status().firing == [found.id]


def test_what_comes_during_an_incident_is_learned_again_after_it() -> None:
    """Rows of an incident are no reference for what is normal."""
    traffic = with_late(calm(3200, 41))
    for name in (CHARS, WORDS):
        traffic[name][400:1200] *= 3
    traffic[WARMTH.name][400:1200] += 3
    moved(traffic, "flag", 2800)
    monitor = upgraded()
    found = sent(monitor, traffic, 0, 2800)
    assert [f.state for f in found] == [State.FIRING, State.RESOLVED]
    assert [CHECK.name in named(f) for f in fired(sent(monitor, traffic, 2800, 3200))] == [True]


def test_the_next_reference_holds_everything() -> None:
    traffic = with_late(calm(1800, 3))
    monitor = upgraded()
    sent(monitor, traffic, 0, 1000)
    assert decoded(monitor.snapshot())["monitors"]["late"]
    monitor.control(Control(action=ControlAction.DEPLOY, stream="s"))
    assert sent(monitor, traffic, 1000, 1400) == []
    assert not decoded(monitor.snapshot())["monitors"]["late"]
    traffic[WARMTH.name][1400:] += 3
    assert len(fired(sent(monitor, traffic, 1400, 1800))) == 1


def test_a_feature_that_vanishes_is_no_fault_and_may_come_again() -> None:
    traffic = with_late(calm(2600, 3))
    traffic[WARMTH.name][2200:] += 3
    monitor = upgraded()
    assert sent(monitor, traffic, 0, 2200, without=lambda row: row < 300 or 1200 <= row < 1700) == []
    assert len(fired(sent(monitor, traffic, 2200, 2600))) == 1


def test_an_old_feature_that_vanishes_is_no_fault() -> None:
    traffic = calm(1600, 3)
    monitor = watch()
    found = replay(monitor, traffic, 0, 800)
    for name in (SENTIMENT, LATENCY, ASKED):
        del traffic.columns[name]
    traffic.categories.clear()
    assert found + replay(monitor, traffic, 800) == []


def test_workers_of_two_versions_side_by_side() -> None:
    """A third of the rows has the late features; only these are gathered and judged."""
    traffic = with_late(calm(3000, 3))
    moved(traffic, "number", 2400)
    monitor = upgraded()

    def without(row: int) -> bool:
        return row < CAME or row % 3 > 0

    assert sent(monitor, traffic, 0, 2400, without=without) == []
    found = fired(sent(monitor, traffic, 2400, 3000, without=without))
    assert [WARMTH.name in named(f) for f in found] == [True]


def test_a_new_segment_has_late_features_too() -> None:
    """Rows of a segment that is judged by itself have groups of their own."""
    traffic = with_late(calm(3200, 21, segments=[{"attributes.tenant": t} for t in "ab"]))
    rng = np.random.default_rng(5)
    newcomers = np.flatnonzero(rng.random(3200) < 0.5)
    newcomers = newcomers[newcomers >= 300]
    for row in newcomers:
        traffic.segments[row] = {"attributes.tenant": "c"}
    traffic[CHARS][newcomers] *= 0.2
    traffic[WORDS][newcomers] *= 0.2
    traffic[WARMTH.name][newcomers] += 5
    changed = newcomers[newcomers >= 2800]
    traffic[WARMTH.name][changed] -= 3
    monitor = upgraded()
    assert fired(sent(monitor, traffic, 0, 2800, without=lambda row: row < 1200)) == []
    assert len(decoded(monitor.snapshot())["monitors"]["late"]) == 2
    found = fired(sent(monitor, traffic, 2800, 3200))
    assert [WARMTH.name in named(f) for f in found] == [True]


def test_a_late_number_can_have_a_detector_of_its_own() -> None:
    chosen = DetectorChoice(features="output.tone.*", detector="adwin")
    traffic = with_late(calm(2000, 3))
    moved(traffic, "number", 1400)
    monitor = upgraded(SETTINGS.model_copy(update={"detectors": (chosen,)}))
    found = fired(sent(monitor, traffic, 0, 2000))
    assert [WARMTH.name in named(f) for f in found] == [True]


def test_many_late_features_one_after_another_stay_bounded_and_watched() -> None:
    many = [FeatureSpec(f"output.check.c{i}", Kind.FLAG, "a check", worse=Worse.UP) for i in range(12)]
    n = 400 + 300 * len(many) + 900
    traffic = calm(n, 8)
    rng = np.random.default_rng(2)
    monitor = watch(specs=[*SPECS, *many])
    for i, spec in enumerate(many):
        traffic.columns[spec.name] = (rng.random(n) < 0.1).astype(float)
        assert replay(monitor, traffic, monitor.events, 400 + 300 * (i + 1)) == []
    for spec in (many[1], many[-1]):
        traffic[spec.name][n - 300 :] = rng.random(300) < 0.7
    assert replay(monitor, traffic, monitor.events, n - 300) == []
    ((_, late),) = decoded(monitor.snapshot())["monitors"]["late"]
    assert len(late["groups"]) <= MAX_GROUPS
    found = fired(replay(monitor, traffic, n - 300))
    assert {many[1].name, many[-1].name} <= set().union(*map(named, found))


@pytest.mark.parametrize("what", NAMED)
def test_one_late_feature_in_a_stream_of_one(what: str) -> None:
    """No inputs, no segments, no times, and a group of a single column."""
    traffic = one_column(np.random.default_rng(3).normal(size=1400))
    richer = with_late(traffic)
    moved(richer, what, 1000)
    for spec in LATE:
        if spec.name != NAMED[what]:
            richer.columns.pop(spec.name, None)
            richer.categories.pop(spec.name, None)
    monitor = upgraded()
    assert sent(monitor, richer, 0, 1000) == []
    found = fired(sent(monitor, richer, 1000, 1400))
    assert [NAMED[what] in named(f) for f in found] == [True]


# Laws: as of any stream (tests/detection/test_laws.py)

LENGTH = 2000


@cache
def eventful() -> Traffic:
    """Late features that come, change with the rest and by themselves, vanish and come again."""
    traffic = with_late(calm(LENGTH, 21, segments=[{"attributes.tenant": t} for t in "ab"]))
    traffic[WARMTH.name][np.random.default_rng(4).random(LENGTH) < 0.02] = np.nan
    traffic[WARMTH.name][900:1200] += 3
    for name in (CHARS, WORDS):
        traffic[name][1000:1300] *= 2.5
    moved(traffic, "flag", 1800)
    traffic.times[600:620] = np.nan
    return traffic


def _absent(row: int) -> bool:
    return row < 450 or 700 <= row < 715


@cache
def in_one_go() -> tuple[list[Finding], bytes]:
    monitor = upgraded()
    # Of rows that wait, the order of the columns is that of the batches.
    return sent(monitor, eventful(), 0, LENGTH, LENGTH, _absent) + monitor.close(), monitor.snapshot()


def test_the_eventful_stream_is_eventful() -> None:
    found, snapshot = in_one_go()
    assert len(fired(found)) >= 2
    assert any(f.state is State.RESOLVED for f in found)
    assert decoded(snapshot)["monitors"]["late"]


@settings(max_examples=12)
@given(
    cuts=st.one_of(
        st.lists(st.integers(1, LENGTH - 1), max_size=8),
        st.integers(420, LENGTH - 60).map(lambda first: list(range(first, first + 60))),
        st.integers(7, 500).map(lambda size: list(range(size, LENGTH, size))),
    ),
    restored=st.booleans(),
)
def test_cuts_and_restores_anywhere_change_nothing(cuts: list[int], restored: bool) -> None:
    monitor = upgraded()
    found: list[Finding] = []
    for stop in [*sorted(set(cuts)), LENGTH]:
        if restored:
            snapshot, monitor = monitor.snapshot(), upgraded()
            monitor.restore(snapshot)
            assert monitor.snapshot() == snapshot
        found += sent(monitor, eventful(), monitor.events, stop, LENGTH, _absent)
    found += monitor.close()
    assert (found, monitor.snapshot()) == in_one_go()
