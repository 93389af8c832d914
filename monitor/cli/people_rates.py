"""What `oqm quality` says of people's labels: their rate, the corrected rate, and how far they agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.judgment.calibration import Agreed, Rate
    from monitor.judgment.quality import Quality


def has_people(one: Quality) -> bool:
    """Whether people labelled some of the outputs that an evaluator judged."""
    return one.corrected is not None


def people_rates(one: Quality, evaluator: str) -> Iterator[tuple[str, Rate]]:
    """Who says what: people alone, then both."""
    if one.by_people is not None:
        yield "people", one.by_people
    if one.corrected is not None:
        yield f"{evaluator} + people", one.corrected


def rate_in_words(rate: Rate) -> str:
    """`84.0 % pass (71.2 to 92.0)`."""
    return f"{percent(rate.rate)} % pass ({percent(rate.low)} to {percent(rate.high)})"


def people_notes(found: Iterable[Quality], name: Callable[[Quality], str]) -> Iterator[str]:
    """What a reader must know of people's labels; `name` gives that of an estimate."""
    from monitor.judgment.calibration import FEWEST_LABELS

    known = [one for one in found if one.with_people is not None]
    if any(map(has_people, known)):
        yield (
            "In a row with + people, people's labels correct the evaluator: this is the rate by their measure. They "
            "see more of what it failed, so how far both agree on what both rated is no share of all outputs."
        )
    for one in known:
        if not has_people(one):
            yield f"{name(one)}: people labelled {one.people:,}; from {FEWEST_LABELS} on they correct the evaluator."
        assert one.with_people is not None
        yield f"{name(one)}: {_said(one, one.with_people)}"
        if one.among_people is not None:
            yield f"{name(one)}: second opinions of people: {_agreement(one.among_people)}"
        if one.borrowed:
            yield (
                f"{name(one)}: people labelled fewer than 8 of a verdict in one stratum, so the labels of that verdict "
                "in all strata are taken together."
            )


def _said(one: Quality, agreed: Agreed) -> str:
    passed, failed = agreed.both_pass + agreed.first_only, agreed.second_only + agreed.both_fail
    who = one.evaluator or "the evaluator"
    left = [f"{count:,} {what}" for count, what in ((one.people_unsure, "could not be told"), (one.people_open, "wait"))
            if count]  # fmt: skip
    rest = f" ({', '.join(left)})" if left else ""
    return (
        f"people passed {agreed.both_pass:,} of {passed:,} that {who} passed and {agreed.second_only:,} of {failed:,} "
        f"that it failed{rest}; {_agreement(agreed)}"
    )


def _agreement(agreed: Agreed) -> str:
    same = agreed.both_pass + agreed.both_fail
    shown = f"the same in {same:,} of {agreed.items:,} ({percent(agreed.observed)} %)"
    if agreed.kappa is None or agreed.alpha is None:
        return f"{shown}, too few for kappa (50 needed, 10 of the rarer answer)."
    return f"{shown}, kappa {agreed.kappa:.2f}, alpha {agreed.alpha:.2f}."


def percent(share: float | None) -> str:
    """`92.2`; nothing that is below 100 is shown as 100, and nothing above 0 as 0."""
    if share is None:
        return "-"
    shown = f"{100 * share:.1f}"
    if shown == "100.0" and share < 1:
        return ">99.9"
    if shown == "0.0" and share > 0:
        return "<0.1"
    return "100" if shown == "100.0" else "0" if shown == "0.0" else shown
