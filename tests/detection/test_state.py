"""A stream's state: plain data, small, and refused where it is another's."""

from __future__ import annotations

import pickletools
from collections.abc import Iterator

import pytest

from monitor.detection import DetectionSettings, StreamMonitor
from monitor.detection.settings import DetectorChoice
from monitor.errors import StateError
from tests.detection.streams import CHARS, SETTINGS, WORDS, calm, decoded, recoded, replay, watch


def blobs(item: object) -> Iterator[bytes]:
    if isinstance(item, bytes):
        yield item
    elif isinstance(item, dict):
        for value in item.values():
            yield from blobs(value)
    elif isinstance(item, (list, tuple)):
        for value in item:
            yield from blobs(value)


def is_pickle(blob: bytes) -> bool:
    try:
        return blob[:1] == b"\x80" and [op.name for op, _, _ in pickletools.genops(blob)][-1] == "STOP"
    except ValueError:
        return False


def eventful(settings: DetectionSettings) -> StreamMonitor:
    """A stream that fires, with a provisional reference, segments and rows that wait."""
    monitor = watch(settings)
    traffic = calm(1010, 5, segments=[{"attributes.tenant": t} for t in "abcdef"])
    for name in (CHARS, WORDS):
        traffic[name][600:] *= 2
    replay(monitor, traffic)
    assert monitor.status().firing
    return monitor


def test_a_snapshot_holds_no_code() -> None:
    state = decoded(eventful(SETTINGS).snapshot())
    assert not any(is_pickle(blob) for blob in blobs(state))


def test_only_rivers_detectors_bring_a_pickle() -> None:
    for name, count in (("adwin", 1), ("evidence", 0)):
        chosen = SETTINGS.model_copy(update={"detectors": (DetectorChoice(features=CHARS, detector=name),)})
        state = decoded(eventful(chosen).snapshot())
        assert sum(is_pickle(blob) for blob in blobs(state)) == count


def test_a_snapshot_says_its_format_and_only_that_one_is_read() -> None:
    monitor = eventful(SETTINGS)
    state = decoded(monitor.snapshot())
    assert isinstance(state["format"], int)
    before = monitor.snapshot()
    for other in (state["format"] + 1, None, "x"):
        with pytest.raises(StateError, match=r"'s'.*this version reads"):
            monitor.restore(recoded({**state, "format": other}))
        assert monitor.snapshot() == before


def test_the_state_stays_small(capsys: pytest.CaptureFixture[str]) -> None:
    """With the few features of these tests; `benchmarks/` measures the bar of 64 KiB on all of them."""
    monitor = watch(DetectionSettings())
    traffic = calm(6000, 5, segments=[{"attributes.tenant": t} for t in "abcdef"])
    sizes = {}
    for stop in (399, 401, 1000, 3000, 6000):
        replay(monitor, traffic, monitor.events, stop)
        sizes[stop] = len(monitor.snapshot())
    with capsys.disabled():
        print(f"\nstate in bytes after so many events: {sizes}")
    assert max(sizes.values()) <= 64 * 1024
    assert sizes[6000] <= 1.1 * sizes[3000]


def test_a_snapshot_restores_into_a_monitor_of_other_settings() -> None:
    """The state carries the settings it was made with; changed ones come through the log."""
    monitor = eventful(SETTINGS)
    other = watch(DetectionSettings(warmup=1000, recovery=50))
    other.restore(monitor.snapshot())
    assert other.settings == monitor.settings
    assert other.snapshot() == monitor.snapshot()
