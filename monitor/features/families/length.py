"""Length of a text, in every unit that a person or a bill counts. May import its neighbours in this package only."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from monitor.events.schema import ABANDONED
from monitor.features.base import Column, FeatureSpec, Kind, Role
from monitor.features.text.words import EventBatch, Side


class Length:
    """Characters, words, sentences, lines and WordPiece tokens of the inputs or the outputs; of outputs also whether
    there is anything at all.

    An empty output counts 0 everywhere and is flagged; a missing one (null beside an error) is missing. A step that
    calls tools in place of an answer has no lengths and is not empty.
    """

    word_columns: Mapping[str, Callable[[str], float]] = {}

    def __init__(self, side: Side) -> None:
        self._side = side
        self.family = "length"
        specs = [
            FeatureSpec(
                f"{side}.length.chars", Kind.NUMBER, f"length of the {side}", "characters", role=Role.LENGTH, lead=0
            ),
            FeatureSpec(f"{side}.length.words", Kind.NUMBER, f"length of the {side}", "words", role=Role.LENGTH),
            FeatureSpec(
                f"{side}.length.sentences", Kind.NUMBER, f"sentences in the {side}", "sentences", role=Role.LENGTH
            ),
            FeatureSpec(f"{side}.length.lines", Kind.NUMBER, f"lines of the {side}", "lines", role=Role.LENGTH),
            FeatureSpec(
                f"{side}.length.tokens", Kind.NUMBER, f"length of the {side}", "WordPiece tokens", role=Role.LENGTH
            ),
            FeatureSpec(
                f"{side}.length.embedded",
                Kind.COUNT,
                f"images and other data written into the {side} (data URIs, long base64), which no length counts",
                role=Role.LENGTH,
            ),
        ]
        if side == "output":
            specs.append(
                FeatureSpec(
                    "output.length.empty",
                    Kind.FLAG,
                    "the output holds nothing but whitespace",
                    failure=True,
                    role=Role.EMPTY,
                )
            )
        self.features = tuple(specs)

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name."""
        text = batch.text(self._side)
        sizes = np.diff(text.offsets)
        lines = np.fromiter((t.count("\n") + 1 if t else 0 for t in text.stripped), dtype=np.int64, count=text.n)
        columns: dict[str, Column] = {
            f"{self._side}.length.chars": text.masked(text.chars),
            f"{self._side}.length.words": text.masked(text.words),
            f"{self._side}.length.sentences": text.masked(text.sentences),
            f"{self._side}.length.lines": text.masked(lines),
            f"{self._side}.length.tokens": text.masked(text.pieces),
            f"{self._side}.length.embedded": text.masked(text.embedded),
        }
        if self._side == "output":
            # A step that calls tools says nothing and is not empty.
            calls = (e.output is not None and e.finish_reason != ABANDONED for e in batch.events)
            tools_only = ~text.present & np.fromiter(calls, np.bool_, count=text.n)
            columns["output.length.empty"] = np.where(tools_only, np.float32(0.0), text.masked(sizes == 0))
        return columns
