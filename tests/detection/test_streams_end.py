"""Streams end: by a decision, without events for long, and as names that are no streams."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from monitor.detection import (
    Control,
    ControlAction,
    DetectionSettings,
    PartitionMonitor,
    State,
    StreamMonitor,
    StreamState,
)
from monitor.detection.settings import Objective
from monitor.detection.stream.failed_stream import TOO_MANY_STREAMS, Unjudged
from monitor.detection.stream.newcomer import MAX_EVENTS
from monitor.features.batch import FeatureBatch, concat
from tests.detection.streams import CHARS, SETTINGS, SPECS, Traffic, calm, fired

DAY_S = 86_400.0
BEGAN = 1_000_000.0


def partition(settings: DetectionSettings = SETTINGS, most: int = 20_000) -> PartitionMonitor:
    return PartitionMonitor(lambda _: settings, SPECS, most)


def control(action: ControlAction, stream: str) -> Control:
    return Control(action=action, stream=stream, by="ada")


def shifting(stream: str = "s") -> Traffic:
    traffic = calm(700, 41, stream=stream)
    traffic[CHARS][500:] *= 2.5
    return traffic


# By a decision


@pytest.mark.parametrize("action", list(ControlAction))
def test_a_decision_about_a_stream_that_is_not_there_creates_nothing(action: ControlAction) -> None:
    monitor = partition()
    monitor.apply(calm(100, 1).batch(), 0)
    assert monitor.control(control(action, "typo"), 1) == []
    assert set(monitor.streams) == {"s"}
    assert set(monitor.changed()) == {"s"}
    assert monitor.ended() == set()


def test_a_stream_that_is_removed_is_gone_and_its_alerts_are_over() -> None:
    monitor = partition()
    [change] = fired(monitor.apply(shifting().batch(), 0))
    monitor.apply(calm(100, 2, stream="other").batch(), 1)
    monitor.changed()
    [ended] = monitor.control(control(ControlAction.REMOVE, "s"), 2)
    assert (ended.id, ended.state) == (change.id, State.RESOLVED)
    assert ended.cause.endswith("Resolved: stream removed by ada.")
    assert set(monitor.streams) == {"other"}
    assert (monitor.changed(), monitor.ended(), monitor.ended()) == ({}, {"s"}, set())
    assert monitor.apply(shifting().batch(), 0) == [], "what came before it was removed does not bring it back"
    assert set(monitor.streams) == {"other"}
    again = shifting().batch(0, 300)
    monitor.apply(again, 3)
    assert monitor.streams["s"].events == 300, "it begins anew where events come again"
    assert monitor.ended() == set()


def test_a_stream_that_was_never_written_needs_no_tombstone() -> None:
    monitor = partition()
    monitor.apply(shifting().batch(0, 100), 0)
    monitor.control(control(ControlAction.REMOVE, "s"), 1)
    assert (monitor.changed(), monitor.ended()) == ({}, set())


# Without events


def ticked(monitor: PartitionMonitor, first: float, last: float, every: float, offset: int) -> Iterator[object]:
    for number, time in enumerate(np.arange(first, last, every)):
        yield from monitor.tick(float(time), offset + number)


def test_a_stream_without_events_is_forgotten_by_log_time_and_its_silence_is_over() -> None:
    monitor = partition(DetectionSettings(**{**SETTINGS.model_dump(), "silence_after": 3600.0}))
    monitor.tick(BEGAN, 0)
    monitor.apply(calm(300, 1).batch(), 1)
    found = list(ticked(monitor, BEGAN + 300, BEGAN + 89 * DAY_S, DAY_S / 4, 2))
    assert [f.state.value for f in found] == ["firing"]
    monitor.changed()
    found += ticked(monitor, BEGAN + 89 * DAY_S, BEGAN + 91 * DAY_S, DAY_S / 4, 1000)
    assert [f.state.value for f in found] == ["firing", "resolved"]
    assert found[1].id == found[0].id
    assert found[1].cause.endswith("Resolved: no event for 90 days, the stream is forgotten.")
    assert monitor.streams == {}
    assert monitor.ended() == {"s"}


def test_the_time_is_the_settings_of_the_stream_and_events_start_it_again() -> None:
    short = DetectionSettings(**{**SETTINGS.model_dump(), "forget_after": "2d"})
    monitor = PartitionMonitor(lambda stream: short if stream == "a" else SETTINGS, SPECS)
    monitor.tick(BEGAN, 0)
    for name in ("a", "b"):
        monitor.apply(calm(300, 1, stream=name).batch(), 1)
    list(ticked(monitor, BEGAN, BEGAN + 1.9 * DAY_S, 1800.0, 2))
    more = calm(310, 1, stream="a").batch(300)
    monitor.apply(more, 1000)
    list(ticked(monitor, BEGAN + 1.9 * DAY_S, BEGAN + 3.8 * DAY_S, 1800.0, 1001))
    assert set(monitor.streams) == {"a", "b"}
    list(ticked(monitor, BEGAN + 3.8 * DAY_S, BEGAN + 4.1 * DAY_S, 1800.0, 2000))
    assert set(monitor.streams) == {"b"}


def test_one_tick_of_a_clock_that_is_wrong_forgets_nothing() -> None:
    monitor = partition()
    monitor.tick(BEGAN, 0)
    monitor.apply(calm(300, 1).batch(), 1)
    for offset, time in enumerate((BEGAN + 10, BEGAN + 4000 * DAY_S, BEGAN + 20, BEGAN + 4000 * DAY_S, BEGAN + 30), 2):
        monitor.tick(time, offset)
    assert set(monitor.streams) == {"s"}


def test_a_look_for_streams_to_forget_comes_once_in_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = partition()
    for number in range(50):
        monitor.apply(calm(20, 1, stream=f"s{number}").batch(), number)
    asked = 0

    real = PartitionMonitor._forget

    def counting(self: PartitionMonitor, time: float, offset: int) -> list[object]:
        nonlocal asked
        before = self._looked
        found = real(self, time, offset)
        asked += before != self._looked
        return list(found)

    monkeypatch.setattr(PartitionMonitor, "_forget", counting)
    for number in range(3 * 720):  # three hours of ticks of 5 s
        monitor.tick(999_000.0 + 5.0 * number, 100 + number)
    assert asked <= 4


@pytest.mark.parametrize("restart_at", [3, 47, 90, 95, 96, 97])
def test_a_restart_on_the_way_forgets_at_the_same_tick(restart_at: int) -> None:
    short = DetectionSettings(**{**SETTINGS.model_dump(), "forget_after": "2d"})
    log: list[FeatureBatch | float] = [BEGAN, calm(300, 1).batch(0, 200), BEGAN + 5, calm(300, 1).batch(200)]
    log += [BEGAN + 1800.0 * number for number in range(1, 110)]

    def go(monitor: PartitionMonitor, entries: range) -> list[tuple[int, set[str]]]:
        there = []
        for offset in entries:
            entry = log[offset]
            if isinstance(entry, float):
                monitor.tick(entry, offset)
            else:
                monitor.apply(entry, offset)
            there.append((offset, set(monitor.streams)))
        return there

    whole = go(partition(short), range(len(log)))
    assert whole[-1][1] == set()
    first, second = partition(short), partition(short)
    before = go(first, range(restart_at))
    second.began, second.time = first.began, first.time
    for stream, snapshot in first.changed().items():
        second.restore(stream, snapshot)
    assert before + go(second, range(restart_at, len(log))) == whole


# Names that are no streams


def one(name: str, number: int) -> FeatureBatch:
    batch = _ONE
    batch.streams, batch.ids = [name], [f"{name}-{number}"]
    batch.source_offsets = np.array([number])
    return batch


_ONE = calm(1, 1).batch()


def test_a_newcomer_becomes_what_a_monitor_would_be_that_was_there_from_the_start() -> None:
    traffic = calm(300, 3)
    for cuts in ([1], [1, 2, 3, 4, 5], [2, 4, 100], [250]):
        monitor, alone = partition(), StreamMonitor("s", SETTINGS, SPECS)
        monitor.tick(BEGAN, 0)
        alone.reach(BEGAN)
        for offset, batch in enumerate(traffic.batches(cuts), 1):
            monitor.apply(batch, 10 * offset)
            alone.observe(batch)
            assert monitor.status("s").events == alone.events
            assert monitor.status("s").last_event_time == alone.last_time
            for stream, snapshot in monitor.changed().items():
                taken = partition()
                taken.restore(stream, snapshot)
                taken.clock = monitor.clock
                assert taken.status("s") == monitor.status("s")
            monitor = taken
        watched = monitor.streams["s"]
        assert isinstance(watched, StreamMonitor)
        assert watched.snapshot() == alone.snapshot()


def test_newcomers_say_what_a_monitor_of_theirs_would_say() -> None:
    monitor = partition()
    monitor.apply(calm(MAX_EVENTS, 3).batch(), 0)
    assert monitor.newcomers == 1
    alone = StreamMonitor("s", SETTINGS, SPECS)
    alone.observe(calm(MAX_EVENTS, 3).batch())
    assert monitor.status("s") == alone.status()
    assert monitor.status("s").state is StreamState.WARMING
    monitor.apply(calm(MAX_EVENTS + 1, 3).batch(MAX_EVENTS), 1)
    assert monitor.newcomers == 0


@pytest.mark.parametrize(
    "asks",
    [{"silence_after": 60.0}, {"slo": (Objective(name="served", errors=True, objective=0.99),)}],
    ids=lambda asks: next(iter(asks)),
)
def test_settings_that_ask_for_a_judgement_at_once_get_a_monitor_at_once(asks: dict[str, object]) -> None:
    monitor = partition(SETTINGS.model_copy(update=asks))
    monitor.apply(calm(1, 3).batch(), 0)
    assert monitor.newcomers == 0


def test_an_event_that_comes_twice_is_counted_once_in_a_newcomer_too() -> None:
    monitor = partition()
    monitor.apply(one("s", 0), 0)
    again = one("s", 0)
    again.source_offsets = np.array([1])
    monitor.apply(again, 1)
    assert (monitor.status("s").events, monitor.status("s").duplicates) == (1, 1)


def test_names_beyond_the_cap_give_way_and_are_handed_back_and_real_streams_go_on() -> None:
    real = shifting("real")
    alone, crowded = partition(), partition(most=50)
    unjudged: list[Unjudged] = []
    crowded.report = unjudged.append
    found = {alone: [], crowded: []}  # type: ignore[var-annotated]
    for number in range(700):
        for monitor in (alone, crowded):
            row = real.batch(number, number + 1)
            if monitor is crowded:
                row = concat([row, one(f"request-{number}", number)])
            found[monitor] += monitor.apply(row, number)
    assert found[crowded] == found[alone]
    assert fired(found[crowded])
    assert len(crowded.streams) == 50
    assert "real" in crowded
    handed = [i for one in unjudged if one.rows is not None for i in one.rows.ids]
    assert handed == [f"request-{number}-{number}" for number in range(651)], "those seen least recently, none is lost"
    assert {one.reason for one in unjudged} == {TOO_MANY_STREAMS}
    assert "worker.max_streams" in unjudged[0].detail


def test_where_all_are_real_a_further_name_is_handed_back() -> None:
    monitor = partition(most=3)
    unjudged: list[Unjudged] = []
    monitor.report = unjudged.append
    for number in range(3):
        monitor.apply(calm(10, 1, stream=f"real-{number}").batch(), number)
    monitor.apply(concat([one("more", 0), calm(20, 1, stream="real-0").batch(10)]), 3)
    assert set(monitor.streams) == {"real-0", "real-1", "real-2"}
    assert monitor.streams["real-0"].events == 20
    [handed] = unjudged
    assert (handed.stream, handed.reason) == ("more", TOO_MANY_STREAMS)


def test_who_gives_way_does_not_depend_on_a_restart() -> None:
    def flood(monitor: PartitionMonitor, numbers: range) -> None:
        for number in numbers:
            monitor.apply(one(f"request-{number * 7919 % 1000}", number), number)

    whole, first, second = partition(most=40), partition(most=40), partition(most=40)
    flood(whole, range(300))
    flood(first, range(130))
    assert first.ended() == set(), "none of them was written"
    for stream, snapshot in sorted(first.changed().items(), key=lambda item: item[0][::-1]):
        second.restore(stream, snapshot)
    flood(second, range(130, 300))
    assert set(second.streams) == set(whole.streams)
    assert second.ended(), "and those that were get their tombstones"


def test_memory_of_junk_names_is_bounded() -> None:
    """An id where a name belongs: no more is held than the cap allows, a fraction of a monitor each."""
    monitor = partition(most=500)
    for number in range(500):
        monitor.apply(one(f"request-{number}", number), number)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(500, 3000):
        monitor.apply(one(f"request-{number}", number), number)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(monitor.statuses()) == 500
    assert grown < 500 * 4096, "as many were held before"
