"""Reasoning before an answer: what share of the output it is, and whether it came to its end.

Taken from the event's `reasoning`, where the provider returns it separately, or from marks at the start of the output
(`<think> ... </think>`, `monitor.features.text.reasoning`), which is cut off before the answer is measured. The length
of marked reasoning is `output.length.reasoning`.

May import its neighbours in this package only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from monitor.events.schema import OutputEvent
from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.text.reasoning import Reasoned, split_reasoning
from monitor.features.text.words import EventBatch

_NOTHING = Reasoned("")


def reasoned(event: OutputEvent) -> Reasoned:
    """An event's output in parts; its `reasoning` field counts before marks in the text."""
    if event.reasoning:
        return Reasoned(event.output or "", event.reasoning)
    return split_reasoning(event.output) if event.output else _NOTHING


class Reasoning:
    """Family `reasoning`."""

    family = "reasoning"
    word_columns: Mapping[str, Callable[[str], float]] = {}
    features: tuple[FeatureSpec, ...] = (
        FeatureSpec(
            "output.reasoning.share", Kind.NUMBER, "share of reasoning in all characters that the model wrote",
            role=Role.COST,
        ),
        FeatureSpec(
            "output.reasoning.unfinished", Kind.FLAG, "the reasoning has no end, so there is no answer", worse=Worse.UP,
            failure=True, role=Role.TRUNCATION,
        ),
    )  # fmt: skip

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name; missing where there is no output."""
        parts = [reasoned(event) for event in batch.events]
        lengths = np.array([len(part.reasoning) for part in parts], dtype=np.float64)
        answers = np.array([len(part.answer) for part in parts], dtype=np.float64)
        unfinished = np.array([not part.closed for part in parts], dtype=np.float64)
        total = lengths + answers
        share = np.divide(lengths, total, out=np.zeros(len(parts)), where=total > 0)
        masked = batch.output.masked
        return {
            "output.reasoning.share": masked(share),
            "output.reasoning.unfinished": masked(unfinished),
        }
