"""`causes`: what an output follows from, as applications send it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.events import decode_event
from monitor.events.schema import MAX_CAUSES, MAX_ID, OutputEvent, as_published
from monitor.publisher.encoding import encode


def event(causes: Any) -> OutputEvent:
    sent = {"stream": "s", "output": "o", "causes": causes}
    return decode_event(json.dumps(sent).encode(), (), default_id="1", timestamp=1.0).event


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (["e-1", "order 7/refund"], ["e-1", "order 7/refund"]),
        ("e-1", ["e-1"]),
        (None, []),
        ([], []),
        (["", None, "e-1"], ["e-1"]),
    ],
)
def test_ids_of_events_and_keys_of_actions_are_read(sent: Any, read: list[str]) -> None:
    one = event(sent)
    assert one.causes == read
    assert one.extra == {}


@pytest.mark.parametrize(
    "sent", [{"why": "x"}, 5, [{"id": "e"}], ["x" * (MAX_ID + 1)], [str(k) for k in range(MAX_CAUSES + 1)]]
)
def test_what_has_the_name_and_another_form_is_kept_and_the_event_counts(sent: Any) -> None:
    one = event(sent)
    assert one.causes == []
    assert one.extra == {"causes": sent}
    assert as_published(one)["causes"] == sent


def test_the_publisher_sends_them_and_what_stands_for_them() -> None:
    made = OutputEvent(stream="s", output="o", id="1", causes=["e-1"], reasoning="because", fallback=True)
    for causes in (["e-1"], ("e-1",), "e-1", ["e-1", ""]):
        made.causes = causes  # type: ignore[assignment]
        made.time = None
        _, value, _ = encode(made)
        read = decode_event(value, (), default_id="x", timestamp=1.0).event
        assert (read.causes, read.reasoning, read.fallback) == (["e-1"], "because", True)
