"""Numbers as findings and statuses hold them: without NaN and, for times, without infinities. Pure."""

from __future__ import annotations

import math


def finite(value: float) -> float | None:
    """The value, or None for NaN and infinities: JSON has neither."""
    return float(value) if math.isfinite(value) else None


def log10(value: float) -> float:
    """log10, minus infinity for zero (no evidence yet)."""
    return math.log10(value) if value > 0 else -math.inf
