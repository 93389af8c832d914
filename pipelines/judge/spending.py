"""What an evaluator has used of its day, and how far the draw is lowered so that the day's budget lasts.

A day is one of UTC. Where the outputs that were drawn would cost more than what is left of the day's budget, or come
faster than the rate limit lets them be asked, the draw is made again with all probabilities times `scale`. The draw is
nested (`monitor.judgment.draw`): what is left is a sample with the lower probability, spread over the day, where
asking until the money is gone would judge mornings and never evenings. Pure: time is an argument.
"""

from __future__ import annotations

from collections import deque

from monitor.evaluators.config import EvaluatorConfig

DAY_S = 86_400.0
BUCKET_S = 60.0
"""Demand is counted by minutes: sixty numbers for the hour that is looked at."""
WINDOW_S = 3_600.0
"""How far back demand is looked at: an hour smooths bursts and follows the course of a day."""
LEAST_SPAN_S = 600.0
"""Demand is taken as spread over at least ten minutes: the first outputs after a start are no rate yet."""
LOWEST_SCALE = 1 / 64
"""The draw is not lowered further: what is asked beyond the budget then has no verdict, which is counted as missing."""
TYPICAL_TOKENS = (1_000, 100)
"""Of a question and its answer, until the first answer is known: otherwise all that waits at a start would be asked."""
OF_MEAN = 0.05
"""Weight of the latest answer in the mean cost of an answer: some twenty answers decide it."""


class Spending:
    """One evaluator's budget of a day, as far as it is this worker's.

    `share` is the part of the budget that is this worker's, in proportion to the partitions that it reads; what all
    workers spent before they were assigned is taken off first (`assigned`).
    """

    def __init__(self, config: EvaluatorConfig) -> None:
        self._config = config
        self._day = 0
        self._usd = self._tokens = 0.0
        self._left_usd = config.spend.usd_per_day
        self._left_tokens = float(config.spend.tokens_per_day) if config.spend.tokens_per_day else None
        self._share = 1.0
        self._under_way = 0
        self._answers = 0
        self._mean_usd = config.prices.cost(*TYPICAL_TOKENS)
        self._mean_tokens = float(sum(TYPICAL_TOKENS))
        self._demand: deque[list[float]] = deque()
        self.scale = 1.0
        """Factor of all probabilities of the draw now, in (0, 1]."""

    @property
    def limited(self) -> bool:
        """Whether the day's spending has a limit at all."""
        return self._config.spend.usd_per_day is not None or self._config.spend.tokens_per_day is not None

    def assigned(self, share: float, spent_usd: float, spent_tokens: float, now: float) -> None:
        """This worker reads `share` of the partitions, and all workers together have spent this much today."""
        spend = self._config.spend
        self._day = int(now // DAY_S)
        self._share = share
        self._usd = self._tokens = 0.0
        if spend.usd_per_day is not None:
            self._left_usd = max(spend.usd_per_day - spent_usd, 0.0)
        if spend.tokens_per_day is not None:
            self._left_tokens = max(spend.tokens_per_day - spent_tokens, 0.0)

    def asked(self, at: float) -> None:
        """An output was drawn for this evaluator; `at` is when, by Kafka, in seconds since 1970."""
        bucket = at // BUCKET_S
        if not self._demand or bucket > self._demand[-1][0]:
            self._demand.append([bucket, 0.0])
        self._demand[-1][1] += 1.0
        while self._demand[0][0] < self._demand[-1][0] - WINDOW_S / BUCKET_S:
            self._demand.popleft()

    def begins(self, now: float) -> bool:
        """Whether the budget has room for one more question; then `ends` must follow."""
        self._new_day(now)
        left = self._left()
        if left is not None and left <= 0.0:
            return False
        self._under_way += 1
        return True

    def ends(self, usd: float, tokens: int) -> None:
        """A question that began is answered, at this cost; 0 where it failed."""
        self._under_way -= 1
        if not tokens and not usd:
            return
        self._usd += usd
        self._tokens += tokens
        weight = OF_MEAN if self._answers else 1.0
        self._answers += 1
        self._mean_usd += weight * (usd - self._mean_usd)
        self._mean_tokens += weight * (tokens - self._mean_tokens)

    def adjust(self, now: float) -> float:
        """Set `scale` so that the day's budget lasts until its end and the rate limit is kept; return it."""
        self._new_day(now)
        per_s = self._demand_per_s()
        scale = 1.0
        if per_s > 0.0:
            if self._config.requests_per_minute is not None:
                scale = min(scale, self._config.requests_per_minute / 60.0 / per_s)
            answers = self._answers_left()
            if answers is not None:
                left_s = DAY_S - now % DAY_S
                scale = min(scale, answers / (per_s * left_s))
        self.scale = min(max(scale, LOWEST_SCALE), 1.0)
        return self.scale

    @property
    def spent_share(self) -> float:
        """Part of this worker's budget of the day that is spent, by the tighter limit; 0 where there is none."""
        found = [0.0]
        if self._left_usd is not None:
            found.append(self._usd / (self._left_usd * self._share) if self._left_usd else 1.0)
        if self._left_tokens is not None:
            found.append(self._tokens / (self._left_tokens * self._share) if self._left_tokens else 1.0)
        return max(found)

    def _new_day(self, now: float) -> None:
        day = int(now // DAY_S)
        if day > self._day:
            spend = self._config.spend
            self._left_usd, self._left_tokens = spend.usd_per_day, spend.tokens_per_day
            self._usd = self._tokens = 0.0
            self._day = day

    def _left(self) -> float | None:
        """Answers that the budget still pays, those under way taken off."""
        answers = self._answers_left()
        return None if answers is None else answers - self._under_way

    def _answers_left(self) -> float | None:
        found = []
        if self._left_usd is not None:
            found.append(_answers(self._left_usd * self._share - self._usd, self._mean_usd))
        if self._left_tokens is not None:
            found.append(_answers(self._left_tokens * self._share - self._tokens, self._mean_tokens))
        return min(found, default=None)

    def _demand_per_s(self) -> float:
        if not self._demand:
            return 0.0
        span = (self._demand[-1][0] - self._demand[0][0] + 1) * BUCKET_S
        return sum(count for _, count in self._demand) / max(span, LEAST_SPAN_S)


def _answers(left: float, mean: float) -> float:
    if left <= 0.0:
        return 0.0
    return left / mean if mean else float("inf")
