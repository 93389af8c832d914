"""`oqm streams` names the streams of which something is not judged."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from monitor.cli import streams
from monitor.detection.records.status import StreamState
from monitor.settings import Settings
from tests.telemetry.numbers import status


def test_a_record_has_a_note_only_where_something_is_not_judged() -> None:
    on_time = status("a")
    late = msgspec.structs.replace(on_time, behind_s=3 * 86_400.0)
    fields = {"stream", "state", "events", "last_event_time", "firing", "learned", "learns", "young"}
    assert set(streams.as_record(on_time)) == fields
    record = streams.as_record(late)
    assert record["times_behind_s"] == 3 * 86_400.0
    assert record["note"] == "times lie 3 days behind: volume and silence are not judged"


@pytest.mark.parametrize("width", [40, 100])
def test_the_table_names_some_of_them_and_counts_the_rest(width: int) -> None:
    late = [msgspec.structs.replace(status(f"s{i}"), behind_s=7200.0) for i in range(8)]
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(streams._table([status("on-time"), *late], 1_700_000_100.0))
    text = " ".join(console.export_text().split())
    assert "s0: times lie 2 h behind: volume and silence are not judged" in text
    assert "s5: times" not in text
    assert "and 3 more streams with such a note" in text
    assert "on-time: " not in text
    console.print(streams._table([status("on-time")], 1_700_000_100.0))
    assert "note" not in console.export_text()


def test_watched_attributes_are_named() -> None:
    from monitor.cli.streams import watched_attributes
    from monitor.detection.records.status import StreamState, StreamStatus

    keys = ["call.feedback.score[rating]", "output.json.key[id]", "input.attribute.flag[premium]"]
    status = StreamStatus("s", StreamState.STABLE, 9, None, [], 0, 0, 0.0, 4.0, {}, keys=keys)
    assert watched_attributes(status) == ["premium", "rating"]


def test_a_declared_attribute_that_is_not_watched_is_named() -> None:
    kinds = {"rating": "number", "stars": "number", "build": "ignore"}
    attributes = [{"name": name, "kind": kind} for name, kind in kinds.items()]
    settings = Settings.model_validate({"detection": {"attributes": attributes}})
    watching = msgspec.structs.replace(status("bot"), keys=["call.feedback.score[rating]"])
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(streams._table([watching], 1_700_000_100.0, settings))
    text = " ".join(console.export_text().split())
    assert "bot: watches the attributes rating" in text
    assert "bot: does not watch stars, though declared: too few events of its reference have it" in text
    assert "build" not in text
    assert streams.as_record(watching, ["rating", "stars"])["attributes_not_watched"] == ["stars"]
    learning = msgspec.structs.replace(watching, state=StreamState.WARMING, keys=[])
    assert "attributes_not_watched" not in streams.as_record(learning, ["rating"])
