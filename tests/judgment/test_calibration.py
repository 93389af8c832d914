"""People's labels beside an evaluator's verdicts: people alone, the evaluator alone, both."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from monitor.judgment.calibration import Labels
from monitor.judgment.quality import Quality, by_sample
from monitor.judgment.verdicts import Verdicts

RUNS, OUTPUTS = 300, 6_000
PERIOD = (0.0, 3_600.0)


def sums(passed: int, failed: int, probability: float = 1.0, missing: int = 0) -> Verdicts:
    weight = 1 / probability
    n = passed + failed
    return Verdicts(passed, failed, missing, n * weight, n * weight**2, passed * weight, 0.0, 1.0)


def estimated(labels: Labels | None, *, always_valid: bool = False) -> Quality:
    """1,000 outputs, of which an evaluator passes 190 of 200 judged."""
    return by_sample(
        "support", "helpful", {"uniform": sums(190, 10, 0.2)}, {"uniform": 1_000},
        period=PERIOD, evaluator=("main", "a1"), labels=labels, always_valid=always_valid,
    )  # fmt: skip


def test_the_three_estimates_stand_beside_one_another() -> None:
    labels = Labels({("uniform", True): sums(45, 5, 0.05), ("uniform", False): sums(1, 9, 0.2)}, open=3)
    found = estimated(labels)
    assert found.rate == pytest.approx(0.95)  # the evaluator alone is what it was
    assert (found.people, found.people_open, found.people_unsure) == (60, 3, 0)
    assert found.corrected is not None
    assert found.corrected.rate == pytest.approx(0.95 * 0.9 + 0.05 * 0.1)
    assert found.by_people is not None
    assert found.by_people.rate == pytest.approx((45 / 0.05 + 1 / 0.2) / (50 / 0.05 + 10 / 0.2))
    assert found.corrected.high - found.corrected.low < found.by_people.high - found.by_people.low
    assert not found.borrowed


def test_without_a_label_there_is_no_second_rate() -> None:
    for labels in (None, Labels(open=7), Labels({("uniform", True): sums(0, 0, missing=2)})):
        found = estimated(labels)
        assert (found.people, found.by_people, found.corrected, found.with_people) == (0, None, None, None)
    assert estimated(Labels(open=7)).people_open == 7


def test_who_could_not_tell_counts_neither_way() -> None:
    some = {("uniform", True): sums(45, 5), ("uniform", False): sums(1, 9)}
    unsure = some | {("uniform", True): sums(45, 5, missing=20)}
    assert estimated(Labels(unsure)).corrected == estimated(Labels(some)).corrected
    assert estimated(Labels(unsure)).people_unsure == 20


def test_agreement_is_shown_from_enough_on() -> None:
    few = estimated(Labels({("uniform", True): sums(20, 5), ("uniform", False): sums(3, 15)})).with_people
    assert few is not None
    assert (few.both_pass, few.first_only, few.second_only, few.both_fail) == (20, 5, 3, 15)
    assert few.observed == pytest.approx(35 / 43)
    assert few.kappa is None
    assert few.alpha is None
    enough = estimated(Labels({("uniform", True): sums(40, 10), ("uniform", False): sums(6, 30)})).with_people
    assert enough is not None
    assert enough.kappa == pytest.approx(0.624, abs=0.01)
    doubled = estimated(Labels(doubled=Counter({(True, True): 4, (True, False): 1}))).among_people
    assert doubled is not None
    assert (doubled.items, doubled.observed, doubled.kappa) == (5, 0.8, None)


def test_a_longer_watch_makes_a_wider_interval() -> None:
    labels = Labels({("uniform", True): sums(90, 10, 0.05), ("uniform", False): sums(2, 18, 0.2)})
    once, always = estimated(labels).corrected, estimated(labels, always_valid=True).corrected
    assert once is not None
    assert always is not None
    assert always.rate == pytest.approx(once.rate)
    assert always.low < once.low
    assert always.high > once.high


def drawn(rng: np.random.Generator, people: tuple[float, float]) -> tuple[Quality, float]:
    """A stream with risky outputs, a lenient evaluator that judges a part, and people who see a part of that."""
    risky = rng.random(OUTPUTS) < 0.1
    good = rng.random(OUTPUTS) < np.where(risky, 0.6, 0.95)
    verdict = np.where(good, rng.random(OUTPUTS) < 0.95, rng.random(OUTPUTS) < 0.3)
    p = np.where(risky, 0.5, 0.2)
    judged = rng.random(OUTPUTS) < p
    share = np.where(verdict, *people)
    looked = judged & (rng.random(OUTPUTS) < share)
    verdicts, labels, seen = {}, Labels(), {}
    for name, stratum in (("risky+uniform", risky), ("uniform", ~risky)):
        seen[name] = int(stratum.sum())
        here = stratum & judged
        verdicts[name] = sums(int((here & verdict).sum()), int((here & ~verdict).sum()), 0.5 if name[0] == "r" else 0.2)
        for passed in (True, False):
            cell = stratum & looked & (verdict == passed)
            probability = float((p * share)[cell][0]) if cell.any() else 1.0
            labels.counts[name, passed] = sums(int((cell & good).sum()), int((cell & ~good).sum()), probability)
    found = by_sample(
        "s", "c", verdicts, seen, period=PERIOD, evaluator=("main", "a1"), labels=labels, always_valid=False
    )
    return found, float(good.mean())


@pytest.mark.parametrize("people", [(0.05, 0.5), (0.2, 0.2)])
def test_in_strata_with_unequal_draws_both_and_people_alone_cover_what_they_say(people: tuple[float, float]) -> None:
    rng = np.random.default_rng(11)
    both = alone = model = 0
    width_both = width_alone = 0.0
    for _ in range(RUNS):
        found, truth = drawn(rng, people)
        assert found.corrected is not None
        assert found.by_people is not None
        assert found.low is not None
        assert found.high is not None
        both += found.corrected.low <= truth <= found.corrected.high
        alone += found.by_people.low <= truth <= found.by_people.high
        model += found.low <= truth <= found.high
        width_both += found.corrected.high - found.corrected.low
        width_alone += found.by_people.high - found.by_people.low
    assert both >= 0.94 * RUNS
    assert alone >= 0.94 * RUNS
    assert model <= 0.5 * RUNS
    assert width_both < width_alone


def test_labels_add_up() -> None:
    one = Labels({("uniform", True): sums(3, 1)}, open=1, doubled=Counter({(True, True): 1}))
    one.add(Labels({("uniform", True): sums(2, 2), ("uniform", False): sums(0, 1)}, open=2))
    assert (one.counts["uniform", True].passed, one.counts["uniform", True].failed, one.open) == (5, 3, 3)
