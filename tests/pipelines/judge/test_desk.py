from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from monitor.errors import EvaluatorBlocked, NoVerdict, RetryableEvaluation
from monitor.evaluators.base import Answer, Question
from monitor.evaluators.chat import ChatConfig
from pipelines.judge.desk import CACHED_FOR_S, DOWN_AFTER_S, DOWN_AFTER_UNREADABLE, Desk, Timing

PASS = Answer(passed=True, score=0.9, rationale="r" * 5_000, model="m-1", input_tokens=90, output_tokens=10)


@dataclass
class Scripted:
    """Answers with what `say` returns or raises."""

    say: Callable[[int], Answer | Exception] = lambda call: PASS
    name: str = "main"
    asks: str = "scripted"
    calls: int = 0
    at_once: int = 0
    most_at_once: int = 0
    wait: Callable[[], Awaitable[None]] | None = None

    async def judge(self, question: Question) -> Answer:
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.wait is not None:
                await self.wait()
            said = self.say(self.calls)
            if isinstance(said, Exception):
                raise said
            return said
        finally:
            self.at_once -= 1

    async def close(self) -> None:
        return


@dataclass
class Time:
    now: float = 1_000_000.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Time:
    return Time()


def desk(evaluator: Scripted, time: Time, *, give_up_s: float = 3_600.0, waiting: int | None = None, **of: Any) -> Desk:
    config = {"kind": "chat", "name": "main", "url": "http://127.0.0.1:1", "model": "m", **of}
    timing = Timing(lambda: time.now, lambda: time.now, time.sleep, lambda: 0.5)
    return Desk(evaluator, ChatConfig.model_validate(config), give_up_s, waiting, timing)


def q(text: str) -> Question:
    return Question("good", "answers", text)


async def test_a_verdict_has_what_the_judgment_records(time: Time) -> None:
    made = desk(Scripted(), time, prices={"input": 1.0, "output": 2.0})
    outcome = await made.ask(q("a"))
    assert (outcome.passed, outcome.missing, outcome.score, outcome.model) == (True, None, 0.9, "m-1")
    assert (len(outcome.rationale), outcome.tokens, outcome.cached) == (1_000, 100, False)
    assert outcome.cost_usd == pytest.approx(110e-6)
    assert len(outcome.identity) == 16


async def test_an_equal_text_is_asked_once_and_costs_once(time: Time) -> None:
    evaluator = Scripted()
    made = desk(evaluator, time)
    first, again, other = await made.ask(q("a")), await made.ask(q("a")), await made.ask(q("b"))
    assert (evaluator.calls, first.cached, again.cached, other.cached) == (2, False, True, False)
    assert (again.passed, again.identity, again.tokens, again.cost_usd) == (first.passed, first.identity, 0, 0.0)


async def test_what_is_remembered_is_neither_old_nor_used_for_the_evaluator_itself(time: Time) -> None:
    evaluator = Scripted()
    made = desk(evaluator, time)
    await made.ask(q("a"))
    assert not (await made.ask(q("a"), fresh=True)).cached
    time.now += CACHED_FOR_S + 1.0
    assert not (await made.ask(q("a"))).cached
    assert evaluator.calls == 3


async def test_another_model_behind_the_name_is_another_judge(time: Time) -> None:
    evaluator = Scripted()
    made = desk(evaluator, time)
    first = await made.ask(q("a"))
    evaluator.say = lambda call: Answer(passed=False, model="m-2")
    assert (await made.ask(q("b"))).identity != first.identity
    assert (await made.ask(q("a"))).passed is False


async def test_a_missing_verdict_is_not_remembered(time: Time) -> None:
    evaluator = Scripted(lambda call: NoVerdict("unreadable", "no JSON", (50, 5)) if call == 1 else PASS)
    made = desk(evaluator, time)
    outcome = await made.ask(q("a"))
    assert (outcome.passed, outcome.missing, outcome.rationale, outcome.tokens) == (None, "unreadable", "no JSON", 55)
    assert (await made.ask(q("a"))).passed is True


async def test_what_may_pass_is_tried_again_with_longer_waits(time: Time) -> None:
    evaluator = Scripted(lambda call: RetryableEvaluation("busy") if call <= 3 else PASS)
    outcome = await desk(evaluator, time).ask(q("a"))
    assert (outcome.passed, evaluator.calls) == (True, 4)
    assert time.slept == [0.75, 1.5, 3.0]


async def test_the_evaluators_own_wish_is_kept(time: Time) -> None:
    evaluator = Scripted(lambda call: RetryableEvaluation("busy", 77.0) if call == 1 else PASS)
    assert (await desk(evaluator, time).ask(q("a"))).passed is True
    assert sum(time.slept) >= 77.0


async def test_a_wait_ends_and_the_verdict_is_missing(time: Time) -> None:
    evaluator = Scripted(lambda call: RetryableEvaluation("gone", kind="timeout"))
    began = time.now
    outcome = await desk(evaluator, time, give_up_s=600.0).ask(q("a"))
    assert (outcome.passed, outcome.missing, outcome.rationale) == (None, "timeout", "gone")
    assert time.now - began <= 600.0
    assert evaluator.calls <= 15


async def test_a_blocked_evaluator_is_down_at_once_and_up_with_its_next_verdict(time: Time) -> None:
    evaluator = Scripted(lambda call: EvaluatorBlocked("answered 401: no such key"))
    made = desk(evaluator, time, give_up_s=300.0)
    outcome = await made.ask(q("a"))
    assert (outcome.missing, outcome.passed) == ("blocked", None)
    assert made.down == "answered 401: no such key"
    assert evaluator.calls <= 6
    evaluator.say = lambda call: PASS
    time.now += 400.0
    assert (await made.ask(q("b"))).passed is True
    assert made.down is None


async def test_an_evaluator_that_stays_away_is_down(time: Time) -> None:
    evaluator = Scripted(lambda call: RetryableEvaluation("gone"))
    made = desk(evaluator, time, give_up_s=DOWN_AFTER_S / 2)
    await made.ask(q("a"))
    assert made.down is None
    time.now += DOWN_AFTER_S
    await made.ask(q("b"))
    assert made.down == "gone"


@pytest.mark.parametrize("kind", ["unreadable", "rejected"])
async def test_an_evaluator_that_never_gives_a_verdict_is_down(time: Time, kind: str) -> None:
    evaluator = Scripted(lambda call: NoVerdict(kind, "an HTML page"))
    made = desk(evaluator, time)
    for number in range(DOWN_AFTER_UNREADABLE):
        assert made.down is None
        await made.ask(q(str(number)))
    assert made.down is not None
    assert "an HTML page" in made.down
    evaluator.say = lambda call: NoVerdict("refused", "content filter")
    await made.ask(q("x"))
    assert made.down is None


async def test_an_evaluator_that_breaks_its_contract_costs_its_verdicts_only(time: Time) -> None:
    made = desk(Scripted(lambda call: ZeroDivisionError("bug")), time)
    assert (await made.ask(q("a"))).missing == "failed"
    made = desk(Scripted(lambda call: Answer(passed=True, score=7.0)), time)
    assert (await made.ask(q("a"))).missing == "unreadable"


async def test_no_more_questions_at_once_than_the_settings_allow(time: Time) -> None:
    evaluator = Scripted(wait=lambda: asyncio.sleep(0.001))
    made = desk(evaluator, time, concurrency=3)
    await asyncio.gather(*(made.ask(q(str(number))) for number in range(30)))
    assert (evaluator.calls, evaluator.most_at_once) == (30, 3)


async def test_the_rate_limit_spaces_requests(time: Time) -> None:
    evaluator = Scripted()
    made = desk(evaluator, time, requests_per_minute=30, concurrency=1)
    began = time.now
    for number in range(10):
        await made.ask(q(str(number)))
    assert time.now - began == pytest.approx(18.0)


async def test_an_open_circuit_lets_one_question_through(time: Time) -> None:
    evaluator = Scripted(lambda call: RetryableEvaluation("gone"))
    made = desk(evaluator, time, give_up_s=120.0)
    await asyncio.gather(*(made.ask(q(str(number))) for number in range(200)))
    assert evaluator.calls < 40


async def test_where_others_wait_for_their_turn_few_wait_for_one_that_is_away(time: Time) -> None:
    evaluator = Scripted(lambda call: EvaluatorBlocked("no money"))
    made = desk(evaluator, time, give_up_s=900.0, waiting=5)
    waiting = [asyncio.create_task(made.ask(q(str(number)))) for number in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    began = time.now
    assert (await made.ask(q("more"))).missing == "blocked"
    assert time.now - began < 900.0
    await asyncio.gather(*waiting)


async def test_beyond_the_budget_a_verdict_is_missing(time: Time) -> None:
    made = desk(Scripted(), time, spend={"tokens_per_day": 250})
    outcomes = [await made.ask(q(str(number))) for number in range(5)]
    assert [outcome.missing for outcome in outcomes] == [None, None, None, "budget", "budget"]


async def test_a_cancelled_probe_does_not_keep_the_circuit_open(time: Time) -> None:
    evaluator = Scripted(lambda call: EvaluatorBlocked("no key"))
    made = desk(evaluator, time, give_up_s=10.0)
    await made.ask(q("a"))
    time.now += 400.0

    async def never() -> None:
        await asyncio.Event().wait()

    evaluator.wait = never
    probe = asyncio.create_task(made.ask(q("b")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    evaluator.wait, evaluator.say = None, lambda call: PASS
    assert (await made.ask(q("c"))).passed is True
