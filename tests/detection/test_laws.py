"""Laws of `StreamMonitor`: what is found is a function of the rows, not of how or when they were handed over."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.detection import Control, ControlAction, DetectionSettings, Finding, State, StreamMonitor
from monitor.detection.settings import DetectorChoice
from monitor.detection.state.snapshot_codec import unpack
from monitor.features.base import FeatureSpec, Kind
from monitor.features.batch import FeatureBatch
from tests.detection.streams import (
    ASKED,
    CHARS,
    FENCES,
    LANGUAGE,
    LATENCY,
    REFUSAL,
    SENTIMENT,
    SETTINGS,
    SPECS,
    WORDS,
    Traffic,
    calm,
    decoded,
    fired,
    replay,
    watch,
)

RIVER = SETTINGS.model_copy(update={"detectors": (DetectorChoice(features=CHARS, detector="adwin"),)})
LENGTH = 1800


@cache
def eventful(every: float = 1.0) -> Traffic:
    """Something of everything: gaps, a shift, a second one before it ends, recovery, a new tenant, new inputs."""
    rng = np.random.default_rng(5)
    traffic = calm(LENGTH, seed=21, segments=[{"attributes.tenant": "a"}, {"attributes.tenant": "b"}], every=every)
    for name in (SENTIMENT, CHARS, REFUSAL):
        traffic[name][rng.random(LENGTH) < 0.02] = np.nan
    traffic[CHARS][500:1000] *= 2.5
    traffic[WORDS][500:1000] *= 2.5
    traffic[FENCES][800:1000] = rng.random(200) < 0.5
    newcomers = np.flatnonzero(rng.random(LENGTH) < 0.4)
    newcomers = newcomers[newcomers >= 1250]
    for row in newcomers:
        traffic.segments[row] = {"attributes.tenant": "c"}
    traffic[CHARS][newcomers] *= 0.2
    traffic[WORDS][newcomers] *= 0.2
    traffic[ASKED][1600:] *= 3
    traffic.categories[LANGUAGE][1650:] = [None] * (LENGTH - 1650)
    traffic.times[300:320] = np.nan
    return traffic


@cache
def in_one_go(river: bool) -> tuple[list[Finding], bytes]:
    monitor = watch(RIVER if river else SETTINGS)
    found = monitor.observe(eventful().batch())
    return found, monitor.snapshot()


def test_the_eventful_stream_is_eventful() -> None:
    found, _ = in_one_go(False)
    assert len(fired(found)) >= 2
    assert any(f.state is State.RESOLVED for f in found)
    assert any(f.state is State.INFO for f in found)


cuts = st.one_of(
    st.lists(st.integers(1, LENGTH - 1), max_size=8),
    # Through warm-up, and around alerts, one by one.
    st.integers(1, LENGTH - 60).map(lambda first: list(range(first, first + 60))),
    st.integers(7, 500).map(lambda size: list(range(size, LENGTH, size))),
)


@pytest.mark.parametrize("river", [False, True])
@settings(max_examples=15)
@given(cuts=cuts)
def test_how_rows_are_cut_into_batches_changes_nothing(river: bool, cuts: list[int]) -> None:
    monitor = watch(RIVER if river else SETTINGS)
    found = [f for batch in eventful().batches(cuts) for f in monitor.observe(batch)]
    assert (found, monitor.snapshot()) == in_one_go(river)


@pytest.mark.parametrize("every", [0.01, 0.001])
@settings(max_examples=8)
@given(cuts=cuts)
def test_the_same_laws_hold_for_the_large_blocks_of_a_busy_stream(every: float, cuts: list[int]) -> None:
    whole = watch()
    found = whole.observe(eventful(every).batch())
    assert len(fired(found)) >= 2
    cut, restored = watch(), watch()
    in_parts: list[Finding] = []
    in_lives: list[Finding] = []
    for batch in eventful(every).batches(cuts):
        in_parts += cut.observe(batch)
        snapshot, restored = restored.snapshot(), watch()
        restored.restore(snapshot)
        in_lives += restored.observe(batch)
    assert (in_parts, cut.snapshot()) == (found, whole.snapshot()) == (in_lives, restored.snapshot())


def test_rows_one_by_one_change_nothing() -> None:
    monitor = watch()
    found = [f for batch in eventful().batches(range(LENGTH)) for f in monitor.observe(batch)]
    assert (found, monitor.snapshot()) == in_one_go(False)


@pytest.mark.parametrize("river", [False, True])
@settings(max_examples=15)
@given(cuts=st.lists(st.integers(1, LENGTH - 1), min_size=1, max_size=10))
def test_snapshot_and_restore_anywhere_change_nothing(river: bool, cuts: list[int]) -> None:
    monitor = watch(RIVER if river else SETTINGS)
    found: list[Finding] = []
    for batch in eventful().batches(cuts):
        snapshot = monitor.snapshot()
        monitor = watch()
        monitor.restore(snapshot)
        assert monitor.snapshot() == snapshot
        found += monitor.observe(batch)
    assert (found, monitor.snapshot()) == in_one_go(river)


def _upgraded(traffic: Traffic, when: list[tuple[int, int]], sizes: int) -> list[FeatureBatch]:
    """Batches in which SENTIMENT and LANGUAGE are no columns at all outside these stretches."""
    batches = []
    for first, last in when:
        for start in range(first, last, sizes):
            batch = traffic.batch(start, min(start + sizes, last))
            batches.append(batch)
    known = {name: j for j, name in enumerate(traffic.columns)}
    keep = [j for name, j in known.items() if name != SENTIMENT]
    bare = []
    edge = 0
    for first, last in [*when, (len(traffic), len(traffic))]:
        for start in range(edge, first, sizes):
            batch = traffic.batch(start, min(start + sizes, first))
            batch.values, batch.names = batch.values[:, keep], tuple(list(known)[j] for j in keep)
            batch.categories = {}
            bare.append(batch)
        edge = last
    return sorted([*batches, *bare], key=lambda batch: int(batch.source_offsets[0]))


@pytest.mark.parametrize("when", [[(0, 500)], [(500, 900)], [(0, 410), (450, 800), (830, 1000)]])
def test_columns_that_come_and_go_between_batches_do_so_by_row(when: list[tuple[int, int]]) -> None:
    """Workers of two versions side by side send batches with different columns."""
    outcomes = []
    for size in (1000, 50, 17, 1):
        monitor = watch()
        found = [f for batch in _upgraded(calm(1000, 3), when, size) for f in monitor.observe(batch)]
        assert not fired(found), "a column that is not measured is not missing"
        later = calm(700, 4)
        later.ids = [f"later-{i}" for i in later.ids]
        later[LATENCY][200:] *= 3
        outcomes.append((found, replay(monitor, later)))
        assert fired(outcomes[-1][1])
    for outcome in outcomes[1:]:
        assert outcome == outcomes[0]


def test_an_empty_batch_changes_nothing() -> None:
    monitor = watch()
    replay(monitor, calm(450, 3))
    before = monitor.snapshot()
    assert monitor.observe(calm(450, 3).batch(100, 100)) == []
    assert monitor.snapshot() == before
    fresh = watch()
    assert fresh.observe(calm(450, 3).batch(0, 0)) == []
    assert fresh.snapshot() == watch().snapshot()


def test_a_feature_that_comes_later_is_not_missed_where_it_has_no_value() -> None:
    monitor = watch(specs=[*SPECS, FeatureSpec("output.tone.warmth", Kind.NUMBER, "came with a later version")])
    traffic = calm(1000, 3)
    found = replay(monitor, traffic, 0, 500)
    traffic.columns["output.tone.warmth"] = np.full(1000, np.nan)
    assert found + replay(monitor, traffic, 500) == []


# Duplicates


def test_duplicates_are_counted_and_not_applied() -> None:
    traffic = calm(600, 4)
    once, twice = watch(), watch()
    replay(once, traffic)
    for first in range(0, 600, 100):
        twice.observe(traffic.batch(first, first + 100))
        twice.observe(traffic.batch(max(0, first - 50), first + 70))
    assert twice.events == once.events == 600
    assert twice.status().duplicates == 70 * 6 + 50 * 5
    assert twice.status().id_conflicts == 0
    a, b = once.status(), twice.status()
    assert (a.log_evidence, a.features) == (b.log_evidence, b.features)


def test_duplicates_within_a_batch_are_counted() -> None:
    traffic = calm(300, 4)
    traffic.ids[250:] = traffic.ids[200:250]
    traffic.digests[250:] = traffic.digests[200:250]
    monitor = watch()
    replay(monitor, traffic, size=300)
    assert (monitor.events, monitor.status().duplicates) == (250, 50)


def test_the_same_id_with_other_content_is_applied_and_counted() -> None:
    traffic = calm(300, 4)
    traffic.ids[250:] = traffic.ids[200:250]
    monitor = watch()
    replay(monitor, traffic)
    assert (monitor.events, monitor.status().duplicates, monitor.status().id_conflicts) == (300, 0, 50)


@pytest.mark.parametrize("size", [1, 500, 5000])
@pytest.mark.parametrize(("distance", "duplicates"), [(2048, 1), (2049, 0)])
def test_an_event_is_remembered_for_the_next_2048(size: int, distance: int, duplicates: int) -> None:
    traffic = calm(2500, 4)
    traffic.ids[100 + distance], traffic.digests[100 + distance] = traffic.ids[100], traffic.digests[100]
    monitor = watch()
    replay(monitor, traffic, size=size)
    assert monitor.status().duplicates == duplicates


def test_a_restored_monitor_remembers_the_same_events() -> None:
    """An id that came as A, as B and as A again is known as A for 2,048 events from its last coming on."""
    traffic = calm(2300, 4)
    for row, other in ((10, 0), (20, 1), (200, 0)):
        traffic.ids[row], traffic.digests[row] = "again", np.uint64(other)
    traffic.ids[2200], traffic.digests[2200] = "again", np.uint64(0)
    monitor = watch()
    replay(monitor, traffic, 0, 2200)
    restored = watch()
    restored.restore(monitor.snapshot())
    for each in (monitor, restored):
        replay(each, traffic, 2200)
        assert (each.status().duplicates, each.status().id_conflicts) == (1, 2)
    assert monitor.snapshot() == restored.snapshot()


def test_rows_judged_again_after_an_alert_are_not_repetitions() -> None:
    """A crossing ends its block; the rows behind it come again, and are not to be taken for the same ones twice."""
    traffic = calm(1400, 22)
    traffic[LATENCY][700:] *= 3
    monitor = watch()
    for row in range(1400):
        monitor.observe(traffic.batch(row, row + 1))
        if row % 32 == 8 and row > 700:
            [packed] = decoded(monitor.snapshot())["monitors"]["main"]["repetitions"]
            remembered = unpack(packed).tolist()
            assert len(set(remembered)) == len(remembered) == 64


# Ticks


def test_a_tick_judges_what_waits_once_its_time_is_up() -> None:
    traffic = calm(700, 6)
    traffic[CHARS][620:] *= 20
    monitor = watch()
    assert replay(monitor, traffic, 0, 627) == []
    last = float(traffic.times[626])
    waiting = float(traffic.times[616])  # first row of the open block: 200 + 13 * 32
    assert not monitor.waits_for(waiting + 4.9)
    before = monitor.snapshot()
    assert monitor.tick(waiting + 4.9) == []
    assert monitor.snapshot() == before
    assert monitor.waits_for(last + 5)
    found = monitor.tick(last + 5)
    assert [f.raised_at.index for f in fired(found)] == [found[0].raised_at.index]
    assert 620 < found[0].raised_at.index <= 626
    assert not monitor.waits_for(last + 100)


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(1, 999), max_size=6), marks=st.lists(st.integers(1, 999), max_size=6, unique=True))
def test_ticks_take_effect_where_they_stand_in_the_log(cuts: list[int], marks: list[int]) -> None:
    traffic = calm(1000, 8)
    traffic[CHARS][500:] *= 2.5

    def run(extra: list[int], restore: bool) -> tuple[list[Finding], bytes]:
        monitor = watch()
        found: list[Finding] = []
        for batch in traffic.batches([*marks, *extra]):
            if restore:
                snapshot, monitor = monitor.snapshot(), watch()
                monitor.restore(snapshot)
            if int(batch.source_offsets[0]) in marks:
                found += monitor.tick(float(batch.times[0]) + 6)
            found += monitor.observe(batch)
        return found, monitor.snapshot()

    assert run(cuts, False) == run([], False) == run(cuts, True)


def test_closing_twice_is_closing_once() -> None:
    traffic = calm(650, 6)
    monitor = watch()
    replay(monitor, traffic)
    monitor.close()
    snapshot = monitor.snapshot()
    assert monitor.close() == []
    assert monitor.snapshot() == snapshot


# Two monitors do not know of each other


def test_streams_interleaved_are_as_each_alone() -> None:
    one, other = calm(900, 31, stream="s"), calm(900, 32, stream="s")
    one[LATENCY][500:] *= 2
    alone = []
    for traffic in (one, other):
        monitor = watch()
        alone.append((replay(monitor, traffic, size=70, revisions=True), monitor.snapshot()))
    a, b = watch(), watch()
    found: tuple[list[Finding], list[Finding]] = ([], [])
    for first in range(0, 900, 70):
        for monitor, traffic, out in ((a, one, found[0]), (b, other, found[1])):
            out += monitor.observe(traffic.batch(first, first + 70))
    assert [(found[0], a.snapshot()), (found[1], b.snapshot())] == alone
    assert fired(found[0])
    assert not fired(found[1])


# Snapshots of every state there is


def _states() -> dict[str, StreamMonitor]:
    made: dict[str, StreamMonitor] = {"fresh": watch()}
    traffic = eventful()
    for name, stop in {
        "warming": 150,
        "first block": 201,
        "learning": 560,
        "provisional": 900,
        "gathering": 1400,
        "apart": LENGTH,
    }.items():
        monitor = made[name] = watch()
        replay(monitor, traffic, 0, stop)
    silent = made["silent"] = watch(DetectionSettings(warmup=200, silence_after=60))
    replay(silent, calm(300))
    assert fired(silent.tick(1_000_000.0 + 400))
    accepted = made["accepted while learning"] = watch()
    replay(accepted, traffic, 0, 560)
    accepted.control(Control(action=ControlAction.ACCEPT, stream="s"))
    river = made["river"] = watch(RIVER)
    replay(river, traffic, 0, 777)
    return made


@pytest.mark.parametrize("state", list(_states()))
def test_a_snapshot_of_any_state_goes_on_as_the_original(state: str) -> None:
    original = _states()[state]
    restored = watch()
    restored.restore(original.snapshot())
    assert restored.snapshot() == original.snapshot()
    assert restored.status() == original.status()
    rest = calm(700, 77)
    rest[LATENCY][200:] *= 3
    rest.ids = [f"later-{i}" for i in rest.ids]
    rest.times += 100_000
    assert replay(restored, rest, revisions=True) == replay(original, rest, revisions=True)
    assert restored.snapshot() == original.snapshot()
    assert restored.close() == original.close()
