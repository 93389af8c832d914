"""`Judging`: from a drawn output to its judgments, one for each criterion that it was drawn for.

Each criterion is asked by itself, so that one verdict does not colour another. Whatever an evaluator does, every
(event, criterion) gets exactly one judgment here: a verdict, or the reason why there is none. The one exception is
honest: where the budget or the rate limit lowers the draw, an output that the lowered draw leaves out was never drawn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from monitor.criteria.criterion import Criterion
from monitor.judgment.draw import uniform
from monitor.judgment.records import Asked, Judgment, Purpose, Sampled
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.judge.desk import Desk, Outcome
from pipelines.judge.texts import question_for

CriteriaOf = Callable[[str], Iterable[Criterion]]


class Judging:
    """Judges drawn outputs.

    Parameters
    ----------
    desks
        The evaluators by name.
    criteria_of
        The criteria of a stream.
    judged
        All criteria that have an evaluator: an anchor names its criterion, whatever its stream.
    salt
        Key of the draw, with which a lowered draw is made again.
    stats
        Counts of judgments.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        desks: Mapping[str, Desk],
        criteria_of: CriteriaOf,
        judged: Iterable[Criterion],
        salt: bytes,
        stats: WorkerStats,
        clock: Callable[[], float],
    ) -> None:
        self._desks = desks
        self._criteria_of = criteria_of
        self._judged = {criterion.name: criterion for criterion in judged}
        self._salt = salt
        self._stats = stats
        self._clock = clock

    async def judge(self, sampled: Sampled, arrived: float) -> list[Judgment]:
        """One judgment for each criterion asked; none for those that a lowered draw leaves out.

        `arrived` is Kafka's time of the message, in seconds since 1970.
        """
        found = await asyncio.gather(*(self._one(sampled, asked, arrived) for asked in sampled.asked))
        return [judgment for judgment in found if judgment is not None]

    async def _one(self, sampled: Sampled, asked: Asked, arrived: float) -> Judgment | None:
        criterion = self._criterion(sampled, asked.criterion)
        desk = self._desks.get(criterion.evaluator or "") if criterion is not None else None
        if criterion is None or desk is None:
            return self._record(sampled, asked, "", Outcome(missing="no_criterion"))
        lowered = self._lowered(sampled, asked, criterion, desk, arrived)
        if lowered is None:
            self._stats.judgments_left_out[desk.name] += 1
            return None
        question = question_for(sampled, criterion, desk.config.texts)
        fresh = sampled.purpose is Purpose.ANCHOR
        outcome = Outcome(missing="no_text") if question is None else await desk.ask(question, fresh=fresh)
        return self._record(sampled, lowered, desk.name, outcome)

    def _criterion(self, sampled: Sampled, name: str) -> Criterion | None:
        for criterion in self._criteria_of(sampled.stream):
            if criterion.name == name and criterion.judged:
                return criterion
        return None if sampled.purpose is Purpose.SAMPLE else self._judged.get(name)

    def _lowered(
        self, sampled: Sampled, asked: Asked, criterion: Criterion, desk: Desk, arrived: float
    ) -> Asked | None:
        """How the output is drawn where the evaluator can take only a part; None where it is left out.

        Only the sample is lowered: diagnostic outputs and anchors are few, and each was chosen.
        """
        if sampled.purpose is not Purpose.SAMPLE:
            return asked
        desk.spending.asked(arrived)
        scale = desk.spending.adjust(self._clock())
        if scale >= 1.0:
            return asked
        u = uniform(self._salt, sampled.stream, sampled.event)
        if u >= asked.probability * scale:
            return None
        return Asked(
            criterion=asked.criterion,
            probability=asked.probability * scale,
            rules=asked.rules,
            by_uniform=asked.by_uniform and u < criterion.sample.uniform * scale,
        )

    def _record(self, sampled: Sampled, asked: Asked, evaluator: str, outcome: Outcome) -> Judgment:
        self._count(evaluator, outcome)
        return Judgment(
            stream=sampled.stream,
            event=sampled.event,
            time=sampled.time,
            criterion=asked.criterion,
            purpose=sampled.purpose,
            place=sampled.place,
            probability=asked.probability,
            rules=asked.rules,
            by_uniform=asked.by_uniform,
            segments=sampled.segments,
            finding=sampled.finding,
            side=sampled.side,
            anchor=sampled.anchor,
            slices=sampled.slices,
            pin=sampled.pin,
            passed=outcome.passed,
            missing=outcome.missing,
            score=outcome.score,
            rationale=outcome.rationale,
            evaluator=evaluator,
            identity=outcome.identity,
            model=outcome.model,
            tokens=outcome.tokens,
            cost_usd=outcome.cost_usd,
            latency_s=round(outcome.latency_s, 4),
            cached=outcome.cached,
            judged_at=self._clock(),
        )

    def _count(self, evaluator: str, outcome: Outcome) -> None:
        stats = self._stats
        said = outcome.missing or ("pass" if outcome.passed else "fail")
        stats.judgments[evaluator, said] += 1
        stats.evaluator_tokens[evaluator] += outcome.tokens
        stats.evaluator_cost[evaluator] += outcome.cost_usd
        if outcome.cached:
            stats.judgments_cached[evaluator] += 1
        elif outcome.passed is not None:
            stats.evaluator_seconds[evaluator].observe(outcome.latency_s)
