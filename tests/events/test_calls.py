"""What a call to a dependency may carry: when it began and what it returned, bounded; what does not fit is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.errors import InvalidEvent
from monitor.events import decode_event
from monitor.events.bounded_body import bounded
from monitor.events.schema import OutputEvent, as_published


def event(**call: Any) -> OutputEvent:
    sent = {"stream": "s", "output": "o", "calls": [{"dependency": "crm", **call}]}
    return decode_event(json.dumps(sent).encode(), (), default_id="1", timestamp=1.0).event


@pytest.mark.parametrize("time", [1_780_000_000, 1_780_000_000.5, "2026-11-30T09:12:44Z"])
def test_a_call_has_its_time_and_its_response(time: float | str) -> None:
    one = event(time=time, response={"rows": [1, 2], "more": None})
    assert (one.calls[0].time, one.calls[0].response) == (time, {"rows": [1, 2], "more": None})
    assert one.extra == {}
    assert as_published(one)["calls"][0]["response"] == {"rows": [1, 2], "more": None}


def test_what_has_the_name_of_a_later_field_and_another_type_is_kept() -> None:
    one = event(time={"begin": 1}, attempts=2)
    assert one.calls[0].time is None
    assert one.extra["calls"] == [{"attempts": 2, "time": {"begin": 1}}]


def test_a_response_that_could_not_be_written_again_is_refused_as_other_free_fields_are() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    with pytest.raises(InvalidEvent, match="nested deeper"):
        event(response=deep)


def test_a_body_is_bounded_and_says_how_long_it_was() -> None:
    assert bounded({"a": 1}, 20) == {"a": 1}
    assert bounded("x" * 30, 20) == "x" * 20 + " [cut: 30 characters]"
    assert bounded(["x" * 30], 20) == '["' + "x" * 18 + " [cut: 34 characters]"
    assert bounded(5, 1) == 5
    assert bounded({"when": object}, 100) == {"when": str(object)}
