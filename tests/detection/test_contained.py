"""One stream's failure stays its own: faults put into one stream's monitor, seen from the partition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from monitor.detection import Control, ControlAction, Finding, PartitionMonitor, State, StreamMonitor, StreamState
from monitor.detection.detectors import river
from monitor.detection.settings import DetectorChoice
from monitor.detection.stream import reference_monitor
from monitor.detection.stream.failed_stream import STREAM_FAILED, Unjudged, in_one_line
from monitor.features.batch import concat
from tests.detection.streams import CHARS, SETTINGS, SPECS, WORDS, Traffic, calm, fired

STREAMS = ("a", "b", "c")
N = 1000
CHANGED = 600


class Fault(Exception):
    """What nobody foresaw."""


def boom(*_: Any, **__: Any) -> Any:
    raise Fault("a fault in one stream's state")


class Log:
    """A partition whose log is written as it goes, and what it did not judge."""

    def __init__(self, settings: Any = None) -> None:
        self.monitor = PartitionMonitor(settings or (lambda _: SETTINGS), SPECS)
        self.unjudged: list[Unjudged] = []
        self.monitor.report = self.unjudged.append
        self.found: list[Finding] = []
        self.offset = 0

    def rows(self, *parts: Any) -> list[Finding]:
        found = self.monitor.apply(concat(list(parts)), self.offset)
        return self._went(found)

    def tick(self, time: float) -> list[Finding]:
        return self._went(self.monitor.tick(time, self.offset))

    def decide(self, action: ControlAction, stream: str = "b", **data: Any) -> list[Finding]:
        control = Control(action=action, stream=stream, by="ada", data=data)
        return self._went(self.monitor.control(control, self.offset))

    def _went(self, found: list[Finding]) -> list[Finding]:
        self.offset += 1
        self.found += found
        return found

    def state(self, stream: str = "b") -> StreamState:
        return self.monitor.status(stream).state

    def failed_rows(self) -> list[str]:
        return [i for one in self.unjudged if one.rows is not None for i in one.rows.ids]


def traffic() -> dict[str, Traffic]:
    """Three streams; the first and the last change."""
    streams = {name: calm(N, seed, stream=name) for seed, name in enumerate(STREAMS, 1)}
    for name in ("a", "c"):
        streams[name][CHARS][CHANGED:] *= 2.5
        streams[name][WORDS][CHANGED:] *= 2.5
    return streams


def run(fault: Callable[[StreamMonitor], None] | None = None, at: int = 550, step: int = 50) -> Log:
    log, streams = Log(), traffic()
    for first in range(0, N, step):
        if first >= at and fault is not None and "b" not in log.monitor.failed:
            watched = log.monitor.streams["b"]
            assert isinstance(watched, StreamMonitor)
            fault(watched)
        log.rows(*(t.batch(first, first + step) for t in streams.values()))
        log.tick(float(streams["a"].times[first + step - 1]) + 1.0)
    return log


def others(found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.stream != "b"]


@pytest.mark.parametrize("call", ["observe", "_judge", "_next_block", "waits_for", "tick"])
def test_the_others_go_on_as_if_nothing_had_happened(call: str) -> None:
    """Findings, rows, ticks and snapshots of the streams before and behind the failing one in each message."""
    clean = run()
    log = run(lambda monitor: setattr(monitor, call, boom))
    assert others(log.found) == others(clean.found)
    assert {f.stream for f in fired(log.found)} == {"a", "c"}
    for name in ("a", "c"):
        assert log.monitor.stream(name).events == N
        ours, theirs = log.monitor.stream(name), clean.monitor.stream(name)
        assert isinstance(ours, StreamMonitor)
        assert isinstance(theirs, StreamMonitor)
        assert ours.snapshot() == theirs.snapshot()


def test_the_failing_stream_is_unknown_and_its_rows_alone_are_handed_back_with_the_reason() -> None:
    log = run(lambda monitor: setattr(monitor, "_judge", boom))
    status = log.monitor.status("b")
    assert status.state is StreamState.UNKNOWN
    assert status.events == N
    assert "Fault: a fault in one stream's state (in observe, offset 22)" in status.reason
    assert log.failed_rows() == [f"b-{i}" for i in range(550, N)]
    assert {one.reason for one in log.unjudged} == {STREAM_FAILED}
    assert {one.stream for one in log.unjudged} == {"b"}
    assert [type(one.error) for one in log.unjudged if one.error is not None] == [Fault], (
        "reported once, with its trace"
    )
    assert set(log.monitor.failed) == {"b"}


@pytest.mark.parametrize("step", [50, 130, 400])
def test_what_was_found_before_the_fault_stands_however_messages_are_cut(step: int) -> None:
    """A message may hold a block that finds something and then one that raises."""
    shifted = calm(N, 5, stream="b")
    shifted[CHARS][500:] *= 3
    clean = Log()
    for first in range(0, N, 50):
        clean.rows(shifted.batch(first, first + 50))
    [change] = fired(clean.found)

    def poisoned(self: StreamMonitor, rows: Any, first: int) -> list[Finding]:
        if first > change.raised_at.index + 40:
            boom()
        return judge(self, rows, first)

    judge = StreamMonitor._judge
    log = Log()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StreamMonitor, "_judge", poisoned)
        for first in range(0, N, step):
            log.rows(shifted.batch(first, min(first + step, N)))
    assert log.found == [change]
    assert log.monitor.status("b").firing == [change.id], "it neither resolves by itself nor gets lost"
    assert log.state() is StreamState.UNKNOWN


def open_and_failed() -> tuple[Log, Finding]:
    log, shifted = Log(), calm(N, 5, stream="b")
    shifted[CHARS][500:] *= 3
    log.rows(shifted.batch(0, 600))
    [change] = fired(log.found)
    log.monitor.streams["b"]._judge = boom  # type: ignore[union-attr, method-assign]
    log.rows(shifted.batch(600, 700))
    assert log.state() is StreamState.UNKNOWN
    return log, change


@pytest.mark.parametrize("action", [ControlAction.PIN, ControlAction.DEPLOY])
def test_a_person_starts_it_again_and_its_open_alerts_end_then(action: ControlAction) -> None:
    log, change = open_and_failed()
    [ended] = log.decide(action)
    assert (ended.id, ended.state) == (change.id, State.RESOLVED)
    assert log.state() is StreamState.WARMING
    again = calm(900, 6, stream="b")
    again.ids = [f"again-{i}" for i in again.ids]
    again[CHARS][500:] *= 3
    batch = again.batch()
    batch.source_offsets += 5000
    found = fired(log.rows(batch))
    assert found
    assert found[0].raised_at.index > 1200, "indices go on, so that no id comes twice"
    assert found[0].id != change.id
    assert log.monitor.failed == {}


@pytest.mark.parametrize("action", [ControlAction.ACCEPT, ControlAction.SETTINGS])
def test_other_decisions_do_not_make_it_fine(action: ControlAction) -> None:
    log, change = open_and_failed()
    assert log.decide(action, **({"recovery": 77} if action is ControlAction.SETTINGS else {})) == []
    assert log.state() is StreamState.UNKNOWN
    assert log.monitor.status("b").firing == [change.id]
    assert log.monitor.stream("b").settings.recovery == (77 if action is ControlAction.SETTINGS else SETTINGS.recovery)


def test_a_checkpoint_holds_no_half_changed_state_and_a_restart_concludes_the_same() -> None:
    log, change = open_and_failed()
    taken = PartitionMonitor(lambda _: SETTINGS, SPECS)
    for stream, snapshot in log.monitor.changed().items():
        assert b"monitor" not in snapshot
        taken.restore(stream, snapshot)
    assert taken.status("b") == log.monitor.status("b")
    assert taken.failed == log.monitor.failed
    rest = calm(N, 5, stream="b").batch(650, 800)  # 650 to 699 were handed back before
    for monitor in (log.monitor, taken):
        handed: list[Unjudged] = []
        monitor.report = handed.append
        assert monitor.apply(rest, 9) == []
        assert [i for one in handed if one.rows is not None for i in one.rows.ids] == [
            f"b-{i}" for i in range(700, 800)
        ]
        pin = Control(action=ControlAction.PIN, stream="b")
        assert [finding.id for finding in monitor.control(pin, 10)] == [change.id]
    assert taken.changed() == log.monitor.changed()


def test_a_restart_before_the_fault_meets_it_again() -> None:
    def from_event(self: StreamMonitor, rows: Any, first: int) -> list[Finding]:
        return boom() if self.stream == "b" and first >= 500 else judge(self, rows, first)

    judge = StreamMonitor._judge
    streams = traffic()
    messages = [concat([t.batch(i, i + 50) for t in streams.values()]) for i in range(0, N, 50)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StreamMonitor, "_judge", from_event)
        whole, taken = Log(), PartitionMonitor(lambda _: SETTINGS, SPECS)
        for number, message in enumerate(messages):
            whole.rows(message)
            if number == 7:
                for stream, snapshot in whole.monitor.changed().items():
                    taken.restore(stream, snapshot)
        for number, message in enumerate(messages[8:], 8):
            taken.apply(message, number)
    assert set(taken.failed) == {"b"}
    assert taken.statuses() == whole.monitor.statuses()


def test_a_state_that_cannot_be_written_or_read_is_that_streams_alone() -> None:
    log, streams = Log(), traffic()
    log.rows(*(t.batch(0, 400) for t in streams.values()))
    log.monitor.streams["b"].snapshot = boom  # type: ignore[union-attr, method-assign]
    snapshots = log.monitor.changed()
    assert set(snapshots) == set(STREAMS)
    assert log.state() is StreamState.UNKNOWN
    taken = PartitionMonitor(lambda _: SETTINGS, SPECS)
    handed: list[Unjudged] = []
    taken.report = handed.append
    with pytest.MonkeyPatch.context() as patch:
        restore = StreamMonitor.restore
        patch.setattr(
            StreamMonitor, "restore", lambda self, data: boom() if self.stream == "c" else restore(self, data)
        )
        for stream, snapshot in snapshots.items():
            taken.restore(stream, snapshot)
    assert {name: status.state for name, status in taken.statuses().items()} == {
        "a": StreamState.STABLE,
        "b": StreamState.UNKNOWN,
        "c": StreamState.UNKNOWN,
    }
    assert [(one.stream, one.doing) for one in handed] == [("c", "restore")]


def test_a_stream_whose_status_raises_is_unknown_and_is_judged_all_the_same() -> None:
    log, streams = Log(), traffic()
    log.rows(*(t.batch(0, 400) for t in streams.values()))
    log.monitor.streams["a"].status = boom  # type: ignore[union-attr, method-assign]
    for _ in range(3):
        assert log.state("a") is StreamState.UNKNOWN
    log.rows(*(t.batch(400, N) for t in streams.values()))
    assert {f.stream for f in fired(log.found)} == {"a", "c"}
    assert [one.doing for one in log.unjudged] == ["status"], "reported once, and no row is handed back"


def test_a_fault_at_the_end_of_a_replay_leaves_the_others_judged() -> None:
    log, streams = Log(), traffic()
    log.rows(*(t.batch(0, 610) for t in streams.values()))
    log.monitor.streams["b"].close = boom  # type: ignore[union-attr, method-assign]
    assert {f.stream for f in log.monitor.close()} <= {"a", "c"}
    assert set(log.monitor.failed) == {"b"}


def test_lack_of_memory_is_no_streams_fault() -> None:
    def short(*_: Any) -> Any:
        raise MemoryError

    log, streams = Log(), traffic()
    log.rows(*(t.batch(0, 400) for t in streams.values()))
    log.monitor.streams["b"]._judge = short  # type: ignore[union-attr, method-assign]
    with pytest.raises(MemoryError):
        log.rows(streams["b"].batch(400, 500))
    assert log.monitor.failed == {}


def test_a_detector_that_raises_costs_its_stream_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = SETTINGS.model_copy(update={"detectors": (DetectorChoice(features=CHARS, detector="page_hinkley"),)})
    monkeypatch.setattr(river.RiverDetector, "update", boom)
    log, streams = Log(lambda stream: chosen if stream == "b" else SETTINGS), traffic()
    for first in range(0, N, 100):
        log.rows(*(t.batch(first, first + 100) for t in streams.values()))
    assert {f.stream for f in fired(log.found)} == {"a", "c"}
    assert set(log.monitor.failed) == {"b"}


@pytest.mark.parametrize("diagnosis", ["_examine", "judge"])
def test_a_diagnosis_that_raises_costs_its_stream_alone(diagnosis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = getattr(reference_monitor.ReferenceMonitor, diagnosis)

    def raising(self: reference_monitor.ReferenceMonitor, context: Any, *more: Any, **named: Any) -> Any:
        return boom() if context.stream == "a" else real(self, context, *more, **named)

    monkeypatch.setattr(reference_monitor.ReferenceMonitor, diagnosis, raising)
    log, streams = Log(), traffic()
    for first in range(0, N, 100):
        log.rows(*(t.batch(first, first + 100) for t in streams.values()))
    assert {f.stream for f in fired(log.found)} == {"c"}
    assert set(log.monitor.failed) == {"a"}
    assert log.state("b") is StreamState.STABLE


def test_reasons_are_the_same_in_every_process() -> None:
    assert in_one_line(ValueError("of <thing at 0x7f3a12bc>\n  and more")) == "ValueError: of <thing at 0x...> and more"
    assert in_one_line(AssertionError()) == "AssertionError"
    assert len(in_one_line(ValueError("long " * 1000))) < 320


def test_a_failed_stream_is_not_forgotten() -> None:
    log, change = open_and_failed()
    day = 86_400.0
    for passed in range(400):
        log.tick(1_000_000.0 + passed * day)
    assert log.state() is StreamState.UNKNOWN
    assert log.monitor.status("b").firing == [change.id]
    assert np.isfinite(log.monitor.time)
