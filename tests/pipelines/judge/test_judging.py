from __future__ import annotations

from typing import Any

import pytest

from monitor.evaluators.base import Question
from monitor.evaluators.config import SentTexts
from monitor.judgment.draw import uniform
from monitor.judgment.records import Asked, Judgment, Purpose, Sampled, Side, SourcePlace
from monitor.settings import Settings
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.judge.desk import Desk, Outcome
from pipelines.judge.judging import Judging
from pipelines.judge.texts import cut, question_for

SALT = b"salt"
SETTINGS = Settings.model_validate(
    {
        "streams": [
            {
                "match": "s",
                "criteria": [
                    {"name": "good", "pass": "answers", "evaluator": "main", "sample": {"uniform": 0.5}},
                    {"name": "kind", "pass": "is friendly", "evaluator": "main"},
                    {"name": "short", "check": {"contains": "x"}},
                ],
            }
        ],
        "evaluators": [{"kind": "classifier", "name": "main"}],
    }
)


class Spending:
    scale = 1.0

    def asked(self, at: float) -> None:
        return

    def adjust(self, now: float) -> float:
        return self.scale


class Scripted:
    """Stands in for a `Desk`."""

    name = "main"
    config = SETTINGS.evaluators[0]

    def __init__(self) -> None:
        self.spending = Spending()
        self.questions: list[Question] = []
        self.fresh: list[bool] = []
        self.outcome = Outcome(passed=True, identity="i", model="m", tokens=7, cost_usd=0.5, latency_s=1.23456)

    async def ask(self, question: Question, *, fresh: bool = False) -> Outcome:
        self.fresh.append(fresh)
        self.questions.append(question)
        return self.outcome


def judging(desk: Scripted, stats: WorkerStats | None = None) -> Judging:
    desks: dict[str, Desk] = {"main": desk}  # type: ignore[dict-item]
    return Judging(desks, SETTINGS.criteria_of, SETTINGS.judged, SALT, stats or WorkerStats(), lambda: 5_000.0)


def sampled(*criteria: str, **fields: Any) -> Sampled:
    asked = tuple(Asked(criterion=name, probability=0.5, rules=("uniform",), by_uniform=True) for name in criteria)
    given: dict[str, Any] = {"stream": "s", "event": "e", "time": 10.0, "asked": asked, "output": "An answer."}
    return Sampled(**{**given, **fields})


async def test_each_criterion_has_one_judgment_with_what_the_sample_said() -> None:
    desk, stats = Scripted(), WorkerStats()
    place = SourcePlace("t", 1, 2)
    drawn = sampled("good", "kind", place=place, segments={"model.version": "2"})
    good, kind = await judging(desk, stats).judge(drawn, 20.0)
    assert good == Judgment(
        stream="s",
        event="e",
        time=10.0,
        criterion="good",
        place=place,
        probability=0.5,
        rules=("uniform",),
        by_uniform=True,
        segments={"model.version": "2"},
        passed=True,
        evaluator="main",
        identity="i",
        model="m",
        tokens=7,
        cost_usd=0.5,
        latency_s=1.2346,
        judged_at=5_000.0,
    )
    assert [question.passes for question in desk.questions] == ["answers", "is friendly"]
    assert kind.criterion == "kind"
    assert stats.judgments == {("main", "pass"): 2}
    assert (stats.evaluator_tokens["main"], stats.evaluator_cost["main"]) == (14, 1.0)


@pytest.mark.parametrize("name", ["gone", "short"])
async def test_a_criterion_that_nobody_judges_any_more_is_missing(name: str) -> None:
    desk = Scripted()
    (judgment,) = await judging(desk).judge(sampled(name), 20.0)
    assert (judgment.passed, judgment.missing, desk.questions) == (None, "no_criterion", [])


async def test_without_a_text_there_is_nothing_to_ask() -> None:
    desk = Scripted()
    (judgment,) = await judging(desk).judge(sampled("good", output=None), 20.0)
    assert (judgment.missing, judgment.evaluator, desk.questions) == ("no_text", "main", [])


async def test_anchors_and_diagnostic_outputs_name_their_criterion_whatever_their_stream() -> None:
    desk = Scripted()
    made = judging(desk)
    anchor = sampled("good", stream="~anchor/good", purpose=Purpose.ANCHOR, anchor="a1")
    (judgment,) = await made.judge(anchor, 20.0)
    assert (judgment.passed, judgment.purpose, judgment.anchor) == (True, Purpose.ANCHOR, "a1")
    diagnostic = sampled("good", purpose=Purpose.DIAGNOSTIC, finding="f", side=Side.AFTER)
    (judgment,) = await made.judge(diagnostic, 20.0)
    assert (judgment.finding, judgment.side) == ("f", Side.AFTER)
    assert desk.fresh == [True, False], "an anchor watches the evaluator, so nothing remembered may answer for it"
    (judgment,) = await made.judge(sampled("good", stream="other"), 20.0)
    assert judgment.missing == "no_criterion"


async def test_a_lowered_draw_is_a_nested_sample_with_its_probability() -> None:
    desk, stats = Scripted(), WorkerStats()
    made = judging(desk, stats)
    desk.spending.scale = 0.25
    events = [f"e{number}" for number in range(2_000)]
    drawn = [event for event in events if uniform(SALT, "s", event) < 0.5]
    found = [judgment for event in drawn for judgment in await made.judge(sampled("good", event=event), 20.0)]
    assert {judgment.event for judgment in found} == {event for event in events if uniform(SALT, "s", event) < 0.125}
    assert {(judgment.probability, judgment.by_uniform) for judgment in found} == {(0.125, True)}
    assert stats.judgments_left_out["main"] == len(drawn) - len(found)
    anchors = [await made.judge(sampled("good", event=event, purpose=Purpose.ANCHOR), 20.0) for event in drawn[:50]]
    assert all(len(one) == 1 for one in anchors), "anchors are not a sample"


def test_an_evaluator_gets_the_texts_that_it_may_see() -> None:
    criterion = SETTINGS.judged[0]
    texts = {"output": "Write to ada@example.org.", "input": "My card is 4111 1111 1111 1111", "prompt": "Be brief."}
    drawn = sampled("good", **texts)
    asked = question_for(drawn, criterion, SentTexts())
    assert asked is not None
    assert "ada@" not in asked.output
    assert "4111" not in (asked.input or "")
    assert asked.prompt is None
    chosen = SentTexts.model_validate({"output": "full", "input": "none", "prompt": "full"})
    full = question_for(drawn, criterion, chosen)
    assert full is not None
    assert (full.output, full.input, full.prompt) == ("Write to ada@example.org.", None, "Be brief.")


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    text = "".join(chr(97 + n % 26) for n in range(10_000))
    shown = cut(text, 1_000)
    assert shown.startswith(text[:600])
    assert shown.endswith(text[-400:])
    assert "9000 characters left out" in shown
    assert cut(text, 10_000) == text
