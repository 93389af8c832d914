"""`PartitionMonitor`: an effect happens once, whatever is delivered again, cut anew or out of order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.detection import Control, ControlAction, DetectionSettings, Finding, PartitionMonitor, StreamMonitor
from monitor.errors import StateError
from monitor.features.batch import FeatureBatch, concat
from tests.detection.streams import CHARS, SETTINGS, SPECS, WORDS, Traffic, calm, fired, watch

N = 700


def partition() -> PartitionMonitor:
    return PartitionMonitor(lambda _stream: SETTINGS, SPECS)


def shifting(stream: str, seed: int = 41) -> Traffic:
    traffic = calm(N, seed, stream=stream)
    traffic[CHARS][500:] *= 2.5
    traffic[WORDS][500:] *= 2.5
    return traffic


def mixed(one: Traffic, other: Traffic) -> FeatureBatch:
    """Rows of two streams in turn, as they stand in one source partition."""
    both = concat([one.batch(), other.batch()])
    n = len(one)
    both = both.take(np.ravel(np.column_stack([np.arange(n), n + np.arange(n)])).astype(np.intp))
    both.source_offsets = np.arange(2 * n, dtype=np.int64)
    return both


def messages(batch: FeatureBatch, cuts: Sequence[int]) -> list[FeatureBatch]:
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(batch)}), len(batch)]
    return [batch.rows(a, b) for a, b in pairwise(edges)]


def states(monitor: PartitionMonitor) -> dict[str, bytes]:
    return {name: each.snapshot() for name, each in monitor.streams.items()}


def expected(*traffic: Traffic) -> tuple[dict[str, bytes], list[Finding]]:
    snapshots, found = {}, []
    for each in traffic:
        monitor = StreamMonitor(each.stream, SETTINGS, SPECS)
        found += monitor.observe(each.batch())
        snapshots[each.stream] = monitor.snapshot()
    return snapshots, found


@settings(max_examples=8)
@given(
    cuts=st.lists(st.integers(1, 2 * N - 1), max_size=8),
    again=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=5),
)
def test_messages_delivered_again_change_nothing(cuts: list[int], again: list[tuple[int, int]]) -> None:
    one, other = shifting("a"), calm(N, 42, stream="b")
    log = messages(mixed(one, other), cuts)
    order = list(range(len(log)))
    for after, back in again:
        at = min(after, len(order) - 1)
        order[at + 1 : at + 1] = range(max(0, order[at] - back), order[at] + 1)
    monitor = partition()
    found = [f for offset in order for f in monitor.apply(log[offset], offset)]
    wanted, findings = expected(one, other)
    assert states(monitor) == wanted
    assert found == findings
    assert fired(found)


@settings(max_examples=8)
@given(
    cuts=st.lists(st.integers(1, 2 * N - 1), max_size=8),
    recut=st.lists(st.tuples(st.integers(0, 2 * N - 1), st.integers(1, 400)), max_size=4),
)
def test_rows_sent_again_in_other_messages_are_below_the_fence(cuts: list[int], recut: list[tuple[int, int]]) -> None:
    one, other = shifting("a"), calm(N, 42, stream="b")
    batch = mixed(one, other)
    monitor = partition()
    found: list[Finding] = []
    offset = 0
    for message in messages(batch, cuts):
        found += monitor.apply(message, offset)
        offset += 1
        end = int(message.source_offsets[-1]) + 1
        for start, length in recut:  # a restarted worker sends rows from before, cut otherwise
            if start < end:
                found += monitor.apply(batch.rows(start, min(start + length, end)), offset)
                offset += 1
    wanted, findings = expected(one, other)
    assert states(monitor) == wanted
    assert found == findings
    assert all(each.status().duplicates == 0 for each in monitor.streams.values())


def test_fences_of_source_partitions_and_topics_are_their_own() -> None:
    traffic = calm(400, 43)
    batch = traffic.batch()
    batch.source_partitions = np.asarray([i % 2 for i in range(400)], dtype=np.int32)
    batch.source_offsets = np.asarray([i // 2 for i in range(400)], dtype=np.int64)
    monitor = partition()
    odd, even = (batch.take(np.arange(first, 400, 2, dtype=np.intp)) for first in (1, 0))
    monitor.apply(odd, 0)
    monitor.apply(even, 1)
    assert monitor.streams["s"].events == 400
    again = calm(100, 44)
    again.ids = [f"again-{i}" for i in again.ids]
    fresh = again.batch()
    monitor.apply(fresh, 2)
    assert monitor.streams["s"].events == 400, "offsets 0 to 99 of partition 0 were applied before"
    fresh.source = "outputs, made anew"
    monitor.apply(fresh, 3)
    assert monitor.streams["s"].events == 500


def test_rows_out_of_order_within_a_message_are_below_the_fence() -> None:
    """featurize sends in offset order; what comes after a higher offset was sent before."""
    batch = calm(300, 43).batch()
    batch.source_offsets[100:110] = np.arange(10)
    monitor = partition()
    monitor.apply(batch, 0)
    assert monitor.streams["s"].events == 290


def test_ticks_and_decisions_delivered_again_change_nothing() -> None:
    traffic = shifting("s")
    deploy = Control(action=ControlAction.DEPLOY, stream="s", time=1_000_600.0)
    once, again = partition(), partition()
    found: list[Finding] = []
    for monitor in (once, again):
        found = monitor.apply(traffic.batch(0, 610), 0)
        found += monitor.tick(1_000_620.0, 1)
        found += monitor.control(deploy, 2)
        if monitor is again:
            before = states(monitor)
            assert monitor.apply(traffic.batch(0, 610), 0) == []
            assert monitor.tick(1_000_620.0, 1) == []
            assert monitor.control(deploy, 2) == []
            assert states(monitor) == before
        found += monitor.apply(traffic.batch(610), 3)
    assert states(once) == states(again)
    assert [f.state.value for f in found if not f.is_update] == ["firing", "resolved"]


def test_a_tick_reaches_the_streams_that_wait() -> None:
    one, other = shifting("a"), calm(N, 42, stream="b")
    monitor = partition()
    monitor.apply(one.batch(0, 510), 0)
    monitor.apply(other.batch(0, 520), 1)
    monitor.changed()
    assert monitor.tick(float(one.times[0]), 2) == []
    assert monitor.changed() == {}
    time = float(one.times[509]) + 5
    assert monitor.tick(time, 3, "b") == monitor.tick(time, 3, "no such stream") == []
    assert monitor.changed() == {}, "a tick of another stream"
    found = monitor.tick(time, 3, "a")
    assert [f.stream for f in fired(found)] == ["a"]
    assert set(monitor.changed()) == {"a"}, "520 events of b end with a block"


def test_changed_gives_each_change_once_and_restores_to_the_same() -> None:
    one, other = shifting("a"), calm(N, 42, stream="b")
    monitor, taken = partition(), partition()
    assert monitor.changed() == {}
    monitor.apply(one.batch(0, 300), 0)
    monitor.apply(other.batch(0, 450), 1)
    first = monitor.changed()
    assert set(first) == {"a", "b"}
    assert monitor.changed() == {}
    monitor.apply(one.batch(300, 450), 2)
    second = monitor.changed()
    assert set(second) == {"a"}
    for name, snapshot in {**first, **second}.items():
        taken.restore(name, snapshot)
    assert states(taken) == states(monitor)
    assert taken.changed() == {}, "what was read from the checkpoint need not be written to it"
    # The taker goes on where the other stood, and knows what was applied.
    for each in (monitor, taken):
        assert each.apply(one.batch(200, 450), 2) == []
        assert each.apply(one.batch(400, 450), 7) == []
    found = monitor.apply(one.batch(450), 8)
    assert taken.apply(one.batch(450), 8) == found
    assert fired(found)
    assert states(taken) == states(monitor)


def test_an_older_snapshot_does_not_undo() -> None:
    traffic = calm(500, 43)
    monitor = partition()
    monitor.apply(traffic.batch(0, 250), 0)
    older = monitor.changed()["s"]
    monitor.apply(traffic.batch(250, 500), 1)
    monitor.restore("s", older)
    assert monitor.streams["s"].events == 500


def test_a_snapshot_from_another_log_keeps_its_fence_and_not_its_place() -> None:
    traffic = calm(500, 43)
    monitor, moved = partition(), partition()
    monitor.apply(traffic.batch(0, 250), 1000)
    moved.restore("s", monitor.changed()["s"], new_log=True)
    moved.apply(traffic.batch(200, 300), 0)
    assert moved.streams["s"].events == 300


def test_settings_are_asked_for_by_stream() -> None:
    asked: list[str] = []

    def settings_for(stream: str) -> DetectionSettings:
        asked.append(stream)
        return SETTINGS.model_copy(update={"warmup": 300 if stream == "a" else 100})

    monitor = PartitionMonitor(settings_for, SPECS)
    monitor.apply(mixed(calm(150, 1, stream="a"), calm(150, 2, stream="b")), 0)
    assert asked == ["a", "b"]
    assert {name: each.status().state.value for name, each in monitor.streams.items()} == {
        "a": "warming",
        "b": "stable",
    }


def test_streams_restored_under_other_settings_are_reported_in_the_log() -> None:
    before = partition()
    before.apply(calm(300, 41).batch(), 0)
    changed = DetectionSettings(**{**SETTINGS.model_dump(), "recovery": 77})
    after = PartitionMonitor(lambda _stream: changed, SPECS)
    for stream, snapshot in before.changed().items():
        after.restore(stream, snapshot)
    [control] = after.outdated()
    assert (control.action, control.data["recovery"]) == (ControlAction.SETTINGS, 77)
    after.control(control, 1)
    assert after.outdated() == []
    assert before.outdated() == []


def test_closing_judges_what_waits() -> None:
    monitor = partition()
    found = monitor.apply(shifting("s").batch(0, 510), 0)
    assert found == []
    assert fired(monitor.close())


@pytest.mark.parametrize(
    "snapshot",
    [
        b"",
        b"not a snapshot",
        msgspec.msgpack.encode({"format": 99}),
        msgspec.msgpack.encode({}),
        msgspec.msgpack.encode([1, 2]),
        msgspec.msgpack.encode({"format": "1"}),
    ],
)
def test_a_snapshot_of_another_format_is_refused_and_changes_nothing(snapshot: bytes) -> None:
    monitor = partition()
    monitor.apply(calm(300, 43).batch(), 0)
    before = states(monitor)
    with pytest.raises(StateError, match="'s'"):
        monitor.restore("s", snapshot)
    with pytest.raises(StateError, match="'s'"):
        monitor.streams["s"].restore(snapshot)
    assert states(monitor) == before
    alone = watch()
    with pytest.raises(StateError, match="'s'"):
        alone.restore(snapshot)
