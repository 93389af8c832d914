"""Whether an output speaks of itself as an AI: "As an AI language model, I ...", in the largest languages.

English, Chinese, Hindi, Spanish, Arabic, French, Bengali, Portuguese, Russian, Urdu, and German, Japanese and
Indonesian. Phrases are matched, not topics: an answer about AI, or by "an AI engineer", does not count. Only texts
with a word of such a phrase are searched: which words those are is asked once for each distinct word.

May import its neighbours in this package only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import numpy as np
import yaml

from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.text import english
from monitor.features.text.words import EventBatch

MAX_CHARACTERS = 20_000  # of one output that are looked at: such phrases open a text or close it

_JOB = (
    r"(?! (?:research|engineer|compan|start-?up|developer|expert|special|scien|consult|product|tool|team|firm|enthus|"
    r"overview|strategy|project|student|professional|user|leader))"
)
_DATA: dict[str, Any] = yaml.safe_load(
    resources.files("monitor.features").joinpath("data/persona_phrases.yaml").read_text("utf-8")
)
_HINTS = frozenset(_DATA["hints"].split())
_HINTS_WITHIN: tuple[str, ...] = tuple(_DATA["hints_within"].split())
_SELF = re.compile("|".join(phrase.replace("JOB", _JOB) for phrase in _DATA["phrases"]))


def is_hint(chunk: str) -> float:
    """1 for a word of which each phrase holds one; parts of words count beyond ASCII alone."""
    core = english.core(chunk)
    if core in _HINTS or core.startswith("ki-"):
        return 1.0
    return float(not chunk.isascii() and any(map(chunk.lower().__contains__, _HINTS_WITHIN)))


def speaks_as_ai(lowered: str) -> bool:
    """Whether a text, in lower case, speaks of itself as an AI."""
    return _SELF.search(lowered[:MAX_CHARACTERS]) is not None


class Persona:
    """Family `persona`."""

    family = "persona"
    word_columns: Mapping[str, Callable[[str], float]] = {"persona.hint": is_hint}
    features: tuple[FeatureSpec, ...] = (
        FeatureSpec(
            "output.persona.ai_reference", Kind.FLAG,
            "speaks of itself as an AI or a language model (As an AI, I cannot ...)", worse=Worse.UP,
            role=Role.CONTENT_FAULT,
        ),
    )  # fmt: skip

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name; missing where there is no output."""
        output = batch.output
        flags = np.zeros(output.n)
        for row in np.flatnonzero(output.sums["persona.hint"]).tolist():
            flags[row] = speaks_as_ai((output.texts[row] or "")[:MAX_CHARACTERS].lower())
        return {"output.persona.ai_reference": output.masked(flags)}
