"""Every kind of evaluator: the contract, services that fail, and answers of all sorts. New kinds come by the table."""

from __future__ import annotations

import asyncio
import gzip
import importlib
import json
import socket
from pathlib import Path

import pytest
from aiohttp import web

import monitor.evaluators
from monitor.errors import EvaluationError, EvaluatorBlocked, NoVerdict, RetryableEvaluation
from monitor.evaluators.config import EvaluatorConfig
from monitor.evaluators.http import MOST_BYTES
from monitor.evaluators.registry import EVALUATORS, build_evaluator, kind_of
from monitor.testing.evaluators import check_evaluator, check_evaluator_failure, question
from monitor.testing.scripted_evaluator import ScriptedEvaluator
from tests.evaluators.samples import KEY, at, example_of, http_kinds
from tests.sinks.receiver import Answer, Receiver, drip, hang, hang_up

EVERY_KIND = pytest.mark.parametrize("config", EVALUATORS, ids=kind_of)
EVERY_HTTP_KIND = pytest.mark.parametrize("config", http_kinds(), ids=kind_of)


@EVERY_KIND
def test_a_kind_is_in_the_table_and_made_from_its_example(config: type[EvaluatorConfig]) -> None:
    made = example_of(config)
    assert build_evaluator(made).name == made.name


def test_every_module_with_a_kind_is_in_the_table() -> None:
    folder = Path(monitor.evaluators.__file__).parent
    modules = [importlib.import_module(f"monitor.evaluators.{path.stem}") for path in folder.glob("[a-z]*.py")]
    assert {module.__name__ for module in modules if hasattr(module, "make")} == {one.__module__ for one in EVALUATORS}


@EVERY_HTTP_KIND
async def test_keeps_the_contract(scripted: ScriptedEvaluator, config: type[EvaluatorConfig]) -> None:
    url = scripted.url + ("/decisions" if kind_of(config) == "decisions" else "")
    await check_evaluator(lambda: at(config, url), passing="We open at nine.", failing="banana banana")
    assert {asked.output for asked in scripted.asked} >= {"We open at nine.", "banana banana"}


async def test_the_classifier_keeps_the_contract() -> None:
    config = example_of(next(one for one in EVALUATORS if kind_of(one) == "classifier"))
    await check_evaluator(
        lambda: build_evaluator(config),
        passing="The shop opens at nine in the morning and closes at six.",
        failing="I'm sorry, but I cannot help with that request.",
    )


@EVERY_HTTP_KIND
@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "wait", "kind"),
    [
        (500, {}, "why\nnot\x1b[0m", RetryableEvaluation, None, "unavailable"),
        (503, {"Retry-After": "120"}, "", RetryableEvaluation, 120.0, "unavailable"),
        (429, {"Retry-After": "7"}, "slow down", RetryableEvaluation, 7.0, "unavailable"),
        (429, {}, '{"error": {"code": "insufficient_quota"}}', EvaluatorBlocked, None, None),
        (408, {}, "", RetryableEvaluation, None, "unavailable"),
        (401, {}, f"the key {KEY} is not known", EvaluatorBlocked, None, None),
        (402, {}, "", EvaluatorBlocked, None, None),
        (403, {}, "", EvaluatorBlocked, None, None),
        (404, {}, "no such model", EvaluatorBlocked, None, None),
        (302, {"Location": "http://127.0.0.1:1/"}, "", EvaluatorBlocked, None, None),
        (400, {}, "context length exceeded", NoVerdict, None, "rejected"),
        (413, {}, "", NoVerdict, None, "rejected"),
        (400, {}, '{"error": {"code": "content_filter"}}', NoVerdict, None, "refused"),
        (200, {}, "<html>Bad gateway</html>", NoVerdict, None, "unreadable"),
        (200, {}, "", NoVerdict, None, "unreadable"),
        (200, {}, "null", NoVerdict, None, "unreadable"),
        (200, {}, "{}", NoVerdict, None, "unreadable"),
        (200, {}, "[" * 400_000, NoVerdict, None, "unreadable"),
        (200, {}, "x" * (MOST_BYTES + 1), NoVerdict, None, "unreadable"),
        (200, {}, '{"choices": [{"message": {"content": 7}}], "verdict": "maybe"}', NoVerdict, None, "unreadable"),
        (200, {}, '{"choices": [], "probability": 1.5}', NoVerdict, None, "unreadable"),
    ],
)
async def test_an_answer_says_what_to_do(
    server: Receiver,
    config: type[EvaluatorConfig],
    status: int,
    headers: dict[str, str],
    body: str,
    error: type[EvaluationError],
    wait: float | None,
    kind: str | None,
) -> None:
    server.status, server.headers, server.text = status, headers, body
    evaluator = at(config, server.url)
    await check_evaluator_failure(evaluator, error, kind=kind, secrets=[KEY], retry_after_s=wait)
    assert server.last[1]["Authorization"] == f"Bearer {KEY}"
    await evaluator.close()


async def bomb(request: web.Request) -> web.StreamResponse:
    """A gigabyte of zeros in a megabyte."""
    return web.Response(body=gzip.compress(bytes(2**24), 1), headers={"Content-Encoding": "gzip"})


@EVERY_HTTP_KIND
@pytest.mark.parametrize(
    ("answer", "error", "kind"),
    [
        (hang, RetryableEvaluation, "timeout"),
        (drip, RetryableEvaluation, "timeout"),
        (hang_up, RetryableEvaluation, "unavailable"),
        (bomb, NoVerdict, "unreadable"),
    ],
)
async def test_an_evaluator_that_misbehaves_hangs_nothing(
    server: Receiver, config: type[EvaluatorConfig], answer: Answer, error: type[EvaluationError], kind: str
) -> None:
    server.answer = answer
    evaluator = at(config, server.url, timeout=0.3)
    async with asyncio.timeout(10):
        await check_evaluator_failure(evaluator, error, kind=kind, secrets=[KEY])
    await evaluator.close()


@EVERY_HTTP_KIND
async def test_nobody_listens(config: type[EvaluatorConfig]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        evaluator = at(config, f"http://127.0.0.1:{taken.getsockname()[1]}", timeout=5)
        await check_evaluator_failure(evaluator, RetryableEvaluation, kind="unavailable", secrets=[KEY])
        await evaluator.close()


@pytest.mark.parametrize(
    ("content", "passed"),
    [
        ('{"reasons": "fine", "verdict": "pass"}', True),
        ('```json\n{"reasons": "bad", "verdict": "fail"}\n```', False),
        ('{"verdict": "pass"}', None),
        ('{"reasons": "fine", "verdict": "PASS"}', None),
        ('{"reasons": "fine", "verdict": "pass", "more": 1}', None),
        ('The verdict is "pass". {"reasons": "", "verdict": "pass"}', None),
        ("pass", None),
    ],
)
async def test_only_a_verdict_of_the_schema_counts(server: Receiver, content: str, passed: bool | None) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 9}
    server.text = json.dumps({"choices": [{"message": {"content": content}}], "usage": usage})
    evaluator = at(http_kinds()[0], server.url)
    if passed is None:
        with pytest.raises(NoVerdict) as caught:
            await evaluator.judge(question("x"))
        assert (caught.value.kind, caught.value.tokens) == ("unreadable", (100, 9))
    else:
        answer = await evaluator.judge(question("x"))
        assert (answer.passed, answer.input_tokens, answer.output_tokens) == (passed, 100, 9)
    await evaluator.close()


@pytest.mark.parametrize("choice", [{"message": {"refusal": "no"}}, {"message": {}, "finish_reason": "content_filter"}])
async def test_a_model_that_refuses_to_judge_gives_no_verdict(server: Receiver, choice: object) -> None:
    server.text = json.dumps({"choices": [choice]})
    evaluator = at(http_kinds()[0], server.url)
    await check_evaluator_failure(evaluator, NoVerdict, kind="refused")
    await evaluator.close()


@pytest.mark.parametrize(
    ("said", "passed", "score"),
    [
        ({"verdict": "fail", "probability": 0.9}, False, 0.9),
        ({"probability": 0.7}, True, 0.7),
        ({"score": 0.2, "reason": "r"}, False, 0.2),
        ({"verdict": "pass"}, True, None),
    ],
)
async def test_a_decision_is_a_verdict_a_probability_or_a_score(
    server: Receiver, said: object, passed: bool, score: float | None
) -> None:
    server.text = json.dumps(said)
    evaluator = at(next(one for one in EVALUATORS if kind_of(one) == "decisions"), server.url)
    answer = await evaluator.judge(question("x"))
    assert (answer.passed, answer.score) == (passed, score)
    sent = server.json()
    assert sent["criterion"] == {"name": "answers", "pass": "answers what was asked"}
    assert (sent["output"], sent["input"], sent["prompt"]) == ("x", "When does it open?", "Be brief.")
    await evaluator.close()
