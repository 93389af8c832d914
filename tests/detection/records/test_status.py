"""What a stream's status says for dashboards: since when it drifts, and which segments carry its traffic."""

from __future__ import annotations

import msgspec
import pytest

from monitor.detection import Control, ControlAction, DetectionSettings
from monitor.detection.records.status import OpenAlert, StreamState, StreamStatus
from monitor.detection.stream.population_status import MAX_SEGMENT_SHARES
from tests.detection.streams import CHARS, WORDS, calm, fired, replay, watch

TENANTS = [{"attributes.tenant": t, "model.name": "m"} for t in "ab"]


def test_an_alert_that_fires_says_since_when_and_of_what_kind() -> None:
    monitor = watch()
    traffic = calm(1400, 61)
    replay(monitor, traffic, 0, 700)
    assert monitor.status().open == []
    for name in (CHARS, WORDS):
        traffic[name][700:] *= 2
    (found,) = fired(replay(monitor, traffic, 700))
    assert monitor.status().open == [OpenAlert(found.id, found.kind.value, found.began_at.time, found.evidence)]
    assert found.evidence is not None
    assert found.threshold is not None
    assert found.evidence >= found.threshold
    assert monitor.status().firing == [found.id]


def test_silence_is_among_them() -> None:
    monitor = watch(DetectionSettings(warmup=200, silence_after=60))
    traffic = calm(300, 5)
    replay(monitor, traffic)
    last = float(traffic.times[-1])
    (found,) = monitor.tick(last + 61)
    assert monitor.status().open == [OpenAlert(found.id, "silence", last)]


def test_shares_of_segments_before_and_lately() -> None:
    monitor = watch()
    traffic = calm(900, 3, segments=TENANTS)
    replay(monitor, traffic, 0, 400)
    shares = {(s.attribute, s.value): s for s in monitor.status().segments}
    assert shares["model.name", "m"].reference == shares["model.name", "m"].current == 1.0
    assert shares["attributes.tenant", "a"].reference == pytest.approx(0.5, abs=0.1)
    for row in range(400, 900):
        traffic.segments[row] = {**traffic.segments[row], "attributes.tenant": "b"}
    replay(monitor, traffic, 400)
    shares = {(s.attribute, s.value): s for s in monitor.status().segments}
    assert shares["attributes.tenant", "a"].current == 0.0
    assert shares["attributes.tenant", "b"].current == 1.0


def test_a_status_names_a_bounded_number_of_segments() -> None:
    monitor = watch()
    traffic = calm(500, 4)
    for row in range(500):
        traffic.segments[row] = {f"attributes.{name}": f"v{row % 10}" for name in "abcdef"} | {"request": str(row)}
    replay(monitor, traffic)
    shares = monitor.status().segments
    assert len(shares) == MAX_SEGMENT_SHARES
    assert "request" not in {share.attribute for share in shares}


def test_an_attribute_that_comes_later_with_a_value_a_row_is_left_out() -> None:
    monitor = watch()
    traffic = calm(900, 4, segments=TENANTS)
    for row in range(400, 900):
        traffic.segments[row] = {**traffic.segments[row], "attributes.request": str(row), "attributes.new": "x"}
    replay(monitor, traffic)
    assert {share.attribute for share in monitor.status().segments} == {
        "attributes.tenant",
        "attributes.new",
        "model.version",
        "model.name",
    }


def test_a_status_says_how_far_the_stream_has_learned() -> None:
    monitor = watch(DetectionSettings(warmup=200))
    traffic = calm(1400, 7)

    def seen(start: int, stop: int) -> tuple[str, int, int, bool]:
        replay(monitor, traffic, start, stop)
        status = monitor.status()
        return status.state.value, status.learned, status.learns, status.young

    assert seen(0, 0) == ("warming", 0, 200, False)
    assert seen(0, 140) == ("warming", 140, 200, False)
    assert seen(140, 200) == ("stable", 200, 200, True)
    assert seen(200, 1400) == ("stable", 200, 200, False)
    monitor.control(Control(action=ControlAction.DEPLOY, stream="s"))
    assert seen(0, 0) == ("warming", 0, 200, False)


def test_a_restored_stream_is_as_far() -> None:
    monitor, restored = watch(DetectionSettings(warmup=200)), watch(DetectionSettings(warmup=200))
    traffic = calm(260, 8)
    for start, stop in ((0, 130), (130, 260)):
        replay(monitor, traffic, start, stop)
        restored.restore(monitor.snapshot())
        assert restored.status() == monitor.status()


def test_the_note_says_what_is_not_judged() -> None:
    status = watch().status()
    assert (status.learned, status.young, status.note()) == (0, False, None)
    assert msgspec.structs.replace(status, behind_s=7_200.0).note() == (
        "times lie 2 h behind: volume and silence are not judged"
    )


def test_a_status_of_an_older_version_has_learned_nothing_and_is_not_young() -> None:
    old = StreamStatus("s", StreamState.STABLE, 9, None, [], 0, 0, 0.0, 5.0, {})
    assert (old.learned, old.learns, old.young) == (0, 0, False)
