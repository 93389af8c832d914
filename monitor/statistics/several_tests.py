"""Corrections for several tests at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float], alpha: float = 0.05) -> list[bool]:
    """Which of several hypotheses are rejected with a family-wise error of `alpha` (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    rejected = [False] * len(p_values)
    for rank, k in enumerate(order):
        if p_values[k] > alpha / (len(p_values) - rank):
            break
        rejected[k] = True
    return rejected
