"""Numbers as a finding gives them: no more digits than a sample can support, written as a person writes them.

Called by whoever builds or words a finding. Pure.
"""

from __future__ import annotations

DIGITS = 4
"""Significant digits of a value in a finding: more would claim what a sample of some hundred rows cannot know."""


def rounded(value: float) -> float:
    """The value with `DIGITS` significant digits."""
    return float(f"{value:.{DIGITS}g}")


def number(value: float) -> str:
    """A number as a person writes it: `1,903`, `0.123`."""
    if value == int(value) and abs(value) < 1e15:  # beyond, a float no longer holds every integer
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
