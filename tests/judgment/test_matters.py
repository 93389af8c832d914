"""Does a change matter: what verdicts before and after it say."""

from __future__ import annotations

import random

import pytest

from monitor.detection.records.judged import Harm, Judged
from monitor.judgment.matters import CONFIDENCE, LEAST_VERDICTS, LOOKS, MARGIN, Tally, compared, conclude
from monitor.judgment.records import Judgment, Purpose, Side


def verdict(side: Side, passed: bool | None, missing: str | None = None) -> Judgment:
    return Judgment(
        stream="s",
        event="e",
        time=0.0,
        criterion="c",
        purpose=Purpose.DIAGNOSTIC,
        side=side,
        passed=passed,
        missing=missing,
        evaluator="main",
    )


def tally(before: tuple[int, int], after: tuple[int, int], missing: int = 0) -> Tally:
    """(failed, judged) of each side, and verdicts that are missing."""
    made = Tally()
    for side, (failed, judged) in ((Side.BEFORE, before), (Side.AFTER, after)):
        for number in range(judged):
            made.add(verdict(side, number >= failed))
    for _ in range(missing):
        made.add(verdict(Side.AFTER, None, "timeout"))
    return made


def concluded(before: tuple[int, int], after: tuple[int, int], missing: int = 0) -> Judged:
    asked = before[1] + after[1] + missing
    return conclude({"answers": tally(before, after, missing)}, {"answers": asked})


def test_many_more_failures_are_harmful_and_said_with_their_interval() -> None:
    judged = concluded((1, 20), (12, 20))
    assert judged.harm is Harm.HARMFUL
    assert "answers failed before 1 of 20, after 12 of 20 (people: not yet), +55 points" in judged.text
    (one,) = judged.criteria
    # Newcombe's method 10 by hand, z = 1.751: Wilson 0.010 to 0.209 of 1/20, 0.408 to 0.766 of 12/20.
    assert one.low == pytest.approx(0.55 - ((0.6 - 0.4076) ** 2 + (0.2092 - 0.05) ** 2) ** 0.5, abs=2e-3)
    assert one.high == pytest.approx(0.55 + ((0.7658 - 0.6) ** 2 + (0.05 - 0.0104) ** 2) ** 0.5, abs=2e-3)
    assert judged.evaluators == ["main"]


@pytest.mark.parametrize(("before", "after"), [((0, 20), (0, 20)), ((1, 20), (0, 20)), ((2, 40), (2, 40))])
def test_as_few_failures_as_before_are_harmless_at_the_stated_confidence(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    judged = concluded(before, after)
    assert judged.harm is Harm.HARMLESS
    assert "At 95 % confidence the share that fails rose by less than 15 points" in judged.text


@pytest.mark.parametrize(
    ("before", "after"), [((1, 20), (4, 20)), ((10, 20), (10, 20)), ((0, 7), (7, 7)), ((0, 0), (9, 20))]
)
def test_between_the_two_it_cannot_tell_and_says_so(before: tuple[int, int], after: tuple[int, int]) -> None:
    judged = concluded(before, after)
    assert judged.harm is Harm.CANNOT_TELL
    assert judged.text.startswith("Judged, cannot tell whether it is harmful")


def test_missing_verdicts_are_no_failures_and_are_counted_by_reason() -> None:
    judged = concluded((0, 20), (0, 10), missing=10)
    assert judged.criteria[0].failed_after == 0
    assert judged.criteria[0].missing == 10
    assert "Verdicts missing: 10 (timeout 10)" in judged.text
    late = conclude({}, {"answers": 40})
    assert late.harm is Harm.CANNOT_TELL
    assert "not answered in time 40" in late.text


def test_what_lacks_is_said() -> None:
    judged = conclude(
        {"answers": tally((0, 3), (0, 20))}, {"answers": 23}, lacking="only 3 outputs came before the change"
    )
    assert "too few verdicts; only 3 outputs came before the change." in judged.text
    nothing = conclude({}, {}, lacking="no output of before the change is kept")
    assert "no output could be judged" in nothing.text


def test_one_harmful_criterion_decides_and_stands_first_and_all_must_be_harmless() -> None:
    bad, fine, open_one = tally((0, 20), (15, 20)), tally((0, 20), (0, 20)), tally((4, 20), (6, 20))
    both = conclude({"fine": fine, "bad": bad}, {"fine": 40, "bad": 40})
    assert both.harm is Harm.HARMFUL
    assert [one.criterion for one in both.criteria] == ["bad", "fine"]
    mixed = conclude({"fine": fine, "open": open_one}, {"fine": 40, "open": 40})
    assert mixed.harm is Harm.CANNOT_TELL


def test_a_side_without_verdicts_has_no_difference() -> None:
    one = compared("c", tally((0, 0), (3, 20)))
    assert (one.difference, one.low, one.high) == (None, None, None)


def both_looks(rng: random.Random, before: float, after: float, criteria: int = 1) -> Harm:
    """What comes out of up to two looks, where outputs fail with these probabilities."""
    drawn = [
        {
            side: [rng.random() < rate for _ in range(LOOKS[-1].outputs)]
            for side, rate in zip(Side, (before, after), strict=True)
        }
        for _ in range(criteria)
    ]
    for number, look in enumerate(LOOKS, start=1):
        n = look.outputs
        tallies = {
            f"c{k}": tally((sum(one[Side.BEFORE][:n]), n), (sum(one[Side.AFTER][:n]), n)) for k, one in enumerate(drawn)
        }
        harm = conclude(tallies, dict.fromkeys(tallies, 2 * n), look=number).harm
        if harm is not Harm.CANNOT_TELL:
            break
    return harm


NOISE = 0.025
"""Three standard errors of a rate of 5 % in 700 runs."""


@pytest.mark.parametrize(("rate", "criteria"), [(0.02, 1), (0.1, 1), (0.4, 1), (0.1, 3)])
def test_without_a_difference_harm_is_reported_as_rarely_as_stated(rate: float, criteria: int) -> None:
    rng = random.Random(5)
    harmful = sum(both_looks(rng, rate, rate, criteria) is Harm.HARMFUL for _ in range(700))
    assert harmful / 700 <= 1 - CONFIDENCE + NOISE


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_a_loss_of_the_margin_is_called_harmless_as_rarely_as_stated(rate: float) -> None:
    rng = random.Random(6)
    harmless = sum(both_looks(rng, rate, rate + MARGIN) is Harm.HARMLESS for _ in range(700))
    assert harmless / 700 <= 1 - CONFIDENCE + NOISE


def test_a_second_look_tells_what_the_first_could_not() -> None:
    first = concluded((1, 20), (4, 20))
    assert first.harm is Harm.CANNOT_TELL
    assert "Up to 60 outputs of each side are judged once they have come." in first.text
    second = conclude({"answers": tally((3, 60), (12, 60))}, {"answers": 120}, look=2)
    assert (second.harm, second.look) == (Harm.HARMFUL, 2)
    last = conclude({"answers": tally((3, 60), (7, 60))}, {"answers": 120}, look=2)
    assert last.harm is Harm.CANNOT_TELL
    assert "are judged once" not in last.text


def test_fewer_verdicts_than_needed_never_decide() -> None:
    few = LEAST_VERDICTS - 1
    assert concluded((0, few), (few, few)).harm is Harm.CANNOT_TELL
