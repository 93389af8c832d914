"""Snapshots that version 93e1875 wrote: they restore, and what follows finds what that version found.

`snapshots_93e1875/README.md` has the script that wrote them.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec
import pytest

from monitor.detection import Finding, PartitionMonitor, State, StreamMonitor, StreamState
from monitor.detection.records.finding import BeganAt, RaisedAt
from monitor.detection.records.log_format import Tick, decode_message
from monitor.features.batch import FeatureBatch
from tests.detection.streams import LATENCY, SPECS

FOLDER = Path(__file__).parent / "snapshots_93e1875"
CASES = sorted(path.name.removesuffix(".msgpack.z") for path in FOLDER.glob("*.msgpack.z"))


class Found(msgspec.Struct, frozen=True):
    """What a finding of that version must have in common with one of this version."""

    state: State
    kind: str
    id: str
    raised_at: RaisedAt
    began_at: BeganAt


class Written(msgspec.Struct, frozen=True):
    """One file: a stream's snapshot as a checkpoint stored it, the log that follows from `offset` on (rows and ticks in
    turn), and what 93e1875 found in it."""

    stream: str
    offset: int
    snapshot: bytes
    log: list[bytes]
    found: list[Found]


def written(case: str) -> Written:
    return msgspec.msgpack.decode(zlib.decompress((FOLDER / f"{case}.msgpack.z").read_bytes()), type=Written)


def goes_on(partition: PartitionMonitor, log: list[bytes], offset: int) -> list[Finding]:
    findings: list[Finding] = []
    for place, data in enumerate(log, start=offset):
        message = decode_message(data)
        if isinstance(message, FeatureBatch):
            findings += partition.apply(message, place)
        else:
            assert isinstance(message, Tick)
            findings += partition.tick(message.time, place)
    return findings


def restored(stream: str, snapshot: bytes) -> PartitionMonitor:
    partition = PartitionMonitor(specs=SPECS)
    partition.restore(stream, snapshot)
    assert not partition.failed
    return partition


@pytest.mark.parametrize("case", CASES)
def test_a_snapshot_of_93e1875_goes_on_as_that_version_did(case: str) -> None:
    one = written(case)
    found = goes_on(restored(one.stream, one.snapshot), one.log, one.offset)
    assert [Found(f.state, f.kind, f.id, f.raised_at, f.began_at) for f in found if not f.revision] == one.found


@pytest.mark.parametrize("case", CASES)
def test_written_again_it_goes_on_just_so(case: str) -> None:
    """What is migrated once is written in this version's format, and nothing is lost on the way."""
    one = written(case)
    half = len(one.log) // 2
    first = restored(one.stream, one.snapshot)
    found = goes_on(first, one.log[:half], one.offset)
    second = restored(one.stream, first.changed()[one.stream])
    found += goes_on(second, one.log[half:], one.offset + half)
    whole = restored(one.stream, one.snapshot)
    assert found == goes_on(whole, one.log, one.offset)
    assert second.changed() == whole.changed()


LATER = Path(__file__).parent / "snapshots_format_2"
LATER_CASES = sorted({path.name.removesuffix(".snapshot") for path in LATER.glob("*.snapshot")} & set(CASES))


def written_later(case: str) -> bytes:
    """A snapshot by the last version before state had typed records: the same traffic, up to the same event."""
    return (LATER / f"{case}.snapshot").read_bytes()


@pytest.mark.parametrize("case", LATER_CASES)
def test_a_later_snapshot_of_the_same_format_goes_on_too(case: str) -> None:
    """After 93e1875 fields were added and the format kept its number; these snapshots have all of them."""
    one = written(case)
    found = goes_on(restored(one.stream, written_later(case)), one.log, one.offset)
    assert [Found(f.state, f.kind, f.id, f.raised_at, f.began_at) for f in found if not f.revision] == one.found


def test_late_features_of_a_later_snapshot_are_watched_still() -> None:
    monitor = restored("late_features", written_later("late_features")).stream("late_features")
    assert isinstance(monitor, StreamMonitor)
    assert LATENCY in monitor.status().features
    assert monitor.events == 1000


def test_a_newcomer_of_a_later_snapshot_keeps_its_events() -> None:
    partition = restored("newcomer", written_later("newcomer"))
    assert partition.newcomers == 1
    assert partition.status("newcomer").events == 3


def test_a_failed_stream_of_a_later_snapshot_says_why() -> None:
    partition = PartitionMonitor(specs=SPECS)
    partition.restore("failed", written_later("failed"))
    status = partition.status("failed")
    assert (status.state, status.events) == (StreamState.UNKNOWN, 900)
    assert "made to fail" in str(partition.failed["failed"].reason)
    assert len(status.firing) == 1
