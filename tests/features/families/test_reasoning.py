"""Reasoning before an answer, in its own field or marked in the output."""

from __future__ import annotations

import pytest

from monitor.events.schema import OutputEvent
from monitor.features.families.reasoning import Reasoning
from monitor.features.text.words import EventBatch, table_for


def test_lengths_are_separate() -> None:
    family = Reasoning()
    events = [
        OutputEvent(stream="s", output="Four.", reasoning="2 + 2 = 4"),
        OutputEvent(stream="s", output="<think>abcde</think>\n\nFour."),
        OutputEvent(stream="s", output="Four."),
        OutputEvent(stream="s", output="<think>it goes on"),
    ]
    batch = EventBatch(events, table_for([family]))
    columns = family.extract(batch)
    assert columns["output.reasoning.share"].tolist() == pytest.approx([9 / 14, 0.5, 0, 1])
    assert columns["output.reasoning.unfinished"].tolist() == [0, 0, 0, 1]
    assert list(batch.output.texts)[:3] == ["Four.", "Four.", "Four."]
