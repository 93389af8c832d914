"""Lengths by which rows are sorted in time."""

from __future__ import annotations

DAY_S, HOUR_S = 86_400.0, 3_600.0  # seconds
HOURS_A_DAY = 24
