"""One alert: when its outputs are asked about, which verdicts count, and when it is concluded."""

from __future__ import annotations

import msgspec
import pytest

from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import Driver, State
from monitor.detection.records.judged import Harm
from monitor.judgment.records import Asked, Judgment, Purpose, Sampled, Side
from pipelines.matters.case import ANSWER_WITHIN_S, ASK_AFTER_S, SECOND_LOOK_WITHIN_S, Case, is_asked_about

NOW = 1_000.0


def questions(n: int = 40) -> list[Sampled]:
    return [
        Sampled(
            stream="s",
            event=f"e{k}",
            time=0.0,
            asked=(Asked(criterion="c"),),
            output="x",
            purpose=Purpose.DIAGNOSTIC,
            side=Side.BEFORE if k % 2 else Side.AFTER,
        )
        for k in range(n)
    ]


def answer(question: Sampled, passed: bool | None = True) -> Judgment:
    return Judgment(
        stream="s",
        event=question.event,
        time=0.0,
        criterion="c",
        purpose=Purpose.DIAGNOSTIC,
        side=question.side,
        passed=passed,
        missing=None if passed is not None else "timeout",
    )


def test_within_two_minutes_it_is_concluded_whatever_is_missing() -> None:
    assert ASK_AFTER_S + ANSWER_WITHIN_S < 120
    case = Case(sample_alert(), ["c"], NOW)
    assert not case.is_due(NOW + ASK_AFTER_S - 1)
    assert case.is_due(NOW + ASK_AFTER_S)
    assert not case.is_over(NOW + 10_000)
    case.ask(questions(), "", NOW + ASK_AFTER_S)
    assert not case.is_over(NOW + ASK_AFTER_S + 1)
    assert case.is_over(NOW + ASK_AFTER_S + ANSWER_WITHIN_S)
    judged = case.concluded()
    assert judged.harm is Harm.CANNOT_TELL
    assert "not answered in time 40" in judged.text


def test_it_is_over_once_all_is_answered_and_each_verdict_counts_once() -> None:
    case = Case(sample_alert(), ["c"], NOW)
    asked = questions()
    case.ask(asked, "", NOW)
    for question in asked:
        assert not case.is_over(NOW)
        case.take(answer(question, passed=question.side is Side.BEFORE))
        case.take(answer(question, passed=False))  # of a judge that was killed and asked again
    stranger = msgspec.structs.replace(answer(asked[0], passed=False), event="other")
    case.take(stranger)
    assert case.is_over(NOW)
    (counts,) = case.concluded().criteria
    assert (counts.failed_before, counts.judged_before) == (0, 20)
    assert (counts.failed_after, counts.judged_after) == (20, 20)


def test_without_a_single_output_it_is_over_at_once_and_says_why() -> None:
    case = Case(sample_alert(), ["c"], NOW)
    case.ask([], "only 0 outputs before the change found in the log", NOW)
    assert case.is_over(NOW)
    assert "only 0 outputs before the change" in case.concluded().text


def test_where_the_first_look_cannot_tell_a_second_one_adds_to_it() -> None:
    case = Case(sample_alert(), ["c"], NOW)
    asked = questions()
    case.ask(asked, "", NOW)
    for number, question in enumerate(asked):
        case.take(answer(question, passed=number not in (0, 2, 4)))  # 3 of 20 since the change
    first = case.concluded()
    assert (first.harm, first.look) == (Harm.CANNOT_TELL, 1)
    assert "Up to 60 outputs of each side are judged" in first.text
    assert case.goes_on(first, NOW + 5)
    assert (case.outputs, case.asked, case.is_due(NOW + 10_000)) == (60, False, False)
    assert case.looks_now(NOW + 5)
    assert not case.looks_now(NOW + 10)
    assert case.is_given_up(NOW + 5 + SECOND_LOOK_WITHIN_S)
    more = questions(120)[40:]
    case.ask(more, "", NOW + 500)
    assert not case.is_given_up(NOW + 5 + SECOND_LOOK_WITHIN_S)
    for question in more:
        case.take(answer(question))
    assert case.is_over(NOW + 501)
    second = case.concluded()
    (counts,) = second.criteria
    assert (counts.judged_before, counts.judged_after, counts.failed_after) == (60, 60, 3)
    assert (second.harm, second.look) == (Harm.HARMLESS, 2)
    assert not case.goes_on(second, NOW + 502)


def test_what_is_told_or_was_looked_at_twice_does_not_go_on() -> None:
    case = Case(sample_alert(), ["c"], NOW)
    case.ask(questions(), "", NOW)
    assert not case.goes_on(msgspec.structs.replace(case.concluded(), harm=Harm.HARMFUL), NOW)
    assert case.goes_on(case.concluded(), NOW)
    assert not case.goes_on(case.concluded(), NOW)


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({}, True),
        ({"state": State.RESOLVED}, False),
        ({"state": State.INFO}, False),
        ({"revision": 1}, False),
        ({"driver": Driver.CALL}, False),
        ({"driver": Driver.INPUT}, False),
        ({"driver": None}, False),
    ],
)
def test_only_alerts_that_open_about_outputs(changes: dict[str, object], asked: bool) -> None:
    alert = msgspec.structs.replace(sample_alert(), driver=Driver.OUTPUT)
    assert is_asked_about(msgspec.structs.replace(alert, **changes)) is asked
