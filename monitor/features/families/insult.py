"""Insults and profane words in an output, in the ten largest languages and German, Japanese and Indonesian.

Whole words (`data/insults.yaml`), never parts of words, save in scripts without spaces. A word that the input holds too
is quoted, not said. `output.tone.profanity` counts English profanity by its own lists; a rude voice needs none of it.

May import its neighbours in this package only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import numpy as np
import yaml

from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.text.words import EventBatch

_DATA: dict[str, Any] = yaml.safe_load(
    resources.files("monitor.features").joinpath("data/insults.yaml").read_text("utf-8")
)
_WORDS = frozenset(word for words in _DATA["words"].values() for word in words.split())
_WITHIN: tuple[str, ...] = tuple(_DATA["within"].split())
_MAX_CHUNK = 4_000  # characters of one chunk that are searched: in scripts without spaces it may be a whole text


_EDGES = (
    "\"'`.,;:!?()[]{}<>*_~-\u2026\u2013\u2014\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb\u00a1\u00bf\u0964\u06d4\u061f\u060c"
    "\u3001\u3002\uff01\uff1f\uff0c"
)


def _word(chunk: str) -> str:
    """A chunk in lower case without punctuation; the vowel signs that Indic words end with are no punctuation."""
    return chunk.strip(_EDGES).lower()


def insults_in(chunk: str) -> float:
    """How many insults a word is; asked once for each distinct word."""
    if _word(chunk) in _WORDS:
        return 1.0
    if chunk.isascii():
        return 0.0
    piece = chunk[:_MAX_CHUNK]
    return float(sum(map(piece.count, _WITHIN)))


class Insult:
    """Family `insult`."""

    family = "insult"
    word_columns: Mapping[str, Callable[[str], float]] = {"insult.words": insults_in}
    features: tuple[FeatureSpec, ...] = (
        FeatureSpec(
            "output.insult.said", Kind.FLAG, "holds an insult or a profane word that the input does not hold",
            worse=Worse.UP, failure=True, role=Role.CONTENT_FAULT,
        ),
    )  # fmt: skip

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name; missing where there is no output."""
        output = batch.output
        flags = np.zeros(output.n)
        for row in np.flatnonzero(output.sums["insult.words"] > 0).tolist():
            asked = (batch.events[row].input or "").lower()
            own = slice(int(output.offsets[row]), int(output.offsets[row + 1]))
            if not asked or output.values("insult.words")[own].sum() > _quoted(output.texts[row] or "", asked):
                flags[row] = 1.0
        return {"output.insult.said": output.masked(flags)}


def _quoted(text: str, asked: str) -> int:
    """How many of a text's insults stand in its input, too, in lower case."""
    spoken = {_word(chunk) for chunk in asked.split()}
    words = sum((core := _word(chunk)) in _WORDS and core in spoken for chunk in text.split())
    return words + sum(text.count(word) for word in _WITHIN if word in asked)
