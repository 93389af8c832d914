"""`Desk`: one evaluator with everything that stands between it and the outputs: cache, limits, waits, circuit, state.

Every question ends with an `Outcome`, a verdict or the reason why there is none; nothing is raised for what an
evaluator does. An evaluator that fails gets no more requests for a while, then a single one (the circuit breaker of the
sinks). One that is *blocked* (key, billing, model gone) or stays away is down: a state with a reason, which alerts.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from monitor.errors import EvaluatorBlocked, NoVerdict, RetryableEvaluation
from monitor.evaluators.base import LONGEST_RATIONALE, Answer, Evaluator, Question, identity
from monitor.evaluators.config import EvaluatorConfig, HttpEvaluatorConfig
from monitor.settings import Delivery
from pipelines.judge.spending import Spending
from pipelines.stages.notify.circuit_breaker import CircuitBreaker, wait_before

log = logging.getLogger(__name__)

CACHED_VERDICTS = 20_000
"""Verdicts that are remembered for each evaluator, the latest: some 10 MB with their reasons."""
CACHED_FOR_S = 86_400.0
"""A verdict is asked for again after a day: a model may change behind its name and say nothing."""
PROBE_EVERY_S = 60.0
"""How soon a blocked evaluator is asked again: an operator who has paid or changed the key sees it within a minute."""
DOWN_AFTER_S = 300.0
"""An evaluator that fails for this long is down: longer than the restarts and short outages of providers."""
DOWN_AFTER_UNREADABLE = 20
"""Answers in a row after which an evaluator is down that hold no verdict, or refuse the request as it is (a parameter
that the server does not know): chance and odd outputs end earlier."""
GRACE_S = 5.0
"""What an evaluator gets beyond its own time-out before its call is cancelled."""
LONGEST_CALL_S = 60.0
"""Time-out of an evaluator that has none in its settings: one that computes here."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a question; the fields are those of `monitor.judgment.records.Judgment`."""

    passed: bool | None = None
    missing: str | None = None
    score: float | None = None
    rationale: str = ""
    identity: str = ""
    model: str = ""
    tokens: int = 0
    cost_usd: float = 0.0
    latency_s: float = 0.0
    cached: bool = False


@dataclass(frozen=True)
class Timing:
    """How time passes; tests give their own. `clock` is in seconds since 1970, `uniform` the jitter in [0, 1)."""

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    uniform: Callable[[], float] = random.random


class Desk:
    """Asks one evaluator. Everything here runs in one event loop.

    Parameters
    ----------
    evaluator, config
        The evaluator and its settings.
    give_up_s
        How long a question waits for an evaluator that does not answer.
    max_waiting
        Questions that may wait while the evaluator is away; further ones end at once. None: no limit here.
    timing
        Clock and waits.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        config: EvaluatorConfig,
        give_up_s: float,
        max_waiting: int | None = None,
        timing: Timing = Timing(),
    ) -> None:
        self.name = config.name
        self.config = config
        self.spending = Spending(config)
        self.down: str | None = None
        """Why the evaluator is down; None while it answers."""
        self.verdicts = 0
        """Answers that could be read, refusals among them."""
        self._evaluator = evaluator
        self._give_up_s = give_up_s
        self._max_waiting = max_waiting
        self._timing = timing
        self._delivery = Delivery()
        self._circuit = CircuitBreaker(self._delivery, timing.uniform)
        self._turns = asyncio.Semaphore(config.concurrency)
        self._cache: OrderedDict[str, tuple[Outcome, float]] = OrderedDict()
        self._identity = ""
        self._waiting = 0
        self._next_turn = 0.0
        self._failing_since: float | None = None
        self._failure: RetryableEvaluation | EvaluatorBlocked | None = None
        self._unreadable = 0

    async def close(self) -> None:
        """Release the evaluator's connections."""
        await self._evaluator.close()

    async def ask(self, question: Question, *, fresh: bool = False) -> Outcome:
        """The outcome of a question; waits for its turn and for an evaluator that is away, at most `give_up_s`.

        `fresh`: not from the cache, as the evaluator itself is looked at and not the output.
        """
        key = question.hash()
        if not fresh and (known := self._known(key)) is not None:
            return msgspec.structs.replace(known, cached=True, tokens=0, cost_usd=0.0, latency_s=0.0)
        if self._failure is not None and self._max_waiting is not None and self._waiting >= self._max_waiting:
            return self._given_up()
        self._waiting += 1
        try:
            # Only the evaluator's being away ends a wait: one that answers slowly is waited for.
            async with self._turns:
                outcome = await self._until_it_answers(question)
        finally:
            self._waiting -= 1
        if outcome.passed is not None:
            self._remember(key, outcome)
        return outcome

    async def _until_it_answers(self, question: Question) -> Outcome:
        monotonic = self._timing.monotonic
        deadline, attempt = monotonic() + self._give_up_s, 0
        while True:
            if self._failing_since is not None:
                deadline = min(deadline, max(self._failing_since + self._give_up_s, monotonic()))
            wait = self._circuit.admit(monotonic())
            if wait > 0.0:
                if monotonic() + wait > deadline:
                    return self._given_up()
                await self._timing.sleep(wait)
                continue
            try:
                await self._rate()
            except asyncio.CancelledError:
                self._circuit.abandoned()
                raise
            if not self.spending.begins(self._timing.clock()):
                self._circuit.abandoned()
                return Outcome(missing="budget")
            attempt += 1
            try:
                return await self._once(question)
            except (RetryableEvaluation, EvaluatorBlocked) as error:
                asked_s = PROBE_EVERY_S if isinstance(error, EvaluatorBlocked) else error.retry_after_s
                self._fails(error, asked_s)
                wait = wait_before(attempt, self._delivery, asked_s, self._timing.uniform)
                if monotonic() + wait > deadline:
                    return self._given_up()
                await self._timing.sleep(wait)

    async def _once(self, question: Question) -> Outcome:
        """One request. Raises `RetryableEvaluation` and `EvaluatorBlocked`."""
        began = self._timing.monotonic()
        used = (0, 0)
        try:
            limit = self.config.timeout if isinstance(self.config, HttpEvaluatorConfig) else LONGEST_CALL_S
            async with asyncio.timeout(limit + GRACE_S):
                answer = await self._evaluator.judge(question)
            used = answer.input_tokens, answer.output_tokens
        except (RetryableEvaluation, EvaluatorBlocked):
            raise
        except TimeoutError:
            raise RetryableEvaluation("did not end within its time-out", kind="timeout") from None
        except NoVerdict as error:
            used = error.tokens
            self._answers(readable=error.kind == "refused", why=str(error))
            return self._missing(error.kind, str(error), used, self._timing.monotonic() - began)
        except asyncio.CancelledError:
            self._circuit.abandoned()
            raise
        except Exception as error:  # an evaluator that keeps no contract costs its own verdicts, not the worker
            log.exception("evaluator %s failed", self.name)
            self._answers(readable=False, why=f"{type(error).__name__}: {error}")
            return self._missing("failed", f"{type(error).__name__}: {error}", used, 0.0)
        finally:
            self.spending.ends(self.config.prices.cost(*used), sum(used))
        return self._answered(answer, self._timing.monotonic() - began)

    def _answered(self, answer: Answer, latency_s: float) -> Outcome:
        if answer.score is not None and not 0.0 <= answer.score <= 1.0:
            self._answers(readable=False, why=f"its score is {answer.score}, which is not between 0 and 1")
            return self._missing(
                "unreadable", f"score {answer.score}", (answer.input_tokens, answer.output_tokens), 0.0
            )
        self._answers(readable=True, why="")
        spoke = identity(self._evaluator.asks, answer)
        if spoke != self._identity:
            # Another judge: what the one before said may not stand for it.
            self._cache.clear()
            self._identity = spoke
        return Outcome(
            passed=answer.passed,
            score=answer.score,
            rationale=answer.rationale[:LONGEST_RATIONALE],
            identity=spoke,
            model=answer.model,
            tokens=answer.input_tokens + answer.output_tokens,
            cost_usd=self.config.prices.cost(answer.input_tokens, answer.output_tokens),
            latency_s=latency_s,
        )

    def _missing(self, kind: str, why: str, used: tuple[int, int], latency_s: float) -> Outcome:
        return Outcome(
            missing=kind,
            rationale=why[:LONGEST_RATIONALE],
            identity=self._identity,
            tokens=sum(used),
            cost_usd=self.config.prices.cost(*used),
            latency_s=latency_s,
        )

    def _given_up(self) -> Outcome:
        error = self._failure
        kind = "blocked" if isinstance(error, EvaluatorBlocked) else error.kind if error is not None else "unavailable"
        return Outcome(missing=kind, rationale=str(error or "")[:LONGEST_RATIONALE])

    def _answers(self, *, readable: bool, why: str) -> None:
        """It answered: the circuit closes, and it is up again, unless nothing that it says can be read."""
        self._circuit.answered()
        self._failing_since = self._failure = None
        self._unreadable = 0 if readable else self._unreadable + 1
        if readable:
            self.verdicts += 1
            self._set_down(None)
        elif self._unreadable >= DOWN_AFTER_UNREADABLE:
            self._set_down(f"{self._unreadable} answers in a row without a verdict: {why}")

    def _fails(self, error: RetryableEvaluation | EvaluatorBlocked, asked_s: float | None) -> None:
        now = self._timing.monotonic()
        self._circuit.failed(now, asked_s)
        self._failure = error
        if self._failing_since is None:
            self._failing_since = now
        if isinstance(error, EvaluatorBlocked) or now - self._failing_since >= DOWN_AFTER_S:
            self._set_down(str(error))

    def _set_down(self, reason: str | None) -> None:
        if (reason is None) != (self.down is None):
            if reason is None:
                log.warning("evaluator %s answers again", self.name)
            else:
                log.warning("evaluator %s is down: %s", self.name, reason)
        self.down = reason

    async def _rate(self) -> None:
        if self.config.requests_per_minute is None:
            return
        now = self._timing.monotonic()
        at = max(now, self._next_turn)
        self._next_turn = at + 60.0 / self.config.requests_per_minute
        if at > now:
            await self._timing.sleep(at - now)

    def _known(self, key: str) -> Outcome | None:
        outcome, since = self._cache.get(key, (None, 0.0))
        return outcome if self._timing.monotonic() - since < CACHED_FOR_S else None

    def _remember(self, key: str, outcome: Outcome) -> None:
        if outcome.identity != self._identity:
            return
        self._cache[key] = outcome, self._timing.monotonic()
        self._cache.move_to_end(key)
        if len(self._cache) > CACHED_VERDICTS:
            self._cache.popitem(last=False)
