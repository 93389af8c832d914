"""What is known of the quality of a stream by one criterion: a rate with everything that is needed to read it.

Made by the store from its counts (`monitor.store.estimating`), shown by `oqm quality` and exported as metrics. A rate
is never given without its interval and the number of outputs that it rests on; where nothing was judged there is none.
Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from monitor.judgment.calibration import Agreed, Calibration, Labels, Rate, calibrate
from monitor.judgment.estimates import estimate
from monitor.judgment.intervals import sequence
from monitor.judgment.verdicts import Verdicts
from monitor.statistics.rates import wilson

ALPHA = 0.05
"""Error of an interval: 95 % is what readers expect without being asked."""


class Method(StrEnum):
    """How the rate came about."""

    SAMPLE = "sample"  # an evaluation model judged some outputs, drawn with known probabilities
    EVERY_OUTPUT = "every_output"  # a program checked each: a count, which needs no interval
    FEEDBACK = "feedback"  # users said so of the outputs that they chose to rate: a rate of these, not of all outputs


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """The share of a stream's outputs that pass a criterion, in a window of time.

    Attributes
    ----------
    stream, criterion
        Of what.
    by
        The segment or slice, by dimension (`{"language": "pl"}`); empty: all outputs of the stream.
    method
        How it is known.
    rate, low, high
        The share that passes, with the bounds of its interval; None where nothing was judged: nobody can tell.
    level
        Confidence of the interval. A check of every output is a count, whose bounds are the rate: 1.
    always_valid
        Whether the interval holds at all looks since `since` together, or at one look alone.
    judged
        Outputs with a verdict of the evaluation model, checked by the program, or rated up or down by a user.
    people
        How many of them people have labelled as well; of feedback, how many users said so.
    by_people
        The rate by people's labels alone, of outputs drawn for them; None where there are fewer than 30.
    corrected
        The rate by people's measure from both: the evaluator's verdicts, corrected by what people say of some of them.
        None where `by_people` is.
    borrowed
        Whether people labelled so few of one verdict in one stratum that the labels of that verdict in all strata are
        taken together.
    people_unsure, people_open
        Outputs that people looked at and could not tell, and that were drawn for them and wait.
    with_people, among_people
        How far the evaluator agrees with people, and a person's second opinion with the first, on the outputs that both
        rated: failures are looked at more often, so this is no share of all outputs. None where there are none.
    missing
        Outputs that were drawn and got no verdict, or a rating in the middle of its scale. They count neither as
        passing nor as failing.
    if_missing
        Lowest and highest rate if all of the missing had failed or passed; None where they are too few to matter.
    evaluator, identity
        Name of the evaluator, and the hash of its model, version and prompt; None for a check.
    identities
        How many evaluators judged in the window: each has its own row, over its own part of the window.
    sampled_share
        Share of the outputs that were drawn.
    seen
        Outputs counted.
    unjudged_share
        Share of the outputs in strata of the draw without a verdict: nothing is known of these.
    since, until
        Of the outputs, seconds since 1970; whole hours.
    """

    stream: str
    criterion: str
    by: Mapping[str, str] = {}
    method: Method = Method.SAMPLE
    rate: float | None
    low: float | None
    high: float | None
    level: float
    always_valid: bool
    judged: int
    people: int = 0
    by_people: Rate | None = None
    corrected: Rate | None = None
    borrowed: bool = False
    people_unsure: int = 0
    people_open: int = 0
    with_people: Agreed | None = None
    among_people: Agreed | None = None
    missing: int
    if_missing: tuple[float, float] | None = None
    evaluator: str | None = None
    identity: str | None = None
    identities: int = 1
    sampled_share: float | None
    seen: int
    unjudged_share: float = 0.0
    since: float
    until: float


def by_sample(
    stream: str,
    criterion: str,
    verdicts: Mapping[str, Verdicts],
    seen: Mapping[str, int],
    *,
    period: tuple[float, float],
    always_valid: bool = True,
    by: Mapping[str, str] | None = None,
    evaluator: tuple[str, str] | None = None,
    identities: int = 1,
    labels: Labels | None = None,
) -> Quality:
    """The estimate from verdicts and counts of outputs, each by stratum (`risky+uniform`).

    `evaluator` is name and identity; `labels` is what people say of outputs that it judged.
    """
    # A verdict can come before the count of its hour is written, never by more than the store's lag.
    drawn = {name: each.passed + each.failed + each.missing for name, each in verdicts.items()}
    strata = {
        name: verdicts.get(name, Verdicts()).counts(max(seen.get(name, 0), drawn.get(name, 0)))
        for name in {*seen, *verdicts}
    }
    found = estimate(strata, alpha=ALPHA, always_valid=always_valid)
    judged = sum(each.passed + each.failed for each in verdicts.values())
    missing = sum(each.missing for each in verdicts.values())
    number = found.seen if found is not None else 0
    known = found if found is not None and judged else None
    people = Calibration() if labels is None else calibrate(strata, labels, alpha=ALPHA, always_valid=always_valid)
    return Quality(
        stream=stream,
        criterion=criterion,
        by=by or {},
        rate=known.interval.rate if known else None,
        low=known.interval.low if known else None,
        high=known.interval.high if known else None,
        level=1 - ALPHA,
        always_valid=always_valid,
        judged=judged,
        people=people.people,
        by_people=people.alone,
        corrected=people.both,
        borrowed=people.borrowed,
        people_unsure=people.unsure,
        people_open=people.open,
        with_people=people.with_people,
        among_people=people.among_people,
        missing=missing,
        if_missing=known.if_missing if known else None,
        evaluator=evaluator[0] if evaluator else None,
        identity=evaluator[1] if evaluator else None,
        identities=identities,
        sampled_share=(judged + missing) / number if number else None,
        seen=number,
        unjudged_share=found.unjudged_share if found else 1.0,
        since=period[0],
        until=period[1],
    )


def by_check(
    stream: str,
    criterion: str,
    outputs: int,
    failed: int,
    *,
    period: tuple[float, float],
    by: Mapping[str, str] | None = None,
) -> Quality:
    """The rate of a check that a program made of each of `outputs`: exact for them."""
    rate = 1 - failed / outputs if outputs else None
    return Quality(
        stream=stream,
        criterion=criterion,
        by=by or {},
        method=Method.EVERY_OUTPUT,
        rate=rate,
        low=rate,
        high=rate,
        level=1.0,
        always_valid=True,
        judged=outputs,
        missing=0,
        sampled_share=1.0 if outputs else None,
        seen=outputs,
        since=period[0],
        until=period[1],
    )


def by_votes(
    stream: str,
    criterion: str,
    good: int,
    bad: int,
    neither: int,
    *,
    seen: int,
    period: tuple[float, float],
    always_valid: bool = True,
) -> Quality:
    """The share of users who were content among those who said so of `good` + `bad` outputs.

    The interval covers chance alone. Who answers chooses to, mostly those who are very content or not at all, so this
    is no share of all outputs, however narrow it is. `seen`: outputs of the stream, 0 where they are not counted.
    """
    number = good + bad
    known = (sequence(good, number, ALPHA) if always_valid else wilson(good, number, ALPHA)) if number else None
    return Quality(
        stream=stream,
        criterion=criterion,
        method=Method.FEEDBACK,
        rate=known.rate if known else None,
        low=known.low if known else None,
        high=known.high if known else None,
        level=1 - ALPHA,
        always_valid=always_valid,
        judged=number,
        people=number,
        missing=neither,
        sampled_share=None,
        seen=seen,
        since=period[0],
        until=period[1],
    )
