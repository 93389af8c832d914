"""Sums of verdicts that were drawn with known probabilities: an evaluator's, or people's. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.judgment.estimates import StratumCounts

SAME_WEIGHTS = 1e-6
"""Relative difference of the effective from the plain number of verdicts up to which all had one probability."""


@dataclass(slots=True)
class Verdicts:
    """Verdicts of one stratum, summed.

    `weight`, `weight_squared` and `weight_passed` are sums of one over the probability with which each was drawn, of
    its square, and of the first over those that passed. `first` and `last` are the times of the outputs.
    """

    passed: int = 0
    failed: int = 0
    missing: int = 0
    weight: float = 0.0
    weight_squared: float = 0.0
    weight_passed: float = 0.0
    first: float = float("inf")
    last: float = float("-inf")

    def add(self, other: Verdicts) -> None:
        """Take those of another part of the stratum."""
        self.passed += other.passed
        self.failed += other.failed
        self.missing += other.missing
        self.weight += other.weight
        self.weight_squared += other.weight_squared
        self.weight_passed += other.weight_passed
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)

    def counts(self, seen: int) -> StratumCounts:
        """What the estimate takes of a stratum of which `seen` outputs were counted.

        Where the probability changed within the window (a spent budget, other settings), verdicts are weighted by one
        over it (Hajek 1971), and count as the number of equally weighted ones that would say as much (Kish 1965).
        """
        judged = self.passed + self.failed
        effective = self.weight**2 / self.weight_squared if self.weight_squared else 0.0
        if not judged or effective >= judged * (1 - SAME_WEIGHTS):
            return StratumCounts(seen, self.passed, self.failed, self.missing)
        passed = effective * self.weight_passed / self.weight
        return StratumCounts(seen, passed, max(0.0, effective - passed), self.missing)
