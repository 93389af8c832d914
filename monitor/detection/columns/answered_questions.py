"""`AnsweredQuestions`: what the reference states in answer to inputs that came more than once, and what differs later.

`KnownValues` finds values that the reference never stated. It is blind where each product has its own price, since new
values are normal there, and where 30 days become 14 days that other answers stated before. Where inputs repeat (the
questions that everybody asks, a catalogue, probes that are sent every hour), the same input with other numbers in its
answer shows both. An input is recognised by a hash of its words (`monitor.features.families.facts.QUESTION`).

How often this happens in unchanged traffic is measured on the reference itself, each row against the others with its
input. Where it is frequent (the answer depends on the order, the day, the customer) nothing is watched.

Pure. May import `monitor.features` and its neighbours in this package only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from monitor.detection.columns.categories import ABSENT
from monitor.detection.columns.known_values import NONE_NEW, values_of
from monitor.features.families.facts import QUESTION_KEY
from monitor.features.keyed import Keyed

MAX_QUESTIONS = 256
"""Inputs that are kept, the most frequent ones: with their values about 16 KB in a stream's state."""
MAX_ANSWERS = 4
"""Different sets of values kept of one input; one that has more has no settled answer, and is left out."""
MIN_REPEATED_ROWS = 20
"""Rows of a reference whose input another row has: fewer do not show whether the same input gets the same values."""
MAX_OTHER_SHARE = 0.05
"""Share of these rows with values that no other row with their input has, up to which they are settled answers."""

_Values = tuple[str, ...]  # in order of their names: which value is stated first differs between answers


class AnsweredQuestions:
    """Inputs of a reference with the sets of values that their answers stated, each with its number of rows."""

    def __init__(self, answers: Mapping[str, Mapping[_Values, int]]) -> None:
        self._answers = answers

    @classmethod
    def of(cls, keyed: Sequence[Keyed]) -> AnsweredQuestions | None:
        """What n rows, a reference, state; None where too few inputs repeat, or their answers are not settled."""
        answers: dict[str, Counter[_Values]] = {}
        for each in keyed:
            question = each.get(QUESTION_KEY)
            if isinstance(question, str):
                answers.setdefault(question, Counter())[_set_of(each)] += 1
        repeated = [counts for counts in answers.values() if counts.total() > 1]
        rows = sum(counts.total() for counts in repeated)
        other = sum(count == 1 for counts in repeated for count in counts.values())
        if rows < MIN_REPEATED_ROWS or other > MAX_OTHER_SHARE * rows:
            return None
        settled = ((name, counts) for name, counts in answers.items() if len(counts) <= MAX_ANSWERS)
        most = sorted(settled, key=lambda item: (-item[1].total(), item[0]))[:MAX_QUESTIONS]
        return cls(dict(sorted(most)))

    def other_values(self, keyed: Iterable[Keyed], *, learning: bool) -> list[str | None]:
        """Of each row `30 days, now 14 days` where its values differ from the reference's for its input, else `none`.

        `ABSENT` where its input is unknown, or its answer states no values. `learning`: the rows are the reference, and
        each is compared with the others.
        """
        seen_elsewhere = 2 if learning else 1
        return [self._other(each, seen_elsewhere) for each in keyed]

    def _other(self, said: Keyed, seen_elsewhere: int) -> str:
        question = said.get(QUESTION_KEY)
        answers = self._answers.get(question) if isinstance(question, str) else None
        if not answers or sum(answers.values()) < seen_elsewhere:
            return ABSENT
        stated = _set_of(said)
        if answers.get(stated, 0) >= seen_elsewhere:
            return NONE_NEW
        usual = max((one for one in answers if one != stated), key=lambda one: (answers[one], one), default=())
        return _difference(usual, stated)

    def to_state(self) -> list[tuple[str, list[_Values]]]:
        """For a snapshot: the values by input, the most frequent first; how often matters only while it is learned."""
        return [(name, sorted(counts, key=lambda one: (-counts[one], one))) for name, counts in self._answers.items()]

    @classmethod
    def from_state(cls, state: Sequence[tuple[str, list[_Values]]]) -> AnsweredQuestions:
        """The answers that `state` described."""
        return cls({name: {one: len(sets) - place for place, one in enumerate(sets)} for name, sets in state})


def _set_of(said: Keyed) -> _Values:
    return tuple(sorted(values_of(said)))


def _difference(usual: _Values, stated: _Values) -> str:
    """The first value that is gone and the first that is new; of values with the same unit where there are such."""
    gone = [value for value in usual if value not in stated]
    new = [value for value in stated if value not in usual]
    pairs = [(old, now) for old in gone for now in new if old.partition(" ")[2] == now.partition(" ")[2]]
    old, now = pairs[0] if pairs else (gone[0] if gone else "", new[0] if new else "")
    if not old:
        return f"now {now}, too"
    return f"{old}, now {now}" if now else f"{old} no longer"
