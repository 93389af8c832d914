"""Does a change matter? Outputs from before and after it are judged, and what fails is compared.

A change of outputs says that they differ, not that they are worse. So some outputs from each side of the change point
are judged by the stream's criteria, and more of them where these do not suffice (`LOOKS`). The difference of the failed
shares has Newcombe's interval (1998, Statistics in Medicine 17:873, method 10):

- harmful: the lower end is above 0, so surely more outputs fail than before;
- harmless: the upper end is below `MARGIN` for every criterion, so surely not many more fail (non-inferiority);
- cannot tell: neither, or too few verdicts.

Verdicts that are missing are never failures. These outputs were chosen for what they explain, so their shares say
nothing of all outputs and enter no estimate. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.detection.records.judged import CriterionBeforeAfter, Harm, Judged
from monitor.judgment.records import Judgment, Side
from monitor.statistics.rates import difference, wilson

CONFIDENCE = 0.95
"""Of a conclusion, over both looks: one in twenty changes without harm may be called harmful, and one in twenty that
add failures in `MARGIN` of the outputs harmless."""


class Look(NamedTuple):
    """Outputs of each side, and the confidence of each end of the intervals."""

    outputs: int
    confidence: float


LOOKS = (Look(20, 0.96), Look(60, 0.98))
"""The first look takes 40 verdicts and answers within minutes; the second one follows only where the first could not
tell. Simulated without a difference (2 to 40 % fail), both together call 0.3 to 5.3 % harmful, and 5 to 6 % of changes
that add failures in 15 of 100 outputs harmless (`tests/judgment/test_matters.py`)."""
MARGIN = 0.15
"""Share of outputs that may fail more than before where a change is called harmless. With 20 outputs a side and no
failure the upper end of the interval is 0.13, so this is about the least that 20 can show."""
LEAST_VERDICTS = 8
"""Verdicts that each side needs. With fewer even a change from no failure to all of them is uncertain in size, and no
failure at all leaves more than 25 points open."""


@dataclass
class Tally:
    """Verdicts by one criterion, by side: `failed` and `judged` outputs; `missing` and why, over both sides."""

    failed: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    judged: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    missing: dict[str, int] = field(default_factory=dict)
    evaluators: set[str] = field(default_factory=set)

    def add(self, judgment: Judgment) -> None:
        """One verdict. One without a side says nothing here."""
        if judgment.side is None:
            return
        if judgment.evaluator:
            self.evaluators.add(judgment.evaluator)
        if judgment.passed is None:
            why = judgment.missing or "no verdict"
            self.missing[why] = self.missing.get(why, 0) + 1
            return
        self.judged[judgment.side] += 1
        self.failed[judgment.side] += not judgment.passed


def compared(criterion: str, tally: Tally, unanswered: int = 0, *, look: Look = LOOKS[0]) -> CriterionBeforeAfter:
    """The failed shares of one criterion before and after; `unanswered` outputs have no record of a verdict at all."""
    before, after = tally.judged[Side.BEFORE], tally.judged[Side.AFTER]
    counts = CriterionBeforeAfter(
        criterion=criterion,
        failed_before=tally.failed[Side.BEFORE],
        judged_before=before,
        failed_after=tally.failed[Side.AFTER],
        judged_after=after,
        missing=sum(tally.missing.values()) + unanswered,
    )
    if not before or not after:
        return counts
    low, high = _interval(counts, look, 1)
    rate = counts.failed_after / after - counts.failed_before / before
    return CriterionBeforeAfter(
        **{
            name: getattr(counts, name)
            for name in counts.__struct_fields__
            if name not in ("difference", "low", "high")
        },
        difference=rate,
        low=low,
        high=high,
    )


def _interval(counts: CriterionBeforeAfter, look: Look, tests: int) -> tuple[float, float]:
    """The ends of the difference's interval, each with the look's error divided by this number of tests."""
    alpha = 2 * (1 - look.confidence) / tests
    found = difference(
        wilson(counts.failed_before, counts.judged_before, alpha),
        wilson(counts.failed_after, counts.judged_after, alpha),
    )
    return found.low, found.high


def conclude(tallies: Mapping[str, Tally], asked: Mapping[str, int], *, lacking: str = "", look: int = 1) -> Judged:
    """What the verdicts say of the change.

    Parameters
    ----------
    tallies
        Verdicts by criterion.
    asked
        How many outputs, of both sides, were asked for by each criterion.
    lacking
        Why there is less to judge than wanted, as a sentence's end without its full stop; empty where nothing lacks.
    look
        Which of `LOOKS` this is, from 1.
    """
    at = LOOKS[look - 1]
    criteria = []
    for name, wanted in asked.items():
        tally = tallies.get(name, Tally())
        answered = sum(tally.judged.values()) + sum(tally.missing.values())
        criteria.append(compared(name, tally, max(0, wanted - answered), look=at))
    enough = [one for one in criteria if min(one.judged_before, one.judged_after) >= LEAST_VERDICTS]
    worse = [one for one in enough if _interval(one, at, len(enough))[0] > 0]
    if worse:
        harm = Harm.HARMFUL
    elif enough and len(enough) == len(criteria) and all(_interval(one, at, 1)[1] < MARGIN for one in enough):
        harm = Harm.HARMLESS
    else:
        harm = Harm.CANNOT_TELL
    ordered = sorted(criteria, key=lambda one: (one not in worse, -(one.difference or 0.0)))
    evaluators = sorted({name for tally in tallies.values() for name in tally.evaluators})
    text = _words(harm, ordered, [lacking] if lacking else [], _missing_words(tallies.values(), ordered))
    if harm is Harm.CANNOT_TELL and look < len(LOOKS):
        text += f" Up to {LOOKS[look].outputs} outputs of each side are judged once they have come."
    return Judged(
        harm=harm,
        confidence=CONFIDENCE,
        margin=MARGIN,
        criteria=ordered,
        text=text,
        evaluators=evaluators,
        look=look,
    )


def _words(harm: Harm, criteria: Sequence[CriterionBeforeAfter], lacking: Sequence[str], missing: str) -> str:
    """`Judged harmful: answers_the_question failed before 1 of 20, after 12 of 20 (people: not yet), ...`."""
    counts = "; ".join(_counts(one) for one in criteria)
    sure = f"{100 * CONFIDENCE:.0f} %"
    if harm is Harm.HARMFUL:
        text = f"Judged harmful: {counts}. More outputs fail than before, at {sure} confidence."
    elif harm is Harm.HARMLESS:
        text = (
            f"Judged harmless: {counts}. At {sure} confidence the share that fails rose by less than "
            f"{100 * MARGIN:.0f} points."
        )
    else:
        few = not criteria or any(min(one.judged_before, one.judged_after) < LEAST_VERDICTS for one in criteria)
        why = "too few verdicts" if few else "the interval allows harm as well as none"
        text = f"Judged, cannot tell whether it is harmful: {counts or 'no output could be judged'}. Why: {why}"
        text += "".join(f"; {one}" for one in lacking) + "."
        lacking = ()
    if lacking:
        text += f" Note: {'; '.join(lacking)}."
    return text + (f" {missing}" if missing else "")


def _counts(one: CriterionBeforeAfter) -> str:
    people = "" if one.by_people else " (people: not yet)"
    words = (
        f"{one.criterion} failed before {one.failed_before} of {one.judged_before}, "
        f"after {one.failed_after} of {one.judged_after}{people}"
    )
    if one.difference is None or one.low is None or one.high is None:
        return words
    return f"{words}, {100 * one.difference:+.0f} points (interval {100 * one.low:+.0f} to {100 * one.high:+.0f})"


def _missing_words(tallies: Iterable[Tally], criteria: Sequence[CriterionBeforeAfter]) -> str:
    missing = sum(one.missing for one in criteria)
    if not missing:
        return ""
    reasons: dict[str, int] = {}
    for tally in tallies:
        for why, count in tally.missing.items():
            reasons[why] = reasons.get(why, 0) + count
    late = missing - sum(reasons.values())
    if late:
        reasons["not answered in time"] = late
    listed = ", ".join(f"{why} {count}" for why, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    return f"Verdicts missing: {missing} ({listed})."
