"""Which part of an example event a finding quotes: the one in which the events before and after a change differ.

What travels of an output is its beginning, its end and facts of the call (`monitor.events.excerpt_parts`). Words that
most events after the change have in common, and no event before it has, are what the change added: the part with more
of them is shown. Facts are shown where the change is one of the call. Called by
`monitor.detection.diagnosis.finding_builder` for every finding, and by the reference monitor for pairs. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from monitor.detection.records.finding import Excerpt, FeatureChange
from monitor.events.excerpt_parts import Parts, parts_of
from monitor.events.excerpt_size import EXCERPT_CHARS

SHOWN_BEFORE_A_TAIL = 60
"""Characters of the beginning that stand before an end that is shown: which answer it is the end of."""
MOST_CHANGES_OF_FACTS = 3
"""Changes, the surest first, of which one of the call makes the facts worth their place."""
LIKE = 0.3
"""Share of the words of two inputs that both have, from which on they ask the same kind of thing: of two questions to
one assistant that have only their grammar in common it is a tenth."""
_WORD = re.compile(r"\w+")
_SENTENCE_ENDS = tuple(".!?:;)]}\"'`*>。！？»”’…।؟")  # noqa: RUF001


def windows(
    before: Sequence[Excerpt], after: Sequence[Excerpt], changes: Sequence[FeatureChange]
) -> tuple[list[Excerpt], list[Excerpt]]:
    """The examples with what is shown of their outputs, on both sides the same part."""
    sides = [[parts_of(each.output) for each in side] for side in (before, after)]
    tails = _differ_at_the_end(*sides)
    facts = any(_is_of_the_call(change) for change in changes[:MOST_CHANGES_OF_FACTS])
    first, second = (
        [
            msgspec.structs.replace(each, output=_shown(parts, tail=tails, facts=facts))
            for each, parts in zip(side, split, strict=True)
        ]
        for side, split in zip((before, after), sides, strict=True)
    )
    return first, second


def alike(asked: str, candidates: Sequence[Excerpt]) -> int | None:
    """The place of the candidate whose input is most like this one; None where none is like it."""
    words = set(_words(asked))
    shares = [_overlap(words, set(_words(each.input))) for each in candidates]
    best = max(range(len(shares)), key=shares.__getitem__, default=None)
    return best if best is not None and shares[best] >= LIKE else None


def _overlap(one: set[str], other: set[str]) -> float:
    """Jaccard's index of two sets of words."""
    return len(one & other) / len(one | other) if one and other else 0.0


def _is_of_the_call(change: FeatureChange) -> bool:
    return change.name.startswith("call.")


def _shown(parts: Parts, *, tail: bool, facts: bool) -> str:
    """At most `EXCERPT_CHARS` characters: what shows an excerpt has room for them, and takes a full one for cut."""
    if facts and parts.facts:
        return f"[{parts.facts}] {parts.head}".rstrip()[:EXCERPT_CHARS]
    if tail and parts.tail:
        return f"{parts.head[:SHOWN_BEFORE_A_TAIL].rstrip()} ... {parts.tail.lstrip()}"
    return parts.head


def _differ_at_the_end(before: Sequence[Parts], after: Sequence[Parts]) -> bool:
    """Whether the ends of the outputs show the change, rather than their beginnings."""
    if not any(parts.tail for parts in after):
        return False
    known = {word for parts in before for text in (parts.head, parts.tail) for word in _words(text)}
    at_start = _added([parts.head for parts in after], known)
    at_end = _added([parts.tail or parts.head for parts in after], known)
    if at_start == at_end:
        return _are_cut_off(before, after)
    return at_end > at_start


def _added(texts: Sequence[str], known: set[str]) -> int:
    """How many words most of these texts have in common that are not known."""
    counts = Counter(word for text in texts for word in set(_words(text)) - known)
    return sum(2 * count > len(texts) for count in counts.values()) if len(texts) > 1 else 0


def _are_cut_off(before: Sequence[Parts], after: Sequence[Parts]) -> bool:
    """Whether most ends after the change are no end of a sentence, while most before it are."""

    def open_ends(side: Sequence[Parts]) -> float:
        ends = [(parts.tail or parts.head).rstrip() for parts in side]
        return sum(not end.endswith(_SENTENCE_ENDS) for end in ends if end) / max(len(ends), 1)

    return bool(before) and open_ends(after) > 0.5 > open_ends(before)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
