"""The table of `oqm streams`: how far a stream has learned, also on a narrow terminal."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from monitor.cli.streams import _table, as_record
from monitor.detection.records.status import StreamState, StreamStatus

STABLE = StreamStatus("bot/answer", StreamState.STABLE, 2400, 1.7e9, [], 0, 0, 0.1, 5.0, {}, learned=200, learns=200)


def shown(status: StreamStatus, width: int = 120) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(_table([status], 1.7e9))
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_stream_that_learns_says_how_far_it_is(width: int) -> None:
    status = msgspec.structs.replace(STABLE, state=StreamState.WARMING, events=140, learned=140)
    assert "warming, learning 140 of 200" in shown(status, width)


def test_a_young_stream_is_marked_as_such() -> None:
    assert "stable, young" in shown(msgspec.structs.replace(STABLE, young=True))
    assert "young" not in shown(STABLE)
    assert "learning" not in shown(STABLE)


def test_of_a_status_of_an_older_version_nothing_is_made_up() -> None:
    old = msgspec.structs.replace(STABLE, state=StreamState.WARMING, learned=0, learns=0)
    assert "learning" not in shown(old)


def test_the_record_says_it_too() -> None:
    record = as_record(msgspec.structs.replace(STABLE, young=True))
    assert (record["learned"], record["learns"], record["young"]) == (200, 200, True)
    assert {"stream", "state", "events", "last_event_time", "firing"} < set(record)
