"""The kind `decisions`: a service of one's own that decides, by one POST of JSON.

The request, to the `url` as it stands:

    {"model": "...", "criterion": {"name": "...", "pass": "..."}, "output": "...", "input": "..." | null,
     "prompt": "..." | null}

The answer holds at least one of `verdict`, `probability` (that the output passes) and `score` (higher is better), and
may hold the others:

    {"verdict": "pass" | "fail", "probability": 0.93, "score": 0.93, "reason": "...",
     "model": "...", "version": "...", "usage": {"input_tokens": 0, "output_tokens": 0}}

Without a verdict, an output passes from `threshold` on. Statuses mean what they mean for every kind: 429 and 5xx are
tried again, 401 to 405 block the evaluator, other 4xx leave this output without a verdict.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import msgspec
from pydantic import Field

from monitor.errors import NoVerdict
from monitor.evaluators.base import LONGEST_RATIONALE, Answer, Question
from monitor.evaluators.config import HttpEvaluatorConfig
from monitor.evaluators.http import HttpEvaluator, plain


class DecisionsConfig(HttpEvaluatorConfig):
    """A service that decides: one JSON object with the texts in, one with verdict, probability or score out."""

    EXAMPLE: ClassVar[str] = """\
name: own
url: http://127.0.0.1:8500/v1/decisions
model: groundedness-3            # sent along; another one is another judge
threshold: 0.5                   # passes from this probability or score on, where no verdict is given
"""

    kind: Literal["decisions"]
    model: str = Field("", max_length=200, description="which model the service is to use; sent as it stands here")
    threshold: float = Field(
        0.5, ge=0, le=1, description="probability or score from which an output passes, where no verdict is given"
    )


class _Usage(msgspec.Struct):
    input_tokens: int = 0
    output_tokens: int = 0


class _Decision(msgspec.Struct):
    verdict: Literal["pass", "fail"] | None = None
    probability: float | None = None
    score: float | None = None
    reason: str = ""
    model: str = ""
    version: str = ""
    usage: _Usage | None = None


class DecisionsEvaluator(HttpEvaluator[DecisionsConfig]):
    """Asks one service."""

    @property
    def asks(self) -> str:
        """Address, model and threshold."""
        config = self._config
        return "\0".join(("decisions", str(config.url), config.model, repr(config.threshold)))

    async def judge(self, question: Question) -> Answer:
        """One POST."""
        criterion = {"name": question.criterion, "pass": question.passes}
        texts = {"output": question.output, "input": question.input, "prompt": question.prompt}
        body = {"model": self._config.model, "criterion": criterion, **texts}
        return read_decision(await self._ask(str(self._config.url), body), self._config.threshold)


def read_decision(body: bytes, threshold: float) -> Answer:
    """The answer in a response. Raises `NoVerdict` where it holds none."""
    try:
        said = msgspec.json.decode(body, type=_Decision)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NoVerdict("unreadable", f"its answer is no decision: {plain(str(error))}") from None
    usage = said.usage or _Usage()
    used = max(usage.input_tokens, 0), max(usage.output_tokens, 0)
    score = said.probability if said.probability is not None else said.score
    if score is not None and not (math.isfinite(score) and 0.0 <= score <= 1.0):
        raise NoVerdict("unreadable", f"its probability or score is {score}, which is not between 0 and 1", used)
    if said.verdict is not None:
        passed = said.verdict == "pass"
    elif score is not None:
        passed = score >= threshold
    else:
        raise NoVerdict("unreadable", "its answer holds no verdict, probability or score", used)
    return Answer(
        passed=passed,
        score=score,
        rationale=said.reason[:LONGEST_RATIONALE],
        model=said.model[:200],
        fingerprint=said.version[:200],
        input_tokens=used[0],
        output_tokens=used[1],
    )


def make(config: DecisionsConfig) -> DecisionsEvaluator:
    """Called by the table of evaluators."""
    return DecisionsEvaluator(config)
