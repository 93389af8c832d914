"""IFEval's strict verdicts on GPT-4's outputs beside what our format and length features say of the same outputs.

Source: google-research/instruction_following_eval (Apache-2.0), in the file `ifeval_gpt4.jsonl.gz` of the shared data.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from monitor.events.schema import OutputEvent
from monitor.features.base import Extractor
from monitor.features.families.format import Format
from monitor.features.families.length import Length
from monitor.features.text.words import EventBatch, table_for

BATCH = 256


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a compressed JSON-lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def columns(texts: Sequence[str], extractors: Sequence[Extractor]) -> dict[str, list[Any]]:
    """Feature columns of these texts as outputs."""
    words = table_for(extractors)
    found: dict[str, list[Any]] = {}
    for start in range(0, len(texts), BATCH):
        batch = EventBatch([OutputEvent(stream="s", output=text) for text in texts[start : start + BATCH]], words)
        for extractor in extractors:
            for name, column in extractor.extract(batch).items():
                found.setdefault(name, []).extend(column)
    return found


_NUMBER = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "twelve": 12, "fifteen": 15, "twenty": 20,
}  # fmt: skip


Verdict = Callable[[dict[str, Any], str], bool | None]


def _asked(prompt: str, unit: str) -> tuple[str, int] | None:
    """The number of `unit` that a prompt asks for, and how: `least`, `most` (exclusive) or `exactly`."""
    pattern = (
        r"(at least|minimum of|more than|or more|less than|fewer than|under|at most|no more than|exactly|contain|with)?"
        rf"\s*(\d+|{'|'.join(_NUMBER)})(\+| or more)?[\s-]+(?:\w+\s+){{0,3}}?{unit}"
    )
    found = re.findall(pattern, prompt.lower())
    if len(found) != 1:
        return None
    how, number, more = found[0]
    value = int(number) if number.isdigit() else _NUMBER[number]
    if more or how in ("at least", "minimum of", "or more"):
        return "least", value
    if how == "more than":
        return "least", value + 1
    if how in ("less than", "fewer than", "under"):
        return "most", value
    return ("exactly", value) if how == "exactly" else None


def _compare(name: str, unit: str) -> Verdict:
    def verdict(features: dict[str, Any], prompt: str) -> bool | None:
        asked = _asked(prompt, unit)
        if asked is None:
            return None
        how, value = asked
        have = features[name]
        return bool(have >= value if how == "least" else have < value if how == "most" else have == value)

    return verdict


INSTRUCTIONS: dict[str, tuple[str, Verdict]] = {
    "detectable_format:json_format": ("json_valid", lambda f, _: f["output.format.json_valid"] == 1),
    "detectable_format:number_bullet_lists": ("bullets", _compare("output.format.bullets", r"bullet")),
    "detectable_format:number_highlighted_sections": (
        "highlights",
        _compare("output.format.highlights", r"(?:sections?|parts?|phrases?|words?)\b"),
    ),
    "detectable_content:number_placeholders": ("placeholders", _compare("output.format.placeholders", r"placeholder")),
    "startend:quotation": (
        "starts_with, ends_with",
        lambda f, _: f["output.format.starts_with"] == "quote" and f["output.format.ends_with"] == "quote",
    ),
    "change_case:english_capital": ("capitals", lambda f, _: f["output.format.capitals"] == 1),
    "change_case:english_lowercase": ("capitals", lambda f, _: f["output.format.capitals"] == 0),
    "length_constraints:number_words": ("length.words", _compare("output.length.words", r"words?\b")),
    "length_constraints:number_sentences": ("length.sentences", _compare("output.length.sentences", r"sentences?\b")),
}
"""Instructions of IFEval that a feature of ours speaks of, with the verdict that follows from the feature."""


def format_agreement(data: Path) -> dict[str, tuple[int, int, int, list[str]]]:
    """By instruction: outputs it was asked of, outputs that a feature judges, those where both agree, who differ."""
    rows = read(data / "ifeval_gpt4.jsonl.gz")
    found = columns([row["output"] for row in rows], [Format(), Length("output")])
    result: dict[str, tuple[int, int, int, list[str]]] = {}
    for instruction, (_, verdict) in INSTRUCTIONS.items():
        asked = judged = agreed = 0
        differ: list[str] = []
        for number, row in enumerate(rows):
            for name, followed in zip(row["instructions"], row["follow_strict"], strict=True):
                if name != instruction:
                    continue
                asked += 1
                ours = verdict({feature: column[number] for feature, column in found.items()}, row["prompt"])
                if ours is None:
                    continue
                judged += 1
                agreed += ours == followed
                if ours != followed:
                    differ.append(f"{row['prompt'][-160:]!r} -> {row['output'][:120]!r}: ours {ours}")
        result[instruction] = (asked, judged, agreed, differ)
    return result
